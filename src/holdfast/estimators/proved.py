"""A deterministic bound without samples, as a manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.base import Estimator
from holdfast.spelling import with_fractions
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from holdfast.types import Counts

# The largest radius stated, in input units, far beyond all data: sums with it stay finite.
MOST_RADIUS = 1e9
# Value of a bound's parameter `inputs`: only changed inputs in the range of the data set.
IN_RANGE = "in-range"


@dataclass(frozen=True)
class Proved(Estimator):
    """No samples, no votes, alpha = 0: each record holds what a deterministic bound proved.

    Args:
        bound: its name and parameters.
        norm: of its radii.
        source: of its theorem.
        assumption: what the theorem assumes.
        most: the largest radius that it can certify; None if that depends on the input.

    Raises:
        UsageError: an unknown norm.
    """

    name: ClassVar[str] = "proved"
    exhaustive: ClassVar[bool] = True
    alpha: ClassVar[float] = 0.0  # type: ignore[misc]
    method: ClassVar[str] = "deterministic"  # type: ignore[misc]
    bound: dict[str, Any]
    norm: str
    source: str
    assumption: str
    most: float | None

    def __post_init__(self) -> None:
        if self.norm not in {norm.value for norm in Norm}:
            raise UsageError(f"norm is one of {', '.join(norm.value for norm in Norm)}, got {self.norm!r}")

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """No samples."""
        return 0

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Certainty: the classifier's answer has probability 1."""
        return ClassBounds(top, 1.0, 0.0)

    def answer(self, top: int, counts: Counts) -> int | None:
        """The classifier's own answer."""
        return top

    @property
    def most_draws(self) -> int:
        """No samples."""
        return 0

    @property
    def in_range(self) -> bool:
        """Whether its radii are only about changed inputs in the range of the data set."""
        return self.bound.get("inputs") == IN_RANGE

    @property
    def spelling(self) -> str:
        """The bound as on the command line."""
        given = ",".join(f"{key}={value}" for key, value in self.bound.items() if key != "name" and value is not None)
        return with_fractions(f"{self.bound['name']}:{given}") if given else str(self.bound["name"])
