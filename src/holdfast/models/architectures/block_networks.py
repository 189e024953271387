"""A small fully connected network for each block of a partition, as Hammoudeh & Lowd 2023 train one model for each.

A block shows the same few pixels of every image, so that its network needs no more than these values: its first layer
has as many inputs as the block has values, and an image costs less than one pass of a convolutional network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, widths_of
from holdfast.noises.partition import Partition


class BlockNetworks(nn.Module):
    """One network for each block, for the encoding (s, 1 - s) of known values s and (0, 0) of others.

    Attributes:
        noise: the partition.
        weights: of each layer, `(blocks, inputs, outputs)`.
        biases: of each layer, `(blocks, 1, outputs)`.

    Args:
        shape: `(channels, ...)` of an image without noise.
        num_classes: how many there are.
        noise: the partition.
        widths: of the hidden layers.
    """

    places: Tensor
    owner: Tensor

    def __init__(self, shape: Shape, num_classes: int, noise: Partition, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.noise, self.num_classes = noise, num_classes
        self.channels, self.pixels = (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, shape[0])
        blocks = noise.blocks(shape)
        rows = [np.flatnonzero(blocks == block) for block in range(int(blocks.max()) + 1)]
        longest = max(map(len, rows))
        # Where a block has fewer pixels than another one, a value that is always 0.
        padded = np.stack([np.pad(row, (0, longest - len(row)), constant_values=self.pixels) for row in rows])
        self.register_buffer("places", torch.from_numpy(padded), persistent=False)
        self.register_buffer("owner", torch.from_numpy(blocks), persistent=False)
        sizes = (longest * self.channels, *widths, num_classes)
        drawn = [torch.rand(len(rows), inputs, outputs) for inputs, outputs in pairwise(sizes)]
        self.weights = nn.ParameterList((2.0 * each - 1.0) * math.sqrt(3.0 / each.shape[1]) for each in drawn)
        self.biases = nn.ParameterList(torch.zeros(len(rows), 1, outputs) for outputs in sizes[1:])

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, 2 x channels, ...)` to logits `(batch, classes)`, by the network of the block that is shown."""
        values, inverted = x.reshape(len(x), 2, self.channels, self.pixels).unbind(1)
        known = (values + inverted)[:, 0] > 0.5
        shown = torch.zeros(len(x), len(self.places), dtype=values.dtype, device=x.device)
        block = shown.index_add(1, self.owner, known.to(values.dtype)).argmax(dim=1)
        # An exporter needs shapes that do not depend on values.
        fixed = torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined, no-untyped-call]
        if fixed:
            chosen = block.view(-1, 1, 1).expand(-1, 1, self.num_classes)
            return self.of_all_blocks(values).gather(1, chosen).squeeze(1)
        logits = values.new_empty(len(x), self.num_classes)
        for each in sorted(set(block.tolist())):
            rows = (block == each).nonzero().squeeze(1)
            inputs = self._inputs(values[rows], self.places[each : each + 1])
            logits = logits.index_copy(0, rows, self._layers(inputs, slice(each, each + 1))[0])
        return logits

    def of_all_blocks(self, values: Tensor) -> Tensor:
        """Whole images `(batch, channels, ...)` to the logits of every block, `(batch, blocks, classes)`."""
        inputs = self._inputs(values.reshape(len(values), self.channels, self.pixels), self.places)
        return self._layers(inputs, slice(None)).transpose(0, 1)

    def _inputs(self, values: Tensor, places: Tensor) -> Tensor:
        """The values at the places of some blocks, `(blocks, batch, places x channels)`."""
        padded = nn.functional.pad(values, (0, 1))
        return padded[:, :, places].permute(2, 0, 3, 1).flatten(2)

    def _layers(self, inputs: Tensor, blocks: slice) -> Tensor:
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            inputs = torch.baddbmm(bias[blocks], inputs, weight[blocks])
            if number < last:
                inputs = inputs.relu()
        return inputs


@architecture("block-networks", raw=True)
def block_networks(
    shape: Shape,
    num_classes: int,
    *,
    k: int = 25,
    pattern: str = "strided",
    widths: float | Sequence[float] = (128, 128),
) -> nn.Module:
    """A network of its own for each block of `partition:k=K,pattern=PATTERN`, with hidden layers of these `widths`.

    Raises:
        UsageError: `shape` is not that of values encoded as (s, 1 - s), or an argument cannot be.
    """
    if len(shape) < 2 or shape[0] % 2:
        raise UsageError(
            "architecture 'block-networks' takes blocks of pixels, each channel s encoded as (s, 1 - s), as under "
            f"partition:k=25; got inputs of shape {shape}"
        )
    given = widths_of("block-networks", widths)
    if not given:
        raise UsageError("architecture 'block-networks' has a hidden layer at least, as in widths=128/128; got none")
    noise, plain = Partition(k, pattern), (shape[0] // 2, *shape[1:])
    noise.check_inputs(plain, 0.0, 1.0)
    return BlockNetworks(plain, num_classes, noise, given)
