"""Whether a training has collapsed: a network with the same logits for every input has learned nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.noises.draws import Draws
from holdfast.sampling.rng import Stream
from holdfast.training.inputs import Inputs

if TYPE_CHECKING:
    from torch import nn

    from holdfast.data.base import DataSet
    from holdfast.noises.base import Noise
    from holdfast.training.config import TrainConfig

# Number of inputs to compare. Logits are the same if they differ by at most this share of the largest one, the effect
# of a row's position in its batch.
_COMPARED, _CONSTANT = 64, 1e-6


def check_alive(
    module: nn.Module, noise: Noise | None, data: DataSet, config: TrainConfig, device: torch.device
) -> None:
    """Raise ClassifierError if a network has become constant: the same logits for every input.

    Args:
        module: in eval mode.
        noise: that it was trained for; None for none.
        data: the inputs to compare, spread over the split.
        config: settings of the training.
        device: of the module.
    """
    places = torch.arange(0, len(data), max(1, len(data) // _COMPARED))[:_COMPARED]
    x, _ = Inputs(data, device, most_bytes=0).batch(places)
    if len(x) < 2 or bool((x == x[:1]).all()):
        return
    draws = Draws(config.seed, 1, Stream.TRAINING_CHECK, len(x))
    with torch.no_grad():
        logits = module(x if noise is None else noise.apply(x, noise.draw(x[0], draws)))
    spread = (logits.amax(dim=0) - logits.amin(dim=0)).max()
    if spread <= _CONSTANT * logits.abs().max():
        raise ClassifierError(
            f"the training collapsed: the network gives {len(x)} different images the same logits, so that it has "
            f"learned nothing and has no gradient. Lower the learning rate (it is {config.learning_rate}), "
            "change the recipe's settings, or train longer; delete the checkpoint beside the model first"
        )
