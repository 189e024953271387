"""ResNet-18 for images of 32 x 32 pixels: a stem of 3 x 3 without stride or pooling, shortcuts by projection.

Source: He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", Table 1 and option B; Levine & Feizi
2020 use it for ablated CIFAR-10, with 6 input channels.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.models.architectures.base import Shape, architecture, image_size

_STAGES = (64, 128, 256, 512)


@architecture("resnet18")
def resnet18(shape: Shape, num_classes: int) -> nn.Module:
    """18 layers, 11.2 million parameters.

    Raises:
        UsageError: `shape` is not an image's.
    """
    return _ResNet18(image_size("resnet18", shape)[0], num_classes)


class _Block(nn.Module):
    """Two convolutions and a shortcut, which is a 1 x 1 convolution where the shape changes (option B)."""

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.shortcut = nn.Sequential()
        if incoming != outgoing:
            self.shortcut.append(nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outgoing))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.shortcut(x))


class _ResNet18(nn.Module):
    """A convolution, four stages of two blocks, average over the image, one fully connected layer."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, _STAGES[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STAGES[0])
        stages: list[nn.Module] = []
        incoming = _STAGES[0]
        for outgoing in _STAGES:
            stride = 1 if outgoing == incoming else 2
            stages.append(nn.Sequential(_Block(incoming, outgoing, stride), _Block(outgoing, outgoing, 1)))
            incoming = outgoing
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(incoming, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = self.stages(functional.relu(self.bn1(self.conv1(x))))
        logits: Tensor = self.linear(out.mean(dim=(2, 3)))
        return logits
