"""Linear bounds through general networks. Source: Zhang, Weng, Chen, Hsieh & Daniel 2018, "Efficient Neural Network
Robustness Certification with General Activation Functions" (CROWN)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch

from holdfast.bounds.backward import Ball, Walk, least_leads
from holdfast.bounds.base import Bound, Classifier, Method, check_epsilon, check_norm
from holdfast.bounds.graph import Graph, graph
from holdfast.bounds.margins import MarginWithin, check_search
from holdfast.bounds.polytope import EVERYWHERE, check_inputs
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

HIDDEN = ("linear", "intervals")


@dataclass(frozen=True)
class Crown(Bound):
    """Whether any input within epsilon can get another answer, by lines around each activation, walked back.

    Networks may have residual blocks, batch normalization, average and max pooling, and ReLU, sigmoid or tanh.

    Args:
        epsilon: the radius to certify, in input units.
        norm: "linf" or "l2".
        hidden: intervals before activations by "linear" bounds, or by "intervals" alone: cheaper, and looser.
        inputs: "all" changed inputs, or only those "in-range" of the data set (linf).
        search: halvings between 0 and epsilon, for inputs that are not certified at epsilon; 0 for yes or no.
    """

    name: ClassVar[str] = "crown"
    norms = (Norm.LINF, Norm.L2)
    source = "Zhang et al. 2018, Theorem 3.2"
    assumption = (
        "The bound is about the network with its stored weights, computed in float64 arithmetic; its rounding is taken "
        "off the bound."
    )
    epsilon: float
    norm: str = "linf"
    hidden: str = "linear"
    inputs: str = EVERYWHERE
    search: int = 0

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_norm(self, self.norm)
        check_inputs(self.inputs, self.norm)
        check_search(self.search)
        if self.hidden not in HIDDEN:
            raise UsageError(f"hidden is one of {', '.join(HIDDEN)}, got {self.hidden!r}")

    def prepare(self, classifier: Classifier) -> Method:
        """Read the network's operations."""
        limits = (classifier.low, classifier.high) if self.in_range else None
        tight = self.hidden == "linear"
        return Backward(graph(classifier), self.epsilon, self.search, self.norm, limits, adaptive=True, tight=tight)


class Backward(MarginWithin):
    """Bounds that go back through a network with branches.

    Args:
        network: its operations.
        epsilon: the radius to certify.
        search: number of halvings.
        norm: "linf" or "l2".
        limits: smallest and largest value of the changed inputs; None for all.
        adaptive: the lines of CROWN instead of parallel ones.
        tight: intervals before activations by linear bounds.
    """

    def __init__(
        self,
        network: Graph,
        epsilon: float,
        search: int,
        norm: str,
        limits: tuple[float, float] | None,
        *,
        adaptive: bool,
        tight: bool,
    ) -> None:
        super().__init__(network, epsilon, search)
        self.graph = network
        self.norm = norm
        self.limits = limits
        self.adaptive = adaptive
        self.tight = tight

    @final
    def least_margins(self, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        """One input after the other, since each has other undecided units."""
        balls = [Ball(x[number : number + 1], epsilon, self.norm, self.limits) for number in range(len(x))]
        walks = (Walk(self.graph, ball, self.adaptive, self.tight) for ball in balls)
        return torch.stack([self.leads(walk, int(label)) for walk, label in zip(walks, labels, strict=True)])

    def leads(self, walk: Walk, label: int) -> Tensor:
        """Lower bounds on (logit of the label - logit j), `(classes,)`, rounded down."""
        return least_leads(walk, label)

    def slack(self, x: Tensor, labels: Tensor, epsilon: float) -> float:
        """Nothing: a walk subtracts all rounding itself."""
        return 0.0
