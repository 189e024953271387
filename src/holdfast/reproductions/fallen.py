"""Defences that fall: distillation, MagNet and feature squeezing, under attacks of their papers and under better ones.

Levine & Feizi 2020 cite the first two as defences that were proposed and broken; Carlini & Wagner 2016 and 2017, and He
et al. 2017, broke the three.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import (
    MNIST_EPSILON,
    accuracy_under,
    clean_accuracy,
    images,
    median_magnitude,
    mnist_cnn,
    plain,
)
from holdfast.reproductions.models import PRECISION
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.attack import AttackRun

# Largest changes that count: in Linf that of Madry et al.; in L2 about half of the distance between two digits.
_LINF, _L2 = MNIST_EPSILON, 4.0
_EVERY = {"smoke": 1000, "small": 100, "full": 10}
_TEMPERATURE = 100
_EPOCHS = {"smoke": 4, "small": 8, "full": 50}
# The autoencoders need more epochs than the classifier.
_MAGNET_EPOCHS = {"smoke": 8, "small": 12, "full": 100}
# The thresholds of the statements.
_HIGH, _LOW = 0.5, 0.1

_TEACHER, _STUDENT, _MAGNET, _SQUEEZED = (f"fallen-{name}" for name in ("teacher", "distilled", "magnet", "squeezed"))
_PLAIN = "mnist-cnn-standard"


@dataclass(frozen=True)
class _Defence:
    """A defence and its attacks.

    Attributes:
        title: of its group of rows.
        model: the name of its network.
        epsilon: the largest change that counts.
        naive: row -> short name of the attack that its own paper used, or one of that kind.
        adaptive: row -> short name of the attack that breaks it.
    """

    title: str
    model: str
    epsilon: float
    naive: Mapping[str, str]
    adaptive: Mapping[str, str]


_DEFENCES = (
    _Defence(
        f"defensive distillation, T = {_TEMPERATURE}",
        _STUDENT,
        _LINF,
        {"FGSM": "fgsm", "PGD": "pgd"},
        {"CW Linf, on logits": "cw-linf"},
    ),
    _Defence("MagNet", _MAGNET, _L2, {"CW L2 on the classifier": "cw-l2"}, {"CW L2 on the whole": "cw-adaptive"}),
    _Defence(
        "feature squeezing, 1 bit and 2 x 2 medians",
        _SQUEEZED,
        _L2,
        {"CW L2 on the classifier": "cw-l2"},
        {"CW L2 on the whole": "cw-adaptive"},
    ),
)
_NORMS = {"fgsm": _LINF, "pgd": _LINF, "cw-linf": _LINF, "cw-l2": _L2, "cw-adaptive": _L2}


def _attack(scale: str, short: str) -> str:
    """An attack as on the command line."""
    smoke = scale == "smoke"
    steps = {"smoke": "steps=30,searches=3", "small": "steps=150,searches=5", "full": "steps=1000,searches=9"}[scale]
    return {
        "fgsm": "fgsm:norm=linf",
        "pgd": f"pgd:norm=linf,steps={10 if smoke else 40}",
        "cw-linf": f"cw-linf:steps={20 if smoke else 100},shrink={0.7 if smoke else 0.9}",
        "cw-l2": f"cw-l2:{steps}",
        "cw-adaptive": f"cw-adaptive:{steps}",
    }[short]


def plan(scale: str, kind: str) -> Plan:
    """Three defended networks and one without a defence, under naive and adaptive attacks."""
    pairs = [(_PLAIN, short) for short in ("fgsm", "pgd", "cw-linf", "cw-l2")]
    pairs += [(each.model, short) for each in _DEFENCES for short in {**each.naive, **each.adaptive}.values()]
    attacks = tuple(
        Attacking(
            _folder(model, short),
            model,
            _attack(scale, short),
            _EVERY[scale],
            # The others look for the smallest change.
            budget=f"{_LINF}" if short in ("fgsm", "pgd") else None,
        )
        for model, short in pairs
    )
    return Plan(_models(scale), attacks=attacks)


def _folder(model: str, short: str) -> str:
    return f"fallen-{model.removeprefix('fallen-')}-{short}"


def _models(scale: str) -> tuple[Model, ...]:
    settings: dict[str, Any] = {"precision": PRECISION[scale], "epochs": _EPOCHS[scale]}
    slow: dict[str, Any] = {"epochs": _MAGNET_EPOCHS[scale]}
    if scale == "smoke":
        # Few steps, so larger ones.
        slow |= {"batch_size": 64, "learning_rate": 0.01}
    if scale == "full":
        # The autoencoders' in the paper.
        slow |= {"batch_size": 256, "learning_rate": 0.001, "weight_decay": 0.0, "schedule": "constant"}
    recipe = f"distillation:temperature={_TEMPERATURE}"
    return (
        mnist_cnn(scale, adversarial=False),
        plain(scale, _TEACHER, "mnist-cnn", recipe, **settings),
        plain(scale, _STUDENT, "mnist-cnn", f"{recipe},teacher={_TEACHER}.safetensors", **settings),
        plain(scale, _MAGNET, "magnet", "magnet:noise=0.1,rejected=0.001,measured=5000", **slow),
        plain(scale, _SQUEEZED, "feature-squeezing", "squeezing:rejected=0.05,measured=5000", **settings),
    )


def page(done: Finished) -> Page:
    """Accuracy of each defence, unchanged and under each attack, beside that of a network without a defence."""
    groups, statements = [_undefended(done)], []
    for each in _DEFENCES:
        groups.append(_group(done, each))
        statements += _statements(done, each)
    return Page(
        title=f"Defences that fall, on MNIST, scale {done.scale}",
        intro=(
            f"Accuracy in percent within Linf {_LINF:g} or L2 {_L2:g}, with 95% intervals, and the median length of "
            "the smallest adversarial change in L2. A naive attack knows the classifier and not the defence, or "
            "follows gradients that vanish; an adaptive one knows the whole. An image that a detector rejects "
            "unchanged is not right; an attack succeeds with a wrong class alone, not with a rejection.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Accuracy under attack", ("here",), tuple(groups), published=False),),
        statements=tuple(statements),
        notes=(
            "Defensive distillation: Papernot et al. 2016, who attack by their Jacobian-based saliency map and, in a "
            "report of the same year, by FGSM. At temperature 1 the probabilities are so near to 0 and 1 that the "
            "cross-entropy has no gradient in float32; Carlini & Wagner 2016 and 2017 attack the logits instead.",
            "MagNet: Meng & Chen 2017, with their autoencoders for MNIST. The detectors reject 0.1% of the training "
            "images each. Carlini & Wagner 2017 break it by autoencoders of their own; here the adversary knows those "
            "of the defence.",
            "Feature squeezing: Xu et al. 2018, with their squeezers for MNIST; 5% of the training images may be "
            "rejected. He et al. 2017 break it by putting the detector into the loss.",
            "The classifiers are smaller than those of the papers, so that there are no published figures to compare "
            "with. What attacks find are upper bounds on robustness: none of these defences has a certificate.",
        ),
    )


def _undefended(done: Finished) -> Group:
    runs = {short: done.attacks[_folder(_PLAIN, short)] for short in ("fgsm", "pgd", "cw-linf", "cw-l2")}
    rows = [
        Row("unchanged", None, (clean_accuracy(runs["fgsm"]),)),
        *(Row(f"FGSM, Linf {_LINF:g}" if short == "fgsm" else f"PGD, Linf {_LINF:g}", None, (_under(done, short),))
          for short in ("fgsm", "pgd")),
        Row(f"CW Linf, Linf {_LINF:g}", None, (_under(done, "cw-linf"),)),
        Row(f"CW L2, L2 {_L2:g}", None, (_under(done, "cw-l2"),)),
        Row("CW L2, median length", None, (_length(runs["cw-l2"]),)),
    ]  # fmt: skip
    return Group("no defence", _about(done, _PLAIN, runs["fgsm"]), tuple(rows))


def _group(done: Finished, defence: _Defence) -> Group:
    runs = {
        row: done.attacks[_folder(defence.model, short)]
        for row, short in {**defence.naive, **defence.adaptive}.items()
    }  # fmt: skip
    first = next(iter(runs.values()))
    rows = [Row("unchanged", None, (clean_accuracy(first),))]
    if defence.epsilon == _L2:
        rows.append(Row("unchanged, rejected", None, (_rejected(first),)))
    for row, run in runs.items():
        kind = "naive" if row in defence.naive else "adaptive"
        rows.append(Row(f"{kind}: {row}", None, (accuracy_under(run, defence.epsilon),)))
        if defence.epsilon == _L2 and row in defence.adaptive:
            rows.append(Row("its median length", None, (_length(run),)))
    return Group(defence.title, _about(done, defence.model, first), tuple(rows))


def _statements(done: Finished, defence: _Defence) -> list[Statement]:
    naive = {row: _share(done, defence, short) for row, short in defence.naive.items()}
    adaptive = {row: _share(done, defence, short) for row, short in defence.adaptive.items()}
    bare = {row: _under(done, short).value or 0.0 for row, short in defence.naive.items()}
    return [
        *(
            Statement(f"{defence.title}: accuracy under {row} above {100 * _HIGH:.0f}%", share > _HIGH)
            for row, share in naive.items()
        ),
        *(
            Statement(f"{defence.title}: accuracy under {row} {100 * _LOW:.0f}% or less", share <= _LOW)
            for row, share in adaptive.items()
        ),
        Statement(
            f"{defence.title}: under its naive attacks it is right more often than no defence",
            all(share > bare[row] for row, share in naive.items()),
        ),
    ]


def _share(done: Finished, defence: _Defence, short: str) -> float:
    return accuracy_under(done.attacks[_folder(defence.model, short)], defence.epsilon).value or 0.0


def _under(done: Finished, short: str) -> Measured:
    """The accuracy of the network without a defence under an attack."""
    return accuracy_under(done.attacks[_folder(_PLAIN, short)], _NORMS[short])


def _length(attack: AttackRun) -> Measured:
    return replace(median_magnitude(attack), unit="length", digits=2)


def _rejected(attack: AttackRun) -> Measured:
    """The share of unchanged images that get no answer."""
    records = attack.records
    return Measured.share(proportion(sum(each.reference is None for each in records), len(records)))


def _about(done: Finished, model: str, attack: AttackRun) -> str:
    return f"{measures.training(done.models[model])}; {images(attack.manifest.data)}"


STUDY = register(
    Study(
        name="defences-that-fall",
        title="Distillation, MagNet and feature squeezing, and the attacks that break them",
        data=("mnist",),
        cost={"smoke": "2 minutes", "small": "an hour on a core", "full": "hours on a GPU"},
        plan=plan,
        page=page,
        items=("L35", "L36"),
    )
)
