"""The common part of classifiers that ask another one about many images that are made from an input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.models.networks import Composed, is_fixed, one_tensor

if TYPE_CHECKING:
    from torch import Tensor, nn
    from typing_extensions import Self

# Another machine may find another answer where a number is this close to what decides (logits: relative to the largest
# absolute value): far more than rounding moves one in float64, and more than it does in float32.
CLEAR = 1e-4
# Values of images that go through the classifier at a time, and the most images.
_VALUES, _IMAGES = 2**24, 512


class Asking(Composed):
    """A classifier around another one, of which it is a function.

    Args:
        classifier: from images to logits `(batch, classes)` or votes `(batch,)`; a function of each image alone.
    """

    # It chooses what to compute by what it has computed.
    fixed_precision = True

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def double(self) -> Self:
        """With the classifier in float64, unless it computes in the precision that it was exported in."""
        return self if is_fixed(self.classifier) else super().double()

    def ask(self, images: Tensor) -> Tensor:
        """What the classifier returns for images, in parts: logits `(batch, classes)`, or votes `(batch,)`."""
        size = min(_IMAGES, max(1, _VALUES // images[0].numel()))
        found = torch.cat([one_tensor(self.classifier(part)) for part in torch.split(images, size)])
        if not bool(found.isfinite().all()):
            raise ClassifierError(
                "the classifier that is asked returned NaN or infinite logits, expected finite ones; train it again, "
                "or compute it in float32 if it was trained in that"
            )
        return found
