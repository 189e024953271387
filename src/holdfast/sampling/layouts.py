"""Base classifiers for inputs whose channels are the last axis. Noise and loop know (channels, height, width) alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from holdfast.sampling.classifier import BaseClassifier, OwnRounding, VotingClassifier
from holdfast.sampling.engines.base import Base, ClassifierFactory

if TYPE_CHECKING:
    import torch


def taking_channels_last(base: Base) -> Base:
    """A base classifier that takes noisy inputs with the channels first, from one that takes them last."""
    if isinstance(base, VotingClassifier):
        return VotingClassifier(_moved(base.function), base.num_classes)
    return _MovedFactory(base)


def channels_last(noisy: Tensor) -> Tensor:
    """`(batch, channels, ...)` as `(batch, ..., channels)`, contiguous; `(batch, features)` as they are."""
    # A copy, not a view: base classifiers of published code call `view`, which wants the order of the memory.
    return noisy.movedim(1, -1).contiguous() if noisy.ndim > 2 else noisy


def _moved(function: BaseClassifier) -> BaseClassifier:
    if isinstance(function, OwnRounding):
        return _MovedBackend(function)
    return _MovedModule(function) if isinstance(function, nn.Module) else _Moved(function)


class _Moved:
    """A function; an object rather than a closure, so that it can be sent to other processes."""

    def __init__(self, function: BaseClassifier) -> None:
        self.function = function

    def __call__(self, noisy: Tensor) -> Any:
        return self.function(channels_last(noisy))


class _MovedBackend:
    """A backend, which knows its own rounding."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @property
    def near_tie(self) -> float:
        """As the backend has it."""
        return float(self.backend.near_tie)

    def __call__(self, noisy: Tensor) -> Any:
        return self.backend(channels_last(noisy))

    def alone(self, noisy: Tensor) -> Any:
        """What the backend returns for each row by itself."""
        return self.backend.alone(channels_last(noisy))


class _MovedModule(nn.Module):
    """A module, of which each part can be looked at."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # Of itself it has nothing to train; setting a mode would reach into the user's module.
        self.training = module.training

    def forward(self, noisy: Tensor) -> Any:
        """As the module has it."""
        return self.module(channels_last(noisy))


@dataclass(frozen=True)
class _MovedFactory(ClassifierFactory):
    """Wherever the factory's classifier is made."""

    factory: ClassifierFactory

    def build(self, device: torch.device) -> VotingClassifier:
        made = self.factory.build(device)
        return VotingClassifier(_moved(made.function), made.num_classes)
