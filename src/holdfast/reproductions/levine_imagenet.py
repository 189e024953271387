"""Levine & Feizi 2020 on ImageNet: Table 6."""

from __future__ import annotations

from holdfast.reproductions import measures
from holdfast.reproductions.base import Finished, Plan, Study, register
from holdfast.reproductions.levine import group_of
from holdfast.reproductions.models import IMAGENET_COST, imagenet_ablation, imagenet_ablation_run
from holdfast.reproductions.pages import Page, Table

_TRAINING = (
    "Training is the paper's (Table 12); what its text does not fix is that of its program: crops of 8 to 100% of a "
    "whole image with ratios from 3/4 to 4/3, and momentum that is not Nesterov's. Which 400 images the paper drew is "
    "not in its text; here they are drawn at random, too."
)
_KEPT = {"smoke": (1000,), "small": (500, 1000, 2000), "full": (500, 1000, 2000)}


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each k."""
    models = tuple(imagenet_ablation(scale, k) for k in _KEPT[scale])
    return Plan(models, tuple(imagenet_ablation_run(scale, model) for model in models))


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
        tables=(Table("Table 6: pixels kept", measures.COLUMNS, groups, differences=not done.pipeline_check),),
        notes=() if done.pipeline_check else (_TRAINING,),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


STUDY = register(
    Study(
        name="levine-imagenet",
        title="Levine & Feizi 2020, Table 6: ablation on ImageNet",
        data=("imagenet",),
        cost=IMAGENET_COST,
        plan=plan,
        page=page,
        items=("L8", "L20", "L29", "L31"),
    )
)
