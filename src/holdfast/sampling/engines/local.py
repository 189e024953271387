"""The Monte-Carlo loop on this machine: one processor or one CUDA device."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import UsageError
from holdfast.plain import is_count
from holdfast.sampling.batches import BatchSize, found_for
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.devices import device_name, torch_device
from holdfast.sampling.engines.base import Engine, built
from holdfast.sampling.procedure import Burst

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from holdfast.noises.base import Noise
    from holdfast.sampling.batches import Key
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Base
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

# A speed measurement takes at least this many batches and seconds: short batches vary most.
_FEWEST_BATCHES = 3
_MEASURED_SECONDS = 0.04
_FLOAT_BYTES = 4
# Limits: more threads than any machine has cores; larger batches are no faster anywhere.
MOST_THREADS, _MOST_BATCH = 1024, 2**20


@dataclass(frozen=True)
class LocalEngine(Engine):
    """One device of this machine.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        batch_size: noisy copies per batch; None searches for the fastest number during the work.
        threads: processor threads; 1 is best if anything else runs on the machine.

    Raises:
        UsageError: not the name of a device, or a number is out of range; in `run`, the device is not present.
    """

    device: str = "cpu"
    batch_size: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", device_name(self.device))
        if self.batch_size is not None and not is_count(self.batch_size):
            raise UsageError(
                f"a batch has at least 1 noisy copy, a whole number; got {self.batch_size!r}. Leave it out ('auto' "
                "on the command line) to have the fastest number found out"
            )
        if self.batch_size is not None and self.batch_size > _MOST_BATCH:
            raise UsageError(f"a batch has {_MOST_BATCH:,} noisy copies at most, got {self.batch_size:,}; take fewer")
        if not is_count(self.threads):
            raise UsageError(f"the number of threads is at least 1, a whole number; got {self.threads!r}")
        if self.threads > MOST_THREADS:
            raise UsageError(
                f"the number of threads is {MOST_THREADS:,} at most, got {self.threads:,}; take as many as there are "
                "processor cores, or fewer"
            )

    def run(
        self,
        classifier: Base,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        examples: Iterable[Example],
        on_batch: Callable[[int], None] | None = None,
    ) -> Generator[tuple[Example, Votes], None, None]:
        """Votes for every example, as soon as it is finished. See `MonteCarlo.run`."""
        iterator = iter(examples)
        first = next(iterator, None)
        if first is None:
            return
        made = built(classifier, torch_device(self.device))
        loop = self.loop(made, noise, procedure, seed, first, on_batch, base=classifier)
        yield from loop.run(chain([first], iterator))

    def settings(self) -> dict[str, Any]:
        """For the session log."""
        return {
            "engine": "local",
            "device": self.device,
            "threads": self.threads,
            "batch_size": self.batch_size or "auto",
        }

    def loop(
        self,
        classifier: VotingClassifier,
        noise: Noise,
        procedure: Procedure,
        seed: int,
        example: Example,
        on_batch: Callable[[int], None] | None = None,
        base: Base | None = None,
        *,
        confirming: bool = True,
    ) -> MonteCarlo:
        """The loop on this device; without a given batch size, it searches for the fastest one.

        Args:
            classifier: the base classifier.
            noise: the smoothing noise.
            procedure: what is drawn for each input.
            seed: of all noise.
            example: one of the inputs, for its shape.
            on_batch: see `Engine.run`.
            base: remembers the batch size: the factory, if the classifier was made for this loop only.
            confirming: see `MonteCarlo`.
        """
        batches = self.batches(base or classifier, noise, example.x.shape)
        return MonteCarlo(
            classifier,
            noise,
            procedure,
            seed,
            batches,
            torch_device(self.device),
            on_batch,
            threads=self.threads,
            confirming=confirming,
        )

    def batches(self, base: Base, noise: Noise, shape: tuple[int, ...]) -> BatchSize:
        """The given batch size, or the search for the fastest one in its present state."""
        if self.batch_size is not None:
            return BatchSize(self.batch_size, settled=True)
        found = found_for(base)
        key = self.key(noise, shape)
        if key not in found:
            found[key] = BatchSize.search(_FLOAT_BYTES * math.prod(noise.noisy_shape(tuple(shape))))
        return found[key]

    def key(self, noise: Noise, shape: tuple[int, ...]) -> Key:
        """The key under which the fastest batch size is remembered."""
        return str(noise), tuple(shape), self.device, self.threads

    def fastest_batch(self, classifier: VotingClassifier, noise: Noise, example: Example) -> tuple[int, float]:
        """Measure the loop on short bursts of real work, noisy copies of one example.

        For callers that need the speed before the work starts. The work that follows uses the size found here.

        Returns:
            The given batch size, or the largest one with nearly the most samples per second; and its speed.
        """
        batches = self.batches(classifier, noise, example.x.shape)
        if self.batch_size is not None:
            return self.batch_size, self._burst(classifier, noise, example, self.batch_size)
        while not batches.settled:
            list(self._trial(classifier, noise, batches.size, batches).run([example]))
        return batches.size, batches.speed

    def speed_of_burst(self, classifier: VotingClassifier, noise: Noise, example: Example) -> float:
        """Samples a second of one batch, the first one perhaps: a lower bound on the speed of the work that follows."""
        size, start = self.batch_size or 1, time.perf_counter()
        list(self._trial(classifier, noise, size, size).run([example]))
        _wait_for(torch_device(self.device))
        return size / (time.perf_counter() - start)

    def _trial(self, classifier: VotingClassifier, noise: Noise, n: int, batches: int | BatchSize) -> MonteCarlo:
        """The loop for a measurement: its votes are thrown away, so the classifier is not checked again."""
        device = torch_device(self.device)
        return MonteCarlo(classifier, noise, Burst(n), 0, batches, device, threads=self.threads, confirming=False)

    def _burst(self, classifier: VotingClassifier, noise: Noise, example: Example, size: int) -> float:
        """Samples per second at one batch size: the best of at least two batches, after one to warm up."""
        device = torch_device(self.device)
        times: list[float] = []
        loop = self._trial(classifier, noise, size, size)
        while len(times) < _FEWEST_BATCHES or sum(times) < _MEASURED_SECONDS:
            _wait_for(device)
            start = time.perf_counter()
            list(loop.run([example]))
            _wait_for(device)
            times.append(time.perf_counter() - start)
        return size / min(times[1:])


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
