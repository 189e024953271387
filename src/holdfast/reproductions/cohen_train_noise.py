"""Cohen et al. 2019, Figure 15: base classifiers trained with more or less noise than they are smoothed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_gaussian, cohen_run, imagenet_gaussian
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Certification, Model, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun

_SMOOTHED = 0.5
_TRAINED = (0.25, 0.5, 1.0)
_RADII = {"cifar10": (0.0, 0.25, 0.5, 0.75, 1.0, 1.25), "imagenet": (0.0, 0.5, 1.0, 1.5)}


def plan(scale: str, kind: str) -> Plan:
    """Three models, all certified with the same sigma."""
    models = tuple(_model(scale, kind, sigma) for sigma in _TRAINED)
    return Plan(models, tuple(_run(scale, kind, sigma) for sigma in _TRAINED))


def _model(scale: str, kind: str, sigma: float) -> Model:
    return cifar_gaussian(scale, sigma) if kind == "cifar10" else imagenet_gaussian(scale, sigma)


def _run(scale: str, kind: str, sigma: float) -> Certification:
    return cohen_run(scale, _model(scale, kind, sigma), None if sigma == _SMOOTHED else _SMOOTHED)


def page(done: Finished) -> Page:
    """Certified accuracy for each noise level in training."""
    kind = done.kind or "cifar10"
    runs = {sigma: done.runs[_run(done.scale, kind, sigma).name] for sigma in _TRAINED}
    groups = tuple(_group(done, sigma, run, _RADII[kind]) for sigma, run in runs.items())
    named = [measures.drawn(run, f"trained with {sigma:g}") for sigma, run in runs.items()]
    return Page(
        title=f"Cohen et al. 2019, Figure 15: noise in training, on {kind}, scale {done.scale}",
        intro=(
            f"All are smoothed with sigma = {_SMOOTHED}; the base classifiers were trained with less, equal and "
            "more noise. The paper prints no numbers: its figure shows the highest certified accuracy for equal noise, "
            "and lower accuracy for less noise than for more.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Figure 15 in numbers: certified accuracy", ("here",), groups, published=False),),
        charts=(
            Chart(
                f"cohen-train-noise-{kind}.svg",
                "Figure 15: noise in training",
                f"Certified accuracy over the radius, all smoothed with sigma = {_SMOOTHED}.",
                lambda: measures.picture(named),
            ),
        ),
        statements=_statements(runs),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _group(done: Finished, sigma: float, run: CertifiedRun, radii: tuple[float, ...]) -> Group:
    made = measures.settings(run, done.model_of(run.folder.name))
    rows = zip(radii, measures.certified(run, radii), strict=True)
    return Group(
        f"trained with sigma = {sigma:g}", made, tuple(Row(f"r = {radius:g}", None, (found,)) for radius, found in rows)
    )


def _statements(runs: dict[float, CertifiedRun]) -> tuple[Statement, ...]:
    less, same, more = (measures.certified(runs[sigma], [0.5])[0].value or 0.0 for sigma in _TRAINED)
    return (
        Statement("at r = 0.5, training with equal noise certifies most", same >= max(less, more)),
        Statement("at r = 0.5, less noise in training is worse than more", less < more),
    )


STUDY = register(
    Study(
        name="cohen-train-noise",
        title="Cohen et al. 2019, Figure 15: noise in training",
        data=("cifar10", "imagenet"),
        cost={
            "smoke": "2 minutes",
            "small": "1 hour on a core for each of 3 sigmas (CIFAR-10), minus those that cohen-cifar10 has made",
            "full": "days on a GPU",
        },
        plan=plan,
        page=page,
    )
)
