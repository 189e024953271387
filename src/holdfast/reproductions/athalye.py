"""Athalye, Carlini & Wagner 2018: defences with obfuscated gradients, under PGD and attacks that break them."""

from __future__ import annotations

from typing import Any

from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Attacking, Finished, Model, Plan, Study, register
from holdfast.reproductions.defences import accuracy_under, clean_accuracy, images, plain
from holdfast.reproductions.pages import Group, Page, Row, Statement, Table

# Rounding to 4 levels moves black and white only if a change exceeds a sixth. Against random resizing, even an attack
# that ignores the resizing does some harm, which grows with the budget, so that budget is small.
_EPSILON = {
    ("mnist", "quantized"): 0.2,
    ("mnist", "random-resized"): 0.1,
    ("cifar10", "quantized"): 0.2,
    ("cifar10", "random-resized"): 8 / 255,
}
_EVERY = {"smoke": 1000, "small": 100, "full": 20}
_DEFENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "quantized": ("input quantization, 4 levels", {"levels": 4}),
    "random-resized": ("random resizing and padding", {"least": 0.35, "most": 0.5}),
}
_ATTACKS = {
    "PGD": "pgd:norm=linf,steps=40",
    "BPDA with EOT": "bpda:norm=linf,steps=60,samples=16",
    "NATTACK": "nattack:norm=linf,steps=300,population=200,coarse=2",
}
_SHORT = {
    "PGD": "pgd:norm=linf,steps=20",
    "BPDA with EOT": "bpda:norm=linf,steps=20,samples=8",
    "NATTACK": "nattack:norm=linf,steps=30,population=60,coarse=2",
}
# Fresh draws that verify a claim: 62 of 100 must be wrong; of 20 it would be 16 (four claims, confidence 95%).
_REPEATS = 100
_EPOCHS = {"smoke": 8, "small": 8, "full": 60}
# The thresholds of the statements.
_HIGH, _LOW = 0.5, 0.1


def plan(scale: str, kind: str) -> Plan:
    """Two defended classifiers under three attacks."""
    models = {defence: _model(scale, kind, defence) for defence in _DEFENCES}
    attacks = tuple(
        Attacking(
            _folder(model.name, name),
            model.name,
            _SHORT[name] if scale == "smoke" else attack,
            _EVERY[scale],
            budget=f"{_EPSILON[kind, defence]}",
            repeats=_REPEATS,
        )
        for defence, model in models.items()
        for name, attack in _ATTACKS.items()
    )
    return Plan(tuple(models.values()), attacks=attacks)


def _folder(model: str, attack: str) -> str:
    return f"{model}-{attack.split()[0].lower()}"


def _model(scale: str, kind: str, name: str) -> Model:
    inner = "wong-small" if kind == "mnist" else "resnet20"
    arguments = {**_DEFENCES[name][1], "classifier": inner}
    return plain(scale, f"athalye-{kind}-{name}", name, arguments=arguments, epochs=_EPOCHS[scale])


def page(done: Finished) -> Page:
    """Accuracy under each attack, for each defence."""
    kind = done.kind or "mnist"
    groups, statements = [], []
    for name, (title, _) in _DEFENCES.items():
        model = f"athalye-{kind}-{name}"
        runs = {attack: done.attacks[_folder(model, attack)] for attack in _ATTACKS}
        found = {attack: accuracy_under(run, _EPSILON[kind, name]) for attack, run in runs.items()}
        rows = [Row("unchanged", None, (clean_accuracy(runs["PGD"]),))]
        rows += [Row(attack, None, (value,)) for attack, value in found.items()]
        tested = images(runs["PGD"].manifest.data)
        made = f"epsilon = {_EPSILON[kind, name]:.4g}; {measures.training(done.models[model])}; {tested}"
        groups.append(Group(title, made, tuple(rows)))
        shares = {attack: value.value or 0.0 for attack, value in found.items()}
        statements += [
            Statement(f"{title}: accuracy under PGD above {100 * _HIGH:.0f}%", shares["PGD"] > _HIGH),
            *(
                Statement(f"{title}: accuracy under {attack} {100 * _LOW:.0f}% or less", shares[attack] <= _LOW)
                for attack in ("BPDA with EOT", "NATTACK")
            ),
        ]
    return Page(
        title=f"Athalye et al. 2018: obfuscated gradients on {kind}, scale {done.scale}",
        intro=(
            "Accuracy within Linf epsilon in percent, with 95% intervals. PGD follows the available gradient: zero "
            "through rounding, and that of the classifier without its randomness. BPDA replaces rounding by the "
            "identity, EOT takes the mean gradient over draws of the randomness, and NATTACK needs no gradient. A "
            "claimed adversarial counts if it is wrong more often than not under fresh draws, at confidence 95%.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Accuracy under attack", ("here",), tuple(groups), published=False),),
        statements=tuple(statements),
        notes=(
            "The resized images have 35 to 50% of the side. PGD ignores the randomness and attacks the same network on "
            "whole images, on which it was not trained. What it finds also does some harm to resized images, more so "
            "with larger epsilon.",
            "The paper breaks both kinds of defence to 0% on ImageNet (Guo et al. 2018; Xie et al. 2018), with other "
            "networks and budgets.",
        ),
        pictures=adversarial_gallery(
            f"athalye-{kind}-adversarials",
            "Adversarials of BPDA with EOT",
            {
                title: done.attacks[_folder(_model(done.scale, kind, name).name, "BPDA with EOT")]
                for name, (title, _) in _DEFENCES.items()
            },
        ),
    )


STUDY = register(
    Study(
        name="athalye",
        title="Athalye et al. 2018: defences with obfuscated gradients, and the attacks that break them",
        data=("mnist", "cifar10"),
        cost={"smoke": "2 minutes", "small": "10 minutes on a core", "full": "an hour on a GPU"},
        plan=plan,
        page=page,
        items=("H88", "H89", "H90"),
    )
)
