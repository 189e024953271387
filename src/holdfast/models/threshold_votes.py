"""Votes by a threshold: every window of an image votes for each class that the classifier finds likely enough.

Source: Levine & Feizi 2020, "(De)Randomized Smoothing for Certifiable Defense against Patch Attacks". Derivation:
docs/guarantees.md, "Votes by a threshold".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError, UsageError
from holdfast.models.asking import CLEAR, Asking
from holdfast.models.networks import differentiable
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from torch import Tensor, nn

    from holdfast.noises.windows import Windows


class ThresholdVotes(Asking):
    """The class with the most votes of all windows of an image, the lowest of several.

    A window votes for every class whose softmax is at least the threshold: for several, or for none.

    Args:
        classifier: from windows, as `noise` makes them, to logits `(batch, classes)`; a function of each alone.
        noise: the bands of columns or the blocks.
        threshold: above 0 and at most 1.

    Raises:
        UsageError: the threshold is out of range.
    """

    def __init__(self, classifier: nn.Module, noise: Windows, threshold: float) -> None:
        super().__init__(classifier)
        threshold = plain(threshold)
        if not (is_real(threshold) and 0.0 < threshold <= 1.0):
            raise UsageError(f"the threshold of votes is a probability above 0 and at most 1, got {threshold!r}")
        self.noise = noise
        self.threshold = float(threshold)

    def differentiable(self) -> nn.Module:
        """The same around a classifier with gradients."""
        return ThresholdVotes(differentiable(self.classifier), self.noise, self.threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` to votes `(batch, classes)`, the largest of which is the answer.

        Less than half a vote is taken off a class, the more the higher its index, so that no two are level. Gradients
        are those of the mean log-probabilities of the windows.
        """
        return torch.stack([self._scores(image) for image in x])

    @torch.no_grad()
    def enclosed(self, x: Tensor) -> tuple[int, list[int], list[int]]:
        """The answer for an image `(channels, height, width)`; the votes that each class has for certain, and may have.

        A softmax closer to the threshold than rounding moves one is a vote that may be there.
        """
        shares = self._logits(x).softmax(dim=1)
        counts, low, high = ((shares >= self.threshold + more).sum(dim=0) for more in (0.0, CLEAR, -CLEAR))
        return int(self._untied(counts).argmax()), low.tolist(), high.tolist()

    def _scores(self, x: Tensor) -> Tensor:
        logits = self._logits(x)
        counts = (logits.detach().softmax(dim=1) >= self.threshold).sum(dim=0)
        soft = logits.log_softmax(dim=1).mean(dim=0)
        return self._untied(counts) + (soft - soft.detach())

    def _untied(self, counts: Tensor) -> Tensor:
        return counts - torch.arange(len(counts), dtype=torch.float64, device=counts.device) / (2.0 * len(counts))

    def _logits(self, x: Tensor) -> Tensor:
        """Of each window, `(windows, classes)`."""
        count = self.noise.realizations(tuple(x.shape))
        windows = self.noise.apply(x.expand(count, *x.shape), self.noise.enumerate(x, 0, count))
        found = self.ask(windows)
        if found.ndim == 1:
            raise ClassifierError("votes by a threshold need logits, and the classifier returns votes")
        return found
