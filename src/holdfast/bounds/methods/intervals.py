"""Interval bound propagation. Source: Gowal, Dvijotham, Stanforth, Bunel, Qin, Uesato, Arandjelovic, Mann & Kohli 2018,
"On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.bounds.backward import nearest_leads
from holdfast.bounds.base import Bound, Classifier, Method, check_epsilon
from holdfast.bounds.graph import graph
from holdfast.bounds.margins import check_search
from holdfast.bounds.methods.crown import Backward
from holdfast.bounds.polytope import EVERYWHERE, check_inputs
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.bounds.backward import Walk


@dataclass(frozen=True)
class Intervals(Bound):
    """Whether any input within epsilon can get another answer, by the intervals of all values, layer after layer.

    The cheapest bound, and the loosest: it certifies networks that were trained for it. Networks are those of `crown`.

    Args:
        epsilon: the radius to certify, in input units.
        inputs: "all" changed inputs, or only those "in-range" of the data set.
        search: halvings between 0 and epsilon, for inputs that are not certified at epsilon; 0 for yes or no.
    """

    name: ClassVar[str] = "intervals"
    norms = (Norm.LINF,)
    source = "Gowal et al. 2018, section 3"
    assumption = (
        "The bound is about the network with its stored weights, computed in float64 arithmetic; its rounding is taken "
        "off the bound."
    )
    epsilon: float
    inputs: str = EVERYWHERE
    search: int = 0

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_inputs(self.inputs, "linf")
        check_search(self.search)

    def prepare(self, classifier: Classifier) -> Method:
        """Read the network's operations."""
        limits = (classifier.low, classifier.high) if self.in_range else None
        return _Ends(graph(classifier), self.epsilon, self.search, "linf", limits, adaptive=True, tight=False)


class _Ends(Backward):
    """Bounds from the intervals before the last operation."""

    def leads(self, walk: Walk, label: int) -> Tensor:
        """From the ends of these intervals."""
        return nearest_leads(walk, label)
