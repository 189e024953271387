"""The convex outer polytope. Source: Wong & Kolter 2018, "Provable Defenses against Adversarial Examples via the Convex
Outer Adversarial Polytope"; computed by convex-adversarial, minus the rounding of float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from holdfast.bounds.base import Bound, Classifier, Method, check_epsilon, check_norm, checked_batch
from holdfast.bounds.graph import Graph, graph
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.margins import MarginWithin, check_search
from holdfast.bounds.methods.crown import Backward
from holdfast.bounds.polytope import EVERYWHERE, NORMS, check_inputs, least_margins
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

# Intervals of a hidden layer need inputs times units numbers; this many fit into any memory.
_NUMBERS_AT_ONCE = 2**25


@dataclass(frozen=True)
class Convex(Bound):
    """Whether any input within epsilon can get another answer, by the dual of a convex relaxation of ReLU networks.

    Args:
        epsilon: the radius to certify, in input units.
        norm: "linf" or "l2".
        inputs: "all" changed inputs, as in the paper, or only those "in-range" of the data set (linf): certificates
            then say nothing about inputs with a value outside.
        search: halvings between 0 and epsilon, for inputs that are not certified at epsilon: the largest radius found
            is the certificate. 0 for yes or no at epsilon.
    """

    name: ClassVar[str] = "convex"
    norms = NORMS
    source = "Wong & Kolter 2018, Theorem 1; convex-adversarial"
    assumption = (
        "The bound is about the network with its stored weights, computed in float64 arithmetic; its rounding is taken "
        "off the bound."
    )
    packages = ("convex_adversarial",)
    epsilon: float
    norm: str = "linf"
    inputs: str = EVERYWHERE
    search: int = 0

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_norm(self, self.norm)
        check_inputs(self.inputs, self.norm)
        check_search(self.search)

    def prepare(self, classifier: Classifier) -> Method:
        """Extract the network's layers; a first call shows whether the package is installed."""
        limits = (classifier.low, classifier.high) if self.in_range else None
        try:
            network = plain(classifier)
        except UsageError as error:
            branched = _with_branches(classifier, error)
            return Backward(branched, self.epsilon, self.search, self.norm, limits, adaptive=False, tight=True)
        method = _Polytope(self, network, limits)
        middle = torch.full((1, *classifier.shape), (classifier.low + classifier.high) / 2, dtype=torch.float64)
        with torch.no_grad():
            method.least_margins(checked_batch(classifier, middle), torch.zeros(1, dtype=torch.int64), self.epsilon)
        return method


def _with_branches(classifier: Classifier, refused: UsageError) -> Graph:
    """The operations of a ReLU network that is not one layer after the other.

    Raises:
        UsageError: why it is no plain network, if torch finds no residual block, batch norm or pooling in it either.
    """
    try:
        return graph(classifier, (nn.ReLU,))
    except UsageError as error:
        raise refused from error


class _Polytope(MarginWithin):
    """The polytope around each input."""

    network: PlainNetwork

    def __init__(self, bound: Convex, network: PlainNetwork, limits: tuple[float, float] | None) -> None:
        super().__init__(network, bound.epsilon, bound.search)
        self.norm = bound.norm
        self.limits = limits
        widest = max(shape.numel() for shape in network.shapes)
        self.batch = max(1, _NUMBERS_AT_ONCE // (2 * network.shapes[0].numel() * widest))

    def least_margins(self, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        """The dual's bounds."""
        return least_margins(self.network, x, labels, epsilon, self.norm, self.limits)
