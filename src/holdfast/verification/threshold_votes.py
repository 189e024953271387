"""Runs of the bound `threshold-votes`: which sides of a patch a lead in votes can certify at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import RunError
from holdfast.verification.pixels import image, realizations, windows_touched

if TYPE_CHECKING:
    from fractions import Fraction

    from holdfast.verification.manifest import Manifest

NAME = "threshold-votes"


def can_be(radius: Fraction, manifest: Manifest) -> bool:
    """Whether a radius is a whole side whose windows, twice, are no more than all windows: the largest lead.

    Raises:
        ValueError: the model has no votes by a threshold, or no such windows.
    """
    settings = manifest.entries["model"].get("threshold_votes")
    if settings is None:
        raise ValueError("the bound is about votes by a threshold, and the model of the manifest has none")
    noise, shape = settings["noise"], manifest.shape
    try:
        if radius.denominator != 1 or radius > max(image(shape)):
            return False
        return radius == 0 or 2 * windows_touched(int(radius), noise, shape) <= realizations(noise, shape)
    except RunError as error:
        raise ValueError(str(error)) from error
