"""Levine & Feizi 2020, Table 2: the Pointwise attack on randomized ablation and on other classifiers of MNIST."""

from __future__ import annotations

import math
from dataclasses import replace

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Attacking, Finished, Model, Plan, Study, register
from holdfast.reproductions.defences import (
    clean_accuracy,
    images,
    mean_magnitude,
    median_magnitude,
    mnist_cnn,
    plain,
    within_radius,
)
from holdfast.reproductions.models import mnist, mnist_run
from holdfast.reproductions.pages import Group, Page, Row, Statement, Table

_K = 45
_EVERY = {"smoke": 1000, "small": 100, "full": 20}
_RESTARTS = {"smoke": 1, "small": 10, "full": 10}
# Most images for the two classifiers with slow decisions, of which an attack queries thousands in sequence: randomized
# ablation, with n votes for each, and nearest neighbours.
_SLOW = {"smoke": 2, "small": 30, "full": 275}
# Nearest neighbours stores one training image in this many.
_STORED = {"smoke": 25, "small": 10, "full": 1}
_VOTES = {"smoke": 100, "small": 1_000, "full": 10_000}
# The paper's name -> short name.
_OTHERS = {
    "CNN": "cnn",
    "Binarized CNN": "binarized",
    "Nearest Neighbor": "nearest",
    "Linf-Robust (Madry et al. 2017)": "madry",
}
_ABLATION = "randomized ablation k=45"
# Goals of the reproduction: the median of ablation with 1,000 votes (10,000 in the paper), and the CNN near 9 pixels.
_LEAST, _CNN = 20.0, (8.0, 11.0)
_RADIUS = "images with a radius above 0"
_NOT_HERE = ("ABS (Schott et al. 2019)", "Binarized ABS (Schott et al. 2019)")


def plan(scale: str, kind: str) -> Plan:
    """Four classifiers without noise, and the certification for k = 45, each attacked."""
    others = {short: _model(scale, short) for short in _OTHERS.values()}
    smoothed = mnist(scale, f"ablation:k={_K}", f"k{_K}")
    run = mnist_run(scale, smoothed)
    every, restarts = max(_EVERY[scale], run.every), _RESTARTS[scale]
    attack = "pointwise:steps=10" if scale == "smoke" else "pointwise:steps=30"
    attacks = [
        Attacking(
            f"{smoothed.name}-pointwise",
            smoothed.name,
            attack,
            every,
            limit=_SLOW[scale],
            restarts=restarts,
            run=run.name,
            n=_VOTES[scale],
        )
    ]
    attacks += [
        Attacking(
            f"{model.name}-pointwise",
            model.name,
            attack,
            every,
            limit=_SLOW[scale] if short == "nearest" else None,
            restarts=restarts,
        )
        for short, model in others.items()
    ]
    return Plan((*others.values(), smoothed), (run,), attacks=tuple(attacks))


def _model(scale: str, short: str) -> Model:
    name = f"table2-{short}"
    if short == "cnn":
        return mnist_cnn(scale, adversarial=False)
    if short == "madry":
        return mnist_cnn(scale, adversarial=True)
    if short == "binarized":
        return plain(scale, name, "binarized-cnn")
    stored = {"stored": 60_000 // _STORED[scale]}
    nearest = plain(scale, name, "nearest-neighbour", "memorize", stored, epochs=1, weight_decay=0.0)
    return replace(nearest, part=_STORED[scale])


def page(done: Finished) -> Page:
    """Accuracy and median attack magnitude of each classifier."""
    folders = {name: _model(done.scale, short).name for name, short in _OTHERS.items()}
    folders[_ABLATION] = f"mnist-k{_K}"
    groups, medians = [], {}
    for name, model in folders.items():
        attack = done.attacks[f"{model}-pointwise"]
        found = {"accuracy": clean_accuracy(attack), "median magnitude": median_magnitude(attack)}
        mean_row = Row("mean magnitude", None, (mean_magnitude(attack),))
        medians[name] = found["median magnitude"].value
        metrics = ("classification accuracy", "median adversarial attack magnitude")
        rows = tuple(
            Row(quantity, figure("Levine", "Table 2", metric, "MNIST", method=name), (value,))
            for (quantity, value), metric in zip(found.items(), metrics, strict=True)
        )
        about = f"{measures.training(done.models[model])}; {images(attack.manifest.data)}"
        if name == _ABLATION:
            about = (
                f"{measures.settings(done.runs[model], done.models[model])}; {images(attack.manifest.data)} attacked"
            )
        groups.append(Group(name, about, (*rows, mean_row)))
    # If the attack failed on the image in the middle, the median is larger than anything found.
    sizes = {name: math.inf if median is None else median for name, median in medians.items()}
    ablation, attacked = sizes.pop(_ABLATION), done.attacks[f"{folders[_ABLATION]}-pointwise"]
    certified = sum(bool(record.radius) for record in attacked.records)
    return Page(
        title=f"Levine & Feizi 2020, Table 2 on MNIST, scale {done.scale}",
        intro=(
            "The Pointwise attack changes as few pixels as it can. The best of several restarts counts; images that "
            "are wrong or get no answer unchanged count 0. Magnitudes are upper bounds on robustness, whereas the "
            "certificates of Table 1 are lower bounds. Accuracies are in percent, magnitudes in pixels. The paper "
            "gives no means; those here are of the images that are right unchanged and were broken, with Student's t "
            "interval.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Table 2: median adversarial attack magnitude",
                ("here",),
                tuple(groups),
                (
                    "The published figures are for orientation, without differences: the other classifiers are those "
                    "of Schott et al., and answers of randomized ablation take other numbers of votes.",
                ),
                differences=False,
            ),
        ),
        statements=(
            Statement(
                "randomized ablation has the largest median of these classifiers",
                ablation > max(sizes.values()),
            ),
            Statement(f"the median of randomized ablation is {_LEAST:.0f} pixels or more", ablation >= _LEAST),
            Statement("the median of the CNN is 8 to 11 pixels", _CNN[0] <= sizes["CNN"] <= _CNN[1]),
            Statement.compared(
                "no certificate was contradicted", not attacked.alarms, certified, _RADIUS, regardless=True
            ),
            Statement.compared(
                "no adversarial, and no abstention, lies within a certified radius",
                not within_radius(attacked),
                certified,
                _RADIUS,
            ),
        ),
        notes=(
            f"{' and '.join(_NOT_HERE)} of the paper's table are not reproduced.",
            "Randomized ablation and nearest neighbours are attacked on fewer images; below full scale, few training "
            "images are stored for nearest neighbours. Each answer of randomized ablation "
            f"takes {attacked.manifest.n or _VOTES[done.scale]:,} votes; in the paper 10,000, on 275 images.",
        ),
        pictures=adversarial_gallery(
            "levine-attack-adversarials",
            "Figures 3 and 5: adversarials of randomized ablation",
            {"": attacked},
            "An abstention is a success of the attack, so these lie on the boundary between two classes.",
        ),
    )


STUDY = register(
    Study(
        name="levine-attack",
        title="Levine & Feizi 2020, Table 2: the Pointwise attack on MNIST",
        data=("mnist",),
        cost={"smoke": "2 minutes", "small": "1 to 2 hours on 2 cores", "full": "days on a GPU"},
        plan=plan,
        page=page,
        items=("L13", "L14", "L15", "L34"),
    )
)
