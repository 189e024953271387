"""A fixed number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.errors import UsageError
from holdfast.estimators.answers import prediction
from holdfast.estimators.base import Estimator, check_samples
from holdfast.stats.binomial import check_alpha
from holdfast.stats.class_bounds import METHODS, check_method
from holdfast.types import ClassBounds, Counts


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
        """The samples up to n."""
        return self.n - counts.total

    def bounds(self, top: int, counts: Counts) -> ClassBounds:
        """Bounds from exactly n votes, by the method."""
        if counts.total != self.n:
            raise UsageError(f"the bound holds for exactly n = {self.n} estimation votes, got {counts.total}")
        return ClassBounds(top, *METHODS[self.method](top, counts.votes, self.alpha))

    def answer(self, top: int, counts: Counts) -> int | None:
        """Predict of Cohen et al. 2019, on the estimation votes."""
        return prediction(counts, self.alpha).label

    @property
    def most_draws(self) -> int:
        """n, for every input."""
        return self.n
