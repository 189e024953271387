"""How often an honest base classifier may change its answer for an input, and the error for more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.stats.betting import truncated_capital

if TYPE_CHECKING:
    from torch import Tensor

# The largest probability that an honest classifier is ever refused for occasional changes.
_CHANCE = 1e-3


@dataclass
class Suspicion:
    """A bet against "no more than this share of the rows differs"; its capital may be checked after every row.

    Attributes:
        honest: the share.
        rows: compared so far.
        differing: how many of them differed.
    """

    honest: float
    rows: int = 0
    differing: int = 0

    def add(self, differing: Tensor) -> bool:
        """Add rows, True where they differ; return whether an honest classifier would hardly ever differ so often."""
        self.rows += len(differing)
        self.differing += int(differing.sum())
        return bool(self.differing) and truncated_capital(self.differing, self.rows, self.honest) >= -math.log(_CHANCE)


def unsteady(when: str, found: Tensor, other: Tensor, seen: Suspicion) -> ClassifierError:
    """The error for rows whose outputs `found` and `other` differ; `seen` counts them."""
    how = f"{seen.differing} of {seen.rows} {'votes' if found.ndim == 1 else 'rows'}"
    if found.ndim > 1 and len(found):
        changed = found != other
        difference = float((found - other)[changed].abs().max())
        largest = float(torch.maximum(found.abs(), other.abs())[changed].max())
        how += f", by up to {difference:.3g}, with outputs up to {largest:.3g}"
    return ClassifierError(
        f"the base classifier answers differently for the same input {when} ({how}): it depends on its batch, on "
        "chance or on what came before, and nothing can be certified. Is batch normalization or dropout left in "
        "training mode, are activations quantized by the range of their batch (batch_size=1 helps), or does it keep a "
        "state?"
    )
