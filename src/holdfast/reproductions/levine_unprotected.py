"""Levine & Feizi 2020, Tables 3 and 6: the accuracy of the same networks without protection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import images
from holdfast.reproductions.models import cifar_unprotected, imagenet_unprotected, unprotected
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure

_DATASETS = {"cifar10": ("CIFAR-10", "Table 3", 75), "imagenet": ("ImageNet", "Table 6", 1000)}
# Points within which an accuracy is the paper's.
_NEAR = 2.5
# The public networks of these names are the paper's; below full scale others are trained.
_PAPERS = {"cifar10": "resnet18", "imagenet": "resnet50"}


def plan(scale: str, kind: str) -> Plan:
    """One network, and its answers."""
    model = _model(scale, kind)
    return Plan((model,), answers=(unprotected(scale, kind, model),))


def _model(scale: str, kind: str) -> Model:
    return cifar_unprotected(scale) if kind == "cifar10" else imagenet_unprotected(scale)


def published(kind: str) -> PublishedFigure:
    """The accuracy that the paper gives for the network without protection."""
    dataset, table, _ = _DATASETS[kind]
    return figure("Levine", table, "classification accuracy without noise", dataset)


def group_of(done: Finished, kind: str) -> Group:
    """The network without protection, beside those that ablation protects."""
    name = _model(done.scale, kind).name
    answers, trained = done.answers[name], done.models[name]
    about = f"{measures.training(trained)}; {images(answers.data)}"
    return Group("without protection", about, (Row("accuracy", published(kind), (measures.clean(answers), None)),))


def page(done: Finished) -> Page:
    """The accuracy, beside what the paper's protected networks have."""
    kind = done.kind or "cifar10"
    dataset, table, k = _DATASETS[kind]
    whole = group_of(done, kind)
    (row,) = whole.rows
    plain = Group(whole.title, whole.settings, (Row(row.quantity, row.published, row.found[:1]),))
    protected = figure("Levine", table, "classification accuracy", dataset, k=k)
    known = published(kind)
    cost = (known.value or 0.0) - (protected.value or 0.0)
    found = row.found[0] or Measured(None, "share", interval=True)
    trained = done.models[_model(done.scale, kind).name]
    same = trained.architecture == _PAPERS[kind]
    return Page(
        title=f"Levine & Feizi 2020: networks without protection on {dataset}, scale {done.scale}",
        intro=(
            f"What accuracy a network of the same kind has without ablation. In the paper, ablation with k = {k} has "
            f"{protected.text}, so that protection costs {cost:.1f} points. Accuracies are "
            "in percent, with 95% intervals.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                f"{table}: accuracy without protection",
                ("here",),
                (plain,),
                () if same else (measures.OTHER_NETWORK,),
                differences=same and not done.pipeline_check,
            ),
        ),
        statements=(
            _near(found, known, same),
            Statement(
                f"without protection, accuracy exceeds that of the paper's ablation with k = {k}",
                (found.lower or 0.0) > (protected.share or 0.0),
            ),
        ),
        notes=(
            "The paper takes this accuracy from a public program, whose training it does not describe"
            + (
                ": the network here is trained like its protected ones, without noise."
                if trained.training.get("recipe") == "standard"
                else "."
            ),
            "Weights of others can replace the training: `holdfast import-weights --out "
            f"OUT/models/{_model(done.scale, kind).name}.safetensors`. Then no training set is needed.",
        ),
        warning=measures.UNTRAINED if done.pipeline_check else "",
    )


def _near(found: Measured, known: PublishedFigure, same: bool) -> Statement:
    """Whether the accuracy is the paper's, if the network is."""
    text = f"accuracy within {_NEAR:g} points of the paper's {known.text}"
    if not same:
        return Statement(text, None, "not judged, since the network is another one")
    return Statement(text, abs((found.value or 0.0) - (known.share or 0.0)) <= _NEAR / 100.0)


STUDY = register(
    Study(
        name="levine-unprotected",
        title="Levine & Feizi 2020, Tables 3 and 6: networks without protection",
        data=("cifar10", "imagenet"),
        cost={
            "smoke": "1 minute",
            "small": "1 hour on a core; ImageNet: 1 minute, random weights",
            "full": "hours on a GPU; ImageNet: days",
        },
        plan=plan,
        page=page,
        items=("L19",),
    )
)
