"""A network for each block: every input is answered by that of the block it shows, from its pixels alone."""

from __future__ import annotations

import pytest
import torch

from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.block_networks import BlockNetworks
from holdfast.noises.partition import Partition


def made(shape: tuple[int, ...], **arguments: object) -> BlockNetworks:
    torch.manual_seed(0)
    module = build("block-networks", shape, 3, {"widths": (5, 4), **arguments})
    assert isinstance(module, BlockNetworks)
    with torch.no_grad():
        for bias in module.biases:
            bias.uniform_(-1.0, 1.0)
    return module.eval()


@pytest.mark.parametrize(
    ("shape", "noise"),
    [
        ((1, 6, 7), Partition(5)),
        ((3, 5, 4), Partition(3, "random")),
        ((1, 11), Partition(4)),
        ((1, 4, 4), Partition(16)),
    ],
    ids=str,
)
def test_a_block_is_answered_by_its_own_network(shape: tuple[int, ...], noise: Partition) -> None:
    """By the formula of fully connected layers, pixel by pixel; the order of a batch does not matter."""
    module = made((2 * shape[0], *shape[1:]), k=noise.k, pattern=noise.pattern)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    count = noise.realizations(shape)
    plain = x if len(shape) > 1 else x[None]
    blocks = noise.blocks(shape)
    expected = []
    for block in range(count):
        pixels = plain.reshape(plain.shape[0], -1)[:, torch.from_numpy(blocks) == block]
        hidden = torch.zeros(module.places.shape[1], plain.shape[0])
        hidden[: pixels.shape[1]] = pixels.T
        values = hidden.flatten()
        for number, (weight, bias) in enumerate(zip(module.weights, module.biases, strict=True)):
            values = values @ weight[block] + bias[block, 0]
            values = values.relu() if number < 2 else values
        expected.append(values)
    noisy = noise.apply(x[None], noise.enumerate(x, 0, count))
    torch.testing.assert_close(module(noisy), torch.stack(expected), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(module.of_all_blocks(x[None])[0], torch.stack(expected), rtol=1e-5, atol=1e-5)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(2)).repeat(2)
    torch.testing.assert_close(module(noisy[order]), torch.stack(expected)[order], rtol=1e-5, atol=1e-5)
    exported = torch.export.export(module, (noisy,)).module()
    torch.testing.assert_close(exported(noisy), torch.stack(expected), rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_inputs_and_all_networks() -> None:
    module, noise = made((2, 4, 4), k=4), Partition(4)
    x = torch.rand(1, 4, 4, requires_grad=True)
    noisy = noise.apply(x[None], noise.enumerate(x, 0, 4))
    module(noisy).logsumexp(dim=1).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).float().mean() > 0.5
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("shape", "arguments", "why"),
    [
        ((3, 4, 4), {}, "each channel s encoded as"),
        ((2, 4, 4), {"widths": (0,)}, "positive whole numbers"),
        ((2, 4, 4), {"widths": ()}, "has a hidden layer at least"),
        ((2, 4, 4), {"widths": 2.5}, "positive whole numbers"),
        ((2, 4, 4), {"k": 17}, "cannot be kept"),
        ((2, 4, 4), {"k": 4, "pattern": "checkers"}, "the pattern is"),
    ],
)
def test_what_it_cannot_be_is_refused(shape: tuple[int, ...], arguments: dict, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        build("block-networks", shape, 3, arguments)
