"""The nearest neighbour as a base classifier: its weights are the training images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture

# In the place of a squared distance for classes without a stored input.
BEYOND = 1e30


class NearestNeighbour(nn.Module):
    """Answers the class of the stored input that is nearest in L2; the lowest class among equals.

    The logit of a class is minus the squared distance to its nearest stored input. Stored inputs are no parameters:
    they are put in by the recipe `memorize`, through `store`.

    Args:
        shape: shape of an input.
        num_classes: how many there are.
        stored: inputs that it has room for.
    """

    images: Tensor
    labels: Tensor
    filled: Tensor

    def __init__(self, shape: Shape, num_classes: int, stored: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.register_buffer("images", torch.zeros((stored, math.prod(shape))))
        self.register_buffer("labels", torch.zeros(stored, dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        # Optimizers want something to learn; this scales the logits and changes no answer.
        self.scale = nn.Parameter(torch.ones(()))

    def store(self, x: Tensor, labels: Tensor) -> None:
        """Put inputs `(batch, *shape)` with their classes into the next free places.

        Raises:
            UsageError: there is no room left.
        """
        first = int(self.filled)
        end = first + len(x)
        if end > len(self.labels):
            raise UsageError(
                f"a nearest-neighbour classifier with room for {len(self.labels)} inputs got {end}; train it for one "
                "epoch, and let the recipe memorize choose its size"
            )
        self.images[first:end] = x.detach().flatten(1)
        self.labels[first:end] = labels
        self.filled.fill_(end)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`."""
        flat = x.flatten(1)
        count = int(self.filled)
        images = self.images[:count].to(flat.dtype)
        return -self.scale * nearest_squares(flat, images, self.labels[:count], self.num_classes)


def nearest_squares(x: Tensor, points: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Squared L2 distances to the nearest point of each class, `(batch, classes)`; `BEYOND` for a class without points.

    Args:
        x: `(batch, features)`.
        points: `(num, features)`.
        labels: `(num,)` their classes.
        num_classes: how many there are.
    """
    # But for the input's own square: by products, in one look at the points for all classes.
    squares = torch.linalg.vector_norm(points, dim=1).square() - 2.0 * (x @ points.T)
    nearest = x.new_full((len(x), num_classes), BEYOND)
    nearest = nearest.scatter_reduce(1, labels.expand(len(x), -1), squares, "amin", include_self=False)
    return x.square().sum(dim=1, keepdim=True) + nearest


@architecture("nearest-neighbour", raw=True)
def nearest_neighbour(shape: Shape, num_classes: int, *, stored: int = 0) -> nn.Module:
    """The class of the nearest of `stored` training images, in L2. The recipe `memorize` fills in how many.

    Raises:
        UsageError: `stored` is not a whole number from 0 on.
    """
    if type(stored) is not int or stored < 0:
        raise UsageError(f"stored is a number of training images from 0 on, got {stored!r}")
    return NearestNeighbour(shape, num_classes, stored)
