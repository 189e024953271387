"""How much of a base classifier's work is computed twice, to check that it is a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How many rows are computed more than once.

    Attributes:
        first: rows of the first batch computed alone.
        alone: rows computed alone at a look.
        mixed: rows of the batches since the last look computed together at a look, at least.
        sampled: rows held from each of a few batches.
        share: of all rows, those to remember; and of the rows since the last look, how many remembered rows and how
            many rows since then to compute at a look.
        last: of the rows since the last look, those computed together at a look that may be the last.
        jumps: remembered rows that may change.
        now_and_then: share of rows for which an honest classifier may answer otherwise in the same batch.
        elsewhere: the same, alone or in another batch.
    """

    first: int
    alone: int
    mixed: int
    sampled: int
    share: float
    last: float
    jumps: int
    now_and_then: float
    elsewhere: float


# Each row's logits say much. Answers in steps (votes, one-hot logits) say little; a classifier has such answers if most
# of its first ones are repetitions. Votes in half precision change at near ties in another batch.
OF_LOGITS = Plan(3, 1, 16, 16, 0.0025, 0.01, 0, 0.001, 0.005)
OF_STEPS = Plan(40, 8, 32, 64, 0.05, 0.05, 1, 0.005, 0.02)
