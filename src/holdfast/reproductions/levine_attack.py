"""Levine & Feizi 2020, Table 2: the Pointwise attack on randomized ablation and on other classifiers of MNIST."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Study, register
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
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished

_K = 45
_EVERY = {"smoke": 1000, "small": 100, "full": 36}
_RESTARTS = {"smoke": 1, "small": 10, "full": 10}
# Most images for the classifiers with slow decisions, of which an attack queries thousands in sequence: randomized
# ablation, with n votes for each, and nearest neighbours. The paper has 275 images and 10,000 votes.
_SLOW = {"smoke": 2, "small": 30, "full": 275}
# Nearest neighbours stores one training image in this many.
_STORED = {"smoke": 25, "small": 10, "full": 1}
_VOTES = {"smoke": 100, "small": 1_000, "full": 10_000}
# Analysis by synthesis is slower still, since each decision is an optimization: most images, and restarts. The full
# settings are those of Schott et al. 2019, who let the weight of the KL divergence fall over 50 epochs, except for the
# optimizer's and the number of epochs after these.
_SYNTHESIS_SLOW = {"smoke": 1, "small": 20, "full": 275}
_SYNTHESIS_RESTARTS = {"smoke": 1, "small": 3, "full": 10}
_INFERENCE: dict[str, dict[str, float]] = {
    "smoke": {"starts": 100, "steps": 1, "step_size": 0.1, "refined": 2},
    "small": {"starts": 1000, "steps": 4, "step_size": 0.1, "refined": 3},
    "full": {"starts": 8000, "steps": 50, "step_size": 0.01, "refined": 0},
}
_SYNTHESIS: dict[str, dict[str, Any]] = {
    "smoke": {"epochs": 2, "batch_size": 50},
    "small": {"epochs": 5, "batch_size": 100},
    "full": {"epochs": 100, "batch_size": 100, "learning_rate": 0.001, "schedule": "constant"},
}
# After training, every CHECKED-th test image is classified.
_CHECKED = {"smoke": 500, "small": 10, "full": 1}
_MEASURED = {"smoke": 100, "small": 2000, "full": 10_000}
# The paper's name, which leaves ABS out, -> short name.
_OTHERS = {
    "CNN": "cnn",
    "Binarized CNN": "binarized",
    "Nearest Neighbor": "nearest",
    "Linf-Robust (Madry et al. 2017)": "madry",
    "(Schott et al. 2019)": "abs",
    "Binarized (Schott et al. 2019)": "binarized-abs",
}
_BY_SYNTHESIS = ("abs", "binarized-abs")
_ABLATION = "randomized ablation k=45"
# Goals of the reproduction: the median of ablation with 1,000 votes (10,000 in the paper), and the CNN near 9 pixels.
_LEAST, _CNN = 20.0, (8.0, 11.0)
_RADIUS = "images with a radius above 0"


def plan(scale: str, kind: str) -> Plan:
    """Six classifiers without noise, and the certification for k = 45, each attacked."""
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
            limit=_limit(scale, short),
            restarts=_SYNTHESIS_RESTARTS[scale] if short in _BY_SYNTHESIS else restarts,
        )
        for short, model in others.items()
    ]
    return Plan((*others.values(), smoothed), (run,), attacks=tuple(attacks))


def _limit(scale: str, short: str) -> int | None:
    if short in _BY_SYNTHESIS:
        return _SYNTHESIS_SLOW[scale]
    # At full scale all classifiers are attacked on the same images.
    return _SLOW[scale] if short == "nearest" or scale == "full" else None


def _synthesis(scale: str, short: str) -> Model:
    """One training of the autoencoders, which the binarized classifier takes over, as in Schott et al. 2019."""
    settings = {"weight_decay": 0.0, **_SYNTHESIS[scale]}
    recipe = f"abs:beta=10,annealed=0.5,measured={_MEASURED[scale]}"
    if short == "binarized-abs":
        recipe += ",autoencoders=table2-abs.safetensors"
        settings["epochs"] = 1
    model = plain(scale, f"table2-{short}", short, recipe, _INFERENCE[scale], **settings)
    return replace(model, checked=_CHECKED[scale])


def _model(scale: str, short: str) -> Model:
    name = f"table2-{short}"
    if short == "cnn":
        return mnist_cnn(scale, adversarial=False)
    if short == "madry":
        return mnist_cnn(scale, adversarial=True)
    if short in _BY_SYNTHESIS:
        return _synthesis(scale, short)
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
                    "ABS is the classifier that the table names by its authors alone, (Schott et al. 2019).",
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
            "Below full scale, randomized ablation, nearest neighbours and ABS are attacked on fewer images, and few "
            "training images are stored for nearest neighbours. Each answer of randomized ablation "
            f"takes {attacked.manifest.n or _VOTES[done.scale]:,} votes; in the paper 10,000, on 275 images.",
            _about_synthesis(done.scale),
        ),
        pictures=adversarial_gallery(
            "levine-attack-adversarials",
            "Figures 3 and 5: adversarials of randomized ablation",
            {"": attacked},
            "An abstention is a success of the attack, so these lie on the boundary between two classes.",
        ),
    )


def _about_synthesis(scale: str) -> str:
    """How ABS is inferred here and in its paper."""
    here, restarts = _INFERENCE[scale], _SYNTHESIS_RESTARTS[scale]
    classes = f"the {here['refined']} likeliest classes" if here["refined"] else "all classes"
    return (
        "ABS and binarized ABS share their autoencoders, trained for "
        f"{_SYNTHESIS[scale]['epochs']} epochs. Each decision starts from the best of {here['starts']:,} codes of each "
        f"class and takes {here['steps']} step{'s' if here['steps'] != 1 else ''} of Adam of size {here['step_size']} "
        f"for {classes}; in the paper 8,000 codes and 50 steps for all. They are attacked with {restarts} "
        f"restart{'s' if restarts != 1 else ''}; in the paper 10. Codes that are not optimal explain less of an image "
        "than the best ones, so that the answers and their robustness are those of this inference."
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
