"""The values passed between layers: plain, immutable, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from enum import Enum
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Norm(str, Enum):
    """The norm of an adversary's changes, which determines the unit of a radius."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    LINF = "Linf"
    # The side of the smallest square that holds all changed pixels; it may go on at the opposite edge of the image.
    PATCH = "patch"

    @property
    def unit(self) -> str:
        """The unit of a radius in this norm, in plain words."""
        return {Norm.L0: "pixels", Norm.PATCH: "pixels a side"}.get(self, "input units")

    @property
    def changes(self) -> str:
        """The changes that it measures, in words."""
        return "changes within one square patch" if self is Norm.PATCH else f"changes measured in {self.value}"

    @property
    def whole(self) -> bool:
        """Whether sizes are whole numbers of pixels."""
        return self in (Norm.L0, Norm.PATCH)

    @property
    def spelling(self) -> str:
        """The spelling in parameters: `l0`, `l1`, `l2`, `linf`, `patch`."""
        return self.value.lower()


def norm_spelt(name: str, owner: str, norms: Sequence[Norm]) -> Norm:
    """The norm spelled `name`, if it is among the `norms` of `owner`.

    Raises:
        UsageError: it is not.
    """
    known = {norm.spelling: norm for norm in norms}
    if not isinstance(name, str) or name not in known:
        raise UsageError(f"{owner} is measured in {', '.join(sorted(known))}, got {name!r}")
    return known[name]


@dataclass(frozen=True)
class Example(Plain):
    """One labelled input.

    Attributes:
        index: position in its split; part of the key of its noise.
        x: float32 array of the data set's shape, `(channels, height, width)` or `(features,)`, in input units.
        label: class index, 0-based.
        key: replaces the index in the key of its noise, below 2^128; None for the index.
    """

    index: int
    x: NDArray[np.float32]
    label: int
    key: int | None = None

    @property
    def noise_key(self) -> int:
        """The part of the noise key that identifies the example."""
        return self.index if self.key is None else self.key


@dataclass(frozen=True)
class Counts(Plain):
    """Votes of the base classifier for each class, always as integers.

    Raises:
        UsageError: a count is negative or not an integer.
    """

    votes: tuple[int, ...]

    def __post_init__(self) -> None:
        for vote in self.votes:
            if type(vote) is not int or vote < 0:
                raise UsageError(f"vote counts must be non-negative integers, got {self.votes!r}")

    @classmethod
    def of(cls, votes: Sequence[int] | NDArray[np.int64]) -> Counts:
        """Counts from any sequence of integers, including numpy's."""
        values = tuple(int(vote) for vote in votes)
        if any(value != vote for value, vote in zip(values, votes, strict=True)):
            raise UsageError(f"vote counts must be integers, got {list(votes)!r}")
        return cls(values)

    @property
    def total(self) -> int:
        """The number of votes."""
        return sum(self.votes)

    @property
    def top(self) -> int:
        """The class with the most votes; ties go to the lowest index."""
        return self.votes.index(max(self.votes))

    def top_two(self) -> tuple[int, int]:
        """The two classes with the most votes, ties to the lowest index."""
        ranked = sorted(range(len(self.votes)), key=lambda label: (-self.votes[label], label))
        return ranked[0], ranked[1]


@dataclass(frozen=True)
class RankedCounts(Counts):
    """Votes of the base classifier, and how it ranks every two classes.

    Attributes:
        votes: for each class, how often it has the first place.
        pairs: `pairs[i][j]` is how often class i is ranked above class j; 0 on the diagonal.

    Raises:
        UsageError: the numbers do not come from rankings.
    """

    pairs: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if found := unranked(self.votes, self.pairs):
            raise UsageError(found)

    @classmethod
    def ranked(cls, votes: Sequence[int], pairs: Sequence[Sequence[int]]) -> RankedCounts:
        """Counts from sequences of Python's integers."""
        return cls(tuple(votes), tuple(tuple(row) for row in pairs))


def unranked(votes: Sequence[int], pairs: Sequence[Sequence[int]]) -> str:
    """Why first places and pairs cannot be those of rankings, as a sentence; empty if nothing speaks against it."""
    classes, total = range(len(votes)), sum(votes)
    if [len(row) for row in pairs] != [len(votes)] * len(votes):
        return f"pairs are a number for every two of {len(votes)} classes"
    for one in classes:
        if pairs[one][one] != 0:
            return f"class {one} is ranked above itself"
        for other in classes:
            above = pairs[one][other]
            if type(above) is not int or above < 0 or (other != one and above + pairs[other][one] != total):
                return f"classes {one} and {other} are not ranked in each of {total} rankings"
            if other != one and above < votes[one]:
                return f"class {one} is first {votes[one]} times, and above class {other} only {above} times"
    return ""


@dataclass(frozen=True)
class ClassBounds:
    """Bounds on class probabilities under noise, jointly valid with probability at least 1 - alpha.

    Attributes:
        top: the top class.
        p_lower: lower bound on the probability of `top`.
        p_upper: upper bound on the probability of every other class.
        wins_ties: whether the smoothed classifier still answers `top` if another class, of at most p_upper, has the
            same probability. Only if the probabilities are known exactly; p_upper then counts one more realization of
            the noise for classes that would win a tie.
        replaced: so many realizations of the noise may get any other answers of the base classifier, whichever they
            are, and the smoothed classifier still answers `top`; None where this is not known. In a run-off, where
            p_lower and p_upper are the shares of first places and do not say it.
    """

    top: int
    p_lower: float
    p_upper: float
    wins_ties: bool = False
    replaced: int | None = None

    def __post_init__(self) -> None:
        # Written so that a NaN fails: every comparison with NaN is false.
        if not (0.0 <= self.p_lower <= 1.0 and 0.0 <= self.p_upper <= 1.0):
            raise UsageError(
                f"class bounds must be probabilities in [0, 1], got p_lower={self.p_lower}, p_upper={self.p_upper}"
            )


@dataclass(frozen=True)
class Certificate:
    """The certificate of one input.

    Attributes:
        label: the class that cannot be changed within `radius` (and `space`), or None (abstain).
        radius: certified radius in the unit of `norm`, rounded toward zero; 0.0 when abstaining.
        norm: the adversary's norm.
        alpha: upper bound on the probability that this certificate is false; 0.0 if nothing was sampled.
        selection: votes of the n0 selection samples; none if nothing was sampled.
        estimation: votes of the estimation samples (n of them, or all realizations of the noise).
        bounds: the class bounds from which the radius follows.
        space: smallest and largest value of the changed inputs that it covers; None for all inputs within `radius`.
        cut: whether a deadline ended the sampling: more samples might have proved more.
    """

    label: int | None
    radius: float
    norm: Norm
    alpha: float
    selection: Counts
    estimation: Counts
    bounds: ClassBounds
    space: tuple[float, float] | None = None
    cut: bool = False

    def __repr__(self) -> str:
        if self.label is None:
            what = "abstains"
        else:
            within = "" if self.space is None else f", values in [{self.space[0]:g}, {self.space[1]:g}]"
            what = f"label={self.label}, radius={_short(self.radius)} ({self.norm.value}){within}"
        return f"<Certificate: {what}, {_asked(self.estimation.total, self.alpha, self.cut)}>"

    def _repr_html_(self) -> str:
        bounds = f"p_lower={_short(self.bounds.p_lower)}, p_upper={_short(self.bounds.p_upper, up=True)}"
        return f"<p>{_escaped(repr(self))}</p><p>{_escaped(bounds)}</p>"


@dataclass(frozen=True)
class Prediction:
    """The smoothed classifier's answer for one input.

    Attributes:
        label: the predicted class, or None (abstain).
        alpha: upper bound on the probability of returning a label other than the smoothed classifier's.
        p_value: two-sided p-value of the test that the top two classes are equally likely; None if nothing was sampled.
        counts: the votes.
        cut: whether a deadline ended the sampling before there was an answer.
    """

    label: int | None
    alpha: float
    p_value: float | None
    counts: Counts
    cut: bool = False

    def __repr__(self) -> str:
        what = "abstains" if self.label is None else f"label={self.label}"
        return f"<Prediction: {what}, {_asked(self.counts.total, self.alpha, self.cut)}>"

    def _repr_html_(self) -> str:
        return f"<p>{_escaped(repr(self))}</p>"


def _short(value: float, *, up: bool = False) -> str:
    """Six digits, rounded down, or up: toward what is safe to say."""
    context = Context(prec=6, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    return str(context.create_decimal_from_float(value).normalize(context)) if value else "0"


def _asked(n: int, alpha: float, cut: bool) -> str:
    return f"n={n:,}, alpha={alpha:g}{', cut by the deadline' if cut else ''}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
