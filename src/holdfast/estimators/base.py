"""The interface of estimators, and their descriptions in manifests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, cast

from holdfast.errors import UsageError
from holdfast.limits import MOST_SAMPLES
from holdfast.noises.base import find_guarantee
from holdfast.plain import Plain, is_real, plain
from holdfast.registry import Registry
from holdfast.types import ClassBounds, Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

    from holdfast.noises.base import Noise, Shape

# From class bounds to a radius, or None (abstain).
Scale = Callable[[ClassBounds], float | None]
# Fields that follow from other entries of a run: the theorem, and an input's own votes.
_GIVEN = {"scale", "selection"}


class Estimator(Plain, ABC):
    """A stopping rule with the class bounds that are valid under it. Fixed in the manifest before the first sample."""

    name: ClassVar[str]
    # Whether each realization of the noise is taken once instead of random draws.
    exhaustive: ClassVar[bool] = False
    # Whether the answer depends on how the base classifier ranks all classes: counts are then `RankedCounts`.
    ranked: ClassVar[bool] = False
    alpha: float
    method: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _ESTIMATORS.add(cls.name, cls, cls.__module__)

    @abstractmethod
    def draws_wanted(self, top: int, counts: Counts) -> int:
        """The number of further samples to draw for the class `top`, given the estimation votes; 0 means stop."""

    def passes(self, total: int) -> bool:
        """Whether sampling can reach exactly `total` votes at some point."""
        return 0 <= total <= self.most_draws

    def chosen(self, selection: Counts, estimation: Counts) -> int:
        """The class that the bounds are about: the top class of the selection votes."""
        return selection.top

    def informed(self, selection: Counts) -> Self:
        """The same estimator for an input with these selection votes, for estimators whose bets depend on them."""
        return self

    @abstractmethod
    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Class bounds for `top`, jointly valid with probability at least 1 - alpha once sampling has stopped."""

    @abstractmethod
    def answer(self, top: int, counts: Counts) -> int | None:
        """The smoothed classifier's class for the unchanged input by the estimation votes, or None (abstain).

        Wrong with probability at most alpha, once sampling for the class `top` has stopped.
        """

    def best_bounds(self, num_classes: int) -> ClassBounds:
        """The best bounds that this estimator can give: those for a unanimous vote."""
        return self.bounds(0, Counts((self.most_draws, *[0] * (num_classes - 1))))

    @property
    @abstractmethod
    def most_draws(self) -> int:
        """The largest number of estimation samples of one input."""

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, for the manifest; `estimator_from_dict` is the inverse."""
        stored = {item.name: getattr(self, item.name) for item in fields(cast("Any", self)) if item.name not in _GIVEN}
        return {"name": self.name, **stored}


# Closed to plug-ins: a stopping rule is valid only with its bounds, and verification knows each of them.
_ESTIMATORS: Registry[type[Estimator]] = Registry("estimator", "holdfast.estimators")


def estimator_from_dict(description: Mapping[str, Any], scale: Scale) -> Estimator:
    """The estimator described by `Estimator.to_dict`.

    Args:
        description: name and parameters.
        scale: from class bounds to a radius, by the theorem and for the noise and input shape of the run; needed by
            estimators that stop once a radius is certified.

    Raises:
        UsageError: an unknown estimator, or a parameter that is missing (descriptions have no defaults), unknown or out
            of range.
    """
    parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in description.items()}
    name = parameters.pop("name", None)
    kind = _ESTIMATORS.find(name)
    expected = {item.name for item in fields(cast("Any", kind))} - _GIVEN
    if set(parameters) != expected:
        mismatched = ", ".join(sorted(set(parameters) ^ expected))
        raise UsageError(
            f"the estimator {name!r} is described by {', '.join(sorted(expected))}; missing or unknown: {mismatched}"
        )
    needs_scale = any(item.name == "scale" for item in fields(cast("Any", kind)))
    return kind(**parameters, **({"scale": scale} if needs_scale else {}))


def scale_of(noise: Noise, guarantee: str | None, shape: Shape) -> Scale:
    """From class bounds to a radius, for inputs of a shape under a noise, by one of its theorems."""
    return _TheoremScale(noise, find_guarantee(noise, guarantee).name, shape)


@dataclass(frozen=True)
class _TheoremScale:
    """A theorem for one noise and one shape of inputs; not a closure, so that it can be pickled."""

    noise: Noise
    theorem: str
    shape: Shape

    def __call__(self, bounds: ClassBounds) -> float | None:
        return find_guarantee(self.noise, self.theorem).radius(self.noise, bounds, self.shape)


def check_radii(radii: Sequence[float]) -> None:
    """Raise UsageError unless `radii` is a non-empty tuple or list of finite numbers from 0 on."""
    several = isinstance(radii, tuple | list)
    if not (several and radii and all(is_real(plain(radius)) and radius >= 0.0 for radius in radii)):
        found = (", ".join(map(repr, radii)) or "none") if several else repr(radii)
        raise UsageError(f"the radii to decide are finite numbers from 0 on, in a list; got {found}")


def radii_of(given: Any) -> tuple[float, ...]:
    """One radius, or several in a sequence or an array, as a tuple; `check_radii` checks the values.

    Raises:
        UsageError: neither a number nor a sequence.
    """
    # `tolist` is for arrays and tensors.
    listed = plain(given.tolist() if hasattr(given, "tolist") else given)
    if listed is None:
        return ()
    if type(listed) in (int, float):
        return (listed,)
    if isinstance(listed, str | bytes | dict) or not isinstance(listed, Iterable):
        raise UsageError(f"until_radius is a radius or several, as in [0.25, 0.5]; got {given!r}")
    return tuple(plain(radius) for radius in listed)


def check_samples(name: str, value: int, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of samples, at least `least` and at most `MOST_SAMPLES`."""
    if type(plain(value)) is not int or value < least:
        raise UsageError(f"{name} is a whole number of samples, at least {least}, got {value!r}")
    if value > MOST_SAMPLES:
        raise UsageError(f"{name} is {MOST_SAMPLES:,} samples at most, got {value:.3e}; nobody draws as many")
