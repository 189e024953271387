"""Thermometer encoding of inputs: a defence by a step without a gradient. It is no certified defence.

Source: Buckman, Roy, Raffel & Goodfellow 2018, "Thermometer Encoding: One Hot Way to Resist Adversarial Examples".
Broken by Athalye, Carlini & Wagner 2018, by the gradient of a ramp in the place of each step (BPDA).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build, image_size
from holdfast.models.architectures.defended import Defence, Defended, WithoutDraws

# More levels than float32 tells apart well, and more channels than a network should have.
_MOST_LEVELS = 256
# Half the width of the ramp that stands for a step in the backward pass: budgets are smaller.
_RAMP = 0.5


class Thermometer(WithoutDraws, Defence):
    """Each value v in [0, 1] becomes levels - 1 channels of zeros and ones: is v at least 1/levels, 2/levels, ...?"""

    random: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def apply_draws(self, x: Tensor, draws: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` to `(batch, channels x (levels - 1), height, width)`."""
        # A product with zero keeps the gradient, which is zero, as that of rounding is.
        above = self._above(x)
        return ((above >= 0.0).to(x.dtype) + 0.0 * above).flatten(1, 2)

    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """The same zeros and ones, each with the gradient of a ramp around its threshold."""
        above = self._above(x)
        ramp = (above + _RAMP).clamp(0.0, 1.0)
        return (ramp + ((above >= 0.0).to(x.dtype) - ramp).detach()).flatten(1, 2)

    def _above(self, x: Tensor) -> Tensor:
        """How far values are above each threshold, `(batch, channels, levels - 1, height, width)`."""
        steps = torch.arange(1, self.levels, device=x.device, dtype=x.dtype) / self.levels
        return x.unsqueeze(2) - steps.view(-1, 1, 1)


@architecture("thermometer", raw=True)
def thermometer(shape: Shape, num_classes: int, *, levels: int = 16, classifier: str = "wong-small") -> nn.Module:
    """A classifier of images in [0, 1], each value of which is encoded by `levels` - 1 zeros and ones.

    Raises:
        UsageError: fewer than 2 levels or too many, or inputs that are not images.
    """
    channels, height, width = image_size("thermometer", shape)
    if type(levels) is not int or not 2 <= levels <= _MOST_LEVELS:
        raise UsageError(f"argument levels of thermometer is a whole number from 2 to {_MOST_LEVELS}, got {levels!r}")
    encoded = (channels * (levels - 1), height, width)
    return Defended(Thermometer(levels), build(classifier, encoded, num_classes))
