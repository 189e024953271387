"""Bounds by auto_LiRPA, if it is installed: IBP, CROWN, and CROWN with the slopes of Wong & Kolter.

Source: Xu, Shi, Zhang, Wang, Chang, Huang, Kailkhura, Lin & Hsieh 2020, "Automatic Perturbation Analysis
for Scalable Certified Robustness and Beyond"."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from holdfast.bounds.base import Bound, Classifier, Method, check_epsilon, check_norm
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.margins import MarginWithin
from holdfast.errors import HoldfastError, UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

_ORDERS = {"linf": float("inf"), "l2": 2.0}
# The library's name of each method, and its bound on ReLU.
_METHODS = {
    "ibp": ("IBP", "adaptive"),
    "crown": ("CROWN", "adaptive"),
    "same-slope": ("CROWN", "same-slope"),
}


@dataclass(frozen=True)
class Lirpa(Bound):
    """Yes or no at epsilon by linear relaxations; `same-slope` is the relaxation of the bound `convex`.

    Args:
        epsilon: the radius to certify, in input units.
        norm: "linf" or "l2".
        method: "crown", "same-slope" or "ibp" (linf).
    """

    name: ClassVar[str] = "lirpa"
    norms = (Norm.LINF, Norm.L2)
    source = "Xu et al. 2020; auto_LiRPA"
    assumption = (
        "The bound is about the network with its stored weights, computed in float64 arithmetic; its rounding is taken "
        "off as for sums of products, which is what auto_LiRPA computes for these layers."
    )
    packages = ("auto_LiRPA",)
    epsilon: float
    norm: str = "linf"
    method: str = "crown"

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_norm(self, self.norm)
        if self.method not in _METHODS:
            raise UsageError(f"method is one of {', '.join(_METHODS)}, got {self.method!r}")
        if self.method == "ibp" and self.norm != "linf":
            raise UsageError(f"method=ibp is for norm=linf, got norm={self.norm}")

    def prepare(self, classifier: Classifier) -> Method:
        """Convert the network for the library."""
        try:
            library: Any = importlib.import_module("auto_LiRPA")
            perturbations: Any = importlib.import_module("auto_LiRPA.perturbations")
        except ImportError as error:
            raise HoldfastError(
                f"The bound 'lirpa' needs auto_LiRPA, which cannot be imported ({error}). It is no extra of Holdfast, "
                "since its release on PyPI is stale: install it from its repository, Verified-Intelligence/auto_LiRPA. "
                "The bound convex gives what method=same-slope would"
            ) from error
        return _Relaxed(self, plain(classifier), library, perturbations)


class _Relaxed(MarginWithin):
    """Bounds on the margins over all other classes."""

    batch = 16
    network: PlainNetwork

    def __init__(self, bound: Lirpa, network: PlainNetwork, library: Any, perturbations: Any) -> None:
        super().__init__(network, bound.epsilon)
        self.library = library
        self.perturbation = perturbations.PerturbationLpNorm
        self.order = _ORDERS[bound.norm]
        self.method, slope = _METHODS[bound.method]
        example = torch.zeros((1, *network.shapes[0]), dtype=torch.float64)
        example = example.to(next(iter(network.layers.parameters())).device)
        self.bounded = library.BoundedModule(network.layers, example, bound_opts={"relu": slope}, device=example.device)

    def least_margins(self, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        """The library's bounds on the margins, which are rows of coefficients of the logits."""
        classes = torch.eye(self.network.last.out_features, dtype=x.dtype, device=x.device)
        margins = classes[labels].unsqueeze(1) - classes.unsqueeze(0)
        moved = self.library.BoundedTensor(x, self.perturbation(norm=self.order, eps=epsilon))
        least: Tensor
        least, _ = self.bounded.compute_bounds(x=(moved,), C=margins, method=self.method, bound_upper=False)
        return least
