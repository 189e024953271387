"""When to stop sampling and what may then be concluded: one object, since it is valid only as a pair."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from holdfast.errors import UsageError
from holdfast.noises.base import find_guarantee
from holdfast.stats.betting import truncated_capital
from holdfast.stats.binomial import check_alpha, lower_bound, top_two_p_value, upper_bound
from holdfast.stats.class_bounds import METHODS, check_method
from holdfast.stats.rounding import complement_upper, down
from holdfast.types import Certificate, ClassBounds, Counts, Norm, Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.noises.base import Noise, Shape

    Scale = Callable[[ClassBounds], float | None]


# No look below this many samples: nothing of interest is decided there.
_FIRST_LOOK = 30
# Share of alpha for the last look, where inputs end that no earlier look decided.
_LAST_SHARE = 0.8
# One-sided level at which an input is given up for a radius.
_GIVE_UP = 1e-3
# Room for rounding in the logarithm of a bet's capital.
_LOG_SLACK = 1e-9


class Estimator(ABC):
    """A stopping rule with the class bounds that are valid under it. Fixed in the manifest before the first sample."""

    name: ClassVar[str]
    alpha: float
    method: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _ESTIMATORS[cls.name] = cls

    @abstractmethod
    def draws_wanted(self, top: int, counts: Counts) -> int:
        """How many more samples to draw for the class `top`, given the estimation votes so far; 0 means stop."""

    @abstractmethod
    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Class bounds for `top`, jointly valid with probability at least 1 - alpha once sampling has stopped."""

    def best_bounds(self, num_classes: int) -> ClassBounds:
        """The best bounds that this estimator can give: every vote for one class."""
        return self.bounds(0, Counts((self.most_draws, *[0] * (num_classes - 1))))

    @property
    @abstractmethod
    def most_draws(self) -> int:
        """The largest number of estimation samples that one input can take."""

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, for the manifest; `estimator_from_dict` is the inverse."""
        stored = {item.name: getattr(self, item.name) for item in fields(cast("Any", self)) if item.name != "scale"}
        return {"name": self.name, **stored}


_ESTIMATORS: dict[str, type[Estimator]] = {}


def estimator_from_dict(description: Mapping[str, Any], scale: Scale) -> Estimator:
    """The estimator that `Estimator.to_dict` described.

    Args:
        description: name and parameters.
        scale: class bounds -> radius, by the theorem and for the noise and input shape of the run; estimators that
            stop once a radius is certified need it.

    Raises:
        UsageError: an unknown estimator, or a parameter that is missing (no default fills in a promise), unknown or
            out of range.
    """
    parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in description.items()}
    name = parameters.pop("name", None)
    if name not in _ESTIMATORS:
        raise UsageError(f"unknown estimator {name!r}; known are {', '.join(sorted(_ESTIMATORS))}")
    kind = _ESTIMATORS[name]
    promised = {item.name for item in fields(cast("Any", kind))} - {"scale"}
    if set(parameters) != promised:
        odd = ", ".join(sorted(set(parameters) ^ promised))
        raise UsageError(
            f"the estimator {name!r} is described by {', '.join(sorted(promised))}; missing or unknown: {odd}"
        )
    needs_scale = any(item.name == "scale" for item in fields(cast("Any", kind)))
    return kind(**parameters, **({"scale": scale} if needs_scale else {}))


def scale_of(noise: Noise, guarantee: str | None, shape: Shape) -> Scale:
    """Class bounds -> radius, for inputs of a shape under a noise, by one of its theorems."""
    theorem = find_guarantee(noise, guarantee)
    return lambda bounds: theorem.radius(noise, bounds, shape)


@dataclass(frozen=True)
class FixedSize(Estimator):
    """n samples, then bounds that are valid for exactly that many (Cohen et al. 2019, Certify).

    Args:
        n: estimation samples of each input, at least 1.
        alpha: failure probability of each certificate, in (0, 1).
        method: how the class bounds follow from the votes: "split" bounds every class, "cohen" the top class only, as
            the papers do (`holdfast.stats.class_bounds`).

    Raises:
        UsageError: an argument is out of range.
    """

    name: ClassVar[str] = "fixed"
    n: int
    alpha: float
    method: str = "split"

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        check_alpha(self.alpha)
        check_method(self.method)

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """What is missing to n."""
        return self.n - counts.total

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Bounds from exactly n votes, by the method."""
        if counts.total != self.n:
            raise UsageError(f"the bound holds for exactly n = {self.n} estimation votes, got {counts.total}")
        return ClassBounds(top, *METHODS[self.method](top, counts.votes, self.alpha))

    @property
    def most_draws(self) -> int:
        """Every input takes n."""
        return self.n


@dataclass(frozen=True)
class Looks(Estimator):
    """Looks at n_1 < ... < n_K = n in geometric steps, each with its share of alpha: stops as soon as all is decided.

    A radius is decided once it is certified, or once it is hopeless: when even the votes that an optimist expects at n
    (`outlook`) would not certify it. Giving up spends power, never validity. The last look has 0.8 alpha, the earlier
    ones share the rest; by a union bound every look's bounds hold together, so sampling may stop at any of them.

    Args:
        n: estimation samples of each input at most.
        alpha: failure probability of each certificate, in (0, 1).
        radii: the radii in question, each above 0, in the unit of the theorem's norm.
        ratio: between the sample sizes of successive looks, above 1.
        method: as for `FixedSize`.
        scale: class bounds -> radius.

    Raises:
        UsageError: an argument is out of range.
    """

    name: ClassVar[str] = "looks"
    n: int
    alpha: float
    radii: tuple[float, ...]
    ratio: float = 1.5
    method: str = "split"
    scale: Scale = field(compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        check_alpha(self.alpha)
        check_method(self.method)
        check_radii(self.radii)
        if not 1.0 < self.ratio <= 10.0:
            raise UsageError(f"the ratio of successive looks lies above 1 and up to 10, got {self.ratio}")

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The sample sizes, increasing; the last is n."""
        sizes = [self.n]
        while sizes[-1] / self.ratio >= _FIRST_LOOK:
            sizes.append(math.floor(sizes[-1] / self.ratio))
        return tuple(reversed(sizes))

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """What is missing to the next look; 0 once every radius is decided, or n is reached."""
        if counts.total == self.n or (counts.total in self.looks and self._decided(top, counts)):
            return 0
        return next((look for look in self.looks if look > counts.total), self.n) - counts.total

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Bounds of the look at which sampling stopped, at that look's share of alpha."""
        if counts.total not in self.looks:
            raise UsageError(f"the bounds hold at the looks {self.looks}, got {counts.total} estimation votes")
        share = _LAST_SHARE if counts.total == self.n else (1.0 - _LAST_SHARE) / max(1, len(self.looks) - 1)
        return ClassBounds(top, *METHODS[self.method](top, counts.votes, down(share * self.alpha)))

    @property
    def most_draws(self) -> int:
        """All looks taken."""
        return self.n

    def _decided(self, top: int, counts: Counts) -> bool:
        reached = self.scale(self.bounds(top, counts))
        open_radii = [radius for radius in self.radii if reached is None or reached < radius]
        if not open_radii:
            return True
        hoped = self.scale(self.bounds(top, outlook(top, counts, self.n)))
        return hoped is None or hoped < min(open_radii)


@dataclass(frozen=True)
class EProcess(Estimator):
    """A bet against "the radius is not certifiable", which may be watched after every sample.

    With p0 the largest probability of the top class that does not certify the radius, the bet is the one-sided
    truncated beta-binomial mixture: its capital is a supermartingale for every p <= p0, so it reaches 1/alpha with
    probability at most alpha (Ville), whenever one looks. It answers one question; for radii use `FixedSize`.

    Args:
        n: estimation samples of each input at most.
        alpha: failure probability of each certificate, in (0, 1).
        radius: the radius in question, above 0.
        scale: class bounds -> radius.

    Raises:
        UsageError: an argument is out of range, or no probability certifies the radius.
    """

    name: ClassVar[str] = "eprocess"
    method: ClassVar[str] = "cohen"  # type: ignore[misc]
    n: int
    alpha: float
    radius: float
    scale: Scale = field(compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_samples("n", self.n)
        check_alpha(self.alpha)
        check_radii((self.radius,))
        if not self.threshold < 1.0:
            raise UsageError(f"no probability below 1 certifies a radius of {self.radius}; ask for a smaller one")

    @cached_property
    def threshold(self) -> float:
        """The smallest float64 p for which p_lower = p, p_upper = 1 - p certify the radius."""
        low, high = 0.5, 1.0
        while math.nextafter(low, high) < high:
            middle = low + (high - low) / 2
            reached = self.scale(ClassBounds(0, middle, complement_upper(middle)))
            low, high = (low, middle) if reached is not None and reached >= self.radius else (middle, high)
        return high

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """A tenth more, until the bet is won, hopeless, or n is reached."""
        if counts.total == self.n or (counts.total and self._stopped(top, counts)):
            return 0
        return min(self.n - counts.total, max(_FIRST_LOOK, counts.total // 10))

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """p_lower is the threshold where the bet is won, 0 where it is not."""
        p_lower = self.threshold if self._won(top, counts) else 0.0
        return ClassBounds(top, p_lower, complement_upper(p_lower))

    @property
    def most_draws(self) -> int:
        """Watched to the end."""
        return self.n

    def _won(self, top: int, counts: Counts) -> bool:
        capital = truncated_capital(counts.votes[top], counts.total, self.threshold)
        return capital >= -math.log(self.alpha) + _LOG_SLACK

    def _stopped(self, top: int, counts: Counts) -> bool:
        return self._won(top, counts) or not self._won(top, outlook(top, counts, self.n))


def outlook(top: int, counts: Counts, n: int) -> Counts:
    """The votes that an optimist expects after n samples, given those so far.

    The top class goes on at the upper end of a one-sided interval at 0.001, and the strongest rival has no more than
    its lower end or its even share of the rest. An input that this would not certify is given up.
    """
    votes, total = counts.votes, counts.total
    strongest = max(count for label, count in enumerate(votes) if label != top)
    p_top, p_rival = upper_bound(votes[top], total, _GIVE_UP), lower_bound(strongest, total, _GIVE_UP)
    expected = min(n, votes[top] + math.ceil(p_top * (n - total)))
    rest, rivals = n - expected, len(votes) - 1
    largest = max(min(math.floor(p_rival * n), rest), math.ceil(rest / rivals))
    spread = [min(largest, max(0, rest - rival * largest)) for rival in range(rivals)]
    return Counts((*spread[:top], expected, *spread[top:]))


def certificate(
    noise: Noise,
    estimator: Estimator,
    shape: Shape,
    selection: Counts,
    estimation: Counts,
    guarantee: str | None = None,
) -> Certificate:
    """From the votes for one input to what they prove.

    The class is chosen by the selection votes alone; the bounds see the estimation votes alone, so the choice does
    not spend any of alpha.

    Args:
        noise: the noise under which the votes were cast.
        estimator: the estimator that decided how many estimation votes were cast.
        shape: of the input, without noise.
        selection: votes of the selection samples.
        estimation: votes of the estimation samples, from a separate stream.
        guarantee: name of the theorem; the noise's default if None.

    Source: Cohen et al. 2019, Certify and Proposition 2.
    """
    theorem = find_guarantee(noise, guarantee)
    bounds = estimator.bounds(selection.top, estimation)
    radius = theorem.radius(noise, bounds, shape)
    return Certificate(
        label=None if radius is None else bounds.top,
        radius=0.0 if radius is None else radius,
        norm=theorem.norm,
        alpha=estimator.alpha,
        selection=selection,
        estimation=estimation,
        bounds=bounds,
    )


def best_radius(
    noise: Noise, estimator: Estimator, shape: Shape, num_classes: int, guarantee: str | None = None
) -> tuple[float | None, Norm]:
    """The largest radius that this noise and estimator can certify, None if not even radius 0; and its norm."""
    theorem = find_guarantee(noise, guarantee)
    return theorem.radius(noise, estimator.best_bounds(num_classes), shape), theorem.norm


def fitting_alpha(noise: Noise, n: int, radius: float, shape: Shape) -> float | None:
    """The smallest alpha, rounded up to one significant digit, at which n samples can certify `radius`.

    For logs whose radii exceed what their documented alpha allows, by the papers' bound. None if no alpha below 1/2 is
    enough.
    """

    def enough(alpha: float) -> bool:
        best, _ = best_radius(noise, FixedSize(n, alpha, "cohen"), shape, num_classes=2)
        return best is not None and best >= radius

    candidates = (digit * 10.0**power for power in range(-30, 0) for digit in range(1, 10))
    rounded = (float(f"{candidate:.0e}") for candidate in candidates)
    return next((alpha for alpha in rounded if alpha < 0.5 and enough(alpha)), None)


def prediction(counts: Counts, alpha: float) -> Prediction:
    """The class with the most votes if it leads the runner-up significantly, else abstain.

    A label other than the smoothed classifier's is returned with probability at most alpha.

    Source: Cohen et al. 2019, Predict and Proposition 1.
    """
    check_alpha(alpha)
    first, second = counts.top_two()
    p_value = top_two_p_value(counts.votes[first], counts.votes[second])
    return Prediction(first if p_value <= alpha else None, alpha, p_value, counts)


def check_radii(radii: Sequence[float]) -> None:
    """Raise UsageError unless there are radii and all are finite and above 0."""
    if not radii or not all(0.0 < radius < math.inf for radius in radii):
        raise UsageError(f"the radii to decide are finite numbers above 0, got {', '.join(map(str, radii)) or 'none'}")


def check_samples(name: str, value: int, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of samples, at least `least`."""
    if type(value) is not int or value < least:
        raise UsageError(f"{name} is a whole number of samples, at least {least}, got {value!r}")
