"""Classifiers behind a defence that hides gradients, for attacks to break. None of them is a certified defence.

Quantized inputs: Guo, Rana, Cisse & van der Maaten 2018, "Countering Adversarial Images using Input Transformations"
(bit depth), after Xu, Evans & Qi 2018, "Feature Squeezing". Random resizing: Xie, Wang, Zhang, Ren & Yuille 2018,
"Mitigating Adversarial Effects Through Randomization". Broken by Athalye, Carlini & Wagner 2018, "Obfuscated
Gradients Give a False Sense of Security". The binarized CNN is that of Schott, Rauber, Bethge & Brendel 2019.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build, image_size

# As many as float32 tells apart in [0, 1].
_MOST_LEVELS = 2**24


class WithoutDraws:
    """The draws of what has no randomness: none."""

    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Nothing, `(count, 0)`."""
        return torch.zeros((count, 0), device=device)

    def still(self, count: int, device: torch.device) -> Tensor:
        """Nothing, `(count, 0)`."""
        return torch.zeros((count, 0), device=device)


class Defence(nn.Module, ABC):
    """What is done to inputs before a classifier sees them: independent randomness, then a function of both.

    Attributes:
        random: whether there is any randomness.
        differentiable: whether gradients through it say something.
    """

    random: ClassVar[bool]
    differentiable: ClassVar[bool]

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Randomness for so many inputs, `(count, ...)`."""

    @abstractmethod
    def still(self, count: int, device: torch.device) -> Tensor:
        """Randomness that changes nothing, of the same form: what an adversary assumes who does not know of any."""

    @abstractmethod
    def apply_draws(self, x: Tensor, draws: Tensor) -> Tensor:
        """What the classifier sees of inputs `(batch, *shape)`."""

    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """The same values with a useful gradient: the identity's, where there is none (BPDA). A defence that is not
        differentiable and changes the shape of inputs defines its own."""
        seen = self.apply_draws(x, draws)
        return seen if self.differentiable else straight_through(x, seen)


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """`value` in the forward pass, with the gradient of `x`, which has the same shape."""
    return x + (value - x).detach()


class Quantized(WithoutDraws, Defence):
    """Each value in [0, 1] rounded to the nearest of `levels` values: its gradient is zero almost everywhere."""

    random: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def apply_draws(self, x: Tensor, draws: Tensor) -> Tensor:
        """Rounded values."""
        return (x * (self.levels - 1)).round() / (self.levels - 1)


class RandomResized(Defence):
    """Each image shrunk to a random size, and put at a random place of a black one of the old size.

    Args:
        side: height and width of an image.
        smallest: the smallest size.
        largest: the largest size, at most the side.
    """

    random: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    def __init__(self, side: int, smallest: int, largest: int) -> None:
        super().__init__()
        self.side = side
        self.smallest = smallest
        self.largest = largest

    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Size, and place as a share of the room that is left, `(count, 3)`."""
        drawn = torch.rand((count, 3), generator=generator, device=device)
        more = self.largest - self.smallest
        sizes = self.smallest + (drawn[:, :1] * (more + 1)).floor().clamp_max(more)
        room = self.side - sizes + 1
        places = torch.minimum((drawn[:, 1:] * room).floor(), room - 1)
        return torch.cat([sizes, places], dim=1)

    def still(self, count: int, device: torch.device) -> Tensor:
        """The whole side, which an image has without the defence."""
        return torch.tensor([float(self.side), 0.0, 0.0], device=device).expand(count, 3)

    def apply_draws(self, x: Tensor, draws: Tensor) -> Tensor:
        """One bilinear sampling for all: the point of each pixel of the result in the unchanged image."""
        size, top, left = draws.to(x.dtype).unbind(dim=1)
        steps = torch.arange(self.side, dtype=x.dtype, device=x.device)
        rows, columns = ((2.0 * (steps - start[:, None]) + 1.0) / size[:, None] - 1.0 for start in (top, left))
        grid = torch.stack(
            [columns[:, None, :].expand(-1, self.side, -1), rows[:, :, None].expand(-1, -1, self.side)], dim=3
        )
        moved = nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        # Beyond the shrunk image it is black.
        inside = ((grid.abs() <= 1.0).all(dim=3)).unsqueeze(1)
        return moved * inside


class DefendedClassifier(nn.Module, ABC):
    """A classifier with a defence, which hides its gradients, is random, or rejects inputs.

    The answer to an input is a function of it and of its own draws alone. `attacks.defended.DefendedTarget` is how
    adversaries see one.
    """

    @property
    @abstractmethod
    def random(self) -> bool:
        """Whether there is any randomness."""

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Randomness for so many inputs, `(count, ...)`."""

    @abstractmethod
    def still(self, count: int, device: torch.device) -> Tensor:
        """The draws that an adversary assumes who does not know of any, of the same form."""

    @abstractmethod
    def under(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits `(batch, classes)` of inputs `(batch, *shape)` under given draws."""

    @abstractmethod
    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """The same logits, or others with their order, with gradients that lead to adversarial inputs."""

    def suspicion(self, x: Tensor) -> Tensor | None:
        """How suspicious each input is, `(batch,)`, with useful gradients; those above 0 are rejected. None: no input
        is ever rejected. See `models.architectures.rejecting`."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`, with new randomness for each input from torch's generator."""
        return self.under(x, self.draw(len(x), None, x.device))


class Defended(DefendedClassifier):
    """A classifier behind a defence that changes inputs.

    Args:
        defence: what is done to inputs.
        classifier: module from what is left of them to logits.
    """

    def __init__(self, defence: Defence, classifier: nn.Module) -> None:
        super().__init__()
        self.defence = defence
        self.classifier = classifier

    @property
    def random(self) -> bool:
        """As the defence says."""
        return self.defence.random

    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """The defence's."""
        return self.defence.draw(count, generator, device)

    def still(self, count: int, device: torch.device) -> Tensor:
        """The defence's."""
        return self.defence.still(count, device)

    def under(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits of what the defence leaves."""
        logits: Tensor = self.classifier(self.defence.apply_draws(x, draws))
        return logits

    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """The same logits, with the defence's useful gradient."""
        logits: Tensor = self.classifier(self.defence.revealing(x, draws))
        return logits


@architecture("quantized", raw=True)
def quantized(shape: Shape, num_classes: int, *, levels: int = 2, classifier: str = "wong-small") -> nn.Module:
    """A classifier of inputs in [0, 1] that are rounded to `levels` values.

    Raises:
        UsageError: fewer than 2 levels, or the classifier does not take the inputs.
    """
    if type(levels) is not int or not 2 <= levels <= _MOST_LEVELS:
        raise UsageError(f"argument levels of quantized is a whole number from 2 to {_MOST_LEVELS}, got {levels!r}")
    return Defended(Quantized(levels), build(classifier, shape, num_classes))


@architecture("binarized-cnn", raw=True)
def binarized_cnn(shape: Shape, num_classes: int) -> nn.Module:
    """The network mnist-cnn for images whose values are 0 or 1: those from one half on are 1."""
    image_size("binarized-cnn", shape, smallest=4)
    return Defended(Quantized(2), build("mnist-cnn", shape, num_classes))


@architecture("random-resized", raw=True)
def random_resized(
    shape: Shape, num_classes: int, *, least: float = 0.8, most: float = 1.0, classifier: str = "wong-small"
) -> nn.Module:
    """A classifier of square images in [0, 1] that are shrunk to a random size, from `least` to `most` of the side.

    Raises:
        UsageError: other inputs, or shares that are not 0 < least <= most <= 1 with a whole size between them.
    """
    _, height, width = image_size("random-resized", shape, smallest=4)
    if height != width:
        raise UsageError(f"architecture 'random-resized' takes square images, got inputs of shape {shape}")
    numbers = isinstance(least, int | float) and isinstance(most, int | float)
    if not (numbers and 0.0 < least <= most <= 1.0 and math.ceil(least * height) <= math.floor(most * height)):
        raise UsageError(
            "arguments least and most of random-resized are shares of the side, 0 < least <= most <= 1 with a whole "
            f"size between them, got {least!r} and {most!r} of {height}"
        )
    sizes = math.ceil(least * height), math.floor(most * height)
    return Defended(RandomResized(height, *sizes), build(classifier, shape, num_classes))
