"""Random self-ensemble: noise layers inside a network, in training and after it. It is no certified defence.

Source: Liu, Cheng, Zhang & Hsieh 2018, "Towards Robust Neural Networks via Random Self-Ensemble". Cohen et al. 2019
name it, with region-based classification, as a heuristic forerunner of randomized smoothing.
"""

from __future__ import annotations

from torch import Tensor, nn

from holdfast.models.architectures.base import Shape, architecture, build
from holdfast.models.architectures.layers import inputs_changed, learned
from holdfast.models.architectures.seeded import STILL, Seeded, check_count, check_deviation, normal


class SelfEnsemble(Seeded):
    """Gaussian noise before each convolution, or before each layer where there is none; the probabilities of several
    passes are averaged.

    Args:
        classifier: module from inputs to logits.
        first: standard deviation of the noise on inputs, in input units.
        inner: standard deviation of the noise before the other layers.
        copies: passes of an answer; one in training.
    """

    def __init__(self, classifier: nn.Module, first: float, inner: float, copies: int) -> None:
        super().__init__(classifier, copies)
        self.first = first
        self.inner = inner

    def once(self, x: Tensor, seeds: Tensor) -> Tensor:
        """One pass with noise."""

        def add(layer: int, values: Tensor) -> Tensor:
            deviation = self.inner if layer else self.first
            noise = normal(seeds, layer, values[0].numel()).masked_fill((seeds == STILL).unsqueeze(1), 0.0)
            return values + deviation * noise.view_as(values).to(values.dtype)

        layers = learned(self.classifier, (nn.Conv2d,)) or learned(self.classifier)
        with inputs_changed(layers, add):
            logits: Tensor = self.classifier(x)
        return logits

    def as_trained(self, x: Tensor) -> Tensor:
        """One pass with noise."""
        return self.once(x, self.draw(len(x), None, x.device).flatten())


@architecture("self-ensemble", raw=True)
def self_ensemble(
    shape: Shape,
    num_classes: int,
    *,
    first: float = 0.2,
    inner: float = 0.1,
    copies: int = 10,
    classifier: str = "wong-small",
) -> nn.Module:
    """A classifier with Gaussian noise before each convolution, of deviation `first` on inputs and `inner` further in.

    Raises:
        UsageError: a negative deviation, or no copies.
    """
    check_deviation("self-ensemble", "first", first)
    check_deviation("self-ensemble", "inner", inner)
    check_count("self-ensemble", "copies", copies)
    return SelfEnsemble(build(classifier, shape, num_classes), float(first), float(inner), copies)
