"""The convex outer polytope. Source: Wong & Kolter 2018, "Provable Defenses against Adversarial Examples via the Convex
Outer Adversarial Polytope"; computed by convex-adversarial, with the rounding of float64 taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.bounds.base import UNDECIDED, Bound, Classifier, Method, check_epsilon, check_norm, checked_logits
from holdfast.bounds.layers import PlainNetwork, plain
from holdfast.bounds.polytope import EVERYWHERE, IN_RANGE, check_inputs, least_leads
from holdfast.bounds.rounding import decided, reach
from holdfast.errors import UsageError
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor

# Intervals of a hidden layer are computed from as many numbers as inputs times units; so many fit anywhere.
_NUMBERS_AT_ONCE = 2**25


@dataclass(frozen=True)
class Convex(Bound):
    """Whether any input within epsilon can get another answer, by the dual of a convex relaxation of ReLU networks.

    Args:
        epsilon: the radius to certify, in input units.
        norm: "linf" or "l2".
        inputs: "all" changed inputs, as in the paper, or only those "in-range" of the data set (linf).
        search: halvings between 0 and epsilon, for inputs that epsilon is too much for: the largest radius found is
            the certificate. 0 for yes or no at epsilon.
    """

    name: ClassVar[str] = "convex"
    norms = (Norm.LINF, Norm.L2)
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
        """The network's layers; a first call tells whether the package is there."""
        network = plain(classifier)
        limits = (classifier.low, classifier.high) if self.inputs == IN_RANGE else None
        method = _Polytope(self, network, limits)
        middle = torch.full((1, *classifier.shape), (classifier.low + classifier.high) / 2, dtype=torch.float64)
        with torch.no_grad():
            least_leads(
                network,
                middle.to(next(iter(network.layers.parameters())).device),
                torch.zeros(1, dtype=torch.int64),
                self.epsilon,
                self.norm,
                limits,
            )
        return method


class _Polytope(Method):
    """The polytope around each input."""

    def __init__(self, bound: Convex, network: PlainNetwork, limits: tuple[float, float] | None) -> None:
        self.bound = bound
        self.network = network
        self.limits = limits
        widest = max(shape.numel() for shape in network.shapes)
        self.batch = max(1, _NUMBERS_AT_ONCE // (2 * network.shapes[0].numel() * widest))

    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Yes or no at epsilon, and below it for those with no."""
        logits = checked_logits(self.network.logits(x))
        answers = decided(self.network, x, logits)
        epsilon = self.bound.epsilon
        found = epsilon * self._certain(x, answers, epsilon).double()
        for number in range(len(x) if self.bound.search else 0):
            if float(found[number]) == 0.0 and int(answers[number]) != UNDECIDED:
                found[number] = self._largest(x[number : number + 1], answers[number : number + 1])
        return answers, found

    def _largest(self, x: Tensor, answer: Tensor) -> float:
        """The largest certified of the radii that halving tries, for one input."""
        certified, refused = 0.0, self.bound.epsilon
        for _ in range(self.bound.search):
            middle = (certified + refused) / 2
            if bool(self._certain(x, answer, middle)[0]):
                certified = middle
            else:
                refused = middle
        return certified

    def _certain(self, x: Tensor, answers: Tensor, epsilon: float) -> Tensor:
        """Whether all inputs within epsilon have this answer, `(batch,)`."""
        labels = answers.clamp_min(0)
        leads = least_leads(self.network, x, labels, epsilon, self.bound.norm, self.limits)
        slack = reach(self.network, x, epsilon).of_difference(labels)
        # Written so that a NaN fails.
        ahead = leads > slack
        ahead.scatter_(1, labels.unsqueeze(1), True)
        return ahead.all(dim=1) & (answers != UNDECIDED)


def check_search(search: int) -> None:
    """Raise UsageError unless it is a number of halvings."""
    if type(search) is not int or search < 0:
        raise UsageError(f"search is a whole number of halvings from 0 on, got {search!r}")
