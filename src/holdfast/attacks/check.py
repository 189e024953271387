"""Verify a claimed adversarial with fresh noise, by exact binomial bounds at a stated confidence, before it counts.

The claim is that the deployed procedure (Predict with n votes at alpha; one draw of a random defence) fails on the
input more often than not: it answers another class or abstains. One lucky failure under the noise of the search says
nothing. Whether another class is the most probable one is tested on all votes together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.attacks.target import ABSTAINS
from holdfast.errors import UsageError
from holdfast.estimators import prediction
from holdfast.plain import Plain
from holdfast.stats.binomial import lower_bound

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.target import Queries, Target
    from holdfast.types import Counts


@dataclass(frozen=True)
class Check(Plain):
    """How claims are verified.

    Args:
        repeats: independent answers to each claimed adversarial.
        confidence: that an adversarial that counts is one; shared among all claims about an example.

    Raises:
        UsageError: a number is out of range.
    """

    repeats: int = 50
    confidence: float = 0.999

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            raise UsageError(f"confidence must lie between 0 and 1 (such as 0.999), got {self.confidence}")
        if type(self.repeats) is not int or self.repeats < 1:
            raise UsageError(f"a check needs at least 1 repeat, got {self.repeats!r}")

    def alpha(self, claims: int) -> float:
        """The failure probability of each of `claims` claims about an example.

        Raises:
            UsageError: there are too few repeats to verify any claim at it.
        """
        share = (1.0 - self.confidence) / claims
        if not lower_bound(self.repeats, self.repeats, share) > 0.5:
            raise UsageError(
                f"{self.repeats} repeats cannot verify one of {claims} claims at confidence {self.confidence:g}, even "
                "if the classifier fails in all of them; use more repeats, fewer restarts, or a lower confidence"
            )
        return share


@dataclass(frozen=True)
class Verdict:
    """The result of checking a claim with fresh noise.

    Attributes:
        holds: whether the claim counts.
        answer: the smoothed classifier's class, established at the check's confidence; None if none is.
        repeats: number of independent answers; 1 if nothing is random.
        failures: how many answers are successes of the adversary.
        silent: how many answers are abstentions.
        votes: of all answers together; None if nothing is random.
    """

    holds: bool
    answer: int | None
    repeats: int
    failures: int
    silent: int
    votes: Counts | None

    def kind(self, label: int) -> str:
        """`misclassified` if a class other than `label` is established or no answer abstained, otherwise `abstains`.

        A classifier that abstains more often than not may still have the label as its class, with too few votes.
        """
        established = self.answer not in (None, label)
        return "misclassified" if established or self.silent == 0 else "abstains"


def verify(
    target: Target,
    x: Tensor,
    label: int,
    target_class: int | None,
    check: Check,
    claims: int,
    seed: int,
) -> tuple[Verdict, Queries]:
    """Query a classifier again about a claimed adversarial, with noise that no attack has seen.

    Args:
        target: the classifier.
        x: the claimed adversarial, `(*event)`.
        label: the class that it should not get.
        target_class: the class that it should get; None for any other, or abstention.
        check: how to verify.
        claims: the largest number of claims about the example.
        seed: of the fresh noise. Use it for nothing else and for no other claim: verdicts with one seed share their
            noise (`attacks.randomness.derived` makes a seed for each).

    Returns:
        The verdict, and the queries that it took.
    """
    found = target.answers(x, check.repeats, seed)
    repeats = len(found.classes)
    harmless = {label} if target.abstention_counts else {label, ABSTAINS}
    failures = sum(
        answer not in harmless if target_class is None else answer == target_class for answer in found.classes
    )
    silent = found.classes.count(ABSTAINS)
    if found.votes is None:
        (only,) = found.classes
        return Verdict(failures == 1, None if silent else only, 1, failures, silent, None), found.queries
    share = check.alpha(claims)
    holds = lower_bound(failures, repeats, share) > 0.5
    return Verdict(holds, prediction(found.votes, share).label, repeats, failures, silent, found.votes), found.queries
