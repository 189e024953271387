"""Wide residual networks. Source: Zagoruyko & Komodakis 2016, "Wide Residual Networks": batch normalization and ReLU
stand before each convolution.

The shortcut by averages is that of the program of Tsuzuku, Sato & Sugiyama 2018 (github.com/ytsmiling/lmt), whose
network Cohen et al. 2019 compare with: a 2 x 2 average shortens differences, where every second pixel does not.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size
from holdfast.plain import is_real

_STAGES = (16, 32, 64)
SHORTCUTS = ("strided", "average")
# Layers besides the blocks; each block of the three stages has two.
_OTHER_LAYERS = 4


@architecture("wide-resnet")
def wide_resnet(
    shape: Shape,
    num_classes: int,
    *,
    depth: int = 16,
    width: int = 4,
    dropout: float = 0.0,
    shortcut: str = "strided",
) -> nn.Module:
    """WRN-16-4, with 2.7 million parameters, or another depth and width.

    Args:
        shape: of an image, of at least 4 x 4 pixels.
        num_classes: number of logits.
        depth: layers: 6 n + 4 for n blocks in each of the three stages.
        width: times the channels of a residual network of 16, 32 and 64 channels.
        dropout: share of the values between the two convolutions of a block that a training leaves out, in [0, 1).
        shortcut: where a stage has half the pixels, its 1 x 1 convolution takes every second pixel ("strided"), or
            averages of 2 x 2 pixels ("average").

    Raises:
        UsageError: an argument outside these, or `shape` is not an image's.
    """
    channels = image_size("wide-resnet", shape, 4)[0]
    if type(depth) is not int or depth < _OTHER_LAYERS + 6 or (depth - _OTHER_LAYERS) % 6:
        raise UsageError(f"argument depth of wide-resnet is 6 n + 4, from 10 on, as in 10, 16, 22 and 28, got {depth}")
    if type(width) is not int or width < 1:
        raise UsageError(f"argument width of wide-resnet is a whole number from 1 on, got {width!r}")
    if not (is_real(dropout) and 0.0 <= dropout < 1.0):
        raise UsageError(f"argument dropout of wide-resnet lies in [0, 1), got {dropout!r}")
    if shortcut not in SHORTCUTS:
        raise UsageError(f"argument shortcut of wide-resnet is one of {', '.join(SHORTCUTS)}, got {shortcut!r}")
    blocks = (depth - _OTHER_LAYERS) // 6
    return _WideResNet(channels, num_classes, blocks, width, dropout, shortcut == "average")


class _Block(nn.Module):
    """Two convolutions of 3 x 3; the first block of a stage has a 1 x 1 convolution of the activated input beside."""

    def __init__(self, incoming: int, outgoing: int, stride: int, dropout: float, average: bool, first: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(incoming)
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if first:
            averaged = average and stride > 1
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if averaged else nn.Identity(),
                nn.Conv2d(incoming, outgoing, 1, stride=1 if averaged else stride, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        out = self.conv2(self.dropout(functional.relu(self.bn2(self.conv1(active)))))
        found: Tensor = out + (x if self.shortcut is None else self.shortcut(active))
        return found


class _WideResNet(nn.Module):
    def __init__(self, channels: int, num_classes: int, blocks: int, width: int, dropout: float, average: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, _STAGES[0], 3, padding=1, bias=False)
        parts: list[nn.Module] = []
        incoming = _STAGES[0]
        for number, size in enumerate(_STAGES):
            for block in range(blocks):
                stride = 2 if number and not block else 1
                parts.append(_Block(incoming, width * size, stride, dropout, average, not block))
                incoming = width * size
        self.blocks = nn.Sequential(*parts)
        self.bn = nn.BatchNorm2d(incoming)
        self.linear = nn.Linear(incoming, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn(self.blocks(self.conv(x))))
        logits: Tensor = self.linear(out.mean(dim=(2, 3)))
        return logits
