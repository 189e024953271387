"""FFDNet, a denoiser that is told the noise level. Source: Zhang, Zuo & Zhang 2018, "FFDNet: Toward a Fast and Flexible
Solution for CNN-Based Image Denoising".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle, pixel_unshuffle

# Pixels along each side that become the channels of one.
_FOLD = 2


class FFDNet(nn.Module):
    """Images with Gaussian noise of one level to images without.

    The image is folded into four of half its size, beside which a map of the noise level stands; what the convolutions
    return is the noise, in the same form.

    Args:
        channels: of an image: 1 or 3.
        level: standard deviation of the noise, in input units.
        width: channels between the convolutions; 96 in the paper for colour, 64 for grey.
        depth: convolutions of 3 x 3; 12 in the paper for colour, 15 for grey.
        map_channels: channels of the map of the noise level.
    """

    def __init__(self, channels: int, level: float, width: int, depth: int, map_channels: int) -> None:
        super().__init__()
        folded = channels * _FOLD**2
        layers: list[nn.Module] = [nn.Conv2d(folded + map_channels, width, 3, padding=1, bias=False), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.Conv2d(width, folded, 3, padding=1, bias=False))
        self.noise = nn.Sequential(*layers)
        self.level = level
        self.map_channels = map_channels

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)` in [0, 1] plus noise, to the same shape without the noise."""
        height, width = x.shape[2:]
        even = pad(x, (0, width % _FOLD, 0, height % _FOLD), mode="replicate")
        folded = pixel_unshuffle(even, _FOLD)
        levels = folded.new_full((len(x), self.map_channels, *folded.shape[2:]), self.level)
        noise = pixel_shuffle(self.noise(torch.cat([levels, folded], dim=1)), _FOLD)
        return x - noise[:, :, :height, :width]
