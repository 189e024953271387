"""Networks of other tools as torch modules: what makes their inputs, what reads their outputs, and what runs them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError, UsageError
from holdfast.models.normalization import Normalization

if TYPE_CHECKING:
    from typing_extensions import Self

# Ways to read one output for two classes.
LOGIT, PROBABILITY = "logit", "probability"


class Still(nn.Module):
    """A module that is used as it is: it is never trained, and has no mode."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    def train(self, mode: bool = True) -> Self:
        """Nothing."""
        return self


class TensorFunction:
    """A function on tensors as one on arrays.

    Args:
        function: from a tensor `(batch, *event)` to a tensor or an array.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, inputs: Any) -> Any:
        """What the function returns for a tensor of these values."""
        found = self.function(torch.from_numpy(inputs))
        return found.detach().cpu().numpy() if isinstance(found, Tensor) else found


class Opaque(nn.Module):
    """A network that torch does not compute: there are no gradients, and nothing in it can be changed."""

    def differentiable(self) -> nn.Module:
        """The same network in torch.

        Raises:
            UsageError: there is none.
        """
        raise UsageError(
            "it has no gradients: take an attack that needs decisions or scores (square, boundary, nattack), and no "
            "bound"
        )


class FunctionNetwork(Opaque):
    """A function of arrays as a network.

    Args:
        function: from float32 arrays `(batch, *event)` to arrays: logits `(batch, classes)` or votes `(batch,)`.
        flat: whether it takes `(batch, features)`.
    """

    def __init__(self, function: Callable[[Any], Any], *, flat: bool = False) -> None:
        super().__init__()
        self.function = function
        self.flat = flat

    def forward(self, x: Tensor) -> Any:
        """What the function returns, on the device of the input."""
        inputs = x.detach().to("cpu", torch.float32)
        found = self.function((inputs.flatten(1) if self.flat else inputs).numpy())
        return torch.as_tensor(np.asarray(found)).to(x.device)


class FixedBatch(nn.Module):
    """A network that takes batches of one size only: the last one is filled up with zeros.

    Args:
        network: the network.
        size: of its batches.
    """

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *event)` of any size to `(batch, classes)`."""
        rows = []
        for part in torch.split(x, self.size):
            lacking = self.size - len(part)
            full = torch.cat([part, part.new_zeros((lacking, *part.shape[1:]))]) if lacking else part
            rows.append(one_tensor(self.network(full))[: len(part)])
        return torch.cat(rows)


class ChannelsLast(nn.Module):
    """From `(batch, channels, ...)` to `(batch, ..., channels)`."""

    def forward(self, x: Tensor) -> Tensor:
        """The input with its channels at the end."""
        return x.movedim(1, -1)


class FromBytes(Still):
    """A network that is read from the bytes of its file, in this process and again in others.

    Args:
        read: from the bytes to the network; a function at the top level of a module.
        content: of the file.
    """

    # Its operations name the types of their inputs.
    fixed_precision = True

    def __init__(self, read: Callable[[bytes], nn.Module], content: bytes) -> None:
        super().__init__()
        self.network = read(content)
        self._read = read
        self._content = content

    def forward(self, x: Tensor) -> Any:
        """What the network returns."""
        return self.network(x)

    def __deepcopy__(self, memo: dict[int, Any]) -> FromBytes:
        return FromBytes(self._read, self._content)

    def __reduce__(self) -> tuple[Any, ...]:
        return FromBytes, (self._read, self._content)


class Reader(nn.Module):
    """From what a network returns to logits `(batch, classes)`, or integer votes `(batch,)`.

    A tensor may lie in `.logits`, or alone in a dictionary or a list. One number for each input is for two classes:
    a positive logit, or a probability above one half, means class 1.

    Args:
        single: `LOGIT` or `PROBABILITY`: how one number for each input is read; None for a logit, where nobody said.
    """

    def __init__(self, single: str | None = None) -> None:
        super().__init__()
        self.single = single

    def forward(self, output: Any) -> Tensor:
        """Logits of both classes where there was one number, else the tensor as it is."""
        found = one_tensor(output)
        if found.is_floating_point() and (found.ndim == 1 or found.shape[1:] == (1,)):
            score = found.reshape(-1)
            if self.single == PROBABILITY:
                score = score - 0.5
            return torch.stack([torch.zeros_like(score), score], dim=1)
        return found


class Wrapped(Still):
    """A network of another tool between what makes its inputs and what reads its outputs.

    Args:
        before: from noisy inputs in input units to what the network takes: normalization, layout.
        network: the network itself.
        reader: from its output to logits.
    """

    def __init__(self, before: nn.Sequential, network: nn.Module, reader: Reader) -> None:
        super().__init__()
        self.before = before.eval()
        self.network = network
        self.reader = reader.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Noisy inputs `(batch, *event)` to logits `(batch, classes)`, or votes `(batch,)`."""
        logits: Tensor = self.reader(self.network(self.before(x)))
        return logits


class Composed(Still, ABC):
    """A network around others, which may have gradients or not."""

    @abstractmethod
    def differentiable(self) -> nn.Module:
        """The same with gradients.

        Raises:
            UsageError: one of the others has none.
        """


class Behind(Composed):
    """A classifier behind a denoiser: the two are smoothed together. Source: Salman, Sun, Yang, Kapoor & Kolter 2020,
    "Denoised Smoothing".

    Args:
        denoiser: from noisy inputs to inputs of the same shape.
        classifier: from inputs to logits.
    """

    def __init__(self, denoiser: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Noisy inputs `(batch, *event)` to logits `(batch, classes)`."""
        cleaned = one_tensor(self.denoiser(x))
        if cleaned.shape != x.shape:
            raise ClassifierError(
                f"the denoiser returns {tuple(cleaned.shape[1:])} for inputs of shape {tuple(x.shape[1:])}, expected "
                "the same shape; is it a denoiser?"
            )
        logits: Tensor = self.classifier(cleaned.to(x.dtype))
        return logits

    def differentiable(self) -> nn.Module:
        """Both with gradients."""
        return Behind(differentiable(self.denoiser), differentiable(self.classifier))


def differentiable(module: nn.Module) -> nn.Module:
    """A module with gradients: the same, with torch networks in the place of others.

    Raises:
        UsageError: there is none.
        MissingExtraError: what converts it is not installed.
    """
    if isinstance(module, Composed):
        return module.differentiable()
    if not isinstance(module, Wrapped) or not isinstance(module.network, Opaque):
        return module
    return Wrapped(deepcopy(module.before), module.network.differentiable(), module.reader)


def in_sequence(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """A module as nested `nn.Sequential` where it is one at heart: bounds look into it layer by layer.

    The reader is left out: it changes no matrix of logits, and a bound refuses networks with a single one.

    Args:
        module: from inputs to logits.
        shape: of one input.
    """
    if not isinstance(module, Wrapped):
        return module
    network: nn.Module = module.network
    while not isinstance(network, nn.Sequential):
        inner = getattr(network, "network", None)
        if not isinstance(inner, nn.Module):
            break
        network = inner
    before = [_of_channels(each, shape) if isinstance(each, Normalization) else each for each in module.before]
    return nn.Sequential(*before, network).eval()


def _of_channels(layer: Normalization, shape: tuple[int, ...]) -> Normalization:
    """A normalization by one number as one by a number for each channel."""
    if not layer.active or layer.get_buffer("mean").ndim == len(shape):
        return layer
    mean, std = (layer.get_buffer(name).flatten().tolist() * shape[0] for name in ("mean", "std"))
    return Normalization(mean, std, len(shape)).to(layer.get_buffer("mean"))


def one_tensor(output: Any) -> Tensor:
    """The one tensor of what a network returned.

    Raises:
        ClassifierError: there is none, or more than one.
    """
    found = getattr(output, "logits", output)
    while isinstance(found, Mapping | Sequence) and not isinstance(found, str) and len(found) == 1:
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    if isinstance(found, np.ndarray):
        found = torch.from_numpy(found)
    if isinstance(found, Tensor):
        return found
    names = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
    raise ClassifierError(
        f"the network returns a {type(output).__name__}{names}; expected logits as a tensor, as .logits, or alone in a "
        "dictionary or list. Return the logits alone"
    )


def module_digest(module: nn.Module) -> str:
    """SHA-256 of all that a module holds: parameters, buffers, tensors and plain settings of every layer.

    Not only of its `state_dict`, which lacks buffers that are not saved, and attributes such as a mean.
    """
    content = hashlib.sha256(b"holdfast module 1\n")
    for name, layer in sorted(module.named_modules(), key=lambda each: each[0]):
        own = {**layer._parameters, **layer._buffers, **layer.__dict__}
        for key, value in sorted(own.items()):
            if key.startswith("_") or key == "training":
                continue
            if isinstance(value, Tensor):
                numbers = value.detach().cpu().contiguous()
                content.update(f"{name}.{key} {numbers.dtype} {list(numbers.shape)}\n".encode())
                content.update(numbers.reshape(-1).view(torch.uint8).numpy().tobytes())
            elif isinstance(value, np.ndarray):
                content.update(f"{name}.{key} {value.dtype} {list(value.shape)}\n".encode())
                content.update(np.ascontiguousarray(value).tobytes())
            elif _is_plain(value):
                content.update(f"{name}.{key} {value!r}\n".encode())
    return content.hexdigest()


def _is_plain(value: object) -> bool:
    """Whether a value is a number, a text, or a collection of these."""
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def at_rest(module: nn.Module) -> nn.Module:
    """A module in eval mode and without gradients, whatever kind of module it is."""
    # A program of torch.export has one mode, which it was exported in.
    with suppress(NotImplementedError):
        module.eval()
    # One by one: TorchScript does not take it for the whole.
    for weights in module.parameters():
        weights.requires_grad_(False)
    return module


def is_torch(module: nn.Module) -> bool:
    """Whether torch computes all of a module."""
    return not any(isinstance(part, Opaque) for part in module.modules())


def is_fixed(module: nn.Module) -> bool:
    """Whether a part of a module computes in the precision that it was exported in, and in no other."""
    return any(getattr(part, "fixed_precision", False) for part in module.modules())
