"""Certificates and radii from votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.estimators.answers import AllVotes
from holdfast.estimators.exact import Exact
from holdfast.estimators.fixed import FixedSize
from holdfast.estimators.runoff import AllRankings, RunOff
from holdfast.noises.base import find_guarantee
from holdfast.types import Certificate, ClassBounds, Counts, Norm

if TYPE_CHECKING:
    from holdfast.estimators.base import Estimator
    from holdfast.noises.base import Guarantee, Noise, Shape


def certificate(
    noise: Noise,
    estimator: Estimator,
    shape: Shape,
    selection: Counts,
    estimation: Counts,
    guarantee: str | None = None,
) -> Certificate:
    """The certificate that the votes for one input prove.

    The class is chosen by the selection votes alone; the bounds use the estimation votes alone, so the choice costs
    nothing of alpha.

    Args:
        noise: the noise of the votes.
        estimator: the estimator that decided the number of estimation votes.
        shape: of the input, without noise.
        selection: votes of the selection samples.
        estimation: votes of the estimation samples, from a separate stream.
        guarantee: name of the theorem; the noise's default if None.

    Source: Cohen et al. 2019, Certify and Proposition 2.
    """
    return concluded(find_guarantee(noise, guarantee), noise, estimator, shape, selection, estimation)


def concluded(
    theorem: Guarantee, noise: Noise, estimator: Estimator, shape: Shape, selection: Counts, estimation: Counts
) -> Certificate:
    """`certificate` with a theorem that is already looked up, for many inputs of one run."""
    bounds = estimator.informed(selection).bounds(estimator.chosen(selection, estimation), estimation)
    radius = theorem.radius(noise, bounds, shape)
    return Certificate(
        label=None if radius is None else bounds.top,
        radius=0.0 if radius is None else radius,
        norm=theorem.norm,
        alpha=estimator.alpha,
        selection=selection,
        estimation=estimation,
        bounds=bounds,
    )


def exhaustive(noise: Noise, count: int) -> Exact:
    """The estimator that takes each of the `count` realizations of a noise once, and decides as the noise says."""
    return RunOff(count) if noise.runoff else Exact(count)


def exhaustive_rule(noise: Noise, count: int) -> AllVotes:
    """The same for an answer without a radius."""
    return AllRankings(count) if noise.runoff else AllVotes(count)


def certain(
    label: int | None, radius: float, norm: Norm, num_classes: int, space: tuple[float, float] | None
) -> Certificate:
    """The certificate of a deterministic bound: alpha is 0, and there are no votes.

    Args:
        label: the classifier's own answer; None if rounding leaves it open.
        radius: within which the answer is proved not to change; 0.0 without an answer.
        norm: of the radius.
        num_classes: of the classifier.
        space: smallest and largest value of the changed inputs that the certificate is about; None for all inputs.
    """
    none, known = Counts((0,) * num_classes), label is not None
    bounds = ClassBounds(label or 0, float(known), float(not known))
    return Certificate(label, radius, norm, 0.0, none, none, bounds, space)


def best_radius(
    noise: Noise, estimator: Estimator, shape: Shape, num_classes: int, guarantee: str | None = None
) -> tuple[float | None, Norm]:
    """The largest radius that this noise and estimator can certify, None if not even radius 0; and its norm."""
    theorem = find_guarantee(noise, guarantee)
    return theorem.radius(noise, estimator.best_bounds(num_classes), shape), theorem.norm


def fitting_alpha(noise: Noise, n: int, radius: float, shape: Shape) -> float | None:
    """The smallest alpha, rounded up to one significant digit, at which n samples can certify `radius`.

    For logs whose radii exceed what their documented alpha allows, by the papers' bound. None if no alpha below 1/2 is
    enough.
    """

    def enough(alpha: float) -> bool:
        best, _ = best_radius(noise, FixedSize(n, alpha, "cohen"), shape, num_classes=2)
        return best is not None and best >= radius

    candidates = (digit * 10.0**power for power in range(-30, 0) for digit in range(1, 10))
    rounded = (float(f"{candidate:.0e}") for candidate in candidates)
    return next((alpha for alpha in rounded if alpha < 0.5 and enough(alpha)), None)
