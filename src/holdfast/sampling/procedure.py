"""What is drawn for one input, from which stream, and when it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.estimators import check_samples
from holdfast.sampling.rng import Stream
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.estimators import Estimator

Votes = dict[Stream, Counts]


class Procedure(ABC):
    """The order of streams and the number of draws from each."""

    @abstractmethod
    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """The stream to draw from next and how many samples, given all votes so far; None when done."""

    @property
    @abstractmethod
    def most_draws(self) -> int:
        """The largest number of samples that one input can take."""


@dataclass(frozen=True)
class Certify(Procedure):
    """n0 selection samples choose a class, then the estimator's samples from a separate stream are about it."""

    n0: int
    estimator: Estimator

    def __post_init__(self) -> None:
        check_samples("n0", self.n0)

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """Selection first; then whatever the estimator asks for."""
        if Stream.SELECTION not in votes:
            return Stream.SELECTION, self.n0
        selection = votes[Stream.SELECTION]
        estimation = votes.get(Stream.ESTIMATION, Counts((0,) * len(selection.votes)))
        wanted = self.estimator.draws_wanted(selection.top, estimation)
        return (Stream.ESTIMATION, wanted) if wanted > 0 else None

    @property
    def most_draws(self) -> int:
        """Selection and estimation together."""
        return self.n0 + self.estimator.most_draws


@dataclass(frozen=True)
class Predict(Procedure):
    """n samples from one stream."""

    n: int

    def __post_init__(self) -> None:
        check_samples("n", self.n)

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """All n at once."""
        return None if Stream.PREDICTION in votes else (Stream.PREDICTION, self.n)

    @property
    def most_draws(self) -> int:
        """Every input takes n."""
        return self.n
