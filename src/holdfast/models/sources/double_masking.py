"""Any other model behind two rounds of masks, against patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.models.source import model_source, open_model
from holdfast.spec import value_of

if TYPE_CHECKING:
    from holdfast.models.model import Model


@model_source("double-masking", path="MODEL")
def double_masking(path: str, *, patch: str = "", masks: str = "6", value: str = "0.5") -> Model:
    """The model of a spec, which is in quotes if it has options, defended by double masking.

    Args:
        path: the spec of the model.
        patch: side of the largest patch in pixels.
        masks: masks along each side of an image, at most.
        value: of hidden pixels, in input units.
    """
    if not patch:
        raise UsageError("double masking is for one size of patch: add patch=M, its side in pixels, as in patch=5")
    numbers = (value_of(each) for each in (patch, masks, value))
    return open_model(path).double_masked(*numbers)  # type: ignore[arg-type]
