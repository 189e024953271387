"""Voracek & Hein 2022, "Provably Adversarially Robust Nearest Prototype Classifiers", in L2 on MNIST."""

from __future__ import annotations

from typing import Any

from holdfast.analysis.attacks import attack_magnitude
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import accuracy_under, images, plain
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Bounding, Model, Plan
from holdfast.reproductions.results import Finished

_PAPER = "Voracek & Hein 2022"
_RADIUS = 1.58
_RADII = (0.0, 0.5, 1.0, _RADIUS)
_PER_CLASS = {"smoke": 20, "small": 400, "full": 400}
_EVERY = {"smoke": 100, "small": 1, "full": 1}
# Of the attacks, at most.
_LIMIT = {"smoke": 10, "small": 200, "full": None}
# At full scale prototypes start as training images, as in the program.
_ITERATIONS = {"smoke": 10, "small": 10, "full": 0}
# github.com/vvoracek/Provably-Adversarially-Robust-Nearest-Prototype-Classifiers, main.py: the rate 40 x .96^epoch from
# epoch 1 on.
_PROGRAM: dict[str, Any] = {
    "epochs": 100,
    "batch_size": 500,
    "schedule": "step",
    "learning_rate": 38.4,
    "milestones": tuple(range(1, 100)),
    "factor": 0.96,
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"epochs": 8, "batch_size": 100, "schedule": "cosine", "learning_rate": 10.0},
    "small": {"epochs": 24, "batch_size": 500, "schedule": "cosine", "learning_rate": 40.0},
    "full": _PROGRAM,
}
_MODEL, _RUN = "prototypes-mnist", "prototypes-mnist-nearest"
_ATTACKS = {"pgd": "PGD", "deepfool": "DeepFool"}


def plan(scale: str, kind: str) -> Plan:
    """The prototypes, their exact radii, and two attacks on them."""
    every, budget = _EVERY[scale], ",".join(f"{radius:g}" for radius in _RADII[1:])
    pgd = Attacking(f"{_MODEL}-pgd", _MODEL, "pgd:norm=l2,steps=40", every, limit=_LIMIT[scale], budget=budget)
    deepfool = Attacking(f"{_MODEL}-deepfool", _MODEL, "deepfool:norm=l2", every, limit=_LIMIT[scale])
    return Plan((_model(scale),), (), (Bounding(_RUN, _MODEL, "nearest", every),), (pgd, deepfool))


def _model(scale: str) -> Model:
    recipe = f"prototypes:target=2.5,least=-10.0,moved=0.4,own=4,rivals=16,iterations={_ITERATIONS[scale]}"
    settings = {"optimizer": "sgd", "weight_decay": 0.0, **_SETTINGS[scale]}
    return plain(scale, _MODEL, "prototypes", recipe, {"per_class": _PER_CLASS[scale]}, **settings)


def page(done: Finished) -> Page:
    """Certified accuracy beside the published one, and what the attacks leave."""
    run = done.runs[_RUN]
    attacks = {title: done.attacks[f"{_MODEL}-{name}"] for name, title in _ATTACKS.items()}
    published = figure("Voracek", "Results", "certified accuracy", "MNIST")
    certified = dict(zip(_RADII, measures.certified(run, _RADII), strict=True))
    rows = [Row("accuracy", None, (measures.accuracy(run),))]
    rows += [
        Row(f"certified at {radius:g}", published if radius == _RADIUS else None, (share,))
        for radius, share in certified.items()
    ]
    about = f"{measures.training(done.models[_MODEL])}; {images(run.manifest.data)}"
    under = tuple(
        Group(
            title,
            images(attack.manifest.data),
            tuple(Row(f"accuracy at {radius:g}", None, (accuracy_under(attack, radius),)) for radius in _RADII),
        )
        for title, attack in attacks.items()
    )
    radii = {each.index: each.certified_radius for each in run.results}
    attacked = {record.index for attack in attacks.values() for record in attack.records if radii[record.index] > 0.0}
    broken = sum(
        0.0 < attack_magnitude(record) <= radii[record.index]
        for attack in attacks.values()
        for record in attack.records
    )
    here = certified[_RADIUS].value or 0.0
    return Page(
        title=f"Voracek & Hein 2022 in L2 on MNIST, scale {done.scale}",
        intro=(
            "An image gets the class of the nearest of some hundred learned points of each class. There is no network, "
            "and nothing is random: the distance to the nearest image with another answer is a quadratic program. "
            "Radii are in L2, in input units; accuracies in percent, 95% intervals in brackets.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Certified accuracy",
                ("here",),
                (Group("nearest prototype", about, tuple(rows)),),
                ("The published figure is from notes on the paper: its text was not at hand.",),
            ),
            Table("Accuracy under attack", ("here",), under),
        ),
        charts=(
            Chart(
                "voracek-prototypes-curve.svg",
                "Certified accuracy over the radius",
                "With pointwise 95% bands.",
                lambda: measures.picture([measures.drawn(run, "nearest prototype")]),
            ),
        ),
        statements=(
            Statement(
                f"certified at {_RADIUS} as many as published, {published.text}",
                published.share is not None and here >= published.share,
            ),
            Statement.compared(
                "no attack changed an answer within a certified radius",
                not broken,
                len(attacked),
                "attacked images with a radius above 0",
                regardless=True,
            ),
        ),
        notes=(
            "The program of the paper cuts images to 26 x 26 pixels, so that a moved image shows what was beyond the "
            "edge. Here they have 28 x 28, and black comes in.",
            "The program bounds the radius by single planes between two points; here it is exact up to rounding, which "
            "is subtracted.",
            *(
                ()
                if done.scale == "full"
                else ("Training is shorter than in the program, from k-means of each class.",)
            ),
        ),
    )


STUDY = register(
    Study(
        name="voracek-prototypes",
        title="Voracek & Hein 2022: nearest prototypes on MNIST, certified in L2 without a network",
        data=("mnist",),
        cost={"smoke": "half a minute", "small": "10 minutes on 1 core", "full": "half an hour on 1 core"},
        plan=plan,
        page=page,
    )
)
