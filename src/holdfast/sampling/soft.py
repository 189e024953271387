"""The soft smoothed classifier: mean class probabilities over noisy copies, which gradients flow through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.nn.functional import log_softmax

if TYPE_CHECKING:
    from torch import Tensor


def soft_smoothed(copies: Tensor) -> Tensor:
    """Logarithms `(batch, classes)` of the mean class probabilities of noisy copies.

    Args:
        copies: logits `(batch, copies, classes)`.
    """
    # log-sum-exp, since a mean of probabilities can be too small for a logarithm of its own.
    return log_softmax(copies, dim=2).logsumexp(dim=1) - math.log(copies.shape[1])
