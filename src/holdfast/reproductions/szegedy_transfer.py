"""Szegedy et al. 2014, the transfer matrix: adversarials made against one network, given to others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import images, plain
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRecord, AttackRun

_TABLE, _METRIC = "Szegedy et al. 2013 transfer", "success rate"
_SIGMOID = {"activation": "sigmoid"}
# The number in a name, divided by 10 units, is taken as the factor of the squared weights: half of SGD's weight decay.
_DECAYS = {"FC10(1e-4)": 1e-4, "FC10(1e-2)": 1e-2, "FC10(1)": 1.0}
_LINEAR = tuple(_DECAYS)
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: ("fc", {"widths": []}) for name in _LINEAR},
    "FC100-100-10": ("fc", {"widths": [100, 100], **_SIGMOID}),
    "FC200-200-10": ("fc", {"widths": [200, 200], **_SIGMOID}),
    "AE400-10": ("autoencoder", {"codes": 400}),
}
_NOISES = (0.1, 0.3)
_EVERY = {"smoke": 500, "small": 50, "full": 10}
_EPOCHS = {"smoke": 6, "small": 15, "full": 50}


def _file(name: str) -> str:
    return "szegedy-" + name.lower().replace("(", "-").replace(")", "")


def plan(scale: str, kind: str) -> Plan:
    """Six networks, L-BFGS and noise on each, and the matrix."""
    models = tuple(_model(scale, name) for name in _NETWORKS)
    every = _EVERY[scale]
    attacks = [Attacking(f"{_file(name)}-lbfgs", _file(name), "lbfgs", every) for name in _NETWORKS]
    attacks += [
        Attacking(f"{_file(name)}-noise{deviation}", _file(name), f"gaussian-noise:deviation={deviation}", every)
        for name in _NETWORKS
        for deviation in _NOISES
    ]
    return Plan(models, attacks=tuple(attacks), transfer=tuple(f"{_file(name)}-lbfgs" for name in _NETWORKS))


def _model(scale: str, name: str) -> Model:
    architecture, arguments = _NETWORKS[name]
    more: dict[str, Any] = {"epochs": _EPOCHS[scale]}
    recipe = "standard"
    if name in _DECAYS:
        more |= {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 2.0 * _DECAYS[name] / 10.0}
    elif architecture == "autoencoder":
        recipe, more = "autoencoder:reconstruction=1.0", {**more, "weight_decay": 0.0, "learning_rate": 0.001}
    return plain(scale, _file(name), architecture, recipe, arguments, **more)


def page(done: Finished) -> Page:
    """The matrix, with a group for each network that adversarials were made against."""
    matrix = {
        made: {tested: done.transfer[f"{_file(made)}-lbfgs"][f"{_file(tested)}-lbfgs"] for tested in _NETWORKS}
        for made in _NETWORKS
    }
    groups = [_group(done, made, matrix[made]) for made in _NETWORKS]
    groups += [_noise(done, deviation) for deviation in _NOISES]
    return Page(
        title=f"Szegedy et al. 2014: transfer on MNIST, scale {done.scale}",
        intro=(
            "Against the network of each group, L-BFGS looks for the smallest change that it gets wrong, on the images "
            "that it gets right. The rows show how many of these adversarials each network gets wrong, in percent with "
            "95% intervals; the last groups show the same for normal noise on all images. Distortion is the root mean "
            "square of the change of a pixel.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Transfer matrix: adversarials made against one network, given to others",
                ("here",),
                tuple(groups),
                (
                    "The published figures are for orientation, without differences: they are for other networks, "
                    "trainings and target classes of L-BFGS.",
                ),
                differences=False,
            ),
        ),
        statements=_statements(done, matrix),
        notes=(
            "L-BFGS here aims at the most probable wrong class, which takes smaller changes than another class would.",
            "The published figures are those of the lecture by Hajri (2021), taken from the paper. It does not say how "
            "the networks were trained: epochs and learning rates are our choice, and so is to take the number in a "
            "network's name, divided by the 10 units, as the factor of the squared weights.",
        ),
        pictures=adversarial_gallery(
            "szegedy-transfer-adversarials",
            "Adversarials of L-BFGS",
            {name: done.attacks[f"{_file(name)}-lbfgs"] for name in _NETWORKS},
        ),
    )


def _group(done: Finished, made: str, row: dict[str, Proportion | None]) -> Group:
    attack = done.attacks[f"{_file(made)}-lbfgs"]
    rows = [
        Row(
            f"on {tested}",
            _published(tested, **{"crafted on": made}),
            (Measured(None, "share") if share is None else Measured.share(share),),
        )
        for tested, share in row.items()
    ]
    known = figure("Hajri", _TABLE, "average distortion", "MNIST", method="L-BFGS", **{"crafted on": made})
    rows.append(Row("distortion", known, (Measured(_distortion(attack), "", digits=3),)))
    about = f"{measures.training(done.models[_file(made)])}; {images(attack.manifest.data)}"
    return Group(f"against {made}", about, tuple(rows))


def _noise(done: Finished, deviation: float) -> Group:
    rows = []
    for tested in _NETWORKS:
        records = done.attacks[f"{_file(tested)}-noise{deviation}"].records
        # If the noise did not change the answer, it is that to the unchanged image.
        wrong = sum((each.reference if each.magnitude is None else each.answer) != each.label for each in records)
        known = _published(tested, stddev=deviation)
        rows.append(Row(f"on {tested}", known, (Measured.share(proportion(wrong, len(records))),)))
    return Group(f"normal noise, deviation {deviation}", "errors on noisy images", tuple(rows))


def _published(tested: str, **made: object) -> PublishedFigure:
    return figure("Hajri", _TABLE, _METRIC, "MNIST", **{"tested on": tested}, **made)


def _right(attack: AttackRun) -> list[AttackRecord]:
    """The records of images that the network gets right unchanged."""
    return [each for each in attack.records if each.reference == each.label]


def _distortion(attack: AttackRun) -> float | None:
    sizes = [each.magnitude for each in _right(attack) if each.magnitude is not None]
    values = math.prod(attack.manifest.data.shape)
    return sum(size / math.sqrt(values) for size in sizes) / len(sizes) if sizes else None


def _statements(done: Finished, matrix: dict[str, dict[str, Proportion | None]]) -> tuple[Statement, ...]:
    def mean(made: tuple[str, ...], tested: tuple[str, ...]) -> float:
        known = [share.value for a in made for b in tested if a != b for share in [matrix[a][b]] if share is not None]
        return sum(known) / len(known) if known else 0.0

    # Without adversarials in each of these rows there is nothing to compare.
    whole = all(matrix[name][other] is not None for name in _LINEAR for other in matrix)

    def fooled(name: str) -> bool:
        own, right = matrix[name][name], _right(done.attacks[f"{_file(name)}-lbfgs"])
        return own is not None and own.value == 1.0 and all(each.magnitude is not None for each in right)

    deep = tuple(name for name in matrix if name not in _LINEAR)
    return (
        Statement(
            "L-BFGS finds an adversarial for every image that a network gets right, and the network gets it wrong",
            all(map(fooled, matrix)),
        ),
        Statement.compared(
            "adversarials of linear networks transfer better to linear networks than to deep ones",
            mean(_LINEAR, _LINEAR) > mean(_LINEAR, deep),
            whole,
            "adversarials of one of them",
        ),
        Statement.compared(
            "among linear networks, adversarials transfer better with more weight decay",
            mean(("FC10(1)",), tuple(matrix))
            > mean(("FC10(1e-2)",), tuple(matrix))
            > mean(("FC10(1e-4)",), tuple(matrix)),
            whole,
            "adversarials of one of them",
        ),
    )


STUDY = register(
    Study(
        name="szegedy-transfer",
        title="Szegedy et al. 2014: how adversarials transfer between networks",
        data=("mnist",),
        cost={"smoke": "2 minutes", "small": "half an hour on 2 cores", "full": "hours on 2 cores"},
        plan=plan,
        page=page,
        items=("H75", "H76"),
    )
)
