"""Cohen et al. 2019 on ImageNet: Tables 1 and 2, Figures 6 and 8."""

from __future__ import annotations

from holdfast.reproductions import measures, undefended
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.cohen import group_of, summary
from holdfast.reproductions.cohen_figure_8 import FigureEight
from holdfast.reproductions.models import (
    IMAGENET_COST,
    TRAINED_AS_COHEN,
    cohen_run,
    imagenet_gaussian,
    imagenet_plain,
)
from holdfast.reproductions.pages import Chart, Page, Table
from holdfast.reproductions.plans import Plan
from holdfast.reproductions.results import Finished

_SIGMAS = {"smoke": (0.25,), "small": (0.25, 0.5, 1.0), "full": (0.25, 0.5, 1.0)}
# The paper's Figure 8 has one sigma, which every scale has.
_FIGURE_8 = 0.25
_RADII = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each sigma, and a clean network under DeepFool."""
    models = tuple(imagenet_gaussian(scale, sigma) for sigma in _SIGMAS[scale])
    runs = tuple(cohen_run(scale, model) for model in models)
    clean = imagenet_plain(scale)
    return Plan((*models, clean), runs, attacks=(undefended.attacking(scale, clean, runs[0]),))


def page(done: Finished) -> Page:
    """The tables, the curves, and the same votes under other theorems, n and alpha."""
    names = {f"imagenet-sigma{sigma:g}": sigma for sigma in _SIGMAS[done.scale]}
    runs = {sigma: done.runs[name] for name, sigma in names.items()}
    made = measures.settings(runs[_FIGURE_8], done.model_of(f"imagenet-sigma{_FIGURE_8:g}"))
    eight = FigureEight.of(runs[_FIGURE_8], f"sigma = {_FIGURE_8:g}", made)
    dashed = undefended.Dashed.of(done, "imagenet-plain", runs, _RADII)
    return Page(
        title=f"Cohen et al. 2019 on ImageNet, scale {done.scale}",
        intro=(
            "Gaussian noise and Theorem 1. The paper has ResNet-50 and certifies every 100th validation "
            "image, 500 in all, with n0 = 100, n = 100,000 and alpha = 0.001.",
            *done.notes,
        ),
        tables=(
            summary(runs, made, differences=not done.pipeline_check),
            Table(
                "Table 2: certified accuracy",
                measures.COLUMNS,
                tuple(group_of(done, name, "Table 2", "ImageNet", sigma, _RADII) for name, sigma in names.items()),
                differences=not done.pipeline_check,
            ),
            dashed.table(),
            *eight.tables(),
        ),
        charts=(
            Chart(
                "cohen-imagenet-figure-6.svg",
                "Figure 6: certified accuracy for each sigma",
                "Bands: pointwise 95% intervals. Dashed vertical lines: the largest radius that n and alpha allow. "
                "Diamonds: published figures.",
                lambda: measures.picture([measures.drawn(done.runs[name], name, "imagenet") for name in names]),
            ),
            dashed.chart("cohen-imagenet"),
            *eight.charts("cohen-imagenet"),
        ),
        statements=(*eight.statements(), dashed.statement()),
        notes=() if done.pipeline_check else (TRAINED_AS_COHEN,),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


STUDY = register(
    Study(
        name="cohen-imagenet",
        title="Cohen et al. 2019, Tables 1 and 2, Figures 6 and 8: Gaussian noise on ImageNet",
        data=("imagenet",),
        cost=IMAGENET_COST,
        plan=plan,
        page=page,
        items=("C46", "C47", "C48", "C49", "C51", "C56", "C67", "H93"),
    )
)
