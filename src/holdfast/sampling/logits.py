"""The size of logits, and the differences between two outputs for the same inputs.

A class masked by a large finite logit (-1e9, the lowest float) says nothing about the size of the others, and neither
does an offset shared by all inputs. So sizes are taken from the two leaders and from distances to a center.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Units in the last place by which a row may change when the same computation is repeated.
_UNITS = 4.0


@dataclass(frozen=True)
class Rounding:
    """How much outputs may differ, as shares of a size.

    Attributes:
        tie: share of the spread of the logits, and in another batch of the logit itself.
        again: share of the logit itself when the same computation is repeated.
        spread: distance of the leading logits from the center of their classes.
        size: size of the leading logits.
    """

    tie: float
    again: float
    spread: float
    size: float

    @classmethod
    def of(cls, outputs: Tensor, tie: float) -> Rounding:
        """For logits or votes of several inputs whose rounding in another batch is the share `tie`."""
        if outputs.ndim == 1:
            return cls(0.0, 0.0, 0.0, 0.0)
        again = min(tie, _UNITS * torch.finfo(outputs.dtype).eps)
        center = center_of(outputs)
        return cls(tie, again, spread_of(outputs, center), spread_of(outputs, 0 * center))


def center_of(logits: Tensor) -> Tensor:
    """The median logit of each class, `(num_classes,)` in float64; 0 for a class without a finite logit.

    Args:
        logits: `(num, num_classes)`, num at least 1.
    """
    found = logits.double()
    return found.masked_fill(~found.isfinite(), math.nan).nanmedian(dim=0).values.nan_to_num(nan=0.0)


def sizes(logits: Tensor, leaders: Tensor, center: Tensor) -> Tensor:
    """What the rounding of each row is measured against, `(num,)`: its leaders, and its largest distance to the center.

    Args:
        logits: `(num, num_classes)`; infinite values and NaN do not count.
        leaders: `(num, 2 or more)`, the logits of each row whose order matters, its largest ones.
        center: `(num_classes,)`, of the same type.
    """
    return _finite(torch.cat([leaders, logits - center], dim=1)).amax(dim=1)


def spread_of(logits: Tensor, center: Tensor) -> float:
    """The median over all rows of the distance of a row's two leaders from the center of their classes.

    Args:
        logits: `(num, num_classes)`, num at least 1.
        center: `(num_classes,)`.
    """
    values, classes = logits.double().topk(2, dim=1)
    return float(_finite(values - center[classes]).amax(dim=1).median())


def differences(one: Tensor, other: Tensor, rounding: float) -> Tensor:
    """The largest difference in each row beyond rounding, `(num,)` in float64.

    Infinite where one value is finite, NaN or an infinity, and the other is not the same.

    Args:
        one: `(num, num_classes)` logits or `(num,)` votes.
        other: earlier outputs for the same inputs.
        rounding: share of each value of `other` that does not count as a difference.
    """
    first, second = one.double(), other.double()
    finite = first.isfinite() & second.isfinite()
    same = (first == second) | (first.isnan() & second.isnan())
    found = torch.where(finite, (first - second).abs() - rounding * second.abs(), math.inf)
    found = found.masked_fill(same, 0.0).clamp(min=0.0)
    return found.flatten(1).amax(dim=1) if found.ndim > 1 else found


def _finite(values: Tensor) -> Tensor:
    """Absolute values; 0 for infinite values and NaN."""
    return values.abs().nan_to_num(nan=0.0, posinf=0.0)
