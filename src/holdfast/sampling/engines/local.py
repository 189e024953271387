"""The Monte-Carlo loop on this machine: one processor or one CUDA device."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import HoldfastError, UsageError
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.engines.base import Engine, built
from holdfast.sampling.procedure import Burst

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Base
    from holdfast.sampling.procedure import Procedure, Votes
    from holdfast.types import Example

# Measuring ends when a size is slower than the best by this factor, or when a batch takes this many seconds.
_HOPELESS = 0.8
# Of speeds that differ by less than this, the larger batch is taken: what is done once a batch costs it less.
_AS_GOOD = 0.95
_BATCH_SECONDS = 0.25
# For each size, as many batches and as much time: short batches vary most.
_FEWEST_BATCHES = 3
_MEASURED_SECONDS = 0.04
_BATCH_SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class LocalEngine(Engine):
    """One device of this machine.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        batch_size: noisy copies a batch, or None to measure which size is fastest.
        threads: processor threads; 1 is best as soon as anything else runs on the machine.

    Raises:
        UsageError: not the name of a device, or a number is out of range; when it runs, the device is not there.
    """

    device: str = "cpu"
    batch_size: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"a batch has at least 1 noisy copy, got {self.batch_size}; or leave it to 'auto'")
        if self.threads < 1:
            raise UsageError(f"the number of threads is at least 1, got {self.threads}")
        check_device(self.device)

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
        head = list(islice(iterator, 1))
        if not head:
            return
        loop = self.loop(built(classifier, torch_device(self.device)), noise, procedure, seed, head[0], on_batch)
        yield from loop.run(chain(head, iterator))

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
        *,
        confirming: bool = True,
    ) -> MonteCarlo:
        """The loop on this device; where no batch size is given, with the fastest one for inputs like `example`."""
        batch_size = self.batch_size or self.fastest_batch(classifier, noise, example)[0]
        device = torch_device(self.device)
        return MonteCarlo(
            classifier,
            noise,
            procedure,
            seed,
            batch_size,
            device,
            on_batch,
            threads=self.threads,
            confirming=confirming,
        )

    def fastest_batch(self, classifier: VotingClassifier, noise: Noise, example: Example) -> tuple[int, float]:
        """Measure the loop on a short burst of real work, noisy copies of one example.

        Returns:
            The largest batch size with nearly the most samples a second, and its speed.
        """
        if self.batch_size is not None:
            return self.batch_size, self._burst(classifier, noise, example, self.batch_size)
        speeds: dict[int, float] = {}
        for size in _BATCH_SIZES:
            try:
                speed = speeds[size] = self._burst(classifier, noise, example, size)
            except torch.OutOfMemoryError:
                break
            if speed < _HOPELESS * max(speeds.values()) or size / speed > _BATCH_SECONDS:
                break
        if not speeds:
            return self._largest_batch(classifier, noise, example)
        good = _AS_GOOD * max(speeds.values())
        return max((size, speed) for size, speed in speeds.items() if speed >= good)

    def _largest_batch(self, classifier: VotingClassifier, noise: Noise, example: Example) -> tuple[int, float]:
        """As `fastest_batch`, where there is no memory for the smallest of the sizes that are measured."""
        size = _BATCH_SIZES[0]
        while size > 1:
            size //= 2
            with suppress(torch.OutOfMemoryError):
                return size, self._burst(classifier, noise, example, size)
        raise HoldfastError(
            f"{self.device} has no memory for a single noisy copy of example {example.index}; use another device or a "
            "smaller model"
        )

    def _burst(self, classifier: VotingClassifier, noise: Noise, example: Example, size: int) -> float:
        """Samples a second at one batch size: the best of at least two batches, after one to warm up."""
        device = torch_device(self.device)
        times: list[float] = []
        loop = MonteCarlo(
            classifier,
            noise,
            Burst(size),
            0,
            size,
            device,
            threads=self.threads,
            confirming=False,
            may_halve=False,
        )
        while len(times) < _FEWEST_BATCHES or sum(times) < _MEASURED_SECONDS:
            _wait_for(device)
            start = time.perf_counter()
            list(loop.run([example]))
            _wait_for(device)
            times.append(time.perf_counter() - start)
        return size / min(times[1:])


def check_device(name: str) -> str:
    """`name` if it is that of a device, here or elsewhere; UsageError otherwise."""
    kind, _, number = name.partition(":")
    if not (kind == "cpu" and not number) and not (kind == "cuda" and (not number or number.isdigit())):
        raise UsageError(f"a device is 'cpu', 'cuda' or 'cuda:0', got {name!r}")
    return name


def torch_device(name: str) -> torch.device:
    """The device of that name, after checking that it is there.

    Raises:
        UsageError: an unknown or absent device.
    """
    kind, _, number = check_device(name).partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    available = torch.cuda.device_count()
    if int(number or 0) >= available:
        raise UsageError(
            f"device {name!r} is not on this machine: torch sees {available} CUDA devices; use --device cpu"
        )
    return torch.device("cuda", int(number or 0))


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
