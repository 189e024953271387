"""Classifiers that reject inputs which they take for adversarial: the detectors among the defences.

A rejected input gets no answer: it abstains. An unchanged input that is rejected is not classified correctly, and an
adversary succeeds only with a wrong class, not with a rejection.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import nn

from holdfast.errors import UsageError
from holdfast.models.architectures.defended import DefendedClassifier, WithoutDraws

if TYPE_CHECKING:
    from torch import Tensor


def check_answers(module: object, name: str) -> None:
    """Raise UsageError if a module has a part that rejects inputs: a certificate is about classes alone."""
    if isinstance(module, nn.Module) and any(isinstance(part, Rejecting) for part in module.modules()):
        raise UsageError(
            f"{name} rejects inputs that it takes for adversarial, and there are no votes for a rejection; "
            "`holdfast attack` with `--noise none` measures it"
        )


class Rejecting(WithoutDraws, DefendedClassifier):
    """A classifier without randomness that rejects inputs.

    A subclass defines `classified` and `suspicion`, and `exposed` if gradients of `classified` are hidden. `forward`
    gives the logits of all inputs, also of rejected ones.
    """

    @abstractmethod
    def classified(self, x: Tensor) -> Tensor:
        """Logits `(batch, classes)` of inputs `(batch, *shape)`, rejected or not."""

    @abstractmethod
    def suspicion(self, x: Tensor) -> Tensor:
        """How suspicious each input is, `(batch,)`; those above 0 are rejected. Its gradients are useful to an
        adversary: a step without one has the identity's (`defended.straight_through`)."""

    def exposed(self, x: Tensor) -> Tensor:
        """The logits with gradients that lead to adversarial inputs."""
        return self.classified(x)

    @property
    def random(self) -> bool:
        """There is no randomness."""
        return False

    def under(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits of all inputs."""
        return self.classified(x)

    def revealing(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits of all inputs, with useful gradients."""
        return self.exposed(x)
