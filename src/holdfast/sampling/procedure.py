"""What to draw for one input, from which stream, and when it is complete."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.estimators import check_samples
from holdfast.limits import MOST_RANKED
from holdfast.plain import Plain
from holdfast.sampling.rng import Stream
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.estimators import AnswerRule, Estimator

Votes = dict[Stream, Counts]


class Procedure(Plain, ABC):
    """The order of the streams and the number of draws from each."""

    @abstractmethod
    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """The next stream and its number of samples, given all votes so far; None when the input is complete."""

    @property
    def exhaustive(self) -> bool:
        """Whether each realization of the noise is taken once, in order, instead of at random."""
        return False

    @property
    def ranked(self) -> bool:
        """Whether the base classifier ranks all classes, so that counts are `RankedCounts`."""
        return False

    def seconds_left(self) -> float | None:
        """How long sampling may go on; None for as long as it takes."""
        return None


@dataclass(frozen=True)
class Certify(Procedure):
    """n0 selection samples choose a class; the estimator's samples come from a separate stream.

    If the estimator takes each realization of the noise once, nothing is selected and n0 is 0.
    """

    n0: int
    estimator: Estimator

    def __post_init__(self) -> None:
        if not self.exhaustive:
            check_samples("n0", self.n0)
        elif self.n0:
            raise UsageError(f"there is no selection where all realizations are taken: n0 is 0, got {self.n0}")

    @property
    def exhaustive(self) -> bool:
        """Whether the estimator is exhaustive."""
        return self.estimator.exhaustive

    @property
    def ranked(self) -> bool:
        """Whether the estimator needs rankings."""
        return self.estimator.ranked

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """Selection first, then the estimator's samples."""
        if self.n0 and Stream.SELECTION not in votes:
            return Stream.SELECTION, self.n0
        selection, estimation = certify_votes(votes)
        estimator = self.estimator.informed(selection)
        draws = estimator.draws_wanted(estimator.chosen(selection, estimation), estimation)
        return (Stream.ESTIMATION, draws) if draws > 0 else None


@dataclass(frozen=True)
class Predict(Procedure):
    """Samples from one stream until the rule has its answer or abstains."""

    rule: AnswerRule

    @property
    def exhaustive(self) -> bool:
        """Whether the rule is exhaustive."""
        return self.rule.exhaustive

    @property
    def ranked(self) -> bool:
        """Whether the rule needs rankings."""
        return self.rule.ranked

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """The rule's samples."""
        draws = self.rule.draws_wanted(votes.get(Stream.PREDICTION, Counts((0, 0))))
        return (Stream.PREDICTION, draws) if draws > 0 else None


@dataclass(frozen=True)
class Until(Procedure):
    """Another procedure, up to a moment: votes that came after an input's last look are then thrown away.

    Attributes:
        whole: what is drawn if there is time.
        end: the moment, by `time.monotonic()` of this process.
    """

    whole: Procedure
    end: float

    @property
    def exhaustive(self) -> bool:
        """As the whole."""
        return self.whole.exhaustive

    @property
    def ranked(self) -> bool:
        """As the whole."""
        return self.whole.ranked

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """As the whole: the loop looks at the clock."""
        return self.whole.next_draws(votes)

    def seconds_left(self) -> float:
        """Until the moment; 0 or less once it has passed."""
        return self.end - time.monotonic()

    def cut(self, votes: Mapping[Stream, Counts]) -> bool:
        """Whether these votes of an input are not all that the whole asks for."""
        return self.whole.next_draws(votes) is not None


@dataclass(frozen=True)
class Burst(Procedure):
    """n samples at once, to measure speed."""

    n: int

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """All samples at once."""
        return None if Stream.PREDICTION in votes else (Stream.PREDICTION, self.n)


@dataclass(frozen=True)
class Pilot(Procedure):
    """n samples from a stream that no certificate draws from: votes to plan by, never used again."""

    n: int

    def __post_init__(self) -> None:
        check_samples("the pilot", self.n)

    def next_draws(self, votes: Mapping[Stream, Counts]) -> tuple[Stream, int] | None:
        """All samples at once."""
        return None if Stream.PILOT in votes else (Stream.PILOT, self.n)


def check_ranked(classes: int) -> None:
    """Raise UsageError if a record would hold too many pairs of so many classes."""
    if classes > MOST_RANKED:
        raise UsageError(
            f"a run-off records a number for every two classes, for {MOST_RANKED} classes at most; got {classes}. Take "
            "decision=majority"
        )


def certify_votes(votes: Mapping[Stream, Counts]) -> tuple[Counts, Counts]:
    """Selection and estimation votes; zeros for a stream without draws."""
    classes = max((len(counts.votes) for counts in votes.values()), default=2)
    none = Counts((0,) * classes)
    return votes.get(Stream.SELECTION, none), votes.get(Stream.ESTIMATION, none)
