"""Athalye, Carlini & Wagner 2018, Table 1: nine defences, each under the attack that it withstands and under the one
that was made for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import accuracy_under, clean_accuracy, images, plain
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.analysis.published import PublishedFigure
    from holdfast.store.attack import AttackRun

_METRIC = "accuracy"
# Budgets on CIFAR-10 are the paper's, where it has one for CIFAR-10, except for rounding, which a change below a sixth
# does not move from black or white. Against random resizing, an attack that ignores it does some harm, more so with a
# larger budget.
_PAPERS, _CASCADE = 8 / 255, 0.015
_EVERY = {"smoke": 2000, "small": 100, "full": 20}
_EPOCHS = {"smoke": 6, "small": 8, "full": 60}
_FINE = {
    "smoke": {"steps": 10, "samples": 4},
    "small": {"steps": 60, "samples": 16},
    "full": {"steps": 100, "samples": 32},
}
_PGD = {"smoke": 10, "small": 40, "full": 100}
_NATTACK = {"smoke": (10, 40), "small": (300, 200), "full": (300, 200)}
# Fresh draws that verify a claim: 62 of 100 must be wrong; of 20 it would be 16 (four claims, confidence 95%).
_REPEATS = 100
# The thresholds of the statements.
_HIGH, _LOW = 0.5, 0.1


@dataclass(frozen=True)
class _Case:
    """A defence of the table.

    Attributes:
        title: of its rows.
        architecture: its name.
        epsilon: budget in Linf for each kind of data.
        naive: the attack that should find little.
        adaptive: the attacks that should break it, the first one beside the published figure.
        arguments: of the architecture.
        recipe: for each budget, as in "adversarial:epsilon={epsilon},norm=linf,steps=7".
        falls: whether the paper counts it among the broken ones.
        inner: whether the architecture is around another one.
        made: what the rows are about, for the page.
    """

    title: str
    architecture: str
    epsilon: Mapping[str, float]
    naive: str
    adaptive: tuple[str, ...]
    made: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = "standard"
    falls: bool = True
    inner: bool = True


_CASES = {
    "thermometer": _Case(
        "thermometer encoding",
        "thermometer",
        {"mnist": 0.2, "cifar10": _PAPERS},
        "PGD",
        ("BPDA",),
        "16 levels; BPDA puts a ramp in the place of each step",
        {"levels": 16},
    ),
    "dimension": _Case(
        "local intrinsic dimension",
        "dimension-detector",
        {"mnist": 0.2, "cifar10": _PAPERS},
        "CW",
        ("high confidence", "BPDA"),
        "a detector; CW looks for the smallest change, PGD for high confidence, BPDA passes through the detector",
        {"references": 100, "neighbours": 20},
        "dimension:epsilon={epsilon},steps=10,examples=1000,rejected=0.05",
    ),
    "quantized": _Case(
        "input quantization",
        "quantized",
        {"mnist": 0.2, "cifar10": 0.2},
        "PGD",
        ("BPDA", "NATTACK"),
        "4 levels, one of the paper's transformations",
        {"levels": 4},
    ),
    "pruned": _Case(
        "stochastic activation pruning",
        "pruned",
        {"mnist": 0.2, "cifar10": _PAPERS},
        "one draw a step",
        ("EOT",),
        "as many draws in a layer as it has activations; trained without pruning",
        {"share": 1.0},
    ),
    "random-resized": _Case(
        "random resizing and padding",
        "random-resized",
        {"mnist": 0.1, "cifar10": _PAPERS},
        "PGD",
        ("EOT", "NATTACK"),
        "50 to 100% of the side, in training and after it; PGD sees whole images, which are among those sizes",
        {"least": 0.5, "most": 1.0},
    ),
    "projected": _Case(
        "projection onto a generative model",
        "projected",
        {"mnist": 0.2, "cifar10": _PAPERS},
        "PGD",
        ("BPDA",),
        "a variational autoencoder, and 50 steps of search",
        {"codes": 20, "hidden": 400, "steps": 50},
        "projection:divergence=1.0",
    ),
    "adversarial": _Case(
        "adversarial training",
        "",
        {"mnist": 0.1, "cifar10": _PAPERS},
        "FGSM",
        ("PGD",),
        "PGD of 7 steps in training",
        recipe="adversarial:epsilon={epsilon},norm=linf,steps=7",
        falls=False,
        inner=False,
    ),
    "cascade": _Case(
        "cascade adversarial training",
        "",
        {"mnist": 0.1, "cifar10": _CASCADE},
        "FGSM",
        ("PGD",),
        "one step against itself, ten against a network that was trained with one step",
        recipe="cascade:source=athalye-{kind}-one-step.safetensors,epsilon={epsilon},steps=10,weight=0.3,similarity=0.0001",
        falls=False,
        inner=False,
    ),
}
_ONE_STEP = "adversarial:epsilon={epsilon},norm=linf,steps=1"
# Rows of the published table, in its order, and the case that stands beside each for each kind of data.
_ROWS = {
    "Buckman et al. 2018": ("thermometer", "thermometer"),
    "Ma et al. 2018": ("dimension", "dimension"),
    "Guo et al. 2018": ("quantized", "quantized"),
    "Dhillon et al. 2018": ("pruned", "pruned"),
    "Xie et al. 2018": ("random-resized", "random-resized"),
    "Song et al. 2018": ("projected", "projected"),
    "Samangouei et al. 2018": ("projected", "projected"),
    "Madry et al. 2018": ("adversarial", "adversarial"),
    "Na et al. 2018": ("cascade", "cascade"),
}


def _spec(attack: str, scale: str) -> str:
    """An attack of the study as on the command line."""
    fine = f"bpda:norm=linf,steps={_FINE[scale]['steps']}"
    steps, population = _NATTACK[scale]
    return {
        "FGSM": "fgsm:norm=linf",
        "PGD": f"pgd:norm=linf,steps={_PGD[scale]}",
        "high confidence": f"pgd:norm=linf,steps={_PGD[scale]}",
        "CW": "cw-linf" if scale != "smoke" else "cw-linf:steps=20,shrink=0.7",
        "BPDA": f"{fine},samples=1",
        "one draw a step": f"{fine},samples=1",
        "EOT": f"{fine},samples={_FINE[scale]['samples']}",
        "NATTACK": f"nattack:norm=linf,steps={steps},population={population},coarse=2",
    }[attack]


def _attacks(case: _Case) -> tuple[str, ...]:
    return (case.naive, *case.adaptive)


def plan(scale: str, kind: str) -> Plan:
    """Eight classifiers and the one that a cascade begins with; two or three attacks on each of the eight."""
    models = {name: _model(scale, kind, name) for name in _CASES}
    first = _bare(scale, kind, "one-step", _ONE_STEP.format(epsilon=_trained_for(scale, kind, "cascade")))
    attacks = tuple(
        Attacking(
            _folder(models[name], attack),
            models[name].name,
            _spec(attack, scale),
            _EVERY[scale],
            budget=f"{case.epsilon[kind]}",
            repeats=_REPEATS,
        )
        for name, case in _CASES.items()
        for attack in _attacks(case)
    )
    return Plan((first, *models.values()), attacks=attacks)


def _folder(model: Model, attack: str) -> str:
    return f"{model.name}-athalye-{attack.lower().replace(' ', '-')}"


def _inner(scale: str, kind: str) -> str:
    return "resnet20" if kind == "cifar10" and scale != "smoke" else "wong-small"


def _model(scale: str, kind: str, name: str) -> Model:
    case = _CASES[name]
    recipe = case.recipe.format(kind=kind, epsilon=_trained_for(scale, kind, name))
    if not case.inner:
        return _bare(scale, kind, name, recipe)
    arguments = {**case.arguments, "classifier": _inner(scale, kind)}
    return plain(scale, f"athalye-{kind}-{name}", case.architecture, recipe, arguments, epochs=_EPOCHS[scale])


def _trained_for(scale: str, kind: str, name: str) -> float:
    """The budget of an adversarial training. In the few steps of smoke on CIFAR-10, that of the attacks would leave a
    constant network."""
    return _CASES[name].epsilon[kind] * (0.25 if (scale, kind) == ("smoke", "cifar10") else 1.0)


def _bare(scale: str, kind: str, name: str, recipe: str) -> Model:
    """A network without a defence around it; at a larger learning rate, adversarial training may learn nothing."""
    name = f"athalye-{kind}-{name}"
    return plain(scale, name, _inner(scale, kind), recipe, epochs=_EPOCHS[scale], learning_rate=0.001)


def page(done: Finished) -> Page:
    """The published table beside the strongest attack here, and each defence under all its attacks."""
    kind = done.kind or "mnist"
    models = {name: _model(done.scale, kind, name) for name in _CASES}
    runs = {
        name: {attack: done.attacks[_folder(models[name], attack)] for attack in _attacks(case)}
        for name, case in _CASES.items()
    }
    groups = tuple(_group(done, kind, name, models[name], runs[name]) for name in _CASES)
    return Page(
        title=f"Athalye et al. 2018: obfuscated gradients on {kind}, scale {done.scale}",
        intro=(
            "Accuracy within a budget in percent, with 95% intervals. The published figures are those of the lecture "
            "by Hajri (2021), taken from Table 1 of the paper; they are for orientation, since networks, budgets and "
            "for some rows data are others. A claimed adversarial of a random defence counts if it is wrong more often "
            "than not under fresh draws, at confidence 95%. An input that a detector rejects is no adversarial; an "
            "unchanged one that it rejects is not right.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            _published(kind, runs),
            Table("Each defence under its attacks", ("here",), groups, published=False),
        ),
        statements=_statements(kind, runs),
        notes=_NOTES,
        pictures=adversarial_gallery(
            f"athalye-{kind}-adversarials",
            "Adversarials of the attack that was made for each defence",
            {case.title: runs[name][case.adaptive[0]] for name, case in _CASES.items() if case.falls},
        ),
    )


def _published(kind: str, runs: Mapping[str, Mapping[str, AttackRun]]) -> Table:
    """The nine rows, each beside the strongest attack on the defence that stands for it."""
    groups: dict[str, list[Row]] = {}
    for author, (mnist, cifar) in _ROWS.items():
        name = mnist if kind == "mnist" else cifar
        known = figure("Hajri", "Athalye et al. 2018", _METRIC, method=author)
        setting = f"{known.dataset}, {known.param}"
        groups.setdefault(setting, []).append(Row(f"{author}{_mark(known)}", known, (_strongest(kind, name, runs),)))
    return Table(
        "Table 1: accuracy under the strongest attack",
        ("here",),
        tuple(Group(f"published for {setting}", "", tuple(rows)) for setting, rows in groups.items()),
        notes=(
            "* The authors of the defence combine it with adversarial training; the figure is for the defence alone.",
            "** The principle of the defence falls to 0%; imperfections of its parts make the best attack fail in "
            "practice.",
            "Both footnotes are those of the paper; the lecture prints the marks alone. An L2 budget of 0.005 is less "
            "than two grey levels of one pixel: it must be normalized, and the lecture does not say how.",
        ),
        differences=False,
    )


def _mark(known: PublishedFigure) -> str:
    """The mark that is printed behind a figure."""
    printed = known.note.removeprefix("printed as ").partition(";")[0]
    return " " + "*" * printed.count("*") if "*" in printed else ""


def _strongest(kind: str, name: str, runs: Mapping[str, Mapping[str, AttackRun]]) -> Measured:
    """Accuracy under the attack that leaves least."""
    found = [accuracy_under(run, _CASES[name].epsilon[kind]) for run in runs[name].values()]
    return min(found, key=lambda each: each.value or 0.0)


def _group(done: Finished, kind: str, name: str, model: Model, runs: Mapping[str, AttackRun]) -> Group:
    case = _CASES[name]
    epsilon = case.epsilon[kind]
    rows = [Row("unchanged", None, (clean_accuracy(runs[case.naive]),))]
    rows += [Row(attack, None, (accuracy_under(run, epsilon),)) for attack, run in runs.items()]
    made = (
        f"{case.made}; Linf epsilon = {epsilon:.4g}; {measures.training(done.models[model.name])}; "
        f"{images(runs[case.naive].manifest.data)}"
    )
    return Group(case.title, made, tuple(rows))


def _statements(kind: str, runs: Mapping[str, Mapping[str, AttackRun]]) -> tuple[Statement, ...]:
    """What the paper claims, for each defence."""
    made = []
    left = {}
    for name, case in _CASES.items():
        shares = {attack: accuracy_under(run, case.epsilon[kind]).value or 0.0 for attack, run in runs[name].items()}
        left[name] = min(shares.values())
        if not case.falls:
            continue
        made.append(
            Statement(f"{case.title}: accuracy under {case.naive} above {100 * _HIGH:.0f}%", shares[case.naive] > _HIGH)
        )
        made += [
            Statement(f"{case.title}: accuracy under {attack} {100 * _LOW:.0f}% or less", shares[attack] <= _LOW)
            for attack in case.adaptive
        ]
    broken = [left[name] for name, case in _CASES.items() if case.falls]
    made.append(
        Statement(
            "adversarial training keeps more accuracy than each defence that falls, each at its own budget",
            left["adversarial"] > max(broken),
        )
    )
    first, last = (
        accuracy_under(runs["cascade"][attack], _CASES["cascade"].epsilon[kind]) for attack in ("FGSM", "PGD")
    )
    made.append(
        Statement(
            "cascade adversarial training: PGD leaves less accuracy than FGSM",
            (last.value or 0.0) < (first.value or 0.0),
        )
    )
    return tuple(made)


_NOTES = (
    "PGD follows the available gradient: zero through rounding, steps and searches, and that of the classifier without "
    "its randomness. BPDA replaces what has no gradient by the identity or by a ramp, EOT takes the mean gradient over "
    "draws of the randomness, and NATTACK needs no gradient.",
    "Not here: image quilting, total variation and JPEG of Guo et al., of whose transformations rounding is one; the "
    "PixelCNN of Song et al. (PixelDefend) and the generative adversarial network of Samangouei et al. (Defense-GAN), "
    "for both of which a variational autoencoder stands: each of them moves an input to one that a model of clean data "
    "finds likely, by a search without a gradient. ImageNet, which two rows are about, would take its images and a "
    "trained network with each defence; the architectures take such images.",
    "On MNIST, adversarial and cascade training have a smaller budget than most of the defences that fall, since with "
    "0.2 this network learns nothing from few images.",
    "Ma et al. and Athalye et al. attack a detector with the attack of Carlini & Wagner in L2; here all attacks are in "
    "Linf, and the one for small changes is that for Linf. Buckman et al. attack their own defence in the space of the "
    "encodings (LS-PGA), which is not here.",
)


STUDY = register(
    Study(
        name="athalye",
        title="Athalye et al. 2018: nine defences, and the attacks that break them",
        data=("mnist", "cifar10"),
        cost={"smoke": "2 minutes", "small": "an hour on a core", "full": "hours on a GPU"},
        plan=plan,
        page=page,
        items=("H88", "H89", "H90"),
    )
)
