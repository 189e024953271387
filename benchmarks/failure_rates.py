"""How often certificates are false, for every estimator with every kind of class bounds under every theorem.

The true class probabilities are known, and as hard as they can be: the radius that the theorem gives for them lies just
below the radius r in question. A certificate's bounds are false if p_lower is above the probability of the class or
p_upper below that of a rival; its radius is false if it is r or more. False bounds are the stricter count, since a
false radius needs them. Every certificate is about class 0, whatever selection would have chosen: the guarantee is
conditional on the class. `common/failure_simulation.py` counts them.

python benchmarks/failure_rates.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from common.failure_simulation import Rate, Votes, exact, failed, measure
from common.program import parsed, parser
from scipy.stats import binom

from holdfast.estimators import Bets, EProcess, FixedSize, Looks, prediction, scale_of
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.stats.class_bounds import METHODS
from holdfast.types import ClassBounds, Counts

if TYPE_CHECKING:
    from holdfast.estimators import Scale

# Certificates for each alpha: at least a hundred expected failures where the bound is tight.
CERTIFICATES = {0.05: 40_000, 0.001: 100_000}
# For a smoke run, which takes one theorem at one probability.
FEW = {0.05: 200}
# Largest numbers of samples of the estimators that stop early; sizes among which FixedSize takes the hardest.
_MOST, _MOST_PATIENT = 500, 2_000
_SIZES = range(150, 350)

SHAPE = (1, 28, 28)
# Theorem, and the two-class probability near which the question lies: spread, since a theorem acts only through it.
THEOREMS: tuple[tuple[Noise, str, float], ...] = (
    (Gaussian(0.5), "cohen", 0.55),
    (Gaussian(0.5), "cohen", 0.75),
    (Gaussian(0.5), "cohen", 0.95),
    (Gaussian(0.5), "lecuyer", 0.8),
    (Gaussian(0.5), "li", 0.7),
    (Gaussian(0.5), "cohen_linf", 0.9),
    (Ablation(45), "levine", 0.9),
    (Laplace(0.5), "dwork", 0.85),
    (Uniform(0.5), "overlap_l1", 0.65),
    (Uniform(0.5), "overlap_linf", 0.97),
    (UniformFlip(0.8, levels=2), "lee", 0.98),
)
# How the remaining probability is spread over the rivals.
SPREAD = {"one": (1.0,), "one of two": (1.0, 0.0), "two equal": (0.5, 0.5)}
# Estimator, bounds, rivals.
Rule = tuple[str, str, str]
# With the papers' bounds only the votes for class 0 matter, so two classes are enough.
RULES: tuple[Rule, ...] = (
    ("fixed", "cohen", "one"),
    ("fixed", "split", "one of two"),
    ("fixed", "split", "two equal"),
    ("looks", "cohen", "one"),
    ("looks", "split", "one of two"),
    ("looks", "split", "two equal"),
    ("eprocess", "cohen", "one"),
)
# The same without giving up, where they fail most often. For the default theorem only: they are slower.
PATIENT: tuple[Rule, ...] = (
    ("looks, patient", "cohen", "one"),
    ("looks, patient", "split", "one of two"),
    ("eprocess, patient", "cohen", "one"),
)
# Bets by what the selection votes said: as the probabilities are, or all for the class, or none for it.
BETS: tuple[Rule, ...] = (
    ("bets", "cohen", "one"),
    ("bets", "split", "one of two"),
)
PATIENT_BETS: tuple[Rule, ...] = (
    ("bets, patient", "cohen", "one"),
    ("bets, patient", "split", "one of two"),
    ("bets, patient", "split", "two equal"),
    ("bets, patient, all selected it", "cohen", "one"),
    ("bets, patient, none selected it", "cohen", "one"),
)
_SELECTED = 100


@dataclass(frozen=True)
class Case:
    """One question: an estimator, its bounds, the rivals, a theorem near a probability, and alpha."""

    estimator: str
    method: str
    rivals: str
    noise: Noise
    theorem: str
    aim: float
    alpha: float

    @property
    def scale(self) -> Scale:
        """Class bounds -> radius."""
        return scale_of(self.noise, self.theorem, SHAPE)

    @property
    def radius(self) -> float:
        """The radius r in question: that of the theorem for two classes at the aim."""
        return self.scale(ClassBounds(0, self.aim, 1.0 - self.aim)) or 0.0

    def shares(self) -> tuple[float, ...]:
        """The hardest true probabilities: the next float64 for class 0 would have the radius r."""
        low, high = 1.0 / 3.0, 1.0
        while math.nextafter(low, high) < high:
            middle = low + (high - low) / 2
            reached = self.scale(ClassBounds(0, middle, max(self._rest(middle))))
            low, high = (low, middle) if reached is not None and reached >= self.radius else (middle, high)
        return (low, *self._rest(low))

    def rule(self, shares: tuple[float, ...]) -> Any:
        """The estimator, with a number of samples that suits the question."""
        if self.estimator == "fixed":
            return FixedSize(hardest_size(shares[0], self.alpha, self.method, len(shares)), self.alpha, self.method)
        name, _, patient = self.estimator.partition(", ")
        most = _MOST_PATIENT if patient else _MOST
        if name == "looks":
            looks = Looks(most, self.alpha, (self.radius,), method=self.method, scale=self.scale)
            return Patient(looks.schedule.looks, looks.bounds, self.scale, self.radius) if patient else looks
        if name == "bets":
            bets = Bets(most, self.alpha, (self.radius,), method=self.method, scale=self.scale)
            bets = bets.informed(self.selection(shares))
            return Patient(often(most), bets.bounds, self.scale, self.radius) if patient else bets
        bet = EProcess(most, self.alpha, self.radius, scale=self.scale)
        return Patient(often(most), bet.bounds, self.scale, self.radius) if patient else bet

    def selection(self, shares: tuple[float, ...]) -> Counts:
        """The selection votes of the case."""
        first = round(_SELECTED * shares[0])
        if self.estimator.endswith("selected it"):
            first = _SELECTED if ", all" in self.estimator else 0
        second = _SELECTED - first if len(shares) < 3 or not shares[2] else (_SELECTED - first) // 2
        return Counts((first, second, _SELECTED - first - second)[: len(shares)])

    def _rest(self, p: float) -> tuple[float, ...]:
        return tuple((1.0 - p) * part for part in SPREAD[self.rivals])


@dataclass(frozen=True)
class Patient:
    """Looks at given sizes until the radius is claimed, and never gives up.

    With bounds that are not valid for that, it is an estimator with a fault.
    """

    sizes: tuple[int, ...]
    bounds: Callable[[int, Counts], ClassBounds]
    scale: Scale
    radius: float

    def draws_wanted(self, top: int, counts: Counts) -> int:
        """To the next size; 0 once the radius is claimed, or at the last."""
        claimed = self.scale(self.bounds(top, counts)) if counts.total else None
        if claimed is not None and claimed >= self.radius:
            return 0
        return next((size for size in self.sizes if size > counts.total), counts.total) - counts.total

    @property
    def most_draws(self) -> int:
        """The last size."""
        return self.sizes[-1]


def often(most: int) -> tuple[int, ...]:
    """Sizes up to `most`, each a twentieth above the one before: nearly as hard as a look after every sample."""
    sizes = [1]
    while sizes[-1] < most:
        sizes.append(min(most, max(sizes[-1] + 1, sizes[-1] * 21 // 20)))
    return tuple(sizes)


def cases(alphas: Iterable[float] = tuple(CERTIFICATES)) -> list[Case]:
    """Every estimator x bounds x theorem."""
    alphas = tuple(alphas)
    return [
        Case(*rule, noise, theorem, aim, alpha)
        for rules, patient in ((RULES, PATIENT), (BETS, PATIENT_BETS))
        for noise, theorem, aim in THEOREMS
        for rule in (*rules, *(patient if theorem == "cohen" else ()))
        for alpha in alphas
    ]


def hardest_size(p: float, alpha: float, method: str, classes: int) -> int:
    """The number of samples for which p_lower most probably is above p: a jump of the bound lies just above p."""

    def fails(n: int) -> float:
        low, high = 0, n + 1
        while high - low > 1:
            middle = (low + high) // 2
            votes = (middle, n - middle, *[0] * (classes - 2))
            low, high = (low, middle) if METHODS[method](0, votes, alpha)[0] > p else (middle, high)
        return float(binom.sf(high - 1, n, p))

    return max(_SIZES, key=fails)


def run_case(case: Case, certificates: int, rng: np.random.Generator, *, sums: bool = True) -> tuple[Rate, Any, float]:
    """Measure one case; also its estimator and the probability of class 0."""
    shares = case.shares()
    rule = case.rule(shares)
    judge = failed(rule, shares, case.scale, case.radius)
    return measure(rule, shares, judge, certificates, rng, sums=sums), rule, shares[0]


def at_both_jumps(alpha: float, n: int = 150) -> tuple[float, ...]:
    """Five classes, the first just below a jump of its lower bound, the second just above one of its upper bound."""
    p = math.nextafter(lower_bound(round(0.58 * n), n, math.nextafter(0.9 * alpha, 0.0)), 0.0)
    rival = math.nextafter(upper_bound(round(0.16 * n), n, math.nextafter(0.025 * alpha, 0.0)), 1.0)
    return p, rival, *[(1.0 - p - rival) / 3] * 3


def predict_rate(shares: tuple[float, ...], n: int, alpha: float, certificates: int, rng: np.random.Generator) -> Rate:
    """How often Predict answers where the most probable classes are tied, so that any answer may be the wrong one."""

    @cache
    def judge(votes: Votes) -> tuple[bool, bool]:
        answered = prediction(Counts(votes), alpha).label is not None
        return answered, answered

    return measure(FixedSize(n, alpha), shares, judge, certificates, rng)


def wrong(alpha: float) -> dict[str, tuple[Case, Any]]:
    """Estimators with a fault, at the same hardest probabilities."""
    case = Case("fixed", "cohen", "one", Gaussian(0.5), "cohen", 0.95, alpha)
    looks = Looks(_MOST, alpha, (case.radius,), method="cohen", scale=case.scale)
    bet = EProcess(_MOST_PATIENT, 2 * alpha, case.radius, scale=case.scale)
    bets = Bets(_MOST_PATIENT, 4 * alpha, (case.radius,), method="cohen", scale=case.scale).informed(Counts((95, 5)))

    def at_full_alpha(top: int, counts: Counts) -> ClassBounds:
        return ClassBounds(top, *METHODS["cohen"](top, counts.votes, alpha))

    return {
        "looks with all of alpha each": (case, Patient(looks.schedule.looks, at_full_alpha, case.scale, case.radius)),
        "bet that wins at 1/(2 alpha)": (case, Patient(often(_MOST_PATIENT), bet.bounds, case.scale, case.radius)),
        "bets, four times alpha": (case, Patient(often(_MOST_PATIENT), bets.bounds, case.scale, case.radius)),
        "fixed, twice alpha": (case, FixedSize(hardest_size(case.aim, 2 * alpha, "cohen", 2), 2 * alpha, "cohen")),
    }


def wrong_rate(case: Case, rule: Any, certificates: int, rng: np.random.Generator) -> Rate:
    """Measure an estimator with a fault as `run_case` does a right one."""
    shares = case.shares()
    return measure(rule, shares, failed(rule, shares, case.scale, case.radius), certificates, rng)


def answer_at_a_stop(rule: Looks | EProcess | Bets) -> float:
    """How often a rule names a class of two that are tied, on the votes at which it stopped: exact."""
    ended = exact(rule, (0.5, 0.5))
    return math.fsum(mass for votes, mass in ended.items() if rule.answer(0, Counts(votes)) is not None)


def fixed_answer_at_a_stop(rule: Looks | EProcess | Bets) -> float:
    """The same with Predict at all of alpha, which is proved for a number of votes that was fixed beforehand."""
    ended = exact(rule, (0.5, 0.5))
    return math.fsum(mass for votes, mass in ended.items() if prediction(Counts(votes), rule.alpha).label is not None)


HEAD = (
    "| estimator | bounds | rivals | theorem | p | n | alpha | certificates | false | rate | 95% interval | exact "
    "| false radii | verdict |\n|" + "---|" * 14
)


def row(words: str, rate: Rate, alpha: float) -> None:
    """Print a line of the table."""
    print(f"| {words} | {rate.cells(alpha)} |", flush=True)


def main() -> None:
    """Print the table, then the largest rates."""
    smoke = parsed(parser(__doc__)).smoke
    certificates = FEW if smoke else CERTIFICATES
    print(HEAD)
    largest: dict[tuple[str, str, float], float] = {}
    for number, case in enumerate(cases(certificates)):
        if smoke and case.aim != THEOREMS[0][2]:
            continue
        rate, rule, p = run_case(case, certificates[case.alpha], np.random.default_rng([1, number]))
        row(
            f"{case.estimator} | {case.method} | {case.rivals} | {case.theorem} | {p:.4f} | {rule.most_draws}",
            rate,
            case.alpha,
        )
        key = (case.estimator, case.method, case.alpha)
        known = rate.false_bounds / rate.certificates if rate.exact is None else rate.exact
        largest[key] = max(largest.get(key, 0.0), known)
    for alpha, count in certificates.items():
        print_others(alpha, count, np.random.default_rng([2, round(1 / alpha)]))
    print("\n| estimator | bounds | alpha | largest rate over all theorems |\n|---|---|---|---|")
    for (estimator, method, alpha), value in sorted(largest.items()):
        print(f"| {estimator} | {method} | {alpha:g} | {value:.5f} |")
    print_answers(tuple(certificates))


def print_others(alpha: float, certificates: int, rng: np.random.Generator) -> None:
    """Print the lines that are not of one theorem: both bounds at a jump, Predict, and estimators with a fault."""
    jump_row(alpha, certificates, rng)
    for tied in ((0.5, 0.5), (0.4, 0.4, 0.2), (1 / 3, 1 / 3, 1 / 3)):
        rate = predict_rate(tied, 150, alpha, certificates, rng)
        row(f"Predict | | {len(tied) - 1} | | {tied[0]:.4f} | 150", rate, alpha)
    for name, (case, rule) in wrong(alpha).items():
        rate = wrong_rate(case, rule, certificates, rng)
        row(f"*wrong: {name}* | cohen | one | cohen | {case.shares()[0]:.4f} | {rule.most_draws}", rate, alpha)


def print_answers(alphas: tuple[float, ...]) -> None:
    """Print how often Predict answers at a data-dependent stop where two classes are tied."""
    print("\n| stopped by | radius, in sigma | alpha | answers / alpha | with all of alpha |\n|---|---|---|---|---|")
    scale = scale_of(Gaussian(1.0), None, SHAPE)
    for alpha in alphas:
        for radius in (0.04, 0.2, 1.0):
            looks = Looks(_MOST_PATIENT, alpha, (radius,), scale=scale)
            bets = Bets(_MOST_PATIENT, alpha, (radius,), scale=scale).informed(Counts((50, 50)))
            for rule in (looks, EProcess(_MOST_PATIENT, alpha, radius, scale=scale), bets):
                shares = [each(rule) / alpha for each in (answer_at_a_stop, fixed_answer_at_a_stop)]
                print(f"| {rule.name} | {radius:g} | {alpha:g} | {shares[0]:.2f} | {shares[1]:.2f} |")


def jump_row(alpha: float, certificates: int, rng: np.random.Generator) -> None:
    """Print the line for `at_both_jumps`."""
    shares, rule = at_both_jumps(alpha), FixedSize(150, alpha)
    scale = scale_of(Gaussian(0.5), None, SHAPE)
    radius = math.nextafter(scale(ClassBounds(0, shares[0], shares[1])) or 0.0, math.inf)
    rate = measure(rule, shares, failed(rule, shares, scale, radius), certificates, rng, sums=False)
    row(f"fixed | split | four, both bounds at a jump | cohen | {shares[0]:.4f} | 150", rate, alpha)


if __name__ == "__main__":
    main()
