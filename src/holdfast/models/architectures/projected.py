"""A projection onto the images of a generative model: a defence by a search without a gradient. It is no certified
defence.

Source: Samangouei, Kabkab & Chellappa 2018, "Defense-GAN", whose generator is adversarial; this one is a variational
autoencoder (Kingma & Welling 2014), as in its variant Defense-VAE. Broken by Athalye, Carlini & Wagner 2018, with the
identity as the gradient of the projection (BPDA).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.models.architectures.base import Shape, architecture, build
from holdfast.models.architectures.defended import Defence, Defended, WithoutDraws
from holdfast.models.architectures.seeded import check_count

# Of Adam, by which the code of an input is found: per step, and the decays of its two averages.
_RATE, _DECAY, _SQUARE_DECAY, _TINY = 0.1, 0.9, 0.999, 1e-8


class Generator(nn.Module):
    """A variational autoencoder with one hidden layer each way; values are in [0, 1].

    Args:
        features: values of an input.
        codes: values of its code.
        hidden: units of each hidden layer.
    """

    def __init__(self, features: int, codes: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * codes))
        self.inner = nn.Linear(codes, hidden)
        self.outer = nn.Linear(hidden, features)

    def encoded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code of each input `(batch, features)`."""
        mean, spread = self.encoder(x).chunk(2, dim=1)
        return mean, spread

    def logits(self, codes: Tensor) -> Tensor:
        """Decoded codes before the sigmoid, `(batch, features)`."""
        decoded: Tensor = self.outer(torch.relu(self.inner(codes)))
        return decoded

    def decoded(self, codes: Tensor) -> Tensor:
        """The images of codes, `(batch, features)` in [0, 1]."""
        return torch.sigmoid(self.logits(codes))

    def slope(self, codes: Tensor, x: Tensor) -> Tensor:
        """The gradient of |decoded(codes) - x|^2 with respect to the codes, for each input.

        Written out, since automatic differentiation is off where models are only asked.
        """
        hidden = torch.relu(self.inner(codes))
        image = torch.sigmoid(self.outer(hidden))
        outer = 2.0 * (image - x) * image * (1.0 - image)
        return ((outer @ self.outer.weight) * (hidden > 0.0)) @ self.inner.weight


class Projection(WithoutDraws, Defence):
    """The decoded image that is nearest to an input in L2, as far as a descent from the encoder's code finds it."""

    random: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __init__(self, generator: Generator, steps: int) -> None:
        super().__init__()
        self.generator = generator
        self.steps = steps

    def apply_draws(self, x: Tensor, draws: Tensor) -> Tensor:
        """The projections, of the same shape, with a zero gradient, as that of rounding is. In training, where there is
        no search, the decoded images of drawn codes."""
        if self.training:
            mean, spread = self.generator.encoded(x.flatten(1))
            codes = mean + torch.exp(0.5 * spread) * torch.randn_like(mean)
            return self.generator.decoded(codes).detach().view_as(x)
        with torch.no_grad():
            near = self.generator.decoded(self.code(x.flatten(1))).view_as(x)
        return near + 0.0 * x

    def code(self, x: Tensor) -> Tensor:
        """The code of each input `(batch, features)`: `steps` steps of Adam from the encoder's."""
        codes = self.generator.encoded(x)[0]
        mean, square = torch.zeros_like(codes), torch.zeros_like(codes)
        for step in range(1, self.steps + 1):
            slope = self.generator.slope(codes, x)
            mean = _DECAY * mean + (1.0 - _DECAY) * slope
            square = _SQUARE_DECAY * square + (1.0 - _SQUARE_DECAY) * slope.square()
            size = (square / (1.0 - _SQUARE_DECAY**step)).sqrt() + _TINY
            codes = codes - _RATE * mean / (1.0 - _DECAY**step) / size
        return codes


@architecture("projected", raw=True)
def projected(
    shape: Shape,
    num_classes: int,
    *,
    codes: int = 20,
    hidden: int = 400,
    steps: int = 50,
    classifier: str = "wong-small",
) -> nn.Module:
    """A classifier of the nearest image that a generative model makes; the recipe `projection` trains both.

    `codes` values describe an image, the model's hidden layers have `hidden` units, and `steps` steps search.

    Raises:
        UsageError: a number that is not whole or below 1.
    """
    for name, value in (("codes", codes), ("hidden", hidden), ("steps", steps)):
        check_count("projected", name, value)
    made = Generator(math.prod(shape), codes, hidden)
    return Defended(Projection(made, steps), build(classifier, shape, num_classes))
