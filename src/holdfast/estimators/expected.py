"""How many samples an estimator is expected to take, by simulation from class probabilities that are assumed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from holdfast.errors import UsageError
from holdfast.plain import Plain, is_count, is_real
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.estimators.base import Estimator, Scale

# Probabilities that stand for a distribution: its quantiles at (i + 1/2)/100.
_QUANTILES = 100


@dataclass(frozen=True, eq=False)
class Assumed:
    """What is assumed of the class probabilities of the inputs, each kind as frequent as any other.

    Attributes:
        kinds: class probabilities `(kinds, repeats, classes)`: for each kind of input those of the simulated inputs.
        drawn: whether the kinds are a sample of the inputs, whose choice is then part of the error.
    """

    kinds: NDArray[np.float64]
    drawn: bool

    @property
    def simulated(self) -> int:
        """Number of inputs to simulate."""
        return len(self.kinds) * int(self.kinds.shape[1])

    @classmethod
    def of_top(cls, probabilities: Sequence[float], classes: int, simulated: int) -> Assumed:
        """Inputs whose top class has these probabilities; one rival has all the rest, which is the hardest case.

        Args:
            probabilities: of the top class, each in [0, 1].
            classes: number of classes, at least 2.
            simulated: inputs to simulate, about; each kind twice at least.

        Raises:
            UsageError: no probabilities, or one out of range.
        """
        if not probabilities or not all(is_real(p) and 0.0 <= p <= 1.0 for p in probabilities):
            raise UsageError(f"probabilities of the top class are numbers from 0 to 1, got {list(probabilities)!r}")
        shares = np.zeros((len(probabilities), classes))
        shares[:, 0] = probabilities
        shares[:, 1] = 1.0 - shares[:, 0]
        return cls(np.repeat(shares[:, None], max(2, math.ceil(simulated / len(shares))), axis=1), drawn=False)

    @classmethod
    def of_votes(cls, votes: Sequence[Counts], simulated: int, seed: int) -> Assumed:
        """Inputs like those of a pilot: class probabilities from the Dirichlet distribution that its votes suggest.

        With c classes each count has 1/c added, a prior that weighs one vote.

        Args:
            votes: of each input of the pilot, two inputs at least.
            simulated: inputs to simulate, about; each of the pilot once at least.
            seed: of the probabilities.

        Raises:
            UsageError: fewer than two inputs.
        """
        if len(votes) < 2:
            raise UsageError(f"a pilot has two examples at least, got {len(votes)}: an error needs several")
        repeats = max(1, math.ceil(simulated / len(votes)))
        prior, rng = 1.0 / len(votes[0].votes), np.random.default_rng(seed)
        return cls(np.stack([rng.dirichlet(np.add(each.votes, prior), repeats) for each in votes]), drawn=True)


def beta_quantiles(a: float, b: float) -> tuple[float, ...]:
    """A hundred quantiles that stand for the distribution Beta(a, b).

    Raises:
        UsageError: a parameter is not positive.
    """
    if not all(is_real(each) and each > 0.0 for each in (a, b)):
        raise UsageError(f"the parameters of a beta distribution are positive numbers, got {a!r} and {b!r}")
    return tuple(float(betaincinv(a, b, (number + 0.5) / _QUANTILES)) for number in range(_QUANTILES))


@dataclass(frozen=True)
class Expected(Plain):
    """What an estimator is expected to take and to find.

    Attributes:
        samples: estimation samples of an input, on average.
        error: one standard error of this: of the simulation, and of the choice of inputs where they are a sample.
        certified: share of inputs certified at each of the radii in question.
        mean_radius: average certified radius, 0 for an abstention.
        seconds: processor time of the rule and its bounds for an input, as measured here.
    """

    samples: float
    error: float
    certified: tuple[float, ...]
    mean_radius: float
    seconds: float = field(compare=False)


def expected(
    estimator: Estimator, n0: int, radii: Sequence[float], scale: Scale, assumed: Assumed, seed: int
) -> Expected:
    """Simulate the votes of inputs, selection first, as the estimator asks for them.

    Args:
        estimator: decides when sampling stops.
        n0: selection samples.
        radii: in question; may be empty.
        scale: from class bounds to a radius.
        assumed: class probabilities of the inputs.
        seed: of the votes.

    Raises:
        UsageError: n0 is no whole number from 1 on.
    """
    if not is_count(n0):
        raise UsageError(f"n0 is a whole number of samples, at least 1, got {n0!r}")
    rng, start = np.random.default_rng(seed), time.process_time()
    results = np.array(
        [[_simulated(estimator, n0, scale, shares, rng) for shares in repeats] for repeats in assumed.kinds]
    )
    seconds = (time.process_time() - start) / assumed.simulated
    taken, reached = results[..., 0], results[..., 1]
    by_kind = taken.mean(axis=1)
    kinds, repeats = taken.shape
    variance = by_kind.var(ddof=1) if assumed.drawn else (taken.var(axis=1, ddof=1) / repeats).mean()
    return Expected(
        samples=float(by_kind.mean()),
        error=float(math.sqrt(variance / kinds)),
        certified=tuple(float((reached >= radius).mean()) for radius in radii),
        mean_radius=float(np.maximum(reached, 0.0).mean()),
        seconds=seconds,
    )


def _simulated(
    estimator: Estimator, n0: int, scale: Scale, shares: NDArray[np.float64], rng: np.random.Generator
) -> tuple[int, float]:
    """Estimation samples of one input, and its certified radius; -1 for an abstention."""
    selection, votes = Counts.of(rng.multinomial(n0, shares)), np.zeros(len(shares), dtype=np.int64)
    rule, top = estimator.informed(selection), selection.top
    while (draws := rule.draws_wanted(top, Counts.of(votes))) > 0:
        votes += rng.multinomial(draws, shares)
    reached = scale(rule.bounds(top, Counts.of(votes)))
    return int(votes.sum()), -1.0 if reached is None else reached
