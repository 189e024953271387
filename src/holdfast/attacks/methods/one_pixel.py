"""A few pixels changed by differential evolution. Source: Su, Vargas & Sakurai 2019, "One Pixel Attack for Fooling Deep
Neural Networks"."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from holdfast.attacks.base import Attack, check_whole
from holdfast.attacks.target import Access
from holdfast.errors import UsageError
from holdfast.noises.base import pixel_count
from holdfast.noises.masking import channel_count
from holdfast.types import Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.attacks.base import Problem

# Most pixels to search for at once; more need another kind of attack.
_MOST_PIXELS = 20


@dataclass(frozen=True)
class OnePixel(Attack):
    """Evolve positions and values of as many pixels as the budget allows, using only scores.

    Args:
        population: candidates per generation, for each pixel in the budget.
        generations: most generations.
    """

    name: ClassVar[str] = "one-pixel"
    needs = Access.SCORES
    norms = (Norm.L0,)
    minimizes = False
    source = "Su et al. 2019; scipy.optimize"
    library = "scipy"
    population: int = 40
    generations: int = 75

    def __post_init__(self) -> None:
        check_whole("population", self.population)
        check_whole("generations", self.generations)

    def check_budget(self, budget: float) -> None:
        """Also raise UsageError if the budget has too many pixels."""
        super().check_budget(budget)
        if budget > _MOST_PIXELS:
            raise UsageError(
                f"one-pixel searches for up to {_MOST_PIXELS} pixels, got a budget of {budget:g}; use cw-l0 or "
                "pointwise"
            )

    def search(self, problem: Problem) -> Tensor:
        """Evolve until the margin is above 0 and the decision confirms it."""
        count, target = int(problem.budget), problem.target
        pixels, channels = pixel_count(target.shape), channel_count(target.shape)
        one = [(0.0, math.nextafter(float(pixels), 0.0)), *[(target.low, target.high)] * channels]

        def losses(genes: NDArray[np.float64]) -> NDArray[np.float64]:
            candidates = _images(problem.x, genes.T.reshape(-1, count, 1 + channels))
            return -problem.margin(target.scores(candidates)).double().cpu().numpy()

        def stop(intermediate_result: Any) -> bool:
            if intermediate_result.fun >= 0.0:
                return False
            best = _images(problem.x, intermediate_result.x.reshape(1, count, 1 + channels))
            return bool(problem.succeeds(best)[0])

        found = _evolution()(
            losses,
            one * count,
            popsize=max(1, round(self.population / (1 + channels))),
            maxiter=self.generations,
            tol=0.0,
            polish=False,
            vectorized=True,
            updating="deferred",
            callback=stop,
            **_generator(problem.seed),
        )
        return _images(problem.x, found.x.reshape(1, count, 1 + channels))


def _images(x: Tensor, genes: NDArray[np.float64]) -> Tensor:
    """Images `(batch, *event)` from genes `(batch, pixels, 1 + channels)`: a position, and a value per channel."""
    batch, count, width = genes.shape
    flat = x.reshape(1, width - 1, -1).repeat(batch, 1, 1)
    places = torch.from_numpy(genes[:, :, 0].astype(np.int64)).to(x.device).clamp(0, flat.shape[2] - 1)
    values = torch.from_numpy(genes[:, :, 1:]).to(x).transpose(1, 2)
    flat.scatter_(2, places.unsqueeze(1).expand(batch, width - 1, count), values)
    return flat.view(batch, *x.shape[1:])


def _evolution() -> Any:
    """scipy's function, untyped since its stubs do not know how `vectorized` changes the objective."""
    from scipy.optimize import differential_evolution

    return differential_evolution


def _generator(seed: int) -> dict[str, Any]:
    """The generator as a keyword argument, under the name that this version of scipy expects."""
    name = "rng" if "rng" in inspect.signature(_evolution()).parameters else "seed"
    return {name: np.random.default_rng(seed)}
