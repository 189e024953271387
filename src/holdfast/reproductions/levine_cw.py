"""Levine & Feizi 2020, "Results": the mean magnitudes of Carlini & Wagner's L0 attack on unprotected networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from holdfast.analysis.attacks import attack_magnitude
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import clean_accuracy, images, mean_magnitude, mean_of, median_magnitude, plain
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure
    from holdfast.store.attack import AttackRun

_DATASETS = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
_CLASSES = 10
_EVERY = {"smoke": 1000, "small": 100, "full": 10}
# Images for the attack on each class apart, which costs ten times as much.
_EACH_EVERY = {"smoke": None, "small": 250, "full": 10}
_STEPS = {"smoke": 20, "small": 100, "full": 1000}
_RESTARTS = {"smoke": 1, "small": 10, "full": 10}
_EPOCHS = {"mnist": {"smoke": 4, "small": 6, "full": 50}, "cifar10": {"smoke": 4, "small": 15, "full": 50}}
# The networks of Carlini & Wagner; below full scale, the one for CIFAR-10 has half of its channels.
_WIDE: dict[str, Any] = {"widths": [64, 128], "hidden": 256}
_NARROW: dict[str, Any] = {"widths": [32, 64], "hidden": 200}
# The paper calls the mean of this attack and the median of the Pointwise attack, half a pixel apart, comparable.
_COMPARABLE = 2.0


def plan(scale: str, kind: str) -> Plan:
    """A network without noise; the attack on it, towards any class and towards each; on MNIST the Pointwise attack."""
    model, attack = _model(scale, kind), f"cw-l0:steps={_STEPS[scale]}"
    attacks = [Attacking(_free(model.name), model.name, attack, _EVERY[scale])]
    every = _EACH_EVERY[scale]
    if every is not None:
        attacks += [
            Attacking(_towards(model.name, label), model.name, attack, every, target=str(label))
            for label in range(_CLASSES)
        ]
    if kind == "mnist":
        steps = "pointwise:steps=10" if scale == "smoke" else "pointwise:steps=30"
        attacks.append(Attacking(_points(model.name), model.name, steps, _EVERY[scale], restarts=_RESTARTS[scale]))
    return Plan((model,), attacks=tuple(attacks))


def _model(scale: str, kind: str) -> Model:
    more: dict[str, Any] = {"learning_rate": 0.001, "epochs": _EPOCHS[kind][scale]}
    if kind == "cifar10" and scale != "smoke":
        more |= {"crop": 4, "flip": True}
    wide = kind == "cifar10" and scale == "full"
    return plain(scale, f"{kind}-carlini-cnn", "carlini-cnn", arguments=_WIDE if wide else _NARROW, **more)


def _published(dataset: str) -> PublishedFigure:
    return figure("Levine", "Results", "mean adversarial attack magnitude", dataset)


def _free(model: str) -> str:
    return f"{model}-cw-l0"


def _towards(model: str, label: int) -> str:
    return f"{model}-cw-l0-class{label}"


def _points(model: str) -> str:
    return f"{model}-pointwise"


def page(done: Finished) -> Page:
    """The mean magnitude, beside the median and the Pointwise attack."""
    kind = done.kind or "mnist"
    dataset, model = _DATASETS[kind], _model(done.scale, kind).name
    free = done.attacks[_free(model)]
    published = _published(dataset)
    groups = [
        Group(
            "towards any other class",
            f"{measures.training(done.models[model])}; {images(free.manifest.data)}",
            (
                Row("mean", published, (mean_magnitude(free),)),
                Row("median", None, (median_magnitude(free),)),
                Row("broken", None, (_broken(free),)),
                Row("accuracy", None, (clean_accuracy(free),)),
            ),
        )
    ]
    each = [done.attacks[_towards(model, label)] for label in range(_CLASSES) if _towards(model, label) in done.attacks]
    if each:
        about = f"{images(each[0].manifest.data)}; the smallest change of nine attacks for each image"
        groups.append(Group("best of all other classes", about, (Row("mean", published, (_best_mean(each),)),)))
    points = done.attacks.get(_points(model))
    if points is not None:
        groups.append(_pointwise(points))
    return Page(
        title=f"Levine & Feizi 2020: Carlini & Wagner's L0 attack on {dataset}, scale {done.scale}",
        intro=(
            "The paper compares its certificates with the mean number of pixels that this attack changes: "
            f"{' and '.join(f'{_published(name).text} on {name}' for name in _DATASETS.values())}, for networks "
            "without protection. Means are over images that are right unchanged and were "
            "broken; their intervals are Student's t, which is approximate. Medians count images that are wrong "
            "unchanged as 0. All are upper bounds on robustness.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Attack magnitudes in pixels",
                ("here",),
                tuple(groups),
                (
                    "The published figures are for orientation, without differences: they are for other weights, and "
                    "for the best of all classes on every image.",
                ),
                differences=False,
            ),
        ),
        statements=_statements(dataset, free, points),
        notes=(
            "The mean is that of Carlini & Wagner 2017, on networks of their own: two stages of two convolutions. "
            "carlini-cnn is such a network"
            + (", with half of the channels" if kind == "cifar10" and done.scale != "full" else "")
            + ". It is trained here in another way.",
            f"The attack takes up to {_STEPS[done.scale]:,} steps for each set of pixels.",
            "The paper concludes that CIFAR-10 is more vulnerable than MNIST: give the other data set to the same "
            "command, with another folder, to compare.",
        ),
    )


def _broken(attack: AttackRun) -> Measured:
    """The share of images right unchanged for which an adversarial was found."""
    sizes = [attack_magnitude(record) for record in attack.records if record.reference == record.label]
    return measures.share_of(sum(size < math.inf for size in sizes), len(sizes))


def _best_mean(attacks: list[AttackRun]) -> Measured:
    """The mean over images of the smallest change towards any of the classes."""
    best: dict[int, float] = {}
    for attack in attacks:
        for record in attack.records:
            if record.reference == record.label and record.magnitude is not None:
                best[record.index] = min(record.magnitude, best.get(record.index, math.inf))
    return mean_of(list(best.values()))


def _pointwise(attack: AttackRun) -> Group:
    published = figure("Levine", "Table 2", "median adversarial attack magnitude", "MNIST", method="CNN")
    about = f"the same network; {images(attack.manifest.data)}; best of {attack.manifest.restarts}"
    rows = (
        Row("median", published, (median_magnitude(attack),)),
        Row("mean", None, (mean_magnitude(attack),)),
    )
    return Group("Pointwise attack", about, rows)


def _statements(dataset: str, free: AttackRun, points: AttackRun | None) -> tuple[Statement, ...]:
    """What the paper says, where there is enough to judge it by."""
    found = mean_magnitude(free)
    published = _published(dataset).value or 0.0
    broken = [record for record in free.records if record.reference == record.label]
    inside = found.lower is not None and found.upper is not None and found.lower <= published <= found.upper
    enough = 0 if found.lower is None else len(broken)
    whole = all(attack_magnitude(record) < math.inf for record in broken)
    statements = [
        Statement.compared("the attack breaks every image that is right", whole, len(broken), "images that are right"),
        Statement.compared(f"the paper's mean of {published:g} lies in this interval", inside, enough, "two images"),
    ]
    if points is not None:
        median = median_magnitude(points).value
        near = None not in (median, found.value) and abs((median or 0.0) - (found.value or 0.0)) <= _COMPARABLE
        text = f"the mean and the Pointwise attack's median are within {_COMPARABLE:g} pixels of each other"
        statements.append(Statement.compared(text, near, enough, "two images"))
    return tuple(statements)


STUDY = register(
    Study(
        name="levine-cw",
        title="Levine & Feizi 2020, Results: mean magnitudes of Carlini & Wagner's L0 attack",
        data=("mnist", "cifar10"),
        cost={"smoke": "1 minute", "small": "1 to 2 hours on a core", "full": "hours on a GPU"},
        plan=plan,
        page=page,
        items=("L33",),
    )
)
