"""Base classifiers that break while they are asked, and whether one gets a false certificate.

Each is an honest classifier, of which the distance to another answer is known exactly, that is too sure of class 1 from
some moment on, for some rows, or in some batches; after as many calls as pass for honest. `share` of the rows, chosen
by their content, is answered wrongly where it is broken. `odd_classifiers.py` has others, which are odd from the start.

`python tests/guarantees/broken_classifiers.py [SEEDS]` prints the table of docs/guarantees.md.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import holdfast as hf
from holdfast.errors import ClassifierError
from holdfast.sampling.engines.local import LocalEngine

SIDE = 8
BATCH = 64
N0, N, ALPHA = 100, 2010, 1e-5
INPUTS = 6
# Calls for which a classifier is honest that breaks later: as many as the first probes take, and some batches.
EASY = 12
FORMS = ("logits", "votes", "one-hot")


@dataclass(frozen=True)
class Case:
    """A noise, inputs that are all alike, and a score that is positive for class 1.

    Attributes:
        noise: the smoothing noise.
        x: `(inputs, 1, 8, 8)`.
        score: from noisy inputs to scores.
        distance: from the inputs to the nearest one with another smoothed answer, in the norm of the certificate.
    """

    noise: Any
    x: Tensor
    score: Callable[[Tensor], Tensor]
    distance: float


def mean(z: Tensor) -> Tensor:
    return z.flatten(1).mean(1) - 0.5


def pixel(z: Tensor) -> Tensor:
    return z.flatten(1)[:, 0] - 0.5


def most_of_three(z: Tensor) -> Tensor:
    return (z.flatten(1)[:, :3] > 0.5).float().sum(1) - 1.5


def bright_seen(z: Tensor) -> Tensor:
    return (z[:, 0].flatten(1) > 0.95).any(1).float() - 0.5


def constant(value: float) -> Tensor:
    return torch.full((INPUTS, 1, SIDE, SIDE), value)


def cases() -> dict[str, Case]:
    """The smoothed honest classifier is known for each noise."""
    seven = torch.zeros(INPUTS, 1, SIDE * SIDE)
    seven[:, :, :7] = 1.0
    return {
        # The mean is .1 above the threshold: .1 times the square root of 64 in L2.
        "gaussian": Case(hf.Gaussian(sigma=1.0), constant(0.6), mean, 0.1 * SIDE),
        # One pixel decides, and its noise is symmetric.
        "laplace": Case(hf.Laplace(b=1.0), constant(0.9), pixel, 0.4),
        "uniform": Case(hf.Uniform(half_width=1.0), constant(0.8), pixel, 0.3),
        # 8 of 64 pixels show one of 7 bright ones with probability .626, one of 6 with .56, one of 5 with .495.
        "ablation": Case(hf.Ablation(8), seven.view(INPUTS, 1, SIDE, SIDE), bright_seen, 2),
        # Three bright pixels, of which two must become dark.
        "uniform-flip": Case(hf.UniformFlip(kappa=0.8, levels=2), constant(1.0), most_of_three, 2),
    }


def content(z: Tensor) -> Tensor:
    """A number in [0, 1) for each row, `(num,)`: a function of all of its values."""
    flat = z.flatten(1).double()
    weights = torch.sqrt(torch.arange(2.0, flat.shape[1] + 2.0, dtype=torch.float64))
    return (((flat * 1e4).round() * weights).sum(1)).frac().abs()


class Broken:
    """Honest for `EASY` calls, and then wherever `odd` says so too sure of class 1, for a share of the inputs.

    Args:
        score: of the honest classifier.
        share: of the inputs that it answers wrongly.
    """

    def __init__(self, score: Callable[[Tensor], Tensor], share: float) -> None:
        self.honest = score
        self.share = share
        self.calls = 0

    def __call__(self, z: Tensor) -> Tensor:
        """Scores, positive for class 1."""
        self.calls += 1
        return self.answer(z)

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        odd = self.odd(z) if self.calls > EASY else torch.zeros(len(z), dtype=torch.bool)
        return torch.where(odd & (content(z) < self.share), 1.0, score)

    def odd(self, z: Tensor) -> Tensor:
        """Which rows are answered wrongly in this call, as far as they are of the share."""
        return torch.ones(len(z), dtype=torch.bool)


class Honest(Broken):
    """A function."""

    def answer(self, z: Tensor) -> Tensor:
        return self.honest(z)


class ChanceByContent(Broken):
    """1% of the inputs are answered wrongly, always the same ones: a function."""

    def answer(self, z: Tensor) -> Tensor:
        return torch.where(content(z) < 0.01, 1.0, self.honest(z))


class RoundsBySize(Broken):
    """Another kernel for each size of batch, as compilation has: honest but for rounding."""

    def answer(self, z: Tensor) -> Tensor:
        return self.honest(z) * (1 + 1e-6 * (len(z) % 7))


class FirstCallOnly(Broken):
    """Honest for the first call only."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.ones(len(z), dtype=torch.bool)

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return score if self.calls == 1 else torch.where(content(z) < self.share, 1.0, score)


class EasyCallsOnly(Broken):
    """Honest for the first calls, in which it is looked at."""


class SeenRowsOnly(Broken):
    """Honest for rows that it has seen before."""

    def __init__(self, score: Callable[[Tensor], Tensor], share: float) -> None:
        super().__init__(score, share)
        self.seen: set[float] = set()

    def odd(self, z: Tensor) -> Tensor:
        keys = content(z).tolist()
        odd = torch.tensor([key not in self.seen for key in keys])
        self.seen.update(keys)
        return odd


class SmallBatchesOnly(Broken):
    """Honest for batches of up to 32, which a service takes for probes."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), len(z) > 32)


class UsualSizeWrong(Broken):
    """Wrong for whole batches alone: one compiled graph of several."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), len(z) == BATCH)


class ByTheBatch(Broken):
    """Answers what most of the batch says, once the first batches have passed."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        most = (score > 0).float().mean() * 2 - 1
        return score if self.calls <= EASY else torch.where(content(z) < self.share, most.expand(len(z)), score)


class RowZeroRight(Broken):
    """Right for the first row of a batch only."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.arange(len(z)) > 0


class UpperRowsWrong(Broken):
    """Wrong for the last rows of large batches: a grid of threads that ends too early."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.arange(len(z)) >= 40


class LastRowsWrong(Broken):
    """Wrong for the last two rows of whole batches. (Too few to make a certificate false.)"""

    def odd(self, z: Tensor) -> Tensor:
        return torch.arange(len(z)) >= 62


class Rolled(Broken):
    """Gives each row the answer of its neighbour."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return score if self.calls <= EASY else score.roll(1)


class Sorted(Broken):
    """Gives the answers in the order of their size."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return score if self.calls <= EASY else score.sort(descending=True).values


class Cached(Broken):
    """Keeps answers under a key that does not say all."""

    most = 10**9

    def __init__(self, score: Callable[[Tensor], Tensor], share: float) -> None:
        super().__init__(score, share)
        self.kept: OrderedDict[Hashable, Tensor] = OrderedDict()

    def key(self, z: Tensor) -> Hashable:
        raise NotImplementedError

    def answer(self, z: Tensor) -> Tensor:
        score, key = self.honest(z), self.key(z)
        if self.calls <= EASY:
            return score
        # The answers that are kept are those of rows that are class 1 by chance.
        stale = self.kept.setdefault(key, torch.where(content(z) < self.share, 1.0, score))
        while len(self.kept) > self.most:
            self.kept.popitem(last=False)
        return stale.clone()


class CachedByShape(Cached):
    """By the shape of the batch."""

    def key(self, z: Tensor) -> Hashable:
        return tuple(z.shape)


class CachedByAddress(Cached):
    """By the address of the batch in memory, and its size."""

    def key(self, z: Tensor) -> Hashable:
        return z.data_ptr(), len(z)


class CachedById(Cached):
    """By the identity of the tensor, which another one has later; the 8 last ones."""

    most = 8

    def key(self, z: Tensor) -> Hashable:
        return id(z), len(z)


class CachedByMean(Cached):
    """By the mean of the batch, rounded; the 64 last ones."""

    most = 64

    def key(self, z: Tensor) -> Hashable:
        return round(float(z.mean()), 2), len(z)


class CachedByFirstRow(Cached):
    """By the size and the first row, which tells batches apart."""

    def key(self, z: Tensor) -> Hashable:
        return len(z), float(content(z[:1])[0])


class RowsCachedByAPart(Broken):
    """By a few pixels of a row, rounded: who comes first decides for all that are like it, for ever."""

    def __init__(self, score: Callable[[Tensor], Tensor], share: float) -> None:
        super().__init__(score, share)
        self.kept: dict[tuple[float, ...], float] = {}

    def answer(self, z: Tensor) -> Tensor:
        parts = (z.flatten(1)[:, 40:43] * 4).round().tolist()
        own = torch.where(content(z) < min(self.share, 0.5), 1.0, self.honest(z)).tolist()
        found = [self.kept.setdefault(tuple(part), score) for part, score in zip(parts, own, strict=True)]
        return torch.tensor(found)


class FirstRowsOnly(Broken):
    """Honest for the rows of its first batch, and never for others: what it is, it is for ever."""

    first: set[float] | None = None

    def answer(self, z: Tensor) -> Tensor:
        keys, score = content(z), self.honest(z)
        self.first = self.first or set(keys.tolist())
        odd = torch.tensor([key not in self.first for key in keys.tolist()])
        return torch.where(odd & (keys < self.share), 1.0, score)


class PreviousForPartial(Broken):
    """A pool of memory: a batch that is not whole gets answers of the batch before it."""

    before = torch.ones(BATCH)

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        partial = 16 < len(z) < len(self.before) and self.calls > EASY
        found = self.before[: len(z)] if partial else score
        self.before = torch.where(content(z) < self.share, 1.0, score)
        return found.clone()


class ChancePerCall(Broken):
    """Answers wrongly by chance, each time anew."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return score if self.calls <= EASY else torch.where(torch.rand(len(z)) < self.share, 1.0, score)


class OnePercentPerCall(Broken):
    """One answer in a hundred is the other class, by chance, each time anew."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return torch.where(torch.rand(len(z)) < 0.01, -score.sign(), score)


class DropoutLater(Broken):
    """Dropout on the features before the last layer, whose bias is class 1."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        kept = nn.functional.dropout(score, self.share, training=self.calls > EASY)
        return torch.where(kept == 0, 1.0, score)


class Race(Broken):
    """Another thread writes into a part of the answers, now and then."""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        start = int(torch.randint(0, len(z), ()))
        if self.calls > EASY and len(z) > 1:
            score[start : start + int(2 * self.share * len(z))] = 1.0
        return score


class TrainingLater(Broken):
    """A call of .train() that nobody took back: batch normalization by the statistics of the batch."""

    def __init__(self, score: Callable[[Tensor], Tensor], share: float) -> None:
        super().__init__(score, share)
        self.norm = nn.BatchNorm1d(1, eps=0.0, momentum=None).eval()
        with torch.no_grad():
            for values, value in ((self.norm.running_mean, 1.0), (self.norm.running_var, 1e-4)):
                assert values is not None
                values.fill_(value)
            self.norm.weight.fill_(0.01)
            self.norm.bias.fill_(1.0)

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        self.norm.train(self.calls > EASY and len(z) > 1)
        return torch.where(content(z) < self.share, self.norm(score.unsqueeze(1)).squeeze(1).detach(), score)


class StatisticsMove(Broken):
    """Running statistics that are still updated."""

    moved = 0.0

    def answer(self, z: Tensor) -> Tensor:
        self.moved = 0.99 * self.moved + 0.01 * (self.calls > EASY)
        return torch.where(content(z) < self.share, self.honest(z) + self.moved, self.honest(z))


class Counter(Broken):
    """Every other call is wrong."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), self.calls % 2 == 0)


class Clock(Broken):
    """Wrong after 40 ms."""

    start: float | None = None

    def odd(self, z: Tensor) -> Tensor:
        self.start = self.start or time.monotonic()
        return torch.full((len(z),), time.monotonic() - self.start > 0.04)


class WeightsChange(Broken):
    """Weights are written anew every 50 calls."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), self.calls // 50 % 2 == 1)


class Autocast(Broken):
    """Computes in bfloat16 from some call on. (It rounds otherwise, and hardly votes otherwise.)"""

    def answer(self, z: Tensor) -> Tensor:
        score = self.honest(z)
        return score if self.calls <= EASY else score.bfloat16().float()


class PerThread(Broken):
    """Every eighth call comes from a thread whose copy of the weights is old, and so do all after 100."""

    def odd(self, z: Tensor) -> Tensor:
        return torch.full((len(z),), self.calls % 8 == 0 or self.calls > 100)


FUNCTIONS: dict[str, type[Broken]] = {
    "honest": Honest,
    "1% by content": ChanceByContent,
    "rounds by size": RoundsBySize,
}
BROKEN: dict[str, type[Broken]] = {
    "first call only": FirstCallOnly,
    "easy calls only": EasyCallsOnly,
    "seen rows only": SeenRowsOnly,
    "small batches only": SmallBatchesOnly,
    "whole batches wrong": UsualSizeWrong,
    "by the batch": ByTheBatch,
    "row 0 right": RowZeroRight,
    "upper rows wrong": UpperRowsWrong,
    "rolled by a row": Rolled,
    "sorted": Sorted,
    "cache by shape": CachedByShape,
    "cache by address": CachedByAddress,
    "cache by identity": CachedById,
    "cache by mean": CachedByMean,
    "previous for partial": PreviousForPartial,
    "chance per call": ChancePerCall,
    "dropout later": DropoutLater,
    "race": Race,
    "training later": TrainingLater,
    "statistics move": StatisticsMove,
    "every other call": Counter,
    "clock": Clock,
    "weights change": WeightsChange,
    "per thread": PerThread,
    "cache by first row": CachedByFirstRow,
    "rows cached by a part": RowsCachedByAPart,
    "first rows only": FirstRowsOnly,
}
# Of these the change is too small to make a certificate false.
LIMITS: dict[str, type[Broken]] = {
    "1% per call": OnePercentPerCall,
    "autocast": Autocast,
    "last rows wrong": LastRowsWrong,
}


def formed(scores: Callable[[Tensor], Tensor], form: str) -> Callable[[Tensor], Tensor]:
    """The classifier of these scores, as logits, votes or one-hot logits."""

    def classifier(z: Tensor) -> Tensor:
        score = scores(z)
        logits = torch.stack([-score, score], 1)
        if form == "logits":
            return logits
        votes = logits.argmax(1)
        return votes if form == "votes" else nn.functional.one_hot(votes, 2).float()

    return classifier


def outcome(kind: type[Broken], case: Case, form: str, share: float, seed: int, n: int = N) -> str:
    """ "right", "refused: why", or "FALSE"."""
    smoothed = hf.SmoothedClassifier(
        formed(kind(case.score, share), form), case.noise, 2, engine=LocalEngine(batch_size=BATCH)
    )
    try:
        found = smoothed.certify(case.x, n0=N0, n=n, alpha=ALPHA, seed=seed)
    except ClassifierError as error:
        return f"refused: {error}"
    wrong = [each for each in found if each.label is not None and (each.label != 1 or each.radius >= case.distance)]
    return "FALSE" if wrong else "right"


def main() -> None:
    """For each kind, form and share: of all noises and seeds how many were refused, and how many got a false one."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    shares = (1.0, 0.5, 0.3)
    torch.set_num_threads(1)
    print(f"refused / false of {seeds * len(cases())}\n")
    print("| classifier |" + "".join(f" {form}, {share:.0%} |" for form in FORMS for share in shares))
    print("|---|" + "---|" * len(FORMS) * len(shares))
    for name, kind in {**FUNCTIONS, **BROKEN, **LIMITS}.items():
        cells = []
        for form in FORMS:
            for share in shares:
                found = [outcome(kind, case, form, share, seed) for case in cases().values() for seed in range(seeds)]
                refused = sum(each.startswith("refused") for each in found)
                cells.append(f"{refused} / {found.count('FALSE')}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
