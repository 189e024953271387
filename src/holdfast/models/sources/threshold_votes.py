"""A model that was trained for windows of images, and their votes by a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.models.source import model_source, open_model
from holdfast.spec import value_of

if TYPE_CHECKING:
    from holdfast.models.model import Model


@model_source("threshold-votes", path="MODEL")
def threshold_votes(path: str, *, threshold: str = "") -> Model:
    """The votes of all windows of an image, for every class whose softmax is at least the threshold.

    Args:
        path: the spec of a model that was trained for bands of columns or blocks; in quotes if it has options.
        threshold: of the softmax.
    """
    if not threshold:
        raise UsageError("votes by a threshold are counted by one that is fixed beforehand: add threshold=.3, say")
    return open_model(path).threshold_votes(value_of(threshold))  # type: ignore[arg-type]
