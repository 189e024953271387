"""Base classifiers with the channels on the last axis. Noises and the loop use (channels, height, width) only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from holdfast.sampling.classifier import BaseClassifier, OwnRounding, VotingClassifier
from holdfast.sampling.engines.base import Base, ClassifierFactory

if TYPE_CHECKING:
    import torch


def taking_channels_last(base: Base) -> Base:
    """Adapt a base classifier that takes channels last to noisy inputs with channels first."""
    if isinstance(base, VotingClassifier):
        return VotingClassifier(_moved(base.function), base.num_classes)
    return _MovedFactory(base)


def channels_last(noisy: Tensor) -> Tensor:
    """`(batch, channels, ...)` as `(batch, ..., channels)`, contiguous; `(batch, features)` unchanged."""
    # A copy instead of a view: published base classifiers call `view`, which needs this order in memory.
    return noisy.movedim(1, -1).contiguous() if noisy.ndim > 2 else noisy


def _moved(function: BaseClassifier) -> BaseClassifier:
    if isinstance(function, OwnRounding):
        return _MovedBackend(function)
    return _MovedModule(function) if isinstance(function, nn.Module) else _Moved(function)


class _Moved:
    """A function; an object rather than a closure, so that it can be pickled."""

    def __init__(self, function: BaseClassifier) -> None:
        self.function = function

    def __call__(self, noisy: Tensor) -> Any:
        return self.function(channels_last(noisy))


class _MovedBackend:
    """A backend, which states its own rounding."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @property
    def near_tie(self) -> float:
        """That of the backend."""
        return float(self.backend.near_tie)

    def __call__(self, noisy: Tensor) -> Any:
        return self.backend(channels_last(noisy))

    def alone(self, noisy: Tensor) -> Any:
        """The backend's output for each row, computed alone."""
        return self.backend.alone(channels_last(noisy))


class _MovedModule(nn.Module):
    """A module, so that its parts can be inspected."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # It has nothing to train itself; setting a mode would change the user's module.
        self.training = module.training

    def forward(self, noisy: Tensor) -> Any:
        """Apply the module."""
        return self.module(channels_last(noisy))


@dataclass(frozen=True)
class _MovedFactory(ClassifierFactory):
    """Adapts whatever the factory makes."""

    factory: ClassifierFactory

    def build(self, device: torch.device) -> VotingClassifier:
        made = self.factory.build(device)
        return VotingClassifier(_moved(made.function), made.num_classes)
