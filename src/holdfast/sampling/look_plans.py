"""How much of a base classifier's work is computed a second time, to see whether it is a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How many rows are asked more than once.

    Attributes:
        first: of the first batch that are computed alone.
        alone: that are computed alone at a look.
        mixed: of the batches since the last look, that are asked together at a look; at least.
        sampled: of each of a few batches that are at hand for it.
        share: of all rows, that are remembered; and of the rows since the last look, that are asked again of those
            remembered, and of those since.
        last: of the rows since the last look, that are asked together at one that may be the last.
        jumps: how many of those remembered may change.
        now_and_then: the share of rows that an honest classifier may answer otherwise, asked again as before.
        elsewhere: the same, asked alone or in another batch.
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
# of its first ones are repetitions. Of votes in half precision, near ties are answered otherwise elsewhere.
OF_LOGITS = Plan(3, 1, 16, 16, 0.0025, 0.01, 0, 0.001, 0.005)
OF_STEPS = Plan(40, 8, 32, 64, 0.05, 0.05, 1, 0.005, 0.02)
