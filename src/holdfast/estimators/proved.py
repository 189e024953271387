"""Where nothing is sampled: a deterministic bound, as a manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.base import Estimator
from holdfast.spelling import with_fractions
from holdfast.types import ClassBounds, Norm

if TYPE_CHECKING:
    from holdfast.types import Counts

# In input units: a larger radius is taken for this one, far beyond all data, with which sums stay finite.
MOST_RADIUS = 1e9
# As a bound's parameter `inputs` has it: changed inputs in the range of the data set alone.
IN_RANGE = "in-range"


@dataclass(frozen=True)
class Proved(Estimator):
    """No samples, no votes, alpha = 0: each record holds what a deterministic bound proved.

    Args:
        bound: its name and parameters.
        norm: in which its radii are measured.
        source: of its theorem.
        assumption: what it takes for granted.
        most: the largest radius that it can certify; None where that depends on the input.

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
        """None."""
        return 0

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """The classifier's answer is certain."""
        return ClassBounds(top, 1.0, 0.0)

    def answer(self, top: int, counts: Counts) -> int | None:
        """The classifier's own."""
        return top

    @property
    def most_draws(self) -> int:
        """None."""
        return 0

    @property
    def in_range(self) -> bool:
        """Whether its radii are about changed inputs in the range of the data set alone."""
        return self.bound.get("inputs") == IN_RANGE

    @property
    def spelling(self) -> str:
        """The bound as on the command line."""
        given = ",".join(f"{key}={value}" for key, value in self.bound.items() if key != "name" and value is not None)
        return with_fractions(f"{self.bound['name']}:{given}") if given else str(self.bound["name"])
