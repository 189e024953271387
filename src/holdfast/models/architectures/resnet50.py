"""ResNet-50: the ImageNet network of Cohen et al. 2019 and Levine & Feizi 2020, and for images of 32 x 32 pixels.

Source: He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", Table 1, with the stride of a block
in its 3 x 3 convolution. Modules and parameters have the names that torchvision gives them, so that its weights load.

Argument `stem`, the first layers: "imagenet" is a convolution of 7 x 7 with stride 2, and pooling, which divide height
and width by 4; "cifar" is a convolution of 3 x 3 without stride or pooling, as in the ResNet-18 for 32 x 32 pixels.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size

# What the layers divide height and width by.
_STEMS = {"imagenet": 32, "cifar": 8}
# Blocks and inner channels of the four stages; a block puts out four times its inner channels.
_STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
_EXPANSION = 4


@architecture("resnet50")
def resnet50(shape: Shape, num_classes: int, *, stem: str = "imagenet") -> nn.Module:
    """50 layers, 25.6 million parameters for 1,000 classes.

    Raises:
        UsageError: `shape` is not an image's of at least 32 x 32 pixels (with the stem "cifar" 8 x 8), or there is no
            such stem.
    """
    if stem not in _STEMS:
        raise UsageError(f"argument stem is {' or '.join(_STEMS)}, got {stem!r}")
    return _ResNet50(image_size("resnet50", shape, smallest=_STEMS[stem])[0], num_classes, stem)


class _Bottleneck(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, and a shortcut, which is a 1 x 1 convolution in a stage's first block."""

    def __init__(self, incoming: int, inner: int, stride: int) -> None:
        super().__init__()
        outgoing = _EXPANSION * inner
        self.conv1 = nn.Conv2d(incoming, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outgoing, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outgoing)
        self.downsample: nn.Module | None = None
        if incoming != outgoing:
            shortcut = nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outgoing))

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class _ResNet50(nn.Module):
    """A stem, four stages of bottlenecks, average over the image, one fully connected layer."""

    def __init__(self, channels: int, num_classes: int, stem: str) -> None:
        super().__init__()
        self.pooled = stem == "imagenet"
        size, stride = (7, 2) if self.pooled else (3, 1)
        self.conv1 = nn.Conv2d(channels, 64, size, stride=stride, padding=size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        incoming = 64
        for number, (blocks, inner) in enumerate(_STAGES, start=1):
            first = _Bottleneck(incoming, inner, 1 if number == 1 else 2)
            incoming = _EXPANSION * inner
            rest = (_Bottleneck(incoming, inner, 1) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(incoming, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        if self.pooled:
            out = functional.max_pool2d(out, 3, stride=2, padding=1)
        for number in range(1, len(_STAGES) + 1):
            out = self.get_submodule(f"layer{number}")(out)
        logits: Tensor = self.fc(out.mean(dim=(2, 3)))
        return logits
