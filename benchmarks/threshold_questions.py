"""Number of samples for the question "is the certified radius at least r?", and whether the answers change.

Simulated from the p_A of a published certification log (recovered from its radii; inputs that were not certified are
given p_A = 0.3 to 0.5): for each radius, `Looks` and `EProcess` against `FixedSize` at the same n and alpha.

python benchmarks/threshold_questions.py LOG.tsv SIGMA [REPETITIONS]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common.program import parsed, parser
from scipy.stats import norm

from holdfast.estimators import EProcess, Estimator, FixedSize, Looks, scale_of
from holdfast.noises.gaussian import Gaussian
from holdfast.store.logs import read_log
from holdfast.types import Counts

if TYPE_CHECKING:
    from holdfast.estimators import Scale

N, ALPHA = 100_000, 0.001
RADII = (0.25, 0.5, 0.75, 1.0)


def answer(rule: Estimator, scale: Scale, p: float, radius: float, rng: np.random.Generator) -> tuple[int, bool]:
    """Samples taken, and whether the radius was certified, for a binary classifier that votes 0 with probability p."""
    votes = np.zeros(2, dtype=np.int64)
    while draws := rule.draws_wanted(0, Counts.of(votes)):
        votes += rng.multinomial(draws, [p, 1 - p])
    reached = scale(rule.bounds(0, Counts.of(votes)))
    return int(votes.sum()), reached is not None and reached >= radius


def small_log(folder: Path) -> Path:
    """A log of four lines, one of them an abstention."""
    lines = ["idx\tlabel\tpredict\tradius\tcorrect\ttime"]
    lines += [f"{index}\t3\t3\t{radius}\t1\t0:00:01" for index, radius in enumerate((0.3, 0.6, 1.2))]
    out = folder / "log.tsv"
    out.write_text("\n".join([*lines, "3\t3\t-1\t0.0\t0\t0:00:01", ""]), encoding="utf-8")
    return out


def main() -> None:
    """Compare on the log of the command line, or in a smoke run on a small one."""
    options = parser(__doc__)
    options.add_argument("log", nargs="?", type=Path, metavar="LOG.tsv")
    options.add_argument("sigma", nargs="?", type=float)
    options.add_argument("repetitions", nargs="?", type=int, default=1)
    given = parsed(options, "log", "sigma")
    if not given.smoke:
        compare(given.log, given.sigma, given.repetitions)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(small_log(Path(folder)), 0.5, 1)


def compare(log: Path, sigma: float, repetitions: int) -> None:
    """Print a line for each radius, and one for all of them decided together."""
    scale, rng = scale_of(Gaussian(sigma), None, (3, 32, 32)), np.random.default_rng(0)
    shares = [
        float(norm.cdf(claim.radius / sigma)) if claim.predicted is not None else float(rng.uniform(0.3, 0.5))
        for claim in read_log(log).claims
    ] * repetitions
    for radius in RADII:
        rules: dict[str, Estimator] = {
            "fixed": FixedSize(N, ALPHA, "cohen"),
            "looks": Looks(N, ALPHA, (radius,), method="cohen", scale=scale),
            "eprocess": EProcess(N, ALPHA, radius, scale=scale),
        }
        results = {
            name: np.array([answer(rule, scale, p, radius, rng) for p in shares]) for name, rule in rules.items()
        }
        line = ", ".join(
            f"{name} {taken:,.0f} samples ({N / taken:.1f}x fewer), certified {certified:.2%}"
            for name, (taken, certified) in ((name, rows.mean(axis=0)) for name, rows in results.items())
        )
        print(f"r = {radius}: {line}")
    together = Looks(N, ALPHA, RADII, method="cohen", scale=scale)
    taken = np.array([answer(together, scale, p, RADII[0], rng)[0] for p in shares])
    print(f"all of {RADII} together: looks {taken.mean():,.0f} samples ({N / taken.mean():.1f}x fewer)")


if __name__ == "__main__":
    main()
