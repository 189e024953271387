"""Defences whose randomness is inside a network: one seed for each input, and numbers that are a function of it.

The numbers of an input depend on its seed, the layer and the position alone, not on the other inputs of a batch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.models.architectures.defended import DefendedClassifier

if TYPE_CHECKING:
    from torch import nn

# In the place of a seed: no randomness, which an adversary assumes who does not know of any.
STILL = -1

# The finalizer of splitmix64 (Steele, Lea & Flood 2014), as signed words; and the bits of a float32 in (0, 1), of which
# one more would round to 1.
_STEP, _FIRST, _SECOND = (value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_BITS = 23


class Seeded(DefendedClassifier):
    """A classifier with randomness inside.

    A subclass defines `once`. While it is trained, the network is passed `as_trained`.

    Args:
        classifier: module from inputs to logits.
        copies: passes with randomness of their own, of which one answer is made.
    """

    def __init__(self, classifier: nn.Module, copies: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.copies = copies

    @abstractmethod
    def once(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Logits `(batch, classes)` of one pass; `seeds` is `(batch,)`, and `STILL` stands for no randomness."""

    def as_trained(self, x: Tensor) -> Tensor:
        """The logits in training; by default without randomness."""
        logits: Tensor = self.classifier(x)
        return logits

    def answer(self, passes: Tensor) -> Tensor:
        """The logits of the answer from those of each pass, `(batch, copies, classes)`: logarithms of the mean
        probabilities."""
        return mean_of_probabilities(passes)

    @property
    def random(self) -> bool:
        """There is randomness."""
        return True

    def draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Seeds, int64 `(count, 1)`."""
        return torch.randint(2**62, (count, 1), generator=generator, device=device)

    def still(self, count: int, device: torch.device) -> Tensor:
        """No randomness."""
        return torch.full((count, 1), STILL, device=device)

    def under(self, x: Tensor, draws: Tensor) -> Tensor:
        """The logits of the answer."""
        return self.answer(self._passes(x, draws))

    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logarithms of the mean probabilities."""
        return mean_of_probabilities(self._passes(x, draws))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`."""
        return self.as_trained(x) if self.training else super().forward(x)

    def _passes(self, x: Tensor, draws: Tensor) -> Tensor:
        seeds = draws[:, :1]
        own = mixed(seeds + _STEP * torch.arange(1, self.copies + 1, device=x.device)) >> 1
        own = torch.where(seeds == STILL, seeds, own & (2**62 - 1))
        return self.once(x.repeat_interleave(self.copies, 0), own.flatten()).view(len(x), self.copies, -1)


def mean_of_probabilities(passes: Tensor) -> Tensor:
    """Logarithms `(batch, classes)` of the mean probabilities of logits `(batch, copies, classes)`."""
    return passes.log_softmax(dim=2).logsumexp(dim=1) - math.log(passes.shape[1])


def mixed(words: Tensor) -> Tensor:
    """Each int64 word as another one that looks random; different words stay different."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        words = (words ^ _shifted(words, shift)) * factor
    found: Tensor = words ^ _shifted(words, 31)
    return found


def uniform(seeds: Tensor, layer: int, count: int) -> Tensor:
    """Numbers in (0, 1), float32 `(batch, count)`: functions of the seed `(batch,)`, the layer and the position."""
    keys = mixed(seeds + _STEP * torch.tensor(layer + 1, device=seeds.device))
    words = mixed(keys.unsqueeze(1) + _STEP * torch.arange(1, count + 1, device=seeds.device))
    return (_shifted(words, 64 - _BITS).float() + 0.5) * 2.0**-_BITS


def normal(seeds: Tensor, layer: int, count: int) -> Tensor:
    """Standard normal numbers, `(batch, count)`, in the same way."""
    found: Tensor = torch.special.ndtri(uniform(seeds, layer, count).double())
    return found.float()


def check_count(name: str, argument: str, value: int) -> None:
    """Raise UsageError unless an argument is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise UsageError(f"argument {argument} of {name} is a whole number of at least 1, got {value!r}")


def check_deviation(name: str, argument: str, value: float) -> None:
    """Raise UsageError unless an argument is a finite number from 0 on."""
    if type(value) not in (int, float) or not 0.0 <= value < math.inf:
        raise UsageError(f"argument {argument} of {name} is a finite number from 0 on, got {value!r}")


def _shifted(words: Tensor, bits: int) -> Tensor:
    """Shifted right, with zeros from the left."""
    found: Tensor = (words >> bits) & (2 ** (64 - bits) - 1)
    return found
