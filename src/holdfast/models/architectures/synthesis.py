"""Analysis by synthesis (ABS): one variational autoencoder a class, and the class whose decoder explains an input best.
Source: Schott, Rauber, Bethge & Brendel 2019, "Towards the first adversarially robust neural network model on MNIST".

The answer is an optimization: for each class, over the codes z, of the lower bound on the log-likelihood

    l(x) = -|x - decoder(z)|^2 - |z|^2 / 2,

up to constants that are the same for all classes. The encoders serve the training alone: networks that infer z could be
fooled like other networks. Everything random is drawn once from a fixed seed, and no row of a batch sees another one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, elu

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, image_size
from holdfast.models.architectures.defended import Defended, Quantized

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

# The smallest side whose first layer has several values: batch normalization needs them also for a single image.
_SMALLEST = 17
# Of the fixed draws of codes.
_SEED = 0
# Codes stay within this length: about the longest of some thousand draws of 8 normal values.
_LONGEST = 5.0
# Images that are decoded, and pairs of image and class that are optimized, at a time.
_DECODED, _PAIRS = 500, 640


@dataclass(frozen=True)
class _Layer:
    """One transposed convolution of all classes, batch normalization included.

    Attributes:
        weight: `(classes, inputs, outputs, height, width)`.
        bias: `(classes, outputs)`.
        stride: of the convolution.
    """

    weight: Tensor
    bias: Tensor
    stride: int


@dataclass(frozen=True)
class _Ready:
    """What answers need, made from the weights once.

    Attributes:
        layers: of the decoders.
        codes: fixed draws `(starts, latents)`, the same ones for all classes.
        images: what each class makes of them, `(classes, starts, pixels)`.
        sizes: their squared lengths plus half of those of their codes, `(classes, starts)`.
    """

    layers: tuple[_Layer, ...]
    codes: Tensor
    images: Tensor
    sizes: Tensor


class ClassAutoencoder(nn.Module):
    """The variational autoencoder of one class: kernels, strides and channels are the paper's for 28 x 28.

    Its last kernels are as large as the image asks for, so that other sizes are taken as well.

    Args:
        channels: of an image.
        height: of an image, in pixels.
        width: of an image, in pixels.
        latents: values of a code.
    """

    def __init__(self, channels: int, height: int, width: int, latents: int) -> None:
        super().__init__()
        self.latents = latents
        self.encoder = nn.Sequential(
            *_encoding(channels, 32, 5, 1), *_encoding(32, 32, 4, 2), *_encoding(32, 64, 3, 2), nn.Flatten()
        )
        left = [(side - 8) // 2 + 1 for side in (height, width)]
        features = 64 * math.prod((side - 3) // 2 + 1 for side in left)
        self.code = nn.Linear(features, 2 * latents)
        first = (height - 9) // 4, (width - 9) // 4
        last = height - 4 * first[0] - 8, width - 4 * first[1] - 8
        self.decoder = nn.Sequential(
            *_decoding(latents, 32, first, 1),
            *_decoding(32, 16, 5, 2),
            *_decoding(16, 16, 5, 2),
            nn.ConvTranspose2d(16, channels, last),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the codes of images, `(batch, latents)` each."""
        mean, log_variance = self.code(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, codes: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` for codes `(batch, latents)`."""
        return torch.sigmoid(self.decoder(codes[:, :, None, None]))


class AnalysisBySynthesis(nn.Module):
    """Answers the class whose decoder comes nearest to an input, by the scaled lower bound on the log-likelihood.

    The gradient of a logit is that at the code that was found; at an optimum, it is the gradient of the optimum.

    Args:
        shape: of an image.
        num_classes: how many there are.
        latents: values of a code.
        starts: draws of codes for each class, the best of which is the start of the optimization.
        steps: of Adam from there.
        step_size: of Adam.
        refined: how many classes to optimize, those with the best starts; 0 for all.
    """

    scale: Tensor
    balance: Tensor

    def __init__(
        self,
        shape: Shape,
        num_classes: int,
        latents: int = 8,
        starts: int = 8000,
        steps: int = 50,
        step_size: float = 0.01,
        refined: int = 0,
    ) -> None:
        super().__init__()
        self.autoencoders = nn.ModuleList(
            ClassAutoencoder(shape[0], shape[1], shape[2], latents) for _ in range(num_classes)
        )
        self.latents = latents
        self.starts = starts
        self.steps = steps
        self.step_size = step_size
        self.refined = refined or num_classes
        # Measured by the recipe after the training: of all bounds, and of the bound of each class.
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("balance", torch.ones(num_classes))
        self._ready: _Ready | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to logits `(batch, classes)`."""
        return self.scale * self.balance * self.bounds(x)

    def bounds(self, x: Tensor) -> Tensor:
        """The bound of each class on the log-likelihood, `(batch, classes)`, up to one constant."""
        each = max(1, _PAIRS // self.refined)
        parts = torch.split(x.flatten(1).to(self.scale.dtype), each)
        return torch.cat([self._bounds(part) for part in parts])

    def by_class(self) -> list[ClassAutoencoder]:
        """The autoencoder of each class."""
        return [cast("ClassAutoencoder", each) for each in self.autoencoders]

    def train(self, mode: bool = True) -> Self:
        """Training mode, after which the weights may have changed."""
        self._ready = None
        return super().train(mode)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._ready = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _bounds(self, flat: Tensor) -> Tensor:
        # Also under inference mode, whose tensors know no gradients.
        with torch.inference_mode(False), torch.no_grad():
            images, codes = self._synthesis(flat.detach().clone())
        return -(flat.unsqueeze(1) - images).square().sum(dim=2) - 0.5 * codes.square().sum(dim=2)

    def _synthesis(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """The image of each class that explains an input best, and its code.

        Returns:
            `(batch, classes, pixels)` and `(batch, classes, latents)`.
        """
        ready = self._prepared()
        classes, starts, pixels = ready.images.shape
        # Squared distances but for the input's own square.
        costs = ready.sizes - 2.0 * (flat @ ready.images.view(-1, pixels).T).view(-1, classes, starts)
        cost, best = costs.min(dim=2)
        images, codes = ready.images[torch.arange(classes, device=best.device), best], ready.codes[best]
        if self.steps == 0:
            return images, codes
        # Among equals the lowest class, whatever the rest of the batch is.
        chosen = cost.argsort(dim=1, stable=True)[:, : self.refined]
        rows = torch.arange(len(flat), device=flat.device).unsqueeze(1).expand_as(chosen).flatten()
        kinds = chosen.flatten()
        layers = [_Layer(each.weight[kinds], each.bias[kinds], each.stride) for each in ready.layers]
        found = self._descended(layers, codes[rows, kinds], flat[rows])
        made = _decoded(layers, found)
        better = _cost(made, found, flat[rows]) < _cost(images[rows, kinds], codes[rows, kinds], flat[rows])
        images[rows, kinds] = torch.where(better.unsqueeze(1), made, images[rows, kinds])
        codes[rows, kinds] = torch.where(better.unsqueeze(1), found, codes[rows, kinds])
        return images, codes

    def _descended(self, layers: list[_Layer], start: Tensor, goals: Tensor) -> Tensor:
        """Codes after the steps of Adam, for pairs of a class and an image."""
        codes = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([codes], lr=self.step_size)
        for _ in range(self.steps):
            with torch.enable_grad():
                (codes.grad,) = torch.autograd.grad(_cost(_decoded(layers, codes), codes, goals).sum(), codes)
            optimizer.step()
            codes *= (_LONGEST / torch.linalg.vector_norm(codes, dim=1, keepdim=True)).clamp_max(1.0)
        return codes.detach()

    def _prepared(self) -> _Ready:
        """What answers need; made at the first one after a change of weights."""
        if self._ready is None:
            ready = self._made()
            if self.training:
                # The weights are about to change.
                return ready
            self._ready = ready
        return self._ready

    def _made(self) -> _Ready:
        source = torch.Generator().manual_seed(_SEED)
        codes = torch.randn((self.starts, self.latents), generator=source)
        codes = (codes * (_LONGEST / torch.linalg.vector_norm(codes, dim=1, keepdim=True)).clamp_max(1.0)).to(
            self.scale
        )
        decoders = [each.decoder for each in self.by_class()]
        layers = tuple(
            _joined([list(decoder)[number : number + 2] for decoder in decoders])
            for number in range(0, len(decoders[0]), 3)
        )
        images = torch.stack(
            [torch.cat([_plain(layers, kind, part) for part in codes.split(_DECODED)]) for kind in range(len(decoders))]
        )
        sizes = images.square().sum(dim=2) + 0.5 * codes.square().sum(dim=1)
        return _Ready(layers, codes, images, sizes)


def _forget(module: nn.Module, keys: object) -> None:
    module._ready = None  # type: ignore[assignment]


def _encoding(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride), nn.BatchNorm2d(outputs), nn.ELU()


def _decoding(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int) -> tuple[nn.Module, ...]:
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride=stride), nn.BatchNorm2d(outputs), nn.ELU()


def _joined(parts: list[list[nn.Module]]) -> _Layer:
    """The same layer of all classes: a transposed convolution, and its batch normalization if one follows."""
    weights, biases = [], []
    for part in parts:
        convolution = cast("nn.ConvTranspose2d", part[0])
        weight, bias = convolution.weight.detach(), cast("Tensor", convolution.bias).detach()
        if len(part) > 1:
            norm = cast("nn.BatchNorm2d", part[1])
            factor = norm.weight.detach() / (cast("Tensor", norm.running_var) + norm.eps).sqrt()
            weight = weight * factor[None, :, None, None]
            bias = (bias - cast("Tensor", norm.running_mean)) * factor + norm.bias.detach()
        weights.append(weight.contiguous())
        biases.append(bias)
    return _Layer(torch.stack(weights), torch.stack(biases), cast("nn.ConvTranspose2d", parts[0][0]).stride[0])


def _decoded(layers: list[_Layer], codes: Tensor) -> Tensor:
    """Images `(pairs, pixels)` for codes `(pairs, latents)`, each by its own layers: one group of channels a pair."""
    pairs = len(codes)
    values = codes.reshape(1, -1, 1, 1)
    for number, each in enumerate(layers):
        values = values if number == 0 else elu(values)
        values = conv_transpose2d(
            values, each.weight.flatten(0, 1), each.bias.flatten(), stride=each.stride, groups=pairs
        )
    return torch.sigmoid(values).view(pairs, -1)


def _plain(layers: tuple[_Layer, ...], kind: int, codes: Tensor) -> Tensor:
    """Images `(batch, pixels)` of one class for codes `(batch, latents)`."""
    values = codes[:, :, None, None]
    for number, each in enumerate(layers):
        values = values if number == 0 else elu(values)
        values = conv_transpose2d(values, each.weight[kind], each.bias[kind], stride=each.stride)
    return torch.sigmoid(values).flatten(1)


def _cost(images: Tensor, codes: Tensor, goals: Tensor) -> Tensor:
    """Minus the bound for each pair, up to a constant."""
    return (goals - images).square().sum(dim=1) + 0.5 * codes.square().sum(dim=1)


def _checked(
    name: str, shape: Shape, latents: int, starts: int, steps: int, step_size: float, refined: int, classes: int
) -> Shape:
    """The shape of an image.

    Raises:
        UsageError: it is too small, or a number is out of range.
    """
    size = image_size(name, shape, smallest=_SMALLEST)
    for what, value, least, most in (
        ("latents", latents, 1, 4096),
        ("starts", starts, 1, 1_000_000),
        ("steps", steps, 0, 1_000_000),
        ("refined", refined, 0, classes),
    ):
        if type(value) is not int or not least <= value <= most:
            raise UsageError(f"argument {what} of {name} is a whole number from {least} to {most}, got {value!r}")
    if not (isinstance(step_size, int | float) and 0.0 < step_size < math.inf):
        raise UsageError(f"argument step_size of {name} is a number above 0, got {step_size!r}")
    return size


@architecture("abs", raw=True)
def analysis_by_synthesis(
    shape: Shape,
    num_classes: int,
    *,
    latents: int = 8,
    starts: int = 8000,
    steps: int = 50,
    step_size: float = 0.01,
    refined: int = 0,
) -> nn.Module:
    """A variational autoencoder a class; the class that explains an image best. The defaults are the paper's.

    Answers cost `starts` products of images and `steps` gradients for each class, or for the `refined` best ones.

    Raises:
        UsageError: images of less than 17 x 17 pixels, or a number out of range.
    """
    numbers = latents, starts, steps, step_size, refined
    return AnalysisBySynthesis(_checked("abs", shape, *numbers, num_classes), num_classes, *numbers)


@architecture("binarized-abs", raw=True)
def binarized_synthesis(
    shape: Shape,
    num_classes: int,
    *,
    latents: int = 8,
    starts: int = 8000,
    steps: int = 50,
    step_size: float = 0.01,
    refined: int = 0,
) -> nn.Module:
    """The architecture abs for images in [0, 1] whose values from one half on become 1, and the others 0.

    Raises:
        UsageError: as for abs.
    """
    numbers = latents, starts, steps, step_size, refined
    size = _checked("binarized-abs", shape, *numbers, num_classes)
    return Defended(Quantized(2), AnalysisBySynthesis(size, num_classes, *numbers))
