"""The small residual network of provable training. Source: Wong, Schmidt, Metzen & Kolter 2018, "Scaling Provable
Adversarial Defenses", section 4; sizes as in convex_adversarial's program for CIFAR-10 with N = 1 and factor = 1.

Argument `channels`, of the first of three stages: 16, as published; fewer for a cheaper network. Argument `units`, of
the fully connected layer: 1,000.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size


@architecture("wong-resnet")
def wong_resnet(shape: Shape, num_classes: int, *, channels: int = 16, units: int = 1000) -> nn.Module:
    """A convolution, four residual blocks without normalization, two fully connected layers: 11 layers in a row.

    Raises:
        UsageError: `shape` is not an image's whose height and width are multiples of 4, or fewer than one channel or
            unit.
    """
    incoming, height, width = image_size("wong-resnet", shape, smallest=4)
    if height % 4 or width % 4:
        raise UsageError(f"wong-resnet takes images of height and width divisible by 4, got {height} x {width}")
    for name, number in (("channels", channels), ("units", units)):
        if type(number) is not int or number < 1:
            raise UsageError(f"wong-resnet has a whole number of {name} from 1 on, got {number!r}")
    made = nn.Sequential(
        nn.Conv2d(incoming, channels, 3, padding=1),
        nn.ReLU(),
        _Block(channels, channels, halved=False),
        _Block(channels, channels, halved=False),
        _Block(channels, 2 * channels, halved=True),
        _Block(2 * channels, 4 * channels, halved=True),
        nn.Flatten(),
        nn.Linear(4 * channels * (height // 4) * (width // 4), units),
        nn.ReLU(),
        nn.Linear(units, num_classes),
    )
    for module in made.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return made


class _Block(nn.Module):
    """Two convolutions, and a third one as the shortcut; the block may halve height and width."""

    def __init__(self, incoming: int, outgoing: int, *, halved: bool) -> None:
        super().__init__()
        size, stride = (4, 2) if halved else (3, 1)
        self.first = nn.Conv2d(incoming, outgoing, size, stride=stride, padding=1)
        self.second = nn.Conv2d(outgoing, outgoing, 3, padding=1)
        self.shortcut = nn.Conv2d(incoming, outgoing, stride, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))
