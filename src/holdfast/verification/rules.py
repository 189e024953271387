"""What follows from final votes with each estimator: whether a claim agrees with the votes, and if not, why."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from flint import arb

from holdfast.errors import RunError
from holdfast.verification.bets import Stakes, hypothesis, is_won
from holdfast.verification.bounds import TOP_SHARE, Bounds, class_bounds
from holdfast.verification.findings import Unknown
from holdfast.verification.intervals import Share, at_most, decided
from holdfast.verification.pixels import last, realizations, touched
from holdfast.verification.runoff import final, upset
from holdfast.verification.theorems import Counted, find_theorem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdfast.verification.manifest import Manifest

# Room, in p_lower and p_upper, for the rounding of the estimators' class bounds.
_BOUND_SLACK = Fraction(1, 2**44)
# Room in the logarithm of a bet's capital.
_CAPITAL_SLACK = Fraction(1, 10**6)
# Of alpha: what the last of several looks has.
_LAST_LOOK = Fraction(4, 5)
# Of alpha: what bets have that are watched at any time; the bound at n has the rest.
_BETS = Fraction(4, 5)
# No look and no step of a bet is smaller than this.
_LEAST_STEP = 30
# Votes of an example at most: a bound on the share of more takes long to compute.
_MOST_VOTES = 10**9
_LEAST_ALPHA = Fraction(1, 10**100) * (1 - Fraction(1, 2**40))
_MOST_LOOKS = 10_000


@dataclass(frozen=True)
class Claim:
    """A claim about one example; `label` is None for an abstention."""

    index: int
    label: int | None
    radius: float
    p_lower: float | None = None
    p_upper: float | None = None


class Votes(NamedTuple):
    """The votes of one record."""

    selection: tuple[int, ...]
    estimation: tuple[int, ...]
    pairs: tuple[tuple[int, ...], ...] = ()


class Rule(ABC):
    """An estimator, as far as final votes and claims go.

    Attributes:
        sampled: whether votes are those of a sample, on whose number bounds depend.
    """

    sampled: ClassVar[bool] = True

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        estimator = manifest.estimator
        self.n = int(estimator["n"])
        self.alpha = Fraction(estimator.get("alpha", 0))
        for name, count in (("n", self.n), ("n0", manifest.n0)):
            if count > _MOST_VOTES and self.sampled:
                raise RunError(
                    f"the manifest has {name} = {count}, expected {_MOST_VOTES:,} votes of an example at most"
                )
        if self.alpha and not self.alpha >= _LEAST_ALPHA:
            raise RunError(f"the manifest has alpha = {estimator.get('alpha')}, expected 1e-100 at least")
        if self.n < 1 or not 0 <= self.alpha < 1:
            raise RunError(f"the manifest has n = {self.n} and alpha = {estimator.get('alpha')}; alpha lies in [0, 1)")

    @abstractmethod
    def complaints(self, votes: Votes, claim: Claim) -> list[str]:
        """Why the claim disagrees with the votes; empty if it agrees."""

    def top(self, votes: Votes) -> int:
        """The class that a certificate is about: that of the selection votes, ties to the lowest index."""
        return votes.selection.index(max(votes.selection))


class ByBounds(Rule):
    """Class bounds at a share of alpha that depends on the number of votes, then the theorem."""

    def __init__(self, manifest: Manifest, shares: Mapping[int, Fraction]) -> None:
        super().__init__(manifest)
        if not self.alpha > 0:
            raise RunError("the manifest has alpha = 0; sampled votes prove nothing with certainty")
        self.shares = shares
        self.method = str(manifest.estimator["method"])
        self.theorem = find_theorem(manifest.noise, manifest.theorem)

    def complaints(self, votes: Votes, claim: Claim) -> list[str]:
        """Label, soundness of radius and bounds, and nothing left out."""
        top = self.top(votes)
        if claim.label is not None and claim.label != top:
            return [f"class {claim.label} is claimed, the selection votes say class {top}"]
        claimed = Fraction(-1) if claim.label is None else Fraction(claim.radius)
        radius = []
        if not self.sound(votes, claimed) or self.misses(votes, claimed):
            what = "an abstention" if claim.label is None else f"radius {claim.radius!r}"
            radius = [f"{what} is claimed, the votes give {self.most(votes)}"]
        return radius + _bounds_complaints(claim, lambda bits: self._bounds(votes, bits))

    def sound(self, votes: Votes, claimed: Fraction) -> bool:
        """Whether the votes certify a radius; -1, an abstention, claims nothing."""
        noise, shape = self.manifest.noise, self.manifest.shape
        return claimed < 0 or decided(
            lambda bits: self.theorem.holds(claimed, noise, shape, self._bounds(votes, bits)), otherwise=False
        )

    def misses(self, votes: Votes, claimed: Fraction) -> bool:
        """Whether the votes certify more than rounding can have lost."""
        noise, shape = self.manifest.noise, self.manifest.shape
        return decided(
            lambda bits: self.theorem.misses(claimed, noise, shape, self._bounds(votes, bits).relaxed(_BOUND_SLACK)),
            otherwise=False,
        )

    def most(self, votes: Votes) -> str:
        """The largest radius that the votes certify, for people."""
        return self.theorem.most(self.manifest.noise, self.manifest.shape, self._bounds(votes, 64))

    def _bounds(self, votes: Votes, bits: int) -> Bounds:
        alpha = self.alpha * self.shares[sum(votes.estimation)]
        return class_bounds(self.method, self.top(votes), votes.estimation, alpha, bits)


def _bounds_complaints(claim: Claim, bounds: Callable[[int], Bounds]) -> list[str]:
    """Bounds that are claimed beside the radius must be valid."""
    lower, upper = claim.p_lower, claim.p_upper
    complaints = []
    if lower is not None and not decided(lambda bits: at_most(arb(lower), bounds(bits).lower.p), otherwise=False):
        complaints.append(f"p_lower = {lower!r} is claimed, the votes give {bounds(64).lower.p.str(17, radius=False)}")
    if upper is not None and not decided(lambda bits: at_most(bounds(bits).upper.p, arb(upper)), otherwise=False):
        complaints.append(f"p_upper = {upper!r} is claimed, the votes give {bounds(64).upper.p.str(17, radius=False)}")
    return complaints


class ByBets(ByBounds):
    """Bounds by bets whose stakes follow the selection votes; at n, bounds for so many votes as well."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest, {})
        self.share = Fraction(manifest.estimator["selection_share"])
        if not 0 <= self.share < 1:
            raise RunError(f"the share of a stake lies from 0 to below 1, the manifest has {float(self.share)}")

    def misses(self, votes: Votes, claimed: Fraction) -> bool:
        """Whether the votes certify more than rounding, that of the capital too, can have lost."""
        noise, shape = self.manifest.noise, self.manifest.shape
        slack = _CAPITAL_SLACK + Fraction(sum(votes.estimation), 2**46)
        return decided(
            lambda bits: self.theorem.misses(
                claimed, noise, shape, self._bounds(votes, bits, 1 - slack).relaxed(_BOUND_SLACK)
            ),
            otherwise=False,
        )

    def _bounds(self, votes: Votes, bits: int, part: Fraction = Fraction(1)) -> Bounds:
        """The bounds at a part of alpha."""
        alpha, top, n = part * self.alpha, self.top(votes), sum(votes.estimation)
        bounds = self._by_bets(votes, _BETS * alpha, bits)
        if n < self.n:
            return bounds
        last = class_bounds(self.method, top, votes.estimation, (1 - _BETS) * alpha, bits)
        return bounds.tightened(last)

    def _by_bets(self, votes: Votes, alpha: Fraction, bits: int) -> Bounds:
        top, n, n0 = self.top(votes), sum(votes.estimation), sum(votes.selection)
        known, strongest = _top_and_rival(votes.selection, top)
        hits, rival = _top_and_rival(votes.estimation, top)
        rivals = len(votes.estimation) - 1

        def bound(of_known: int, of_hits: int, share: Fraction) -> Share:
            return Stakes(of_known, n0, self.share).lower_bound(of_hits, n, share, bits)

        if self.method == "cohen" or rivals < 2:
            lower = bound(known, hits, alpha)
            return Bounds(lower, lower.complement)
        lower = bound(known, hits, TOP_SHARE * alpha)
        others = bound(n0 - strongest, n - rival, (1 - TOP_SHARE) * alpha / rivals)
        return Bounds(lower, lower.complement).tightened(Bounds(lower, others.complement))


def _top_and_rival(votes: Sequence[int], top: int) -> tuple[int, int]:
    """Votes of the class in question, and of the strongest other one."""
    return votes[top], max((count for label, count in enumerate(votes) if label != top), default=0)


class Bet(Rule):
    """A bet against "the radius is not certified"; won at capital 1/alpha."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        self.theorem = find_theorem(manifest.noise, manifest.theorem)
        self.radius = Fraction(manifest.estimator["radius"])
        self._hypotheses: dict[Fraction, Fraction] = {}
        if not (self.alpha > 0 and self.radius > 0 and self._hypothesis(self.radius) < 1):
            raise RunError(
                f"the manifest has alpha = {float(self.alpha)} and a bet on radius {float(self.radius)}: alpha lies "
                "above 0, and some probability must certify the radius"
            )

    def complaints(self, votes: Votes, claim: Claim) -> list[str]:
        """The bet was about the radius that the manifest asks for; a claim is that radius, or nothing."""
        top, n = self.top(votes), sum(votes.estimation)
        hits = votes.estimation[top]
        if claim.label is None:
            p = self._hypothesis(self.theorem.padded(self.radius))
            missed = p < 1 and decided(
                lambda bits: is_won(hits, n, p, self.alpha, bits, _CAPITAL_SLACK), otherwise=False
            )
            return ["an abstention is claimed, and the bet is won"] if missed else []
        if claim.label != top:
            return [f"class {claim.label} is claimed, the selection votes say class {top}"]
        claimed = Fraction(claim.radius)
        needed = self._hypothesis(self.radius)
        p = self._hypothesis(claimed) if claimed != self.radius else needed
        # Estimators round the hypothesis up to a float64, so a claim may exceed the radius asked for by rounding.
        if 1 - p < (1 - needed) * (1 - Fraction(1, 2**30)) or self.theorem.padded(claimed) < self.radius:
            return [f"radius {claim.radius!r} is claimed, the bet was about {float(self.radius)!r}"]
        if not decided(lambda bits: is_won(hits, n, p, self.alpha, bits), otherwise=False):
            return [f"radius {claim.radius!r} is claimed, and the bet on it is not won"]
        return []

    def _hypothesis(self, radius: Fraction) -> Fraction:
        noise, shape, theorem = self.manifest.noise, self.manifest.shape, self.theorem
        if radius not in self._hypotheses:
            self._hypotheses[radius] = hypothesis(lambda bounds: theorem.holds(radius, noise, shape, bounds))
        return self._hypotheses[radius]


class Exhaustive(Rule):
    """Every realization of the noise was taken once: no probability of failure, integers only."""

    sampled: ClassVar[bool] = False

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        if self.alpha != 0:
            raise RunError(f"the manifest has alpha = {float(self.alpha)} for exact votes, which leave no such chance")
        theorem = find_theorem(manifest.noise, manifest.theorem)
        count = realizations(manifest.noise, manifest.shape)
        # As all theorems of noises with finitely many realizations.
        assert isinstance(theorem, Counted)
        self.theorem = theorem
        if self.n != count:
            raise RunError(f"the manifest has n = {self.n}; the noise has {count} realizations for this shape")

    def top(self, votes: Votes) -> int:
        """The class with the most votes; there is no selection."""
        return votes.estimation.index(max(votes.estimation))

    def complaints(self, votes: Votes, claim: Claim) -> list[str]:
        """The largest radius at which no rival can draw level and be preferred."""
        top, counts = self.top(votes), votes.estimation
        if claim.label != top:
            return [f"class {claim.label} is claimed, the votes say class {top}"]
        rivals = [counts[top] - count - (label < top) for label, count in enumerate(counts) if label != top]
        lead = min(rivals, default=self.n)
        noise, shape, theorem = self.manifest.noise, self.manifest.shape, self.theorem
        most = last(theorem.limit(noise, shape), lambda r: 2 * touched(r, noise, shape) <= lead)
        if Fraction(claim.radius) == theorem.claim(most, noise):
            return []
        return [f"radius {claim.radius!r} is claimed, the votes give {theorem.shown(most, noise)}"]


class RunOff(Exhaustive):
    """Every realization ranked all classes once, and the winner of a run-off is the answer."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        if manifest.noise.get("name") != "partition":
            raise Unknown(f"verify knows run-offs of disjoint blocks, the manifest has {manifest.noise.get('name')!r}")

    def top(self, votes: Votes) -> int:
        """The winner."""
        return final(votes.estimation, votes.pairs)

    def complaints(self, votes: Votes, claim: Claim) -> list[str]:
        """The most pixels, each of which changes one ranking, that bring no other winner."""
        top, noise = self.top(votes), self.manifest.noise
        if claim.label != top:
            return [f"class {claim.label} is claimed, the run-off says class {top}"]
        limit = self.theorem.limit(noise, self.manifest.shape)
        most = last(limit, lambda ballots: not upset(votes.estimation, votes.pairs, ballots))
        if Fraction(claim.radius) == self.theorem.claim(most, noise):
            return []
        return [f"radius {claim.radius!r} is claimed, the votes give {self.theorem.shown(most, noise)}"]


def rule_of(manifest: Manifest) -> Rule:
    """The rule of the manifest's estimator.

    Raises:
        Unknown: verify does not know the estimator, or the theorem for this noise.
        RunError: it does not know the method, or a parameter is out of range.
    """
    name = manifest.estimator.get("name")
    if name not in _RULES:
        raise Unknown(f"verify does not know the estimator {name!r}; it knows {', '.join(_RULES)}")
    if (name == "runoff") != (manifest.noise.get("decision") == "runoff"):
        raise RunError(
            f"the estimator {name!r} and the noise's decision {manifest.noise.get('decision', 'majority')!r} do not fit"
        )
    try:
        return _RULES[name](manifest)
    except (KeyError, ValueError, TypeError) as error:
        raise RunError(f"the manifest's estimator or noise lacks a parameter, or has a wrong one: {error!r}") from error


def totals_of(manifest: Manifest) -> frozenset[int] | None:
    """The numbers of estimation votes at which sampling may have stopped; None if verify does not know the estimator.

    Whatever the theorem: the parameters of the estimator are those that `rule_of` has looked at.
    """
    name, n = manifest.estimator.get("name"), int(manifest.estimator.get("n", 0))
    if name == "looks":
        return frozenset(look_sizes(n, float(manifest.estimator["ratio"])))
    if name == "eprocess":
        return frozenset(_steps(n, 10))
    if name == "bets":
        return frozenset(_steps(n, 20))
    # One look, or each realization once.
    return frozenset({n}) if name in _RULES else None


def _steps(n: int, part: int) -> Iterator[int]:
    """One part in so many more each time, 30 at least, n at last."""
    total = 0
    while total < n:
        total += min(n - total, max(_LEAST_STEP, total // part))
        yield total


def look_sizes(n: int, ratio: float) -> Sequence[int]:
    """The sample sizes of the looks: from n down, each the floor of the float64 quotient of the one before and `ratio`.

    They end before a quotient falls below 30.
    """
    sizes = [n]
    while sizes[-1] / ratio >= _LEAST_STEP:
        sizes.append(math.floor(sizes[-1] / ratio))
        if len(sizes) > _MOST_LOOKS:
            raise RunError(f"the ratio {ratio!r} makes more than {_MOST_LOOKS:,} looks of n = {n}, expected fewer")
    return sizes[::-1]


def _fixed(manifest: Manifest) -> Rule:
    return ByBounds(manifest, {int(manifest.estimator["n"]): Fraction(1)})


def _looks(manifest: Manifest) -> Rule:
    ratio = float(manifest.estimator["ratio"])
    if not 1.0 < ratio <= 10.0:
        raise RunError(f"the ratio of successive looks lies above 1 and up to 10, the manifest has {ratio}")
    sizes = look_sizes(int(manifest.estimator["n"]), ratio)
    early = (1 - _LAST_LOOK) / max(1, len(sizes) - 1)
    return ByBounds(manifest, {**dict.fromkeys(sizes, early), sizes[-1]: _LAST_LOOK})


_RULES: dict[Any, Callable[[Manifest], Rule]] = {
    "fixed": _fixed,
    "looks": _looks,
    "eprocess": Bet,
    "bets": ByBets,
    "exact": Exhaustive,
    "runoff": RunOff,
}
