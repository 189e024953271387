"""Votes of windows by a threshold, against patches. Source: Levine & Feizi 2020, "(De)Randomized Smoothing for
Certifiable Defense against Patch Attacks". Derivation: docs/guarantees.md, "Votes by a threshold"."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.bounds.base import UNDECIDED, Bound, Classifier, Method
from holdfast.errors import UsageError
from holdfast.models.threshold_votes import ThresholdVotes
from holdfast.noises.windows import side_within
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ThresholdVoting(Bound):
    """The largest patch whose windows, twice, are no more than the lead of the answer in votes by a threshold.

    The classifier is that of the model source `threshold-votes`, which has the windows and the threshold.
    """

    name: ClassVar[str] = "threshold-votes"
    norms = (Norm.PATCH,)
    source = "Levine & Feizi 2020 (patches)"
    assumption = "The classifier of windows always gives a window the same answer, up to rounding."
    asks_the_module = True

    def prepare(self, classifier: Classifier) -> Method:
        """A copy of the classifier in float64, where torch computes it."""
        module = classifier.module
        if not isinstance(module, ThresholdVotes):
            raise UsageError(
                "the bound 'threshold-votes' takes votes of windows by a threshold: name the model "
                "threshold-votes:MODEL,threshold=T, trained for columns or blocks"
            )
        module.noise.check_inputs(classifier.shape, classifier.low, classifier.high)
        return _Lead(deepcopy(module).double(), classifier.shape)


class _Lead(Method):
    """The votes of all windows, one image at a time."""

    def __init__(self, module: ThresholdVotes, shape: tuple[int, ...]) -> None:
        self.module = module
        self.shape = shape

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The module's own."""
        scores = self.module(x).double()
        return scores, torch.zeros_like(scores)

    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The answer for each image, and the side of the largest patch that cannot change it."""
        answers, radii = [], []
        for each in x:
            answer, low, high = self.module.enclosed(each)
            lead = min(low[answer] - most - (label < answer) for label, most in enumerate(high) if label != answer)
            answers.append(answer if lead >= 0 else UNDECIDED)
            radii.append(float(side_within(self.module.noise, max(0, lead), self.shape)))
        return torch.tensor(answers, dtype=torch.int64), torch.tensor(radii, dtype=torch.float64)
