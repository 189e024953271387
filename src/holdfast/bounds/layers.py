"""A network as a list of layers that bounds support: affine ones, ReLU (or another activation), and flattening."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.normalization import Normalization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.bounds.base import Classifier

_AFFINE = (nn.Linear, nn.Conv2d)


@dataclass(frozen=True, eq=False)
class PlainNetwork:
    """A network without branches.

    Attributes:
        layers: Linear, Conv2d, Flatten and activations; normalization is an affine layer.
        shapes: of the input and of each layer's output, without the batch.
    """

    layers: nn.Sequential
    shapes: tuple[torch.Size, ...]

    @property
    def last(self) -> nn.Linear:
        """The fully connected layer that gives the logits."""
        last = list(self.layers)[-1]
        assert isinstance(last, nn.Linear)
        return last

    @property
    def hidden(self) -> list[nn.Module]:
        """All layers before the last one."""
        return list(self.layers)[:-1]

    def logits(self, x: Tensor) -> Tensor:
        """`(batch, *shape)` to `(batch, classes)`."""
        found: Tensor = self.layers(x)
        return found


def plain(
    classifier: Classifier,
    activations: tuple[type[nn.Module], ...] = (nn.ReLU,),
    dtype: torch.dtype | None = torch.float64,
) -> PlainNetwork:
    """The layers of a classifier.

    Args:
        classifier: with a module of nested `nn.Sequential`.
        activations: that the caller supports.
        dtype: of a copy of the layers; None for the layers themselves, through which gradients reach the weights.

    Raises:
        UsageError: another kind of layer, a hook, a last layer that is not fully connected, or shapes that do not fit.
    """
    layers: list[nn.Module] = []
    x = torch.zeros((1, *classifier.shape), dtype=torch.float32)
    x = x.to(next(iter(classifier.module.state_dict().values()), x).device)
    for layer in flat(classifier.module):
        if type(layer) is Normalization:
            if layer.active:
                layers.append(_affine(layer, classifier.shape, dtype or layer.get_buffer("mean").dtype))
            continue
        layers.append(_checked(layer, activations))
    if not layers or not isinstance(layers[-1], nn.Linear) or layers[-1].out_features != classifier.num_classes:
        raise UsageError(
            f"this bound takes networks whose last layer is fully connected with {classifier.num_classes} outputs, one "
            "for each class, such as fc or wong-small"
        )
    if dtype is None:
        network = nn.Sequential(*map(_in_order, layers))
    else:
        where = classifier.device or torch.device("cpu")
        network = nn.Sequential(*(_copied(layer, where, dtype) for layer in layers))
        x = x.to(where, dtype)
    shapes = [x.shape[1:]]
    with torch.no_grad():
        for layer in network:
            _check_fit(layer, shapes[-1])
            x = layer(x)
            shapes.append(x.shape[1:])
    return PlainNetwork(network, tuple(shapes))


def _copied(layer: nn.Module, where: torch.device, dtype: torch.dtype) -> nn.Module:
    """A layer of the same class and weights, without gradients, replaced methods or anything else it may carry.

    The weights are new contiguous parameters: auto_LiRPA takes no others.
    """
    made: nn.Module
    # Made without memory first, since initial weights would be drawn from torch's global generator.
    with torch.device("meta"):
        if isinstance(layer, nn.Linear):
            made = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        elif isinstance(layer, nn.Conv2d):
            settings: dict[str, Any] = {
                name: getattr(layer, name)
                for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding")
            }
            made = nn.Conv2d(**settings, bias=layer.bias is not None)
        else:
            made = type(layer)()
    made = made.to(dtype).to_empty(device=where)
    made.load_state_dict({name: weights.detach() for name, weights in layer.named_parameters()})
    return made.requires_grad_(False).eval()


def _in_order(layer: nn.Module) -> nn.Module:
    """A convolution whose weights have the memory layout that convex-adversarial needs; gradients pass through."""
    if not isinstance(layer, nn.Conv2d):
        return layer
    shadow = copy.copy(layer)
    shadow._parameters = {"bias": layer._parameters["bias"]}
    # `contiguous` would not change the strides of a single channel.
    shadow.weight = layer.weight.clone(memory_format=torch.contiguous_format)
    return shadow


def check_unhooked(module: nn.Module) -> None:
    """Raise UsageError if a layer has a hook or a `forward` of its own."""
    # Neither name is in torch's public interface.
    hooks = (getattr(module, name, None) for name in ("_forward_hooks", "_forward_pre_hooks"))
    if any(hooks) or "forward" in vars(module):
        raise UsageError(
            "this bound takes layers without hooks and with the forward of their class, got a "
            f"{type(module).__name__} with others, which may change what it computes; remove them"
        )


def check_convolution(layer: nn.Module) -> None:
    """Raise UsageError for a convolution that is not the usual one."""
    if isinstance(layer, nn.Conv2d) and (
        layer.groups != 1
        or tuple(layer.dilation) != (1, 1)
        or layer.padding_mode != "zeros"
        or isinstance(layer.padding, str)
    ):
        raise UsageError(f"this bound takes convolutions without groups and dilation, padded by zeros, got {layer}")


def check_flatten(layer: nn.Module) -> None:
    """Raise UsageError for a layer that flattens only some axes."""
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        raise UsageError(f"this bound takes layers that flatten whole inputs, got {layer}")


def flat(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested `nn.Sequential` in order, without identities.

    Raises:
        UsageError: a layer has a hook or a `forward` of its own, which may change what it computes.
    """
    check_unhooked(module)
    # Only this class itself: a subclass may go another way through its layers.
    if type(module) is nn.Sequential:
        for part in module:
            yield from flat(part)
    elif type(module) is not nn.Identity:
        yield module


def _checked(layer: nn.Module, activations: tuple[type[nn.Module], ...]) -> nn.Module:
    # Only these classes themselves, as in `flat`.
    if type(layer) not in (*_AFFINE, nn.Flatten, *activations):
        known = ", ".join(kind.__name__ for kind in (*_AFFINE, nn.Flatten, *activations))
        raise UsageError(
            f"this bound takes networks of {known} one after the other, got a {type(layer).__name__}; architectures "
            "such as fc, wong-small, digits-mlp and mnist-cnn are of that kind"
        )
    check_convolution(layer)
    check_flatten(layer)
    # Never in place, since its inputs are needed again.
    return nn.ReLU().eval() if isinstance(layer, nn.ReLU) else layer


def _check_fit(layer: nn.Module, shape: torch.Size) -> None:
    """Raise UsageError unless the layer takes this shape, and its transpose leads back to it."""
    fitting = True
    if isinstance(layer, nn.Linear):
        fitting = tuple(shape) == (layer.in_features,)
    elif isinstance(layer, nn.Conv2d):
        fitting = len(shape) == 3 and shape[0] == layer.in_channels
    if not fitting:
        raise UsageError(f"{layer} does not take values of shape {tuple(shape)}, which the layers before it give")
    if not isinstance(layer, nn.Conv2d):
        return
    pads = [int(pad) for pad in layer.padding]
    for size, kernel, step, pad in zip(shape[1:], layer.kernel_size, layer.stride, pads, strict=True):
        if (size + 2 * pad - kernel) % step:
            raise UsageError(
                f"this bound takes convolutions whose steps end at the border: {size} pixels, padded by {pad}, do not "
                f"divide into steps of {step} with a kernel of {kernel}. Take another architecture, as wong-small"
            )


def statistics(layer: Normalization, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel `(channels,)`, float64, for inputs of this shape.

    Raises:
        UsageError: they belong to other axes than the channels of such inputs, or a deviation is not above 0.
    """
    mean, std = layer.get_buffer("mean").double(), layer.get_buffer("std").double()
    known = [(channels, *[1] * (len(shape) - 1)) for channels in (1, shape[0])]
    if tuple(mean.shape) not in known or tuple(std.shape) not in known:
        raise UsageError(
            f"this bound takes a normalization of each channel of inputs of shape {shape}, got one of values of shape "
            f"{tuple(mean.shape)} and {tuple(std.shape)}; its dimensions are {len(shape)}"
        )
    if not bool((mean.isfinite() & std.isfinite() & (std > 0.0)).all()):
        raise UsageError(f"a normalization divides by finite numbers above 0, got {std.flatten().tolist()}")
    return mean.flatten().expand(shape[0]), std.flatten().expand(shape[0])


def _affine(layer: Normalization, shape: tuple[int, ...], dtype: torch.dtype) -> nn.Module:
    """Normalization as a fully connected layer, or as a 1 x 1 convolution."""
    if len(shape) not in (1, 3):
        raise UsageError(f"bounds take images and feature vectors, got inputs of shape {shape}")
    mean, std = statistics(layer, shape)
    weight, channels = torch.diag(1.0 / std), shape[0]
    made: nn.Module
    if len(shape) == 3:
        made = nn.Conv2d(channels, channels, 1, dtype=torch.float64, device=mean.device)
        weight = weight[:, :, None, None]
    else:
        made = nn.Linear(channels, channels, dtype=torch.float64, device=mean.device)
    made.load_state_dict({"weight": weight, "bias": -mean / std})
    return made.to(dtype).requires_grad_(False).eval()
