"""When to stop sampling and what may then be concluded: one object, since it is valid only as a pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from holdfast.errors import UsageError
from holdfast.noises.base import find_guarantee
from holdfast.stats.binomial import check_alpha, top_two_p_value
from holdfast.stats.class_bounds import METHODS, check_method
from holdfast.types import Certificate, ClassBounds, Counts, Norm, Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.noises.base import Noise, Shape


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
        return {"name": self.name, **asdict(cast("Any", self))}


_ESTIMATORS: dict[str, type[Estimator]] = {}


def estimator_from_dict(description: Mapping[str, Any]) -> Estimator:
    """The estimator that `Estimator.to_dict` described."""
    parameters = dict(description)
    name = parameters.pop("name", None)
    if name not in _ESTIMATORS:
        raise UsageError(f"unknown estimator {name!r}; known are {', '.join(sorted(_ESTIMATORS))}")
    return _ESTIMATORS[name](**parameters)


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


def check_samples(name: str, value: int, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of samples, at least `least`."""
    if type(value) is not int or value < least:
        raise UsageError(f"{name} is a whole number of samples, at least {least}, got {value!r}")
