"""Levine & Feizi 2020 on ImageNet: Table 6."""

from __future__ import annotations

from holdfast.reproductions import levine_unprotected, measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.levine import ABOUT_MEDIANS, group_of
from holdfast.reproductions.models import (
    IMAGENET_COST,
    imagenet_ablation,
    imagenet_ablation_run,
    imagenet_unprotected,
    unprotected,
)
from holdfast.reproductions.pages import Group, Page, Statement, Table
from holdfast.reproductions.plans import Plan
from holdfast.reproductions.results import Finished

_TRAINING = (
    "Training is the paper's (Table 12); what its text does not fix is that of its program: crops of 8 to 100% of a "
    "whole image with ratios from 3/4 to 4/3, and momentum that is not Nesterov's. Which 400 images the paper drew is "
    "not in its text; here they are drawn at random, too."
)
_KEPT = {"smoke": (1000,), "small": (500, 1000, 2000), "full": (500, 1000, 2000)}


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each k."""
    models = tuple(imagenet_ablation(scale, k) for k in _KEPT[scale])
    plain = imagenet_unprotected(scale)
    runs = tuple(imagenet_ablation_run(scale, model) for model in models)
    return Plan((*models, plain), runs, answers=(unprotected(scale, kind, plain),))


def page(done: Finished) -> Page:
    """The table."""
    groups = tuple(
        group_of(done, f"imagenet-k{k}", f"k = {k}", "Table 6", "ImageNet", k=k, null="multichannel")
        for k in _KEPT[done.scale]
    )
    return Page(
        title=f"Levine & Feizi 2020 on ImageNet, scale {done.scale}",
        intro=(
            "Randomized ablation keeps k of 50,176 pixels. The paper trains ResNet-50 for 36 epochs and certifies 400 "
            "random validation images with n0 = 1,000, n = 10,000 and alpha = 0.05. Each channel is normalized to mean "
            "0 and deviation 1 before it is doubled, as the paper does for ImageNet alone (footnote 1).",
            *done.notes,
        ),
        tables=(
            Table(
                "Table 6: pixels kept",
                measures.COLUMNS,
                (*groups, levine_unprotected.group_of(done, "imagenet")),
                (ABOUT_MEDIANS,),
                differences=not done.pipeline_check,
            ),
        ),
        statements=(_larger(groups),),
        notes=() if done.pipeline_check else (_TRAINING,),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _larger(groups: tuple[Group, ...]) -> Statement:
    """The paper: on the images that are classified correctly, certificates are considerably larger."""
    pairs = [(group.rows[2].found[0], group.rows[3].found[0]) for group in groups]
    known = [(every, certified.value) for every, certified in pairs if certified is not None and certified.value]
    larger = all(every is None or every.value is None or every.value < certified for every, certified in known)
    text = "the median of the certified images is larger than that of all, for every k"
    return Statement.compared(text, larger, len(known), "medians of certified images above 0")


STUDY = register(
    Study(
        name="levine-imagenet",
        title="Levine & Feizi 2020, Table 6: ablation on ImageNet",
        data=("imagenet",),
        cost=IMAGENET_COST,
        plan=plan,
        page=page,
        items=("L8", "L19", "L20", "L21", "L29", "L31"),
    )
)
