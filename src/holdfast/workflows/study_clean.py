"""What the classifiers of a study answer without noise."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from holdfast.workflows.predict import plain_answers

if TYPE_CHECKING:
    from holdfast.reproductions.plans import Answering, Model
    from holdfast.reproductions.results import Answered, Trained
    from holdfast.workflows.study_models import Splits, Workspace


def answered(job: Answering, model: Model, trained: Trained, splits: Splits, place: Workspace) -> Answered:
    """Ask a classifier for its own answers, without noise; nothing is kept, since that takes one pass.

    Raises:
        ClassifierError: what it returns cannot be right.
    """
    from holdfast.reproductions.results import Answered
    from holdfast.store.data_manifest import DataManifest

    data = splits.open("test", model.options)
    found = plain_answers(place.opened(job.model, data), data, job.every, job.limit, place.device)
    labels = [example.label for example in found.examples]
    right = sum(label == answer for label, answer in zip(labels, found.labels, strict=True))
    most = max(Counter(labels).values())
    return Answered(trained.sha256, right, len(labels), most, DataManifest.of(data, job.every, job.limit))
