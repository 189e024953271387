"""An engine runs the Monte-Carlo loop, here or in other processes, with the same result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from holdfast.plain import Plain
from holdfast.sampling.classifier import BaseClassifier, VotingClassifier
from holdfast.sampling.exported import program_module

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from holdfast.noises.base import Noise
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example


class ClassifierFactory(ABC):
    """Makes the base classifier in the process that needs it: a small object that can be pickled."""

    @abstractmethod
    def build(self, device: torch.device) -> VotingClassifier:
        """Make the base classifier, on a device of the calling process.

        Raises:
            HoldfastError: that is impossible here; the message reaches the process that started the work.
        """


@dataclass(frozen=True)
class FunctionFactory(ClassifierFactory):
    """A function of your own that returns the base classifier.

    Args:
        factory: a function without arguments, at the top level of a module so that other processes can import it. A
            torch module that it returns must be in eval mode and is moved to the device.
        num_classes: number of classes, at least 2.
    """

    factory: Callable[[], BaseClassifier]
    num_classes: int

    def build(self, device: torch.device) -> VotingClassifier:
        """Call the factory."""
        made = program_module(self.factory())
        return VotingClassifier(made.to(device) if isinstance(made, torch.nn.Module) else made, self.num_classes)


# A classifier is pickled to send it to other processes; one that cannot be pickled needs a factory.
Base = VotingClassifier | ClassifierFactory


class Engine(Plain, ABC):
    """Where the loop runs. No result depends on it: votes are a function of (seed, example, stream, block) only."""

    device: str
    batch_size: int | None
    threads: int

    @abstractmethod
    def run(
        self,
        classifier: Base,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        examples: Iterable[Example],
        on_batch: Callable[[int], None] | None = None,
    ) -> Generator[tuple[Example, Votes], None, None]:
        """Yield `(example, votes by stream)` for every example, once, as soon as it is finished.

        Args:
            classifier: the base classifier, or its factory.
            noise: the smoothing noise.
            procedure: what is drawn for each input.
            seed: of all noise.
            examples: with different indices; taken one by one, when needed.
            on_batch: called repeatedly with the number of samples drawn since the last call.

        Raises:
            HoldfastError: whatever the loop raises, with the same type and message on every engine.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The engine's entries in the session log of a run."""


def built(classifier: Base, device: torch.device) -> VotingClassifier:
    """The classifier itself, or the one that the factory makes."""
    return classifier if isinstance(classifier, VotingClassifier) else classifier.build(device)
