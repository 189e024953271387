"""A claimed adversarial is verified with fresh noise before it counts, by exact binomial bounds at a stated confidence.

The claim is about the deployed procedure (Predict with n votes at alpha; one draw of a random defence): that it fails
on the input, which is to answer another class or to abstain, more often than not. One lucky failure under the noise
that an attack has worked on says nothing. Whether another class is the most probable is tested on all votes together.
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
        confidence: that an example's adversarial is one, if it counts; shared among all claims about the example.

    Raises:
        UsageError: so few repeats that not even failures alone are enough.
    """

    repeats: int = 50
    confidence: float = 0.999

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            raise UsageError(f"the confidence of a check lies between 0 and 1 (0.999, say), got {self.confidence}")
        if type(self.repeats) is not int or self.repeats < 1:
            raise UsageError(f"a check has at least 1 repeat, got {self.repeats!r}")

    def alpha(self, claims: int) -> float:
        """The failure probability of one claim among so many about an example.

        Raises:
            UsageError: no result of a check could meet it.
        """
        share = (1.0 - self.confidence) / claims
        if not lower_bound(self.repeats, self.repeats, share) > 0.5:
            raise UsageError(
                f"{self.repeats} repeats cannot verify one of {claims} claims at confidence {self.confidence:g}, even "
                "if all of them fail; take more repeats, fewer restarts, or a lower confidence"
            )
        return share


@dataclass(frozen=True)
class Verdict:
    """What fresh noise says of a claim.

    Attributes:
        holds: the claim counts.
        answer: the class that is the smoothed classifier's at the check's confidence; None if no class is.
        repeats: independent answers; 1 where nothing is random.
        failures: of them that are what the adversary wants.
        silent: of them that are abstentions.
        votes: of all answers together; None where nothing is random.
    """

    holds: bool
    answer: int | None
    repeats: int
    failures: int
    silent: int
    votes: Counts | None

    def kind(self, label: int) -> str:
        """`misclassified` where another class than `label` is established or no answer abstained, otherwise `abstains`.

        The classifier that abstains more often than not may still have the label as its class, by too few votes.
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
    """Ask a classifier again about a claimed adversarial, with noise that no attack has seen.

    Args:
        target: the classifier.
        x: the claimed adversarial, `(*event)`.
        label: the class it should not have.
        target_class: the class it should have; None for any other, or none.
        check: how to verify.
        claims: that are made about the example at most.
        seed: of the fresh noise; of no other use, and of no other claim: verdicts under one seed share their noise
            (`attacks.randomness.derived` makes a seed for each).

    Returns:
        The verdict, and what it cost.
    """
    found = target.answers(x, check.repeats, seed)
    repeats = len(found.classes)
    failures = sum(answer != label if target_class is None else answer == target_class for answer in found.classes)
    silent = found.classes.count(ABSTAINS)
    if found.votes is None:
        (only,) = found.classes
        return Verdict(failures == 1, None if silent else only, 1, failures, silent, None), found.queries
    share = check.alpha(claims)
    holds = lower_bound(failures, repeats, share) > 0.5
    return Verdict(holds, prediction(found.votes, share).label, repeats, failures, silent, found.votes), found.queries
