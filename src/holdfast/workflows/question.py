"""What to decide for each input, and the estimator that decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise, Shape

# That sample, of which two stop early for any question, and the last for one radius.
SAMPLING = ("fixed", "looks", "bets", "eprocess")
_ESTIMATORS = ("exact", *SAMPLING)


@dataclass(frozen=True)
class Question:
    """What to decide for each input, and at what cost and risk.

    Attributes:
        n0: selection samples.
        n: largest number of estimation samples.
        alpha: failure probability of each certificate.
        bounds: how class bounds follow from votes.
        radii: radii to decide; empty for none.
        precision: precision of the radius; None for the radius that n samples give.
    """

    n0: int
    n: int
    alpha: float
    bounds: str
    radii: tuple[float, ...] = ()
    precision: float | None = None

    def estimator(self, name: str, noise: Noise, shape: Shape, theorem: str | None = None) -> Estimator:
        """The estimator of that name for this question; "auto" takes the cheapest one that fits.

        Raises:
            UsageError: an unknown name, one that does not fit the question, or a value out of range.
        """
        from holdfast.estimators import Bets, EProcess, FixedSize, Looks, check_samples, exhaustive, scale_of

        early = bool(self.radii) or self.precision is not None
        count = noise.realizations(shape)
        if name == "auto":
            few = noise.runoff or (count is not None and count <= self.n0 + self.n)
            name = "exact" if few else "looks" if early else "fixed"
        if name not in _ESTIMATORS:
            raise UsageError(f"an estimator is auto, {', '.join(_ESTIMATORS)}; got {name!r}")
        if name == "exact":
            if count is None:
                raise UsageError(
                    f"{noise} has infinitely many realizations, which cannot each be taken once; take another estimator"
                )
            return exhaustive(noise, count)
        if noise.runoff:
            raise UsageError(f"a run-off takes each realization of {noise} once; leave the estimator {name} out")
        # Before the speed of a model is measured for so many.
        check_samples("n0", self.n0)
        if name == "fixed":
            if early:
                raise UsageError(
                    "the estimator fixed does not stop early: leave it out, or leave out the radii and the "
                    "precision at which sampling is to stop"
                )
            return FixedSize(self.n, self.alpha, self.bounds)
        if not early:
            raise UsageError(
                f"the estimator {name} stops early: name the radii, or the precision, at which sampling is to stop"
            )
        scale = scale_of(noise, theorem, shape)
        if name == "looks":
            return Looks(self.n, self.alpha, self.radii, self.precision, method=self.bounds, scale=scale)
        if name == "bets":
            return Bets(self.n, self.alpha, self.radii, self.precision, method=self.bounds, scale=scale)
        if len(self.radii) != 1 or self.precision is not None:
            raise UsageError(
                "an e-process decides one radius; take the estimator bets or looks for several, or for a precision"
            )
        return EProcess(self.n, self.alpha, self.radii[0], scale=scale)
