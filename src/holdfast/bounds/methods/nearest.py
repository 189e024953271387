"""The exact margin of a classifier by the nearest stored input or learned prototype. Sources: Wang, Liu, Yi, Zhou &
Hsieh 2019, "Evaluating the Robustness of Nearest Neighbor Classifiers: A Primal-Dual Perspective"; Voracek & Hein 2022,
"Provably Adversarially Robust Nearest Prototype Classifiers"."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch

from holdfast.bounds.base import DUAL_ORDERS, UNDECIDED, Bound, Classifier, Method, check_norm
from holdfast.bounds.layers import flat, statistics
from holdfast.bounds.rounding import UNDERFLOW, gamma
from holdfast.errors import UsageError
from holdfast.models.architectures.nearest import BEYOND, NearestNeighbour
from holdfast.models.architectures.prototypes import Prototypes
from holdfast.models.normalization import Normalization
from holdfast.types import Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Array = NDArray[np.float64]

# First number of own-class neighbours whose planes cut a Voronoi cell, and how often to add those that it misses.
_CUTS, _ROUNDS = 32, 8


@dataclass(frozen=True)
class Nearest(Bound):
    """The distance to the nearest Voronoi cell of another class, or a lower bound on it, rounded down.

    Prototypes count as stored inputs. An input in the cell of a stored input j is nearer to j than to every i of the
    answered class: linear inequalities in the change. Any weights on them from 0 on give a lower bound on the change
    (weak duality), and in L2 those of the quadratic program give the distance itself. In Linf and L1, the best single
    inequality and the weights of the L2 program give a lower bound.

    Args:
        norm: "l2", "linf" or "l1".
        cells: number of nearest cells to compute by programs; cells further away than all of them count by their
            nearest plane.
    """

    name: ClassVar[str] = "nearest"
    norms = (Norm.L2, Norm.LINF, Norm.L1)
    source = "Wang et al. 2019"
    assumption = "The classifier answers the class of the stored input that is nearest in L2, in exact arithmetic."
    norm: str = "l2"
    cells: int = 200

    def __post_init__(self) -> None:
        check_norm(self, self.norm)
        if type(self.cells) is not int or self.cells < 1:
            raise UsageError(f"cells is a whole number from 1 on, got {self.cells!r}")

    def prepare(self, classifier: Classifier) -> Method:
        """Extract the stored inputs, and the normalization before them."""
        parts = list(flat(classifier.module))
        if not parts or type(parts[-1]) not in (NearestNeighbour, Prototypes) or len(parts) > 2:
            raise UsageError(
                "the bound 'nearest' takes classifiers of the architecture nearest-neighbour or prototypes; for "
                "networks there are convex and lipschitz"
            )
        before = parts[0] if len(parts) == 2 else None
        if before is not None and type(before) is not Normalization:
            raise UsageError(
                f"the bound 'nearest' takes nothing but a normalization before the neighbours, got {before}"
            )
        return _Cells(self, classifier, _stored(parts[-1]), before)


class _Stored(NamedTuple):
    """What an input is compared with.

    Attributes:
        images: normalized `(num, features)`.
        labels: their classes `(num,)`.
        steepness: the factor of logits.
    """

    images: Array
    labels: NDArray[np.int64]
    steepness: float


def _stored(module: nn.Module) -> _Stored:
    if isinstance(module, Prototypes):
        return _Stored(module.points.detach().double().cpu().numpy(), module.labels.cpu().numpy(), 1.0)
    assert isinstance(module, NearestNeighbour)
    count, steepness = int(module.filled), float(module.scale.detach())
    if count == 0 or steepness <= 0.0:
        raise UsageError("the nearest-neighbour classifier has no stored inputs; train it by the recipe memorize")
    images = module.images[:count].double().cpu().numpy()
    return _Stored(images, module.labels[:count].cpu().numpy(), steepness)


class _Near(NamedTuple):
    """An input and its position among the stored ones.

    Attributes:
        point: normalized `(features,)`.
        size: what its rounding is relative to.
        own: stored inputs of the answered class, the nearest first.
        others: positions of stored inputs of other classes, those with the nearest planes first.
        planes: lower bounds on the distance to them.
    """

    point: Array
    size: Array
    own: Array
    others: NDArray[np.int64]
    planes: Array


class _Cells(Method):
    """Distances to cells, one input at a time."""

    def __init__(
        self, bound: Nearest, classifier: Classifier, stored: _Stored, normalization: Normalization | None
    ) -> None:
        self.cells, self.num_classes = bound.cells, classifier.num_classes
        self.order = DUAL_ORDERS[bound.norm]
        self.images, self.labels, self.steepness = stored
        features = self.images.shape[1]
        self.scale, self.shift = np.ones(features), np.zeros(features)
        if normalization is not None and normalization.active:
            each = (-1, *[1] * (len(classifier.shape) - 1))
            mean, std = (
                channels.cpu().view(each).expand(classifier.shape).flatten().numpy()
                for channels in statistics(normalization, classifier.shape)
            )
            self.scale, self.shift = 1.0 / std, mean / std
        self.squares = np.square(self.images).sum(axis=1)
        self.lengths = np.sqrt(self.squares)
        # The same of the slopes of leads, which normalization stretches.
        self.scaled = self.images if (self.scale == 1.0).all() else self.images * self.scale
        self.spreads = np.square(self.scaled).sum(axis=1)
        # Error of a lead, more than twice over. No lead is larger than what its error is relative to, so the remainder
        # covers the relative errors of a length, of a quotient, and of a weighted sum.
        self.gamma = gamma(4 * features + 4 * len(self.labels) + 64)

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the squared distances to the nearest stored input of each class, times the architecture's scale."""
        logits = np.full((len(x), self.num_classes), -self.steepness * BEYOND)
        slack = np.zeros_like(logits)
        longest = np.square(self.images).sum(axis=1).max()
        for row, each in enumerate(x.flatten(1).cpu().numpy()):
            point, size = self._point(each)
            squares = np.square(self.images - point).sum(axis=1)
            for label in np.unique(self.labels):
                logits[row, label] = -self.steepness * squares[self.labels == label].min()
            # The module adds squares and a product; (a + b)^2 <= 2 a^2 + 2 b^2.
            slack[row] = 4.0 * self.gamma * self.steepness * (np.square(size).sum() + longest)
        return torch.from_numpy(logits).to(x.device), torch.from_numpy(slack).to(x.device)

    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The distance to the nearest cell of another class, for each input."""
        found = [self._radius(each) for each in x.flatten(1).cpu().numpy()]
        answers, radii = zip(*found, strict=True)
        return torch.tensor(answers, dtype=torch.int64), torch.tensor(radii, dtype=torch.float64)

    def _point(self, x: Array) -> tuple[Array, Array]:
        """An input normalized like the stored ones, and what its rounding is relative to."""
        return x * self.scale - self.shift, np.abs(x) * self.scale + np.abs(self.shift)

    def _radius(self, x: Array) -> tuple[int, float]:
        point, size = self._point(x)
        # Squared distances but for the input's own square, by one product.
        squares = self.squares - 2.0 * (self.images @ point)
        nearest = self._nearest(point, size, squares)
        answer = int(self.labels[nearest])
        same = self.labels == answer
        others = np.flatnonzero(~same)
        if not len(others):
            return UNDECIDED, 0.0
        planes = self._first_planes(point, size, nearest, others)
        # Written so that a NaN decides nothing.
        if not planes.min() > 0.0:
            return UNDECIDED, 0.0
        own = self.images[same][np.argsort(squares[same])]
        order = np.argsort(planes)
        nearest_cell = self._nearest_cell(_Near(point, size, own, others[order], planes[order]))
        return answer, max(0.0, nearest_cell - UNDERFLOW)

    def _nearest(self, point: Array, size: Array, squares: Array) -> int:
        """The nearest stored input: of those that rounding may have made the nearest, by the more exact formula."""
        slack = self.gamma * np.square(self.lengths.max() + np.linalg.norm(size))
        close = np.flatnonzero(squares <= squares.min() + slack)
        if not len(close):
            # Squares overflowed; what follows decides nothing.
            return 0
        return int(close[np.square(self.images[close] - point).sum(axis=1).argmin()])

    def _first_planes(self, point: Array, size: Array, nearest: int, others: NDArray[np.int64]) -> Array:
        """Lower bounds on the distances to the planes between the nearest stored input and each of `others`.

        In L2 by two products for all of them; by differences in other norms, and where that leaves open which side of
        a plane the input is on.
        """
        own = self.images[nearest : nearest + 1]
        if self.order != DUAL_ORDERS["l2"]:
            return self._planes(point, size, self.images[others], own)[:, 0]
        products = self.images @ point
        lead = 0.5 * (self.squares - self.squares[nearest]) - (products - products[nearest])
        sizes = self.lengths + self.lengths[nearest]
        error = self.gamma * (sizes + np.linalg.norm(size)) * sizes + UNDERFLOW
        apart = self.spreads + self.spreads[nearest] - 2.0 * (self.scaled @ self.scaled[nearest])
        rounding = self.gamma * np.square(np.sqrt(self.spreads) + math.sqrt(self.spreads[nearest]))
        found: Array = (lead - error) / (np.sqrt(np.maximum(apart, 0.0) + rounding) + UNDERFLOW)
        found = found[others]
        open_ones = ~(found > 0.0)
        found[open_ones] = self._planes(point, size, self.images[others[open_ones]], own)[:, 0]
        return found

    def _nearest_cell(self, near: _Near) -> float:
        """The distance to the nearest cell; cells beyond the nearest one found so far need no program."""
        best = math.inf
        for number, plane in enumerate(near.planes.tolist()):
            if plane >= best:
                break
            if number == self.cells:
                best = min(best, plane)
                break
            best = min(best, max(plane, self._cell(near, self.images[near.others[number]], best)))
        return best

    def _planes(self, point: Array, size: Array, others: Array, own: Array) -> Array:
        """Lower bounds on the distance to the plane between each of `others` and each of `own`, `(others, own)`."""
        found = np.empty((len(others), len(own)))
        for number, each in enumerate(own):
            apart = others - each
            lead, error = self._lead(point, size, apart, others, each)
            found[:, number] = (lead - error) / self._length(apart * self.scale)
        return found

    def _lead(self, point: Array, size: Array, apart: Array, others: Array, own: Array) -> tuple[Array, Array]:
        """Half the difference of the squared distances to j and i, and its error."""
        lead = ((0.5 * (others + own) - point) * apart).sum(axis=-1)
        error = self.gamma * ((np.abs(others) + np.abs(own) + size) * (np.abs(others) + np.abs(own))).sum(axis=-1)
        return lead, error + UNDERFLOW

    def _length(self, change: Array) -> Array:
        """The dual norm of each row, up to relative rounding."""
        length: Array = np.linalg.norm(change, self.order, axis=-1)
        return length + UNDERFLOW

    def _cell(self, near: _Near, cell: Array, enough: float) -> float:
        """A lower bound on the distance to the cell of one stored input: in L2 its distance, up to rounding.

        From `enough` on, a better one is not needed.
        """
        planes = self._planes_of(near, cell)
        best = float(planes.max())
        chosen = np.argsort(-planes)[:_CUTS]
        for _ in range(_ROUNDS):
            if best >= enough:
                break
            weights, change = self._program(near, cell, near.own[chosen])
            if weights is None:
                break
            best = max(best, self._dual(near, cell, near.own[chosen], weights))
            moved = near.point + change * self.scale
            missed = np.square(near.own - moved).sum(axis=1) < np.square(cell - moved).sum() - 1e-9
            more = np.setdiff1d(np.flatnonzero(missed), chosen)
            if not len(more):
                break
            chosen = np.concatenate([chosen, more[:_CUTS]])
        return best

    def _planes_of(self, near: _Near, cell: Array) -> Array:
        apart = cell - near.own
        lead, error = self._lead(near.point, near.size, apart, np.broadcast_to(cell, apart.shape), near.own)
        return (lead - error) / self._length(apart * self.scale)

    def _program(self, near: _Near, cell: Array, own: Array) -> tuple[Array | None, Array]:
        """Weights of the inequalities and the smallest change in L2, by Lawson and Hanson's form of the program."""
        from scipy.optimize import nnls

        apart = (cell - own) * self.scale
        lead = ((0.5 * (cell + own) - near.point) * (cell - own)).sum(axis=1)
        target = np.zeros(apart.shape[1] + 1)
        target[-1] = 1.0
        try:
            weights, _ = nnls(np.vstack([apart.T, lead]), target)
        except RuntimeError:
            # No solution found; the bounds without it stay valid.
            return None, np.zeros(apart.shape[1])
        residual = np.concatenate([apart.T @ weights, [lead @ weights]]) - target
        if residual[-1] >= 0.0 or not np.isfinite(residual).all():
            return None, np.zeros(apart.shape[1])
        return np.maximum(weights, 0.0), -residual[:-1] / residual[-1]

    def _dual(self, near: _Near, cell: Array, own: Array, weights: Array) -> float:
        """The least length of a change that these weights prove; any weights give a valid bound."""
        apart = cell - own
        lead, error = self._lead(near.point, near.size, apart, np.broadcast_to(cell, apart.shape), own)
        proved = float(weights @ lead) - float(weights @ error) - UNDERFLOW
        spread = self.gamma * (weights @ (np.abs(apart) * self.scale))
        length = float(self._length(np.abs(weights @ (apart * self.scale)) + spread))
        return proved / length
