"""Carlini & Wagner 2017 on MNIST: each digit made into each other one, within L0, L2 and Linf."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.analysis.changes import changes
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import clean_accuracy, images, mnist_cnn
from holdfast.reproductions.pages import Gallery, Group, Measured, Page, Picture, Row, Statement, Strip, Table
from holdfast.reproductions.plans import Attacking, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import proportion
from holdfast.store.attack import KEPT
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.attack import AttackRecord, AttackRun

_CLASSES = 10
_ATTACKS = {Norm.L0: "cw-l0", Norm.L2: "cw-l2", Norm.LINF: "cw-linf"}
_SHORT = {
    Norm.L0: "cw-l0:steps=20,share=0.5",
    Norm.L2: "cw-l2:steps=60,searches=5",
    Norm.LINF: "cw-linf:steps=20,shrink=0.7",
}
# Test images; the pictures show the first ones.
_SUBSET = {"smoke": (1000, 1), "small": (1000, 10), "full": (100, 100)}
_SHOWN = 5
# Of the statement about how many of the targets are reached.
_MOST = 0.95


@dataclass(frozen=True)
class Found:
    """What the attacks of one norm found.

    Attributes:
        attacked: how many pairs of an image and a class that it is not.
        reached: for how many of them an adversarial was found.
        cases: for each image for which all were: the smallest, the mean and the largest magnitude.
    """

    attacked: int
    reached: int
    cases: tuple[tuple[float, float, float], ...]


def plan(scale: str, kind: str) -> Plan:
    """A network without noise, attacked towards each class in each norm."""
    model = mnist_cnn(scale, adversarial=False)
    every, limit = _SUBSET[scale]
    return Plan(
        (model,),
        attacks=tuple(
            Attacking(
                _folder(norm, target),
                model.name,
                _SHORT[norm] if scale == "smoke" else attack,
                every,
                limit,
                target=str(target),
            )
            for norm, attack in _ATTACKS.items()
            for target in range(_CLASSES)
        ),
    )


def _folder(norm: Norm, target: int) -> str:
    return f"cw-targeted-{norm.spelling}-{target}"


def page(done: Finished) -> Page:
    """How often targets are reached and how far they are, and the pictures."""
    attacks = {norm: {target: done.attacks[_folder(norm, target)] for target in range(_CLASSES)} for norm in _ATTACKS}
    found = {norm: _found(by_target) for norm, by_target in attacks.items()}
    first = attacks[Norm.L2][0]
    (model,) = done.models.values()
    groups = [
        Group(
            "the network",
            f"{measures.training(model)}; {images(first.manifest.data)}",
            (Row("accuracy", None, (clean_accuracy(first),)),),
        ),
        *(Group(f"{norm.value}, in {norm.unit}", "", _rows(norm, each)) for norm, each in found.items()),
    ]
    return Page(
        title=f"Carlini & Wagner 2017: targeted attacks on MNIST, scale {done.scale}",
        intro=(
            "Each image is changed as little as the attack can, towards each of the nine classes that it is not. Best, "
            "average and worst case are the magnitudes for the nearest, a random and the farthest of these classes, as "
            "means over the images for which all nine were reached.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Targets reached, and how far they are", ("here",), tuple(groups), published=False),),
        statements=tuple(
            Statement.compared(
                f"{norm.value}: an adversarial is found for {100 * _MOST:.0f}% of all targets or more",
                each.reached >= _MOST * each.attacked,
                each.attacked,
                "images attacked",
            )
            for norm, each in found.items()
        ),
        notes=("The paper attacks another network of MNIST, with its own number of steps.",),
        pictures=tuple(filter(None, (_gallery(norm, by_target) for norm, by_target in attacks.items()))),
    )


def _found(by_target: Mapping[int, AttackRun]) -> Found:
    tried: dict[int, list[AttackRecord]] = {}
    for target, attack in by_target.items():
        for record in attack.records:
            # An image that is wrong unchanged has no own class to lead away from.
            if record.reference == record.label != target:
                tried.setdefault(record.index, []).append(record)
    sizes = {index: [each.magnitude for each in records] for index, records in tried.items()}
    whole = [[size for size in each if size is not None] for each in sizes.values() if None not in each]
    return Found(
        attacked=sum(map(len, sizes.values())),
        reached=sum(size is not None for each in sizes.values() for size in each),
        cases=tuple((min(each), fmean(each), max(each)) for each in whole),
    )


def _rows(norm: Norm, found: Found) -> tuple[Row, ...]:
    digits = 1 if norm is Norm.L0 else 3
    share = Measured.share(proportion(found.reached, found.attacked)) if found.attacked else Measured(None, "share")
    means: list[float | None] = [fmean(case) for case in zip(*found.cases, strict=True)]
    named = zip(("best case", "average case", "worst case"), means or [None] * 3, strict=True)
    return (
        Row("targets reached", None, (share,)),
        *(Row(name, None, (Measured(mean, "", digits=digits),)) for name, mean in named),
    )


def _gallery(norm: Norm, by_target: Mapping[int, AttackRun]) -> Gallery | None:
    """Rows of one image each, a column for each target; the unchanged image stands in the column of its own class."""
    shown = {target: {each.index: each for each in changes(attack, KEPT)} for target, attack in by_target.items()}
    known = {index: each.pictures[0] for by_index in shown.values() for index, each in by_index.items()}
    records = {target: {each.index: each for each in attack.records} for target, attack in by_target.items()}
    strips = []
    for index in sorted(known)[:_SHOWN]:
        label = records[0][index].label
        pictures = []
        for target in by_target:
            change, record = shown[target].get(index), records[target][index]
            if target == label:
                pictures.append(Picture.of(known[index], "unchanged"))
            elif record.reference == target:
                pictures.append(Picture.of(known[index], "answered so unchanged"))
            elif change is None:
                pictures.append(Picture.of(known[index], "none found"))
            else:
                pictures.append(Picture.of(change.pictures[1], formats.with_unit(norm, f"{record.magnitude:.3g}")))
        strips.append(Strip(f"test image {index}, a {label}", tuple(pictures)))
    if not strips:
        return None
    columns = tuple(f"to {target}" for target in by_target)
    about = (
        "Each adversarial is taken for the class of its column; below it stands how far it is. In the column of its "
        "own class, and where none was found, the image is unchanged."
    )
    file, title = f"cw-targeted-{norm.spelling}", f"Targeted adversarials in {norm.value}"
    return Gallery(file, title, about, columns, tuple(strips))


STUDY = register(
    Study(
        name="cw-targeted",
        title="Carlini & Wagner 2017: each digit made into each other one, in L0, L2 and Linf",
        data=("mnist",),
        cost={"smoke": "2 minutes", "small": "an hour on a core", "full": "hours on 2 cores"},
        plan=plan,
        page=page,
        items=("H79", "H81", "H82"),
    )
)
