"""The operations of a network with branches, each with what bounds need of it.

Affine ones (Weighted, Scaled, Fixed, Sum) and those that must be relaxed (Activation, MaxPool). Coefficients of a bound
have the shape `(batch, rows, *shape of the value)`. Derivations are in docs/bounds.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from holdfast.bounds.relaxations import S_SHAPED, relu_lines, s_shaped_lines, window_lines


class Box(NamedTuple):
    """Intervals of the values of one place in a network, `(batch, *shape)` each."""

    low: Tensor
    high: Tensor

    @property
    def size(self) -> Tensor:
        """The largest absolute values."""
        return torch.maximum(self.low.abs(), self.high.abs())


class Relaxed(NamedTuple):
    """An operation between two lines, or an affine one as it is.

    Attributes:
        back: from coefficients of the outputs to those of each input, and to the constant `(batch, rows)`, such that
            the sum over the inputs plus the constant is no larger than the sum over the outputs.
        size: sums of absolute products of an output, `(batch, *shape of the output)`.
        error: how far a line may lie on the wrong side through rounding, likewise; 0 for none.
    """

    back: Callable[[Tensor], tuple[list[Tensor], Tensor | float]]
    size: Tensor
    error: Tensor | float


class Operation(ABC):
    """One operation."""

    # Whether its inputs' intervals matter, so that tight ones pay.
    relaxes = False

    @abstractmethod
    def forward(self, *x: Tensor) -> Tensor:
        """The output for inputs `(batch, *shape)`."""

    def linear(self, *x: Tensor) -> Tensor:
        """An affine operation without its constant, for inputs `(batch, *shape)`."""
        return self.forward(*x)

    @abstractmethod
    def box(self, *boxes: Box) -> Box:
        """Intervals of the output, in exact arithmetic."""

    @abstractmethod
    def stretch(self, *sizes: Tensor) -> Tensor:
        """How far the output can change if the inputs change by these sizes."""

    @property
    def constant(self) -> Tensor | float:
        """Sizes of what is added to the inputs."""
        return 0.0

    @abstractmethod
    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """The operation as a bound goes back through it."""

    def undecided(self, box: Box) -> Tensor:
        """For which inputs tighter intervals would help."""
        return box.low < box.high

    def terms(self, inputs: int, outputs: int) -> int:
        """An upper bound on the roundings of a coefficient of an input, and of the constant, given both numbers."""
        return inputs + outputs + 32

    def fan(self, inputs: int) -> int:
        """An upper bound on the roundings of an output, given the number of inputs."""
        return inputs + 32


class Weighted(Operation):
    """A fully connected layer or a convolution."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        self.layer = layer

    def forward(self, *x: Tensor) -> Tensor:
        """What its weights say; the layer's own methods may have been replaced."""
        return self.weighted(x[0], self.layer.weight, self.layer.bias)

    def linear(self, *x: Tensor) -> Tensor:
        """The layer without its bias."""
        return self.weighted(x[0], self.layer.weight)

    def weighted(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The layer with other weights, by default without a bias."""
        if isinstance(self.layer, nn.Linear):
            return functional.linear(x, weight, bias)
        return functional.conv2d(x, weight, bias, self.layer.stride, self.layer.padding)

    def transposed(self, y: Tensor, shape: torch.Size, weight: Tensor | None = None) -> Tensor:
        """From `(batch, *shape of the output)` to `(batch, *shape of the input)`; with other weights if given."""
        layer = self.layer
        weight = layer.weight if weight is None else weight
        if isinstance(layer, nn.Linear):
            return y @ weight
        pads = [int(pad) for pad in layer.padding]
        made = [
            (out - 1) * step - 2 * pad + kernel
            for out, step, pad, kernel in zip(y.shape[2:], layer.stride, pads, layer.kernel_size, strict=True)
        ]
        # Pixels beyond the last step have no part in any output.
        left = [size - each for size, each in zip(shape[1:], made, strict=True)]
        return functional.conv_transpose2d(y, weight, None, layer.stride, pads, left)

    def fan(self, inputs: int) -> int:
        """As many products as an output has, and a few more."""
        return self.layer.weight[0].numel() + 32

    def box(self, *boxes: Box) -> Box:
        """By middle and spread."""
        (low, high) = boxes[0]
        middle, spread = self.forward((low + high) / 2), self.stretch((high - low) / 2)
        return Box(middle - spread, middle + spread)

    def stretch(self, *sizes: Tensor) -> Tensor:
        """With absolute weights."""
        return self.weighted(sizes[0], self.layer.weight.abs())

    @property
    def bias(self) -> Tensor | None:
        """The bias of each output, `(channels, 1, 1)` for images."""
        bias = self.layer.bias
        return bias if bias is None or isinstance(self.layer, nn.Linear) else bias.view(-1, 1, 1)

    @property
    def constant(self) -> Tensor | float:
        """Absolute biases."""
        return 0.0 if self.bias is None else self.bias.abs()

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """As it is."""
        shape, bias = boxes[0].low.shape[1:], self.bias

        def back(rows: Tensor) -> tuple[list[Tensor], Tensor | float]:
            before = self.transposed(rows.flatten(0, 1), shape)
            return [before.view(*rows.shape[:2], *shape)], 0.0 if bias is None else _total(rows * bias)

        return Relaxed(back, self.stretch(boxes[0].size) + self.constant, 0.0)


class Scaled(Operation):
    """A factor and a constant for each channel: normalization, or batch normalization with its running statistics.

    Args:
        scale: `(channels, 1, ...)`.
        shift: likewise; b - scale x mean.
        sizes: likewise, |b| + |scale x mean|, which is what the rounding of `shift` is relative to.
    """

    def __init__(self, scale: Tensor, shift: Tensor, sizes: Tensor) -> None:
        self.scale = scale
        self.shift = shift
        self.sizes = sizes

    def forward(self, *x: Tensor) -> Tensor:
        """Scaled and shifted."""
        return x[0] * self.scale + self.shift

    def linear(self, *x: Tensor) -> Tensor:
        """Scaled."""
        return x[0] * self.scale

    def box(self, *boxes: Box) -> Box:
        """By the sign of the factor."""
        ends = self.forward(boxes[0].low), self.forward(boxes[0].high)
        return Box(torch.minimum(*ends), torch.maximum(*ends))

    def stretch(self, *sizes: Tensor) -> Tensor:
        """By the absolute factor."""
        return sizes[0] * self.scale.abs()

    @property
    def constant(self) -> Tensor | float:
        """Sizes of both parts of the constant."""
        return self.sizes

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """As it is."""
        return Relaxed(
            lambda rows: ([rows * self.scale], _total(rows * self.shift)),
            self.stretch(boxes[0].size) + self.sizes,
            0.0,
        )


class Fixed(Operation):
    """A linear map without negative entries and without weights: flattening, average pooling, strides, padding.

    Args:
        function: from `(batch, *shape)` to the output.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, *x: Tensor) -> Tensor:
        """The function."""
        return self.function(x[0])

    def box(self, *boxes: Box) -> Box:
        """End by end."""
        return Box(self.function(boxes[0].low), self.function(boxes[0].high))

    def stretch(self, *sizes: Tensor) -> Tensor:
        """The function."""
        return self.function(sizes[0])

    def transposed(self, y: Tensor, shape: torch.Size) -> Tensor:
        """From `(batch, *shape of the output)` to `(batch, *shape of the input)`."""
        origin = torch.zeros((len(y), *shape), dtype=y.dtype, device=y.device)
        pull = torch.func.vjp(self.function, origin)[1]
        found: Tensor = pull(y)[0]
        return found

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """As it is."""
        shape = boxes[0].low.shape[1:]

        def back(rows: Tensor) -> tuple[list[Tensor], Tensor | float]:
            return [self.transposed(rows.flatten(0, 1), shape).view(*rows.shape[:2], *shape)], 0.0

        return Relaxed(back, self.function(boxes[0].size), 0.0)


class Sum(Operation):
    """The sum of two branches of one shape."""

    def forward(self, *x: Tensor) -> Tensor:
        """The sum."""
        return x[0] + x[1]

    def box(self, *boxes: Box) -> Box:
        """End by end."""
        return Box(boxes[0].low + boxes[1].low, boxes[0].high + boxes[1].high)

    def stretch(self, *sizes: Tensor) -> Tensor:
        """The sum."""
        return sizes[0] + sizes[1]

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """As it is."""
        return Relaxed(lambda rows: ([rows, rows], 0.0), boxes[0].size + boxes[1].size, 0.0)


class Activation(Operation):
    """ReLU, sigmoid or tanh: each unit lies between two lines."""

    relaxes = True

    def __init__(self, kind: type[nn.Module]) -> None:
        self.kind = kind
        self.function: Callable[[Tensor], Tensor] = torch.relu if kind is nn.ReLU else S_SHAPED[kind].value

    def forward(self, *x: Tensor) -> Tensor:
        """The function."""
        return self.function(x[0])

    def box(self, *boxes: Box) -> Box:
        """End by end, since all of them rise."""
        return Box(self.function(boxes[0].low), self.function(boxes[0].high))

    def stretch(self, *sizes: Tensor) -> Tensor:
        """No slope is above 1."""
        return sizes[0]

    @property
    def constant(self) -> Tensor | float:
        """Values of sigmoid and tanh."""
        return 0.0 if self.kind is nn.ReLU else 1.0

    def undecided(self, box: Box) -> Tensor:
        """Units of ReLU with both signs; all others."""
        return (box.low < 0.0) & (box.high > 0.0) if self.kind is nn.ReLU else box.low < box.high

    def parallel(self, box: Box) -> tuple[Tensor, Tensor]:
        """Slope and offset with slope z <= relu(z) <= slope z + offset."""
        lines = relu_lines(box.low, box.high, adaptive=False)
        return lines.high_slope, lines.high_offset

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """Between two lines."""
        box = boxes[0]
        if self.kind is nn.ReLU:
            lines = relu_lines(box.low, box.high, adaptive)
        else:
            lines = s_shaped_lines(self.kind, box.low, box.high)

        def back(rows: Tensor) -> tuple[list[Tensor], Tensor | float]:
            above, below = rows.clamp_min(0.0), rows.clamp_max(0.0)
            before = above * lines.low_slope.unsqueeze(1) + below * lines.high_slope.unsqueeze(1)
            constant = above * lines.low_offset.unsqueeze(1) + below * lines.high_offset.unsqueeze(1)
            return [before], _total(constant)

        offsets = torch.maximum(lines.low_offset.abs(), lines.high_offset.abs())
        return Relaxed(back, box.size + offsets, lines.error)


class MaxPool(Operation):
    """The largest value of each window, without padding.

    Args:
        kernel: height and width of a window.
        stride: of the windows.
    """

    relaxes = True

    def __init__(self, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        self.kernel = kernel
        self.stride = stride

    def forward(self, *x: Tensor) -> Tensor:
        """The largest values."""
        return functional.max_pool2d(x[0], self.kernel, self.stride)

    def box(self, *boxes: Box) -> Box:
        """End by end, since the largest value rises with each."""
        return Box(self.forward(boxes[0].low), self.forward(boxes[0].high))

    def stretch(self, *sizes: Tensor) -> Tensor:
        """By no more than the largest change in the window."""
        return self.forward(sizes[0])

    def windows(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)` to `(batch, channels, values of a window, windows)`."""
        flat = functional.unfold(x, self.kernel, stride=self.stride)
        return flat.view(len(x), x.shape[1], -1, flat.shape[-1])

    def relax(self, adaptive: bool, *boxes: Box) -> Relaxed:
        """Below by one value of the window, above by a constant or by a sum."""
        low, high = self.windows(boxes[0].low), self.windows(boxes[0].high)
        shape, lines = boxes[0].low.shape[1:], window_lines(low, high)

        def back(rows: Tensor) -> tuple[list[Tensor], Tensor | float]:
            flat = rows.flatten(3).unsqueeze(3)
            above, below = flat.clamp_min(0.0), flat.clamp_max(0.0)
            each = above * lines.low_slope.unsqueeze(1) + below * lines.high_slope.unsqueeze(1)
            folded = functional.fold(
                each.flatten(0, 1).flatten(1, 2), tuple(shape[1:]), self.kernel, stride=self.stride
            )
            constant = (below.squeeze(3) * lines.high_offset.unsqueeze(1)).flatten(2).sum(dim=2)
            return [folded.view(*rows.shape[:2], *shape)], constant

        sizes = torch.maximum(low.abs(), high.abs()).sum(dim=2) + lines.high_offset.abs()
        outputs = self.forward(boxes[0].low).shape
        return Relaxed(back, sizes.view(outputs), lines.error.view(outputs))


def _total(products: Tensor) -> Tensor:
    return products.flatten(2).sum(dim=2)
