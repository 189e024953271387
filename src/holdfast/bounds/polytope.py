"""The dual of the convex outer polytope by convex-adversarial, for bounds and training."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingExtraError, UsageError
from holdfast.estimators.proved import IN_RANGE
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.bounds.layers import PlainNetwork

NORMS = (Norm.LINF, Norm.L2)
# The library uses the names of the dual norms.
_DUAL = {"linf": "l1", "l2": "l2"}

EVERYWHERE = "all"


def check_inputs(inputs: str, norm: str) -> None:
    """Raise UsageError unless `inputs` is valid and goes with the norm."""
    if inputs not in (EVERYWHERE, IN_RANGE):
        raise UsageError(f"inputs is {EVERYWHERE!r} (whatever the values) or {IN_RANGE!r}, got {inputs!r}")
    if inputs == IN_RANGE and norm != "linf":
        raise UsageError(f"inputs={IN_RANGE} is for norm=linf, got norm={norm}")


def least_margins(
    network: PlainNetwork,
    x: Tensor,
    labels: Tensor,
    epsilon: float,
    norm: str,
    limits: tuple[float, float] | None,
    projections: int = 0,
) -> Tensor:
    """Lower bounds on (logit of the label - logit j) for all inputs within `epsilon` of `x`, before rounding.

    Args:
        network: its layers.
        x: `(batch, *shape)`, in the precision of the layers.
        labels: `(batch,)`.
        epsilon: in input units, above 0.
        norm: "linf" or "l2".
        limits: smallest and largest value of the changed inputs that count; None for all inputs.
        projections: number of Cauchy projections instead of exact L1 norms: an estimate, for training only. 0 for none.

    Returns:
        `(batch, classes)`; 0 for the label itself.

    Raises:
        MissingExtraError: convex-adversarial is not installed.

    Source: Wong & Kolter 2018, "Provable Defenses against Adversarial Examples via the Convex Outer Adversarial
    Polytope", Theorem 1 and Algorithm 1; for the projections Wong, Schmidt, Metzen & Kolter 2018.
    """
    library = _library()
    settings: dict[str, Any] = {"norm_type": _DUAL[norm]}
    if limits is not None:
        settings |= {"bounded_input": True, "input_l": limits[0], "input_u": limits[1]}
    # The library uses projections only if they are fewer than the values of an input.
    if 0 < projections < x[0].numel():
        settings |= {"proj": projections, "norm_type": "l1_median" if norm == "linf" else "l2_normal"}
    bounds: Tensor = library.RobustBounds(network.layers, epsilon, **settings)(x, labels)
    return -bounds


def _library() -> Any:
    try:
        return importlib.import_module("convex_adversarial")
    except ImportError:
        raise MissingExtraError("convex-adversarial", "bounds", "The convex outer polytope") from None
