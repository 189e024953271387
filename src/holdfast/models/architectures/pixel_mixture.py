"""Bayes' rule for the known pixels of an ablated image: a mixture of independent pixels for each class. Our own.

Of k known pixels, a class has the probability of which the logarithm is, but for a constant,

    log sum_m w_m prod_i q_m(i, s_i)

over its components m and the known pixels i with values s_i: what is not known drops out of a product of independent
pixels, so that one network takes any k. The recipe `mixture` fits it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture

# Values between which a pixel's log-probability is linear: most values of a drawing are near black, the others are
# spread, and an edge that covers part of a pixel says much about where it runs.
KNOTS = (0.0, 0.04, 0.16, 0.35, 0.55, 0.75, 0.92, 1.0)


class PixelMixture(nn.Module):
    """Classes as mixtures of independent pixels, for the encoding (s, 1 - s) of known values s and (0, 0) of others.

    Attributes:
        table: `(places x levels, classes x components)`, the log-probability of each knot at each place, less what
            all components have in common.
        weights: `(classes x components,)`, the logarithms of the components' weights, which contain the class's.

    Args:
        places: values of an image.
        num_classes: how many there are.
        components: of each class.
    """

    knots: Tensor

    def __init__(self, places: int, num_classes: int, components: int) -> None:
        super().__init__()
        self.places, self.num_classes, self.components = places, num_classes, components
        self.levels = len(KNOTS)
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)
        start = torch.rand(places * self.levels, num_classes * components)
        self.table = nn.Parameter(start.log_softmax(dim=0))
        self.weights = nn.Parameter(torch.zeros(num_classes * components))

    def features(self, values: Tensor) -> Tensor:
        """The share of each knot in each value, `(..., levels)`: linear between two knots, and 1 in all."""
        knots = self.knots.to(values.dtype)
        passed = ((values.unsqueeze(-1) - knots[:-1]) / (knots[1:] - knots[:-1])).clamp(0.0, 1.0)
        return functional.pad(passed, (1, 0), value=1.0) - functional.pad(passed, (0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, 2 x channels, ...)` to logits `(batch, classes)`."""
        values, inverted = x.reshape(-1, 2, self.places).unbind(1)
        known = values + inverted
        # An exporter needs shapes that do not depend on values.
        fixed = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
        scores = self._scores_of_all(values, known) if fixed else self._scores_of_known(values, known)
        return (scores + self.weights).view(-1, self.num_classes, self.components).logsumexp(dim=2)

    def _scores_of_all(self, values: Tensor, known: Tensor) -> Tensor:
        """The log-probability of an image's known pixels in each component, by a product with all places."""
        return (self.features(values) * known.unsqueeze(-1)).flatten(1) @ self.table

    def _scores_of_known(self, values: Tensor, known: Tensor) -> Tensor:
        """The same by adding the rows of known places: with few of them, a tenth of the time."""
        image, place = (known.detach() != 0).nonzero(as_tuple=True)
        value, weight = values[image, place], known[image, place]
        segment = torch.bucketize(value.detach(), self.knots[1:-1].to(value.dtype), right=True)
        low, high = self.knots[segment].to(value.dtype), self.knots[segment + 1].to(value.dtype)
        upper = ((value - low) / (high - low)).clamp(0.0, 1.0)
        row = place * self.levels + segment
        counts = torch.bincount(image, minlength=len(values))
        return functional.embedding_bag(
            torch.stack([row, row + 1], dim=1).flatten(),
            self.table,
            2 * (counts.cumsum(0) - counts),
            mode="sum",
            per_sample_weights=torch.stack([weight * (1.0 - upper), weight * upper], dim=1).flatten().to(self.table),
        )


@architecture("pixel-mixture", raw=True)
def pixel_mixture(shape: Shape, num_classes: int, *, components: int = 30) -> nn.Module:
    """A mixture of `components` independent distributions of pixels for each class. The recipe `mixture` fits it.

    Raises:
        UsageError: `shape` is not that of values encoded as (s, 1 - s), or `components` cannot be.
    """
    if len(shape) < 2 or shape[0] % 2:
        raise UsageError(
            "architecture 'pixel-mixture' takes ablated inputs, each channel s encoded as (s, 1 - s), as under "
            f"ablation:k=45; got inputs of shape {shape}"
        )
    if type(components) is not int or components < 1:
        raise UsageError(f"pixel-mixture has components from 1 on, a whole number; got {components!r}")
    return PixelMixture(torch.Size(shape).numel() // 2, num_classes, components)
