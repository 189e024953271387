"""How large logits are, and by how much two outputs for the same inputs differ.

A class that is masked by a large finite logit (-1e9, the lowest float) is no measure of the others, and neither is an
offset that all inputs share. So sizes are taken from the two leaders and from distances to a center.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Units in the last place by which a row may change that is computed again in the same way.
_UNITS = 4.0


@dataclass(frozen=True)
class Rounding:
    """What outputs may differ by, as shares of a size.

    Attributes:
        tie: of the spread of the logits, and in another batch of the logit itself.
        again: of the logit itself, where the same computation is done again.
        spread: how far the leading logits are from the middle of their classes.
        size: how large the leading logits are.
    """

    tie: float
    again: float
    spread: float
    size: float

    @classmethod
    def of(cls, outputs: Tensor, tie: float) -> Rounding:
        """For logits or votes `outputs` of several inputs, whose rounding is the share `tie` in another batch."""
        if outputs.ndim == 1:
            return cls(0.0, 0.0, 0.0, 0.0)
        again = min(tie, _UNITS * torch.finfo(outputs.dtype).eps)
        center = center_of(outputs)
        return cls(tie, again, spread_of(outputs, center), spread_of(outputs, 0 * center))


def center_of(logits: Tensor) -> Tensor:
    """The median logit of each class, `(num_classes,)` in float64; 0 for a class that is never finite.

    Args:
        logits: `(num, num_classes)`, num at least 1.
    """
    found = logits.double()
    return found.masked_fill(~found.isfinite(), math.nan).nanmedian(dim=0).values.nan_to_num(nan=0.0)


def sizes(logits: Tensor, leaders: Tensor, center: Tensor) -> Tensor:
    """What the rounding of each row is measured against, `(num,)`: its leaders, and the farthest from the center.

    Args:
        logits: `(num, num_classes)`; what is not finite does not count.
        leaders: `(num, 2)`, the two largest logits of each row.
        center: `(num_classes,)`, of the same type.
    """
    return torch.maximum(_finite(leaders).amax(dim=1), _finite(logits - center).amax(dim=1))


def spread_of(logits: Tensor, center: Tensor) -> float:
    """How far the two leaders of a row are from the center of their classes, in the median of all rows.

    Args:
        logits: `(num, num_classes)`, num at least 1.
        center: `(num_classes,)`.
    """
    values, classes = logits.double().topk(2, dim=1)
    return float(_finite(values - center[classes]).amax(dim=1).median())


def differences(one: Tensor, other: Tensor, rounding: float) -> Tensor:
    """The largest difference in each row beyond rounding, `(num,)` in float64.

    Infinite where one is finite, NaN, or of one sign of infinity, and the other is not.

    Args:
        one: `(num, num_classes)` logits or `(num,)` votes.
        other: what was found for the same inputs before.
        rounding: share of each value of `other` that is no difference.
    """
    first, second = one.double(), other.double()
    finite = first.isfinite() & second.isfinite()
    same = (first == second) | (first.isnan() & second.isnan())
    found = torch.where(finite, (first - second).abs() - rounding * second.abs(), math.inf)
    found = found.masked_fill(same, 0.0).clamp(min=0.0)
    return found.flatten(1).amax(dim=1) if found.ndim > 1 else found


def _finite(values: Tensor) -> Tensor:
    """Their sizes, 0 for what is not finite."""
    return values.abs().nan_to_num(nan=0.0, posinf=0.0)
