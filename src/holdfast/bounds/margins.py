"""Two ways from the lead over other classes to a radius: a quotient, or yes and no at an epsilon."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, final

import torch

from holdfast.bounds.base import UNDECIDED, Method, checked_logits
from holdfast.bounds.rounding import UNDERFLOW, Reach, decided, reach
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from holdfast.bounds.graph import Graph
    from holdfast.bounds.layers import PlainNetwork


class _OfNetwork(Method):
    """A method that has the classifier as a network of known operations."""

    network: PlainNetwork | Graph

    @final
    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The network's logits, and the rounding of two computations of them."""
        return self.network.logits(x), self.reach(x).between_computations()

    def reach(self, x: Tensor) -> Reach:
        """The rounding of the logits of inputs `(batch, *shape)`."""
        return reach(self.network, x, 0.0)


class MarginQuotient(_OfNetwork):
    """Divides each lead by the most that it can shrink per unit of length of a change.

    Args:
        network: whose logits have the margins.
        slopes: `(classes, classes)`, of the lead of a class (row) over another one (column), rounded up and above 0.
    """

    batch = 64

    def __init__(self, network: PlainNetwork | Graph, slopes: Tensor) -> None:
        self.network = network
        self.slopes = slopes

    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest quotient, over the other classes."""
        logits = checked_logits(self.network.logits(x))
        rounding = self.reach(x)
        answers = decided(rounding, logits)
        labels = answers.clamp_min(0)
        own = labels.unsqueeze(1)
        margins = logits.gather(1, own) - logits - rounding.of_difference(labels)
        distances = margins / self.slopes[labels]
        distances.scatter_(1, own, math.inf)
        # The quotient is off by one rounding, or too small for float64.
        smallest = (distances.amin(dim=1) * (1.0 - 2.0**-50) - UNDERFLOW).clamp_min(0.0)
        return answers, torch.where(answers == UNDECIDED, 0.0, smallest)


class MarginWithin(_OfNetwork):
    """Whether all margins stay above 0 within an epsilon. A subclass defines `least_margins`.

    Args:
        network: in float64.
        epsilon: the radius to certify.
        search: number of halvings between 0 and epsilon, for inputs that are not certified at epsilon.
    """

    def __init__(self, network: PlainNetwork | Graph, epsilon: float, search: int = 0) -> None:
        self.network = network
        self.epsilon = epsilon
        self.search = search

    @abstractmethod
    def least_margins(self, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        """Lower bounds on (logit of the label - logit j) for all inputs within `epsilon` of `x`, before rounding.

        Args:
            x: `(batch, *shape)`, float64.
            labels: `(batch,)`.
            epsilon: in input units, above 0.

        Returns:
            `(batch, classes)`; the entry of the label itself is not used.
        """

    def slack(self, x: Tensor, labels: Tensor, epsilon: float) -> Tensor | float:
        """How far `least_margins` can be off through rounding, its own and that of the logits, `(batch, classes)`."""
        return reach(self.network, x, epsilon).of_difference(labels)

    @final
    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Epsilon, or the largest radius below it that the search certifies, or 0."""
        logits = checked_logits(self.network.logits(x))
        answers = decided(self.reach(x), logits)
        found = self.epsilon * self._certain(x, answers, self.epsilon).double()
        for number in range(len(x) if self.search else 0):
            if float(found[number]) == 0.0 and int(answers[number]) != UNDECIDED:
                found[number] = self._largest(x[number : number + 1], answers[number : number + 1])
        return answers, found

    def _largest(self, x: Tensor, answer: Tensor) -> float:
        """The largest radius certified by halving, for one input."""
        certified, refused = 0.0, self.epsilon
        for _ in range(self.search):
            middle = (certified + refused) / 2
            if bool(self._certain(x, answer, middle)[0]):
                certified = middle
            else:
                refused = middle
        return certified

    def _certain(self, x: Tensor, answers: Tensor, epsilon: float) -> Tensor:
        """Whether all inputs within epsilon have this answer, `(batch,)`."""
        labels = answers.clamp_min(0)
        # Written so that a NaN fails.
        ahead = self.least_margins(x, labels, epsilon) > self.slack(x, labels, epsilon)
        ahead.scatter_(1, labels.unsqueeze(1), True)
        return ahead.all(dim=1) & (answers != UNDECIDED)


def check_search(search: int) -> None:
    """Raise UsageError unless `search` is a number of halvings."""
    if type(search) is not int or search < 0:
        raise UsageError(f"search is a whole number of halvings from 0 on, got {search!r}")
