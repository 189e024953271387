"""Cohen et al. 2019 on ImageNet: Table 2."""

from __future__ import annotations

from holdfast.reproductions import measures
from holdfast.reproductions.base import Finished, Plan, Study, register
from holdfast.reproductions.cohen import group_of
from holdfast.reproductions.models import (
    IMAGENET_COST,
    TRAINED_AS_COHEN,
    cohen_run,
    imagenet_gaussian,
)
from holdfast.reproductions.pages import Chart, Page, Table

_SIGMAS = {"smoke": (0.25,), "small": (0.25, 0.5, 1.0), "full": (0.25, 0.5, 1.0)}
_RADII = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each sigma."""
    models = tuple(imagenet_gaussian(scale, sigma) for sigma in _SIGMAS[scale])
    return Plan(models, tuple(cohen_run(scale, model) for model in models))


def page(done: Finished) -> Page:
    """The table and its curves."""
    names = {f"imagenet-sigma{sigma:g}": sigma for sigma in _SIGMAS[done.scale]}
    return Page(
        title=f"Cohen et al. 2019 on ImageNet, scale {done.scale}",
        intro=(
            "Gaussian noise and Theorem 1. The paper has ResNet-50 and certifies every 100th validation "
            "image, 500 in all, with n0 = 100, n = 100,000 and alpha = 0.001.",
            *done.notes,
        ),
        tables=(
            Table(
                "Table 2: certified accuracy",
                measures.COLUMNS,
                tuple(group_of(done, name, "Table 2", "ImageNet", sigma, _RADII) for name, sigma in names.items()),
                differences=not done.pipeline_check,
            ),
        ),
        charts=(
            Chart(
                "cohen-imagenet-figure-6.svg",
                "Figure 6: certified accuracy for each sigma",
                "Bands: pointwise 95% intervals. Dashed vertical lines: the largest radius that n and alpha allow. "
                "Diamonds: published figures.",
                lambda: measures.picture([measures.drawn(done.runs[name], name, "imagenet") for name in names]),
            ),
        ),
        notes=() if done.pipeline_check else (TRAINED_AS_COHEN,),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


STUDY = register(
    Study(
        name="cohen-imagenet",
        title="Cohen et al. 2019, Table 2: Gaussian noise on ImageNet",
        data=("imagenet",),
        cost=IMAGENET_COST,
        plan=plan,
        page=page,
        items=("C46", "C47", "C67"),
    )
)
