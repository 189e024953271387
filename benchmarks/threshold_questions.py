"""Number of samples for the question "is the certified radius at least r?", and whether the answers change.

Simulated from the p_A of a published certification log (recovered from its radii; inputs that were not certified are
given p_A = 0.3 to 0.5): for each radius, for all together and for a precision, the estimators that stop early against
`FixedSize` at the same n and alpha.

python benchmarks/threshold_questions.py LOG.tsv SIGMA [REPETITIONS]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common.program import parsed, parser
from scipy.stats import norm

from holdfast.estimators import Bets, EProcess, Estimator, FixedSize, Looks, scale_of
from holdfast.noises.gaussian import Gaussian
from holdfast.store.logs import read_log
from holdfast.types import Counts

if TYPE_CHECKING:
    from holdfast.estimators import Scale

N0, N, ALPHA = 100, 100_000, 0.001
PRECISION = 0.05
RADII = (0.25, 0.5, 0.75, 1.0)


def answer(rule: Estimator, scale: Scale, p: float, rng: np.random.Generator) -> tuple[int, float]:
    """Samples taken, and the radius certified, -1 for none, for a binary classifier that votes 0 with probability p."""
    estimator, votes = rule.informed(Counts.of(rng.multinomial(N0, [p, 1 - p]))), np.zeros(2, dtype=np.int64)
    while draws := estimator.draws_wanted(0, Counts.of(votes)):
        votes += rng.multinomial(draws, [p, 1 - p])
    reached = scale(estimator.bounds(0, Counts.of(votes)))
    return int(votes.sum()), -1.0 if reached is None else reached


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
    """Print a line for each question and estimator."""
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
            "bets, not informed": Bets(N, ALPHA, (radius,), method="cohen", selection_share=0.0, scale=scale),
            "bets": Bets(N, ALPHA, (radius,), method="cohen", scale=scale),
        }
        for name, rule in rules.items():
            results = np.array([answer(rule, scale, p, rng) for p in shares])
            print_row(f"r = {radius}", name, results, f"certified {(results[:, 1] >= radius).mean():.2%}")
    several: dict[str, Estimator] = {
        "looks": Looks(N, ALPHA, RADII, method="cohen", scale=scale),
        "bets": Bets(N, ALPHA, RADII, method="cohen", scale=scale),
    }
    for name, rule in several.items():
        results = np.array([answer(rule, scale, p, rng) for p in shares])
        certified = ", ".join(f"{(results[:, 1] >= radius).mean():.2%}" for radius in RADII)
        print_row("all together", name, results, f"certified {certified}")
    precise: dict[str, Estimator] = {
        "fixed": FixedSize(N, ALPHA, "cohen"),
        "looks": Looks(N, ALPHA, precision=PRECISION, method="cohen", scale=scale),
        "bets": Bets(N, ALPHA, precision=PRECISION, method="cohen", scale=scale),
    }
    for name, rule in precise.items():
        results = np.array([answer(rule, scale, p, rng) for p in shares])
        average, some = np.maximum(results[:, 1], 0.0).mean(), (results[:, 1] >= 0.0).mean()
        print_row(f"precision {PRECISION:.0%}", name, results, f"mean radius {average:.4f}, of {some:.2%} certified")


def print_row(question: str, name: str, results: np.ndarray, found: str) -> None:
    """Print a question, an estimator, its samples with one standard error, and what it found."""
    taken = results[:, 0]
    error = taken.std(ddof=1) / len(taken) ** 0.5
    fewer, whole = N / taken.mean(), (N + N0) / (taken.mean() + N0)
    print(
        f"{question}: {name} {taken.mean():,.0f} ± {error:,.0f} samples, {fewer:.1f} times fewer "
        f"({whole:.1f} with selection), {found}",
        flush=True,
    )


if __name__ == "__main__":
    main()
