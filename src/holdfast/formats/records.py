"""Documents of one line each: records of runs and attacks, sessions, and lines of an exported log."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta

from holdfast.formats.fields import Count, Document, Free, Index, Label, NotNegative, Pairs, RecordDigest, Sha256, Votes


def _check_sign(**distances: float | None) -> None:
    """Raise ValueError for a negative zero, which is no distance and is written differently from 0."""
    for name, value in distances.items():
        if value is not None and math.copysign(1.0, value) < 0.0:
            raise ValueError(f"{name} is -0.0, expected 0.0")


class VoteLine(Document):
    """A record of a certified example."""

    index: Index
    label: Label
    selection: Votes
    estimation: Votes
    digest: RecordDigest
    pairs: Pairs | None = None


class ClaimLine(Document):
    """A record of an imported log."""

    index: Index
    label: Label
    predicted: Label | None
    radius: NotNegative
    seconds: NotNegative | None
    digest: RecordDigest

    def __post_init__(self) -> None:
        _check_sign(radius=self.radius, seconds=self.seconds)


class BoundLine(Document):
    """A record of a deterministic bound."""

    index: Index
    label: Label
    answer: Label | None
    radius: NotNegative
    digest: RecordDigest

    def __post_init__(self) -> None:
        _check_sign(radius=self.radius)


class ResultsFile(Document):
    """`results.json`: the digest of all records of a complete run."""

    manifest: Sha256
    records: Count
    results: Sha256


class Queries(Document):
    """How often a classifier was queried."""

    decisions: Count
    scores: Count
    gradients: Count
    samples: Count


class AttackLine(Document):
    """A record of an attacked example."""

    index: Index
    label: Label
    reference: Label | None
    radius: NotNegative | None
    budgets: Annotated[list[NotNegative | None], Meta(max_length=10_000)]
    magnitude: NotNegative | None
    kind: Literal["misclassified", "abstains"] | None
    answer: Label | None
    claims: Count
    refused: Count
    repeats: Count
    failures: Count
    votes: Votes | None
    restarts: Count
    queries: Queries
    adversarial: Sha256 | None
    digest: RecordDigest

    def __post_init__(self) -> None:
        if (self.kind is None) != (self.magnitude is None):
            raise ValueError(f"the kind is {self.kind!r} but the magnitude is {self.magnitude}; expected both or none")
        attacked = self.reference is not None
        if (self.adversarial is not None) != (attacked and self.kind is not None):
            raise ValueError("there is an adversarial but none was found, or one was found but is missing")
        if not attacked and (self.kind != "abstains" or self.magnitude != 0.0):
            raise ValueError("the unchanged input has no answer, but is not recorded as an abstention at 0")
        if self.adversarial is not None:
            self._check_claim()

    def _check_claim(self) -> None:
        """Raise ValueError unless budgets and failures allow the adversarial."""
        budgets = [math.inf if budget is None else budget for budget in self.budgets]
        if self.magnitude is None or not self.magnitude <= max(budgets, default=-1.0):
            raise ValueError(f"the magnitude {self.magnitude} exceeds all budgets that were tried")
        if self.failures > self.repeats or self.refused >= self.claims:
            raise ValueError(f"{self.failures} of {self.repeats} answers failed, and no claim held")
        if self.votes is None and (self.repeats != 1 or self.answer == self.reference):
            raise ValueError(f"the answer of {self.repeats} is class {self.answer}, as unchanged")


class SessionLine(Document):
    """The work of one process on a run."""

    examples: Count
    samples: Count
    seconds: NotNegative
    settings: Free


class LogLine(Document):
    """A line of a log exported as JSON lines. The votes are null if there are none."""

    idx: Index
    label: Label
    predict: Annotated[int, Meta(ge=-1, lt=100_000)]
    radius: NotNegative
    correct: Literal[0, 1]
    time: NotNegative | None = None
    selection: Votes | None = None
    estimation: Votes | None = None
