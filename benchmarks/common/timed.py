"""A backend and a noise that measure their time, and a quick test for networks that are far too slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holdfast.models.backends import Backend
    from holdfast.noises.base import Noise
    from holdfast.noises.draws import Draws

# A backend that takes more than this many times the plain loop's time is useless and not measured further.
HOPELESS = 10.0
# Parts of the engine's time; near ties are forward passes of inputs computed alone, finding them is counting.
STAGES = ("noise", "forward", "count", "near ties")
# Seconds; anything longer is not a hiccup of a busy machine.
_PATIENCE = 1.0


def wait_for(device: str | torch.device) -> None:
    """Wait until a GPU has done all that it was told; a processor has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


class TimedBackend:
    """A backend that adds up the time of batches and of inputs that were computed alone, and counts the latter.

    On a GPU it waits before and after each call: times are right, and nothing overlaps that would have.
    """

    def __init__(self, backend: Backend, device: str | torch.device = "cpu") -> None:
        self.backend, self.device = backend, device
        self.near_tie = backend.near_tie
        self.clear()

    def clear(self) -> None:
        """Reset times and counts."""
        self.seconds, self.alone_seconds, self.alone_rows = 0.0, 0.0, 0

    def __call__(self, noisy: Tensor) -> Tensor:
        wait_for(self.device)
        start = time.perf_counter()
        logits = self.backend(noisy)
        wait_for(self.device)
        self.seconds += time.perf_counter() - start
        return logits

    def alone(self, noisy: Tensor) -> Tensor:
        wait_for(self.device)
        start = time.perf_counter()
        logits = self.backend.alone(noisy)
        wait_for(self.device)
        self.alone_seconds += time.perf_counter() - start
        self.alone_rows += len(noisy)
        return logits


class TimedNoise:
    """Wraps a noise, and adds up the time that it takes to make noisy inputs; waits as `TimedBackend` does."""

    def __init__(self, noise: Noise, device: str | torch.device = "cpu") -> None:
        self._noise, self.device = noise, device
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._noise, name)

    def draw(self, x: Tensor, draws: Draws) -> Tensor:
        return cast("Tensor", self._timed(self._noise.draw, x, draws))

    def apply(self, x: Tensor, randomness: Tensor) -> Tensor:
        return cast("Tensor", self._timed(self._noise.apply, x, randomness))

    def sample_into(self, noisy: Tensor, x: Tensor, draws: Draws) -> None:
        self._timed(self._noise.sample_into, noisy, x, draws)

    def _timed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        wait_for(self.device)
        start = time.perf_counter()
        found = function(*arguments)
        wait_for(self.device)
        self.seconds += time.perf_counter() - start
        return found


def stage_seconds(
    network: TimedBackend, noise: TimedNoise, run: Callable[[], object]
) -> tuple[dict[str, float], float]:
    """Seconds of each of `STAGES`, and in all, of a run of the engine with this network and noise.

    Raises:
        RuntimeError: the run made noise or called the network in a way that they do not time.
    """
    network.clear()
    noise.seconds = 0.0
    start = time.perf_counter()
    run()
    total = time.perf_counter() - start
    times = {"noise": noise.seconds, "forward": network.seconds, "near ties": network.alone_seconds}
    if not (times["noise"] and times["forward"]):
        raise RuntimeError("the engine made noise or called the network by a way that is not timed here: see Timed*")
    return {**times, "count": total - sum(times.values())}, total


def found_slow(network: Callable[[Tensor], Any], noisy: Tensor, speed: float) -> float | None:
    """Inputs a second of a network that is more than ten times slower than `speed`; None for any other.

    A few inputs decide if the batch would take long: the additional time of each input then counts for all.

    Args:
        network: from noisy inputs to logits.
        noisy: a batch, `(batch, *noisy event)`, of at least 4.
        speed: inputs a second of the plain loop.
    """
    # The first call chooses kernels.
    network(noisy[:1])
    one, four = (_least_seconds(network, noisy[:size]) for size in (1, 4))
    each = (four - one) / 3
    if each * speed <= HOPELESS:
        return None
    if each * len(noisy) > _PATIENCE:
        return 1.0 / each
    found = len(noisy) / _least_seconds(network, noisy)
    return found if found * HOPELESS < speed else None


def _least_seconds(network: Callable[[Tensor], Any], noisy: Tensor) -> float:
    """The best of three calls, or of fewer if they take long."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < _PATIENCE:
        start = time.perf_counter()
        network(noisy)
        times.append(time.perf_counter() - start)
    return min(times)
