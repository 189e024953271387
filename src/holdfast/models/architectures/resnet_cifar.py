"""Residual networks of 20, 56 and 110 layers for CIFAR-10. Source: He, Zhang, Ren & Sun 2016, "Deep Residual Learning
for Image Recognition", section 4.2.

Modules and parameters have the names that published weights of these networks commonly have (conv1, bn1, layer1 to
layer3, linear), so that those load. Others are renamed first (`holdfast.models.layouts`).

Argument `shortcut`, where a block changes the shape: "zeros" has no parameters and takes every second pixel, with zeros
for the new channels (option A of the paper); "projection" is a 1 x 1 convolution with batch normalization (option B).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size

_STAGES = (16, 32, 64)


@architecture("resnet20")
def resnet20(shape: Shape, num_classes: int, *, shortcut: str = "zeros") -> nn.Module:
    """20 layers, 0.27 million parameters."""
    return _CifarResNet(image_size("resnet20", shape)[0], num_classes, 3, shortcut)


@architecture("resnet56")
def resnet56(shape: Shape, num_classes: int, *, shortcut: str = "zeros") -> nn.Module:
    """56 layers, 0.85 million parameters."""
    return _CifarResNet(image_size("resnet56", shape)[0], num_classes, 9, shortcut)


@architecture("resnet110")
def resnet110(shape: Shape, num_classes: int, *, shortcut: str = "zeros") -> nn.Module:
    """110 layers, 1.7 million parameters; with projections, the CIFAR-10 network of Cohen et al. 2019."""
    return _CifarResNet(image_size("resnet110", shape)[0], num_classes, 18, shortcut)


class _Zeros(nn.Module):
    """The shortcut without parameters: every second pixel, zeros for the new channels."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        # The paper leaves open where the zeros go; published weights have half of them before, half after.
        self.new_channels = (outgoing - incoming) // 2

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new_channels, self.new_channels))


def _projection(incoming: int, outgoing: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(incoming, outgoing, 1, stride=2, bias=False), nn.BatchNorm2d(outgoing))


_SHORTCUTS: dict[str, Callable[[int, int], nn.Module]] = {"zeros": _Zeros, "projection": _projection}


class _Block(nn.Module):
    """Two convolutions and a shortcut, which is the identity where the shape stays."""

    def __init__(self, incoming: int, outgoing: int, shortcut: str) -> None:
        super().__init__()
        changes = incoming != outgoing
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride=2 if changes else 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.shortcut = _SHORTCUTS[shortcut](incoming, outgoing) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.shortcut(x))


class _CifarResNet(nn.Module):
    """A convolution, three stages of `blocks` blocks, average over the image, one fully connected layer."""

    def __init__(self, channels: int, num_classes: int, blocks: int, shortcut: str) -> None:
        super().__init__()
        if shortcut not in _SHORTCUTS:
            raise UsageError(f"argument shortcut is {' or '.join(_SHORTCUTS)}, got {shortcut!r}")
        self.conv1 = nn.Conv2d(channels, _STAGES[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STAGES[0])
        self.layer1 = _stage(_STAGES[0], _STAGES[0], blocks, shortcut)
        self.layer2 = _stage(_STAGES[0], _STAGES[1], blocks, shortcut)
        self.layer3 = _stage(_STAGES[1], _STAGES[2], blocks, shortcut)
        self.linear = nn.Linear(_STAGES[2], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(out.mean(dim=(2, 3)))
        return logits


def _stage(incoming: int, outgoing: int, blocks: int, shortcut: str) -> nn.Sequential:
    first = _Block(incoming, outgoing, shortcut)
    return nn.Sequential(first, *(_Block(outgoing, outgoing, shortcut) for _ in range(blocks - 1)))
