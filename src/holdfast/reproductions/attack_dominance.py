"""Hajri 2021 (lecture): attack 1 is stronger than attack 2 within epsilon, for all attacks on one network of MNIST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.dominance import found_within, level_of, pairs, smaller, within
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import clean_accuracy, images, mnist_cnn
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Plan
from holdfast.reproductions.results import Finished
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.analysis.dominance import Comparison
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun

_EVERY = {"smoke": 2000, "small": 100, "full": 1}
# Where an unprotected network of MNIST falls to some attacks on some images and not to others.
_EPSILON = {Norm.LINF: 0.1, Norm.L2: 1.5, Norm.L0: 12}
# Name -> attack at scales small and full, and at scale smoke; None leaves it out there.
_ATTACKS: dict[Norm, dict[str, tuple[str, str | None]]] = {
    Norm.LINF: {
        "FGSM": ("fgsm:norm=linf", "fgsm:norm=linf"),
        "PGD": ("pgd:norm=linf,steps=40", "pgd:norm=linf,steps=10"),
        "DeepFool": ("deepfool:norm=linf", "deepfool:norm=linf,steps=10"),
        "CW": ("cw-linf", "cw-linf:steps=20,shrink=0.7"),
        "NATTACK": ("nattack:norm=linf", "nattack:norm=linf,steps=10,population=50"),
        "AutoAttack": ("autoattack:norm=linf", None),
    },
    Norm.L2: {
        "FGM": ("fgsm:norm=l2", "fgsm:norm=l2"),
        "PGD": ("pgd:norm=l2,steps=40", "pgd:norm=l2,steps=10"),
        "L-BFGS": ("lbfgs", "lbfgs:steps=20,searches=3"),
        "DeepFool": ("deepfool:norm=l2", "deepfool:norm=l2,steps=10"),
        "CW": ("cw-l2", "cw-l2:steps=30,searches=3"),
    },
    Norm.L0: {
        "JSMA": ("jsma", "jsma:targets=3"),
        "CW": ("cw-l0", "cw-l0:steps=20"),
        "Pointwise": ("pointwise", "pointwise:steps=5"),
        "patch": ("patch", "patch:steps=10,tries=1"),
    },
}
# Attacks that look for the smallest change.
_MINIMIZE = ("DeepFool", "CW", "L-BFGS", "JSMA", "Pointwise")
# What the lecture says: norm, the stronger attack, the weaker one.
_CLAIMS = (
    (Norm.LINF, "PGD", "FGSM"),
    (Norm.LINF, "CW", "FGSM"),
    (Norm.L2, "CW", "L-BFGS"),
    (Norm.L0, "CW", "JSMA"),
)


def plan(scale: str, kind: str) -> Plan:
    """One network without noise under all attacks; those that do not look for the smallest change get epsilon."""
    model = mnist_cnn(scale, adversarial=False)
    attacks = tuple(
        Attacking(
            _folder(norm, name),
            model.name,
            attack,
            _EVERY[scale],
            budget=None if name in _MINIMIZE else f"{_EPSILON[norm]}",
        )
        for norm in _ATTACKS
        for name, attack in _attacks(scale, norm).items()
    )
    return Plan((model,), attacks=attacks)


def _attacks(scale: str, norm: Norm) -> dict[str, str]:
    """The attacks in a norm at a scale."""
    chosen = {name: each[scale == "smoke"] for name, each in _ATTACKS[norm].items()}
    return {name: attack for name, attack in chosen.items() if attack is not None}


def _folder(norm: Norm, name: str) -> str:
    return f"dominance-{norm.spelling}-{name.lower()}"


def page(done: Finished) -> Page:
    """Each pair of attacks: on how many images the one succeeds and the other does not."""
    runs = {norm: {name: done.attacks[_folder(norm, name)] for name in _attacks(done.scale, norm)} for norm in _ATTACKS}
    # Both tables of each norm, each pair in both orders.
    numbers = [(len(each), sum(name in _MINIMIZE for name in each)) for each in runs.values()]
    ordered = sum(number * (number - 1) for each in numbers for number in each)
    level = level_of(ordered)
    model = mnist_cnn(done.scale, adversarial=False).name
    first = runs[Norm.LINF]["FGSM"]
    right = sum(record.reference == record.label for record in first.records)
    made = f"{measures.training(done.models[model])}; {images(first.manifest.data)}"
    return Page(
        title=f"Which attack is stronger: all attacks on one network of MNIST, scale {done.scale}",
        intro=(
            "As Hajri (2021) defines it, attack 1 is stronger than attack 2 if it succeeds more often within epsilon. "
            f"All attacks see the same images; the {right} that the network gets right unchanged count. For each "
            "pair of attacks, a table shows on which share of these images only the first succeeds, and only the "
            "second, in percent with 95% intervals; p is that of an exact sign test, one-sided, of the images on which "
            "the two differ. Further tables compare the sizes of the changes in the same way.",
            f"An attack is called stronger if its p is at most {level:.2g}: at this level, with 95% confidence none of "
            f"the {ordered} ordered pairs is called so wrongly.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Success of each attack within epsilon",
                ("here",),
                (
                    Group("network", made, (Row("accuracy unchanged", None, (clean_accuracy(first),)),)),
                    *(_own(norm, each) for norm, each in runs.items()),
                ),
            ),
            *(_table(norm, each, level) for norm, each in runs.items()),
            *(_sizes(norm, each, level) for norm, each in runs.items()),
        ),
        statements=(*(_claim(runs, *claim, level) for claim in _CLAIMS), _strongest(runs[Norm.LINF], level)),
        notes=(
            "The lecture has no numbers for this. It calls the attacks of Carlini & Wagner the best ones of 2016 in "
            "L0, L2 and Linf, PGD an extension of FGSM that is regarded as the strongest attack in Linf, and both the "
            "most powerful ones.",
            "How strong an attack is depends on its parameters: these are Holdfast's defaults, one run of each without "
            "restarts. JSMA only raises values, by the most. A patch is one square of 9 of the 12 pixels.",
        ),
    )


def _own(norm: Norm, runs: dict[str, AttackRun]) -> Group:
    rows = [Row(name, None, (_share(found_within(run, _EPSILON[norm])),)) for name, run in runs.items()]
    return Group(_within(norm), "", tuple(rows))


def _within(norm: Norm) -> str:
    unit = " pixels" if norm is Norm.L0 else ""
    return f"{norm.value} epsilon = {_EPSILON[norm]:g}{unit}"


def _table(norm: Norm, runs: dict[str, AttackRun], level: float) -> Table:
    """Success within epsilon, pair by pair."""
    return _compared(
        f"{_within(norm)}: only one of the two succeeds",
        runs,
        lambda first, second: within(first, second, _EPSILON[norm]),
        level,
    )


def _sizes(norm: Norm, runs: dict[str, AttackRun], level: float) -> Table:
    """Sizes of the changes, pair by pair, of attacks that look for the smallest one."""
    chosen = {name: run for name, run in runs.items() if name in _MINIMIZE}
    return _compared(f"{norm.value}: one of the two finds a smaller change", chosen, smaller, level)


def _compared(
    title: str, runs: dict[str, AttackRun], compare: Callable[[AttackRun, AttackRun], Comparison], level: float
) -> Table:
    found = pairs(runs, compare, level)
    rows = tuple(Row(f"{each.ahead}, {each.behind}", None, _cells(each.found)) for each in found)
    verdicts = [f"{each.ahead} than {each.behind}" for each in found if each.stronger]
    shown = f"Stronger: {', '.join(verdicts)}." if verdicts else "No attack is shown to be stronger than another."
    return Table(title, ("first", "second", "p"), (Group("", "", rows),), (shown,))


def _cells(found: Comparison) -> tuple[Measured | None, ...]:
    p = Measured(found.p_value, "", digits=4)
    return _share(found.first_share), _share(found.second_share), p


def _share(found: Proportion | None) -> Measured | None:
    return None if found is None else Measured.share(found)


def _claim(runs: dict[Norm, dict[str, AttackRun]], norm: Norm, strong: str, weak: str, level: float) -> Statement:
    found = within(runs[norm][strong], runs[norm][weak], _EPSILON[norm])
    text = f"{strong} is stronger than {weak} within {_within(norm)}"
    return Statement.compared(text, found.stronger(level), found.differ, "images on which they differ")


def _strongest(runs: dict[str, AttackRun], level: float) -> Statement:
    """PGD as the strongest attack in Linf: no other one is shown to be stronger."""
    others = [within(run, runs["PGD"], _EPSILON[Norm.LINF]) for name, run in runs.items() if name != "PGD"]
    return Statement.compared(
        f"no attack is shown to be stronger than PGD within {_within(Norm.LINF)}",
        not any(each.stronger(level) for each in others),
        sum(each.inputs for each in others),
        "images that the network gets right",
    )


STUDY = register(
    Study(
        name="attack-dominance",
        title="Hajri 2021: which attack is stronger, for all pairs of attacks in Linf, L2 and L0",
        data=("mnist",),
        cost={"smoke": "2 minutes", "small": "an hour of one core", "full": "a day of one core"},
        plan=plan,
        page=page,
        items=("H79", "H80", "L35"),
    )
)
