"""Cost of checking the base classifier: processor time of checks ("looks") and of the rows that they copy.

For each base classifier and number of samples: the share of the processor time of `SmoothedClassifier.certify` that
goes into checking the first batch, copying rows, and later checks, in a first call and in later ones; medians with
quartiles. All parts are timed in the same call, so that other programs on the machine slow them alike.

python benchmarks/probing.py [--smoke] [--rounds N] [--only NAME]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from common.program import machine, parsed, parser
from torch import Tensor

import holdfast as hf
from holdfast.models.architectures.base import build
from holdfast.sampling.steadiness import Steadiness

CLASSES = 10
PARTS = ("first", "saw", "look")


@dataclass(frozen=True)
class Case:
    """A base classifier with random weights, and how much it has to do: images, n0 and n for each call."""

    name: str
    function: Callable[[Tensor], Tensor]
    sigma: float
    shape: tuple[int, ...]
    calls: tuple[tuple[int, int, int], ...]


def cases() -> list[Case]:
    """Networks that return logits or votes, from a short call to a run."""
    torch.manual_seed(0)
    digits = build("digits-cnn", (1, 8, 8), CLASSES, {}).eval().requires_grad_(False)
    resnet = build("resnet20", (3, 32, 32), CLASSES, {}).eval().requires_grad_(False)
    short, run = (1, 100, 100), (40, 100, 10_000)
    return [
        Case("digits-cnn", digits, 0.25, (1, 8, 8), (short, (1, 100, 1000), (1, 100, 10_000), run)),
        Case(
            "digits-cnn votes", lambda z: digits(z).argmax(1), 0.25, (1, 8, 8), ((1, 100, 1000), (1, 100, 10_000), run)
        ),
        Case("resnet20", resnet, 0.5, (3, 32, 32), (short, (1, 100, 1000), (4, 100, 10_000))),
    ]


@contextmanager
def timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the processor time of the parts of `Steadiness`; of a part inside another one, only the outer one's."""
    originals: dict[str, Any] = {name: getattr(Steadiness, name) for name in PARTS}

    def counting(name: str) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return originals[name](*given, **named)
            finally:
                spent[name] += time.process_time() - start

        return counted

    for name in PARTS:
        setattr(Steadiness, name, counting(name))
    try:
        yield
    finally:
        for name, value in originals.items():
            setattr(Steadiness, name, value)


def shares(smoothed: hf.SmoothedClassifier, case: Case, images: int, n0: int, n: int) -> dict[str, float]:
    """Of one call, in percent; and its seconds."""
    x = np.random.default_rng(0).random((images, *case.shape), dtype=np.float32)
    spent = dict.fromkeys(PARTS, 0.0)
    start = time.process_time()
    with timed(spent):
        smoothed.certify(x, n0=n0, n=n, alpha=0.001)
    seconds = time.process_time() - start
    return {name: 100 * each / seconds for name, each in spent.items()} | {"seconds": seconds}


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:6.2f}% ({low:.2f} to {high:.2f})"


def main() -> None:
    """One line for each case and call, first and later."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--only")
    given = parsed(options)
    torch.set_num_threads(1)
    print(machine(), flush=True)
    print(f"{'base classifier':18}{'images':>7}{'n0':>5}{'n':>7}{'':>7}  {'all':24} first, copies, looks; seconds")
    for case in cases():
        if given.only not in (None, case.name):
            continue
        for images, n0, n in case.calls[: 1 if given.smoke else None]:
            # Long ones say enough in a few.
            rounds = 3 if given.smoke else given.rounds if images * n < 10_000 else max(3, given.rounds // 3)
            found: dict[str, list[dict[str, float]]] = {"first": [], "later": []}
            for _ in range(rounds):
                smoothed = hf.SmoothedClassifier(case.function, hf.Gaussian(case.sigma), CLASSES)
                for which in found:
                    found[which].append(shares(smoothed, case, images, n0, n))
            for which, each in found.items():
                parts = ", ".join(f"{statistics.median(one[name] for one in each):.2f}%" for name in PARTS)
                whole = spread([sum(one[name] for name in PARTS) for one in each])
                seconds = statistics.median(one["seconds"] for one in each)
                print(f"{case.name:18}{images:7}{n0:5}{n:7}{which:>7}  {whole:24} {parts}; {seconds:.2f}", flush=True)


if __name__ == "__main__":
    main()
