"""What an engine is: something that runs the one Monte-Carlo loop, here or in other processes, with the same result."""

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
    """How to make the base classifier where it is needed: a small object that can be pickled."""

    @abstractmethod
    def build(self, device: torch.device) -> VotingClassifier:
        """The base classifier, on a device of the process that calls this.

        Raises:
            HoldfastError: it cannot be made here; the message reaches whoever started the work.
        """


@dataclass(frozen=True)
class FunctionFactory(ClassifierFactory):
    """A function of your own that returns the base classifier.

    Args:
        factory: a function without arguments, at the top level of a module so that other processes can import it; what
            it returns is moved to the device if it is a torch module, and must be in eval mode.
        num_classes: number of classes, at least 2.
    """

    factory: Callable[[], BaseClassifier]
    num_classes: int

    def build(self, device: torch.device) -> VotingClassifier:
        """Call the factory."""
        made = program_module(self.factory())
        return VotingClassifier(made.to(device) if isinstance(made, torch.nn.Module) else made, self.num_classes)


# A classifier is sent to other processes as it is, if it can be pickled; a factory always can.
Base = VotingClassifier | ClassifierFactory


class Engine(Plain, ABC):
    """Where the loop runs. No result depends on it: votes are a function of (seed, example, stream, block) alone."""

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
        """Yield `(example, votes by stream)` for every example, each once, as soon as it is finished.

        Args:
            classifier: the base classifier, or how to make it.
            noise: the smoothing noise.
            procedure: what is drawn for each input.
            seed: of all noise.
            examples: with different indices; taken one by one, as they are needed.
            on_batch: told, now and then, how many samples have been drawn since the last time.

        Raises:
            HoldfastError: whatever the loop raises, with the same type and message wherever it ran.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the session log of a run says of the engine."""


def built(classifier: Base, device: torch.device) -> VotingClassifier:
    """The classifier itself, or what it makes where it is a factory."""
    return classifier if isinstance(classifier, VotingClassifier) else classifier.build(device)
