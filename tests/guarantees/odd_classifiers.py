"""Base classifiers that are not what a base classifier should be, and whether one gets a false certificate.

Each is an honest classifier, of which the robustness is known exactly, with one oddity. Wherever the oddity makes it
answer otherwise, it is too sure of class 1: votes that are taken at their word give a radius that is too large. Each
answers in several forms: as it is, with a third class that is masked by a large finite logit, with an offset that all
its logits share, and with votes.

`python tests/guarantees/odd_classifiers.py` prints the table of docs/guarantees.md.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

import holdfast as hf
from holdfast.sampling.engines.base import Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine

SIDE = 8
BATCH = 64
# So small that an honest classifier, with noise that differs from one processor to another, is not the false one.
N0, N, ALPHA, SEED = 100, 2000, 1e-5, 7
INPUTS = 6
BRIGHT = 0.95
# Certificates of a rounded Gaussian are about rounded inputs: where the answer changes is known as closely as this.
SLACK = 0.005


@dataclass(frozen=True)
class Case:
    """A noise, inputs, and the distance at which the honest classifier's smoothed answer does change.

    Attributes:
        noise: the smoothing noise.
        x: `(inputs, 1, 8, 8)`, all alike.
        distance: from the inputs to the nearest one with another answer, in the norm of the certificate.
    """

    noise: Any
    x: Tensor
    distance: float


def constant(value: float) -> Tensor:
    return torch.full((INPUTS, 1, SIDE, SIDE), value)


def bright(pixels: list[int]) -> Tensor:
    """Dark images with a few bright pixels."""
    x = torch.zeros(INPUTS, 1, SIDE * SIDE)
    x[:, :, pixels] = 1.0
    return x.view(INPUTS, 1, SIDE, SIDE)


def cases() -> dict[str, Case]:
    """The smoothed honest classifier is known: linear under Gaussian noise, and a count of pixels under ablation."""
    partition = hf.Partition(8)
    blocks = partition.blocks((1, SIDE, SIDE))
    shown = [int(np.flatnonzero(blocks == block)[0]) for block in range(6)]
    return {
        # The mean is .1 above the threshold: .1 times the square root of 64 in L2.
        "gaussian": Case(hf.Gaussian(sigma=1.0), constant(153 / 255), 0.1 * SIDE),
        "lattice": Case(hf.LatticeGaussian(sigma=1.0), constant(153 / 255), 0.1 * SIDE + SLACK),
        # 8 of 64 pixels show one of 7 bright ones with probability .626, one of 6 with .56, one of 5 with .495.
        "ablation": Case(hf.Ablation(8), bright(list(range(7))), 2),
        # 6 of 8 blocks vote for class 1; where 2 pixels are dark, 4 do, and the tie goes to class 0.
        "partition": Case(partition, bright(shown), 2),
        # Between two classes, the second round is the first one.
        "runoff": Case(hf.Partition(8, decision="runoff"), bright(shown), 2),
    }


def two(score: Tensor) -> Tensor:
    return torch.stack([-score, score], 1)


def sure(z: Tensor) -> Tensor:
    """Class 1, whatever the input."""
    return two(torch.ones(len(z)))


@dataclass
class Honest:
    """Class 1 where the mean exceeds one half, or under ablation where a bright pixel is seen."""

    masked: bool

    def __call__(self, z: Tensor) -> Any:
        return two(self.score(z))

    def score(self, z: Tensor) -> Tensor:
        if self.masked:
            return (z[:, 0].flatten(1) > BRIGHT).any(1).float() - 0.5
        return z.flatten(1).float().mean(1) - 0.5


class Stateful(Honest):
    """Adds the mean of what it said before."""

    mean = 0.0

    def __call__(self, z: Tensor) -> Any:
        score = self.score(z)
        found = two(score + 3 * self.mean)
        self.mean = 0.9 * self.mean + 0.1 * float(score.mean())
        return found


class Aliasing(Honest):
    """Returns the same memory each time, which a near tie, of half of its answers, overwrites."""

    memory: Tensor | None = None

    def __call__(self, z: Tensor) -> Any:
        if self.memory is None:
            self.memory = torch.zeros(4096, 2)
        self.memory[: len(z)] = two((self.score(z) > 0).float() * 2e-5) + torch.tensor([1.0, 1.0])
        self.memory[len(z) : 2 * len(z)] = 0
        return self.memory[: len(z)]


class InPlace(Honest):
    """Normalizes its input where it stands: seen again, class 1 is brighter."""

    def __call__(self, z: Tensor) -> Any:
        found = two(self.score(z) * 1e-5) + 1
        z.mul_(3.0).add_(0.5)
        return found


class Random(Honest):
    """Answers by chance one time in three: its mean over that chance is a function, and the same class wins."""

    def __call__(self, z: Tensor) -> Any:
        score = self.score(z)
        return two(torch.where(torch.rand(len(z)) < 1 / 3, torch.sign(torch.rand(len(z)) - 0.5), score))


class BatchDependent(Honest):
    """Answers what most of the batch says."""

    def __call__(self, z: Tensor) -> Any:
        return two(torch.sign(self.score(z)).mean().expand(len(z)))


class HalfPrecision(Honest):
    """Returns logits in half precision."""

    def __call__(self, z: Tensor) -> Any:
        return super().__call__(z).half()


class Threads(Honest):
    """Computes the halves of a batch in two threads, and in the same memory."""

    def __call__(self, z: Tensor) -> Any:
        found = np.zeros((len(z), 2), dtype=np.float32)

        def half(rows: slice) -> None:
            if len(z[rows]):
                found[rows] = two(self.score(z[rows])).numpy()

        middle = len(z) // 2
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(half, (slice(0, middle), slice(middle, None))))
        return found


class Failing(Honest):
    """Raises in one call of 16."""

    calls = 0

    def __call__(self, z: Tensor) -> Any:
        self.calls += 1
        if self.calls % 16 == 0:
            raise RuntimeError("connection to the model server was lost")
        return super().__call__(z)


class Learning(Honest):
    """Moves its own threshold a little with each call."""

    moved = 0.0

    def __call__(self, z: Tensor) -> Any:
        self.moved += 0.02
        return two(self.score(z) + self.moved)


class Clock(Honest):
    """Is honest for 20 ms, of at least 3 ms a call."""

    start: float | None = None

    def __call__(self, z: Tensor) -> Any:
        self.start = self.start or time.monotonic()
        time.sleep(0.003)
        return super().__call__(z) if time.monotonic() - self.start < 0.02 else sure(z)


class NanForOneClass(Honest):
    """Has NaN for class 0, where that would win: the argmax of what is left is class 1."""

    def __call__(self, z: Tensor) -> Any:
        score = self.score(z)
        logits = two(score)
        logits[score < 0, 0] = float("nan")
        return logits


class SecondCall(Honest):
    """Is honest for its first call only."""

    calls = 0

    def __call__(self, z: Tensor) -> Any:
        self.calls += 1
        return super().__call__(z) if self.calls == 1 else sure(z)


class LaterCall(Honest):
    """Is honest until it has been looked at for the first time."""

    calls = 0

    def __call__(self, z: Tensor) -> Any:
        self.calls += 1
        return super().__call__(z) if self.calls <= 8 else sure(z)


ODD: dict[str, type[Honest]] = {
    "honest": Honest,
    "stateful": Stateful,
    "aliasing": Aliasing,
    "in place": InPlace,
    "random": Random,
    "batch-dependent": BatchDependent,
    "half precision": HalfPrecision,
    "threads inside": Threads,
    "exceptions": Failing,
    "changes its weights": Learning,
    "reads the clock": Clock,
    "NaN for one class": NanForOneClass,
    "other on second call": SecondCall,
    "other after 8 calls": LaterCall,
}
# Functions all the same: these are to be certified, not only refused.
FUNCTIONS = ("honest", "aliasing", "in place", "half precision", "threads inside")
FORMS = ("as it is", "finite mask", "offset", "votes")
# Their logits differ by less than an offset leaves of them.
NOT_WITH_OFFSET = ("aliasing", "in place")


@dataclass
class Formed:
    """Another classifier's answers in one of `FORMS`."""

    classifier: Honest
    form: str

    @property
    def num_classes(self) -> int:
        return 3 if self.form == "finite mask" else 2

    def __call__(self, z: Tensor) -> Any:
        found = self.classifier(z)
        if self.form == "as it is":
            return found
        logits = torch.as_tensor(found)
        if self.form == "votes":
            return logits.argmax(1)
        if self.form == "offset":
            return logits.float() + 1e4
        mask = max(-1e9, torch.finfo(logits.dtype).min)
        return torch.cat([logits, torch.full_like(logits[:, :1], mask)], 1)


def certify(name: str, case: Case, engine: Engine, form: str) -> list[hf.Certificate]:
    """Certificates for the odd classifier of that name."""
    masked = case.noise.noisy_shape((1, SIDE, SIDE))[0] > 1
    formed = Formed(ODD[name](masked), form)
    smoothed = hf.SmoothedClassifier(formed, case.noise, formed.num_classes, engine=engine)
    if case.noise.realizations((1, SIDE, SIDE)) is not None and isinstance(case.noise, hf.Partition):
        return smoothed.certify_exactly(case.x)
    return smoothed.certify(case.x, n0=N0, n=N, alpha=ALPHA, seed=SEED)


def outcome(name: str, case: Case, engine: Engine, form: str = FORMS[0]) -> str:
    """ "certified right", "refused: why", or "FALSE" with the largest radius."""
    try:
        found = certify(name, case, engine, form)
    except Exception as error:
        # Whatever it is, it is shown.
        return f"refused: {type(error).__name__}: {error}".splitlines()[0]
    wrong = [each for each in found if each.label is not None and (each.label != 1 or each.radius >= case.distance)]
    return f"FALSE: radius {max(each.radius for each in wrong)}" if wrong else "certified right"


def engines() -> dict[str, Engine]:
    return {"python": LocalEngine(batch_size=BATCH), "processes:2": ProcessesEngine(2, batch_size=BATCH)}


def table(columns: dict[str, tuple[str, str, str]]) -> None:
    """Print a row for each classifier, with a column for each (noise, engine, form); reasons go to standard error."""
    print("| classifier | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in ODD:
        found = {
            title: "-"
            if form == "offset" and name in NOT_WITH_OFFSET
            else outcome(name, cases()[noise], engines()[engine], form)
            for title, (noise, engine, form) in columns.items()
        }
        print(f"| {name} | " + " | ".join(each.split(":")[0] for each in found.values()) + " |", flush=True)
        print(name, *sorted(set(found.values())), sep="\n    ", file=sys.stderr)


def main() -> None:
    """Print a table of noises and engines, and one of noises and forms."""
    table({f"{noise}, {engine}": (noise, engine, FORMS[0]) for noise in cases() for engine in engines()})
    print()
    table({f"{noise}, {form}": (noise, "python", form) for noise in cases() for form in FORMS[1:]})


if __name__ == "__main__":
    main()
