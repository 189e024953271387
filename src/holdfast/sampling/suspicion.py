"""How many different answers for the same input an honest base classifier may give, and what is said of too many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.stats.betting import truncated_capital

if TYPE_CHECKING:
    from torch import Tensor

# How probable it is at most that an honest classifier is ever refused for rows that answer otherwise now and then.
_CHANCE = 1e-3


@dataclass
class Suspicion:
    """A bet against "no more than this share of the rows differs"; its capital may be looked at after every row.

    Attributes:
        honest: the share.
        rows: that were compared.
        differing: of them that differed.
    """

    honest: float
    rows: int = 0
    differing: int = 0

    def add(self, differing: Tensor) -> bool:
        """Take rows into account, True where they differ: whether an honest classifier hardly ever gets so far."""
        self.rows += len(differing)
        self.differing += int(differing.sum())
        return bool(self.differing) and truncated_capital(self.differing, self.rows, self.honest) >= -math.log(_CHANCE)


def unsteady(when: str, found: Tensor, other: Tensor, seen: Suspicion) -> ClassifierError:
    """For the outputs `found` and `other` of rows that differ, and how many of how many did."""
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
