"""Noise augmentation: cross-entropy on noisy copies of each image (Cohen et al. 2019; Levine & Feizi 2020).

The papers take one copy of each image in a step. More copies lower the variance of the gradient that the noise adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from holdfast.noises.base import Noise
    from holdfast.training.config import TrainConfig


def noise(
    module: nn.Module,
    x: Tensor,
    labels: Tensor,
    smoothing: Noise,
    config: TrainConfig,
    generator: Generator,
    share: slice = slice(None),
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, logits and labels of one step, for all noisy copies: `(batch x copies, ...)`.

    Args:
        module: the base classifier, in training mode.
        x: a minibatch `(batch, *event)` in input units.
        labels: `(batch,)`.
        smoothing: the noise that the classifier will be smoothed with.
        config: of the training; `shared_noise` draws one realization for the whole minibatch, as Levine & Feizi do
            with the ablated pixels, instead of one for each copy.
        generator: the only source of randomness.
        share: which of the noisy copies are computed here; the noise is drawn for all of them.
    """
    x, labels = x.repeat_interleave(config.noise_copies, 0), labels.repeat_interleave(config.noise_copies)
    draws = smoothing.draw(x[0], 1 if config.shared_noise else len(x), generator)
    x, labels, draws = x[share], labels[share], draws if config.shared_noise else draws[share]
    logits = module(smoothing.apply(x, draws))
    return cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing), logits, labels
