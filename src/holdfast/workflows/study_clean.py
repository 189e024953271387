"""What the classifiers of a study answer without noise."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from holdfast.workflows.predict import plain_answers

if TYPE_CHECKING:
    from holdfast.reproductions.base import Answered, Answering, Model, Trained
    from holdfast.workflows.study_models import Splits, Workspace


def answered(job: Answering, model: Model, trained: Trained, splits: Splits, place: Workspace) -> Answered:
    """Ask a classifier for its own answers, without noise; nothing is kept, since that takes one pass.

    Raises:
        ClassifierError: what it returns cannot be right.
    """
    from holdfast.models.bundle import open_bundle
    from holdfast.reproductions.base import Answered
    from holdfast.sampling.devices import torch_device
    from holdfast.store.data_manifest import DataManifest

    data = splits.open("test", model.options)
    opened = open_bundle(place.bundle(job.model), torch_device(place.device))
    found = plain_answers(opened, data, job.every, job.limit, place.device)
    labels = [example.label for example in found.examples]
    right = sum(label == answer for label, answer in zip(labels, found.labels, strict=True))
    most = max(Counter(labels).values())
    return Answered(trained.sha256, right, len(labels), most, DataManifest.of(data, job.every, job.limit))
