"""A claimed adversarial is verified with fresh noise before it counts, by exact binomial bounds at a stated confidence.

The claim is about the deployed procedure, Predict with n votes at alpha: that it fails on the input, which is to
answer another class or to abstain, more often than not. One lucky failure under the noise that an attack has worked on
says nothing. Whether the smoothed classifier itself has another class is tested on all votes together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.attacks.target import ABSTAINS, Queries
from holdfast.errors import UsageError
from holdfast.estimators import prediction
from holdfast.sampling.procedure import Predict
from holdfast.sampling.rng import Stream
from holdfast.stats.binomial import lower_bound
from holdfast.types import Counts, Example

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.attacks.target import Target


@dataclass(frozen=True)
class Check:
    """How claims are verified.

    Args:
        repeats: independent runs of Predict for each claim.
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
        repeats: runs of Predict; 1 where nothing is random.
        failures: of them in which it did as the adversary wants.
        votes: of all runs together; None where nothing is random.
    """

    holds: bool
    answer: int | None
    repeats: int
    failures: int
    votes: Counts | None

    def kind(self, label: int) -> str:
        """`misclassified` where another class than `label` is established, otherwise `abstains`.

        The classifier that abstains more often than not may still have the label as its class, by too few votes.
        """
        return "abstains" if self.answer in (None, label) else "misclassified"


def verify(
    target: Target,
    x: Tensor,
    label: int,
    wanted: int | None,
    check: Check,
    claims: int,
    seed: int,
) -> tuple[Verdict, Queries]:
    """Ask a classifier again about a claimed adversarial, with noise that no attack has seen.

    Args:
        target: the classifier.
        x: the claimed adversarial, `(*event)`.
        label: the class it should not have.
        wanted: the class it should have; None for any other, or none.
        check: how to verify.
        claims: that are made about the example at most.
        seed: of the fresh noise; of no other use.

    Returns:
        The verdict, and what it cost.
    """
    if not isinstance(target, SmoothedTarget) or target.exhaustive:
        fresh = target.renewed(seed)
        answer = int(fresh.decide(x.unsqueeze(0))[0])
        holds = _fails(answer, label, wanted)
        return Verdict(holds, None if answer == ABSTAINS else answer, 1, int(holds), None), fresh.queries
    share = check.alpha(claims)
    rule = target.predict_rule
    # An index each: independent noise.
    row = np.ascontiguousarray(x.detach().cpu().numpy())
    examples = [Example(number, row, 0) for number in range(check.repeats)]
    loop = target.engine.loop(target.classifier, target.noise, Predict(rule), seed, examples[0])
    pooled = np.zeros(target.num_classes, dtype=np.int64)
    failures = 0
    for _, votes in loop.run(examples):
        counts = votes[Stream.PREDICTION]
        pooled += counts.votes
        found = rule.prediction(counts).label
        failures += _fails(ABSTAINS if found is None else found, label, wanted)
    total = Counts.of(pooled)
    queries = Queries(decisions=check.repeats, samples=total.total)
    holds = lower_bound(failures, check.repeats, share) > 0.5
    return Verdict(holds, prediction(total, share).label, check.repeats, failures, total), queries


def own_answer(target: Target, x: Tensor, seed: int) -> tuple[int | None, Queries]:
    """What a classifier answers for an input `(*event)`, by the deployed procedure with noise of its own; None for no
    answer. And what it cost."""
    if not isinstance(target, SmoothedTarget) or target.exhaustive:
        fresh = target.renewed(seed)
        answer = int(fresh.decide(x.unsqueeze(0))[0])
        return (None if answer == ABSTAINS else answer), fresh.queries
    example = Example(0, np.ascontiguousarray(x.detach().cpu().numpy()), 0)
    loop = target.engine.loop(target.classifier, target.noise, Predict(target.predict_rule), seed, example)
    ((_, votes),) = loop.run([example])
    counts = votes[Stream.PREDICTION]
    return target.predict_rule.prediction(counts).label, Queries(decisions=1, samples=counts.total)


def _fails(answer: int, label: int, wanted: int | None) -> bool:
    return answer != label if wanted is None else answer == wanted
