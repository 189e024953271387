"""A first look at a network of another tool: whether it takes the inputs of the data, and what it seems to return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError, HoldfastError, UsageError, first_line
from holdfast.memory import is_out_of_memory
from holdfast.models.networks import Wrapped, one_tensor
from holdfast.noises.draws import Draws
from holdfast.stats.binomial import lower_bound

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise

_NOISY, _CLEAN, _AT_ONCE = 4, 32, 8
_ALPHA = 0.05
# By how much of 1 the sum of a row may differ from 1 for probabilities.
_SUM = 1e-3
# What networks are usually fed where not [0, 1]: mean and deviation of each channel, as in a spec.
_USUAL = (
    ("0/0/0", "0.00392156862745098/0.00392156862745098/0.00392156862745098", "0 to 255"),
    (".5/.5/.5", ".5/.5/.5", "-1 to 1"),
    (".485/.456/.406", ".229/.224/.225", "normalized as for ImageNet"),
)


def look_at(model: Model, shape: tuple[int, ...], noise: Noise | None, data: DataSet) -> list[str]:
    """Show a network a few inputs, and return what a person should doubt.

    Args:
        model: fitted to the data.
        shape: shape of a noisy input.
        noise: the noise; None for inputs as they are.
        data: the data.

    Raises:
        UsageError: it fails on inputs of this shape, or returns something else than logits or votes for these classes.
    """
    module, classes = model.module, len(model.classes)
    device = next((weights.device for weights in module.parameters()), torch.device("cpu"))
    count = min(_NOISY, len(data))
    inputs = torch.from_numpy(data.batch(np.arange(count) * len(data) // count))
    if noise is not None:
        inputs = torch.cat([noise.sample(each, Draws(0, number, 0, 1)) for number, each in enumerate(inputs)])
    output, raw = _answers(model, inputs.to(device), shape)
    if output.ndim == 1 and not output.is_floating_point():
        return []
    if output.ndim != 2 or output.shape[1] != classes:
        found = f"{output.shape[1]} numbers" if output.ndim == 2 else f"an output of shape {tuple(output.shape[1:])}"
        raise UsageError(
            f"{model.name} returns {found} for an input, and the data have {classes} classes. Where the data lack some "
            "of the classes, name them all: classes=N, or classes=FILE with a name on each line"
        )
    doubts = _of_output(model, raw, module.reader.single if isinstance(module, Wrapped) else None)
    return doubts + (_of_range(model, shape, data, device) if isinstance(module, Wrapped) else [])


@torch.no_grad()
def _answers(model: Model, noisy: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The logits of a few noisy inputs, and the tensor that the network returned for them."""
    try:
        module = model.module
        if not isinstance(module, Wrapped):
            return (output := one_tensor(module(noisy.clone()))), output
        raw = one_tensor(module.network(module.before(noisy.clone())))
        return module.reader(raw), raw
    except HoldfastError as error:
        raise UsageError(f"{model.name}: {error}") from error
    except Exception as error:  # Whatever a network of another tool raises.
        if is_out_of_memory(error):
            raise
        advice = "Is the shape that of its inputs?"
        if len(shape) == 3 and shape[0] in (1, 2, 3, 4, 6):
            advice += " One with the channels at the end takes layout=channels-last"
        raise UsageError(
            f"{model.name} fails on noisy inputs of shape {shape} ({type(error).__name__}: {first_line(error)}). "
            f"{advice}"
        ) from error


def _of_output(model: Model, raw: Tensor, single: str | None) -> list[str]:
    """What its output seems to be, if not logits.

    Raises:
        UsageError: one number for each input, which may be a probability.
    """
    within = bool(((raw >= 0) & (raw <= 1)).all())
    if within and (raw.ndim == 1 or raw.shape[1] == 1):
        if single is None:
            raise UsageError(
                f"{model.name} returns one number between 0 and 1 for each of {len(raw)} inputs, as a probability. "
                "Write output=probability, or output=logit if a number above 0 means class 1, and 0.1 does so, too"
            )
        return []
    if within and float((raw.sum(dim=1) - 1).abs().max()) < _SUM:
        return [
            f"{model.name} returns probabilities, not logits: its votes are the same, but attacks by gradients "
            "find less through a softmax. Leave the softmax out where you can"
        ]
    return []


def _of_range(model: Model, shape: tuple[int, ...], data: DataSet, device: torch.device) -> list[str]:
    """Whether it classifies unchanged inputs much better if they are scaled as usual networks want them."""
    module = model.module
    normalized = model.entries["normalization"]["mean"] is not None
    if shape != data.shape or len(shape) != 3 or normalized or (data.low, data.high) != (0.0, 1.0):
        return []
    count = min(_CLEAN, len(data))
    rows = np.arange(count) * len(data) // count
    inputs, labels = torch.from_numpy(data.batch(rows)).to(device), data.labels[rows]
    try:
        right = _right(module, inputs, labels)
        if right >= count / 2:
            return []
        for mean, std, words in _USUAL:
            scaled = (inputs - _channels(mean, shape[0]).to(device)) / _channels(std, shape[0]).to(device)
            better = _right(module, scaled, labels)
            if lower_bound(better, count, _ALPHA) > max(right + 1, 0.1 * count) / count:
                return [
                    f"{model.name} classifies {right} of {count} unchanged inputs right, and {better} where they are "
                    f"scaled to {words}: is its normalization missing? If so, write mean={mean},std={std}"
                ]
    except ClassifierError:
        return []
    return []


def _channels(text: str, count: int) -> Tensor:
    numbers = [float(part) for part in text.split("/")]
    return torch.tensor(numbers if count == len(numbers) else numbers[:1] * count).view(-1, 1, 1)


@torch.no_grad()
def _right(module: nn.Module, inputs: Tensor, labels: np.ndarray) -> int:
    answers = []
    for part in torch.split(inputs, _AT_ONCE):
        output = module(part.clone())
        answers.append(output.argmax(dim=1) if output.ndim == 2 else output)
    return int((torch.cat(answers).cpu().numpy() == labels).sum())
