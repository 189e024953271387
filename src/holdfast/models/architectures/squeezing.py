"""Feature squeezing: inputs whose class probabilities change when they are simplified are rejected. No certified
defence: it is here to be broken. Source: Xu, Evans & Qi 2018, "Feature Squeezing: Detecting Adversarial Examples in
Deep Neural Networks"; broken by He, Wei, Chen, Carlini & Song 2017, "Adversarial Example Defenses: Ensembles of Weak
Defenses are not Strong"."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build, image_size
from holdfast.models.architectures.defended import straight_through
from holdfast.models.architectures.rejecting import Rejecting

# No more bits than float32 tells apart in [0, 1].
_MOST_BITS = 24
# Share of the difference of logits in the gradient that adversaries follow.
_SHARE = 0.1


class FeatureSqueezing(Rejecting):
    """Answers like the classifier, and rejects inputs whose probabilities differ much between them and simpler ones.

    The simpler ones are: values rounded to few bits, and the median of each small window. The difference is the L1
    distance between the probabilities, from 0 to 2; the largest one counts.

    Args:
        classifier: module from images to logits.
        bits: of a rounded value in [0, 1].
        window: height and width of a window in pixels; 1 for no medians.
    """

    threshold: Tensor

    def __init__(self, classifier: nn.Module, bits: int, window: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.steps = 2**bits - 1
        self.window = window
        # Set by the recipe after the training; until then nothing is rejected, since no distance exceeds 2.
        self.register_buffer("threshold", torch.tensor(2.0))

    def classified(self, x: Tensor) -> Tensor:
        """The classifier's logits of the inputs themselves."""
        logits: Tensor = self.classifier(x)
        return logits

    def squeezed(self, x: Tensor) -> list[Tensor]:
        """Each simpler version of images, rounding with the gradient of the identity."""
        rounded = straight_through(x, (x * self.steps).round() / self.steps)
        return [rounded, medians(x, self.window)] if self.window > 1 else [rounded]

    def distances(self, x: Tensor) -> Tensor:
        """The L1 distance of the probabilities from those of each simpler version, `(batch, versions)`."""
        own = self.classifier(x).softmax(dim=1)
        return torch.stack(
            [(own - self.classifier(each).softmax(dim=1)).abs().sum(dim=1) for each in self.squeezed(x)], dim=1
        )

    def suspicion(self, x: Tensor) -> Tensor:
        """The largest distance above the threshold.

        Where two versions have different classes for certain, probabilities hardly change with the input. So the
        gradient has a share of the difference of the logits, whose value is taken off.
        """
        logits = self.classifier(x)
        others = torch.stack([self.classifier(each) for each in self.squeezed(x)], dim=1)
        apart = (logits.softmax(dim=1).unsqueeze(1) - others.softmax(dim=2)).abs().sum(dim=2)
        largest, which = apart.max(dim=1)
        slope = _SHARE * (logits.unsqueeze(1) - others).abs().mean(dim=2)
        steep = slope.gather(1, which.unsqueeze(1)).squeeze(1)
        beyond: Tensor = largest - self.threshold + (steep - steep.detach())
        return beyond


def medians(x: Tensor, window: int) -> Tensor:
    """The median of each window of each channel, images `(batch, channels, height, width)`; the upper of two middle
    ones. A window reaches further up and left if its size is even, and images are mirrored at their edges."""
    before, after = window // 2, (window - 1) // 2
    wide = pad(x, (before, after, before, after), mode="reflect")
    windows = wide.unfold(2, window, 1).unfold(3, window, 1).flatten(4)
    middle: Tensor = windows.kthvalue(window * window // 2 + 1, dim=4).values
    return middle


@architecture("feature-squeezing", raw=True)
def feature_squeezing(
    shape: Shape, num_classes: int, *, classifier: str = "mnist-cnn", bits: int = 1, window: int = 2
) -> nn.Module:
    """A classifier that rejects images which it answers otherwise with `bits` a value, or medians. Recipe squeezing.

    Raises:
        UsageError: no images, or bits and window are out of range.
    """
    _, height, width = image_size("feature-squeezing", shape, smallest=2)
    if type(bits) is not int or not 1 <= bits <= _MOST_BITS:
        raise UsageError(f"argument bits of feature-squeezing is a whole number from 1 to {_MOST_BITS}, got {bits!r}")
    if type(window) is not int or not 1 <= window <= min(height, width):
        raise UsageError(
            f"argument window of feature-squeezing is a whole number from 1 to {min(height, width)}, got {window!r}"
        )
    return FeatureSqueezing(build(classifier, shape, num_classes), bits, window)
