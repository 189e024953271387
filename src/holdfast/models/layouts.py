"""Weights that others trained: read without running anything that their file names, and given this package's names.

What each layout looks like was taken from the code of the repository named beside it.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from holdfast.errors import BundleError, UsageError
from holdfast.models.bundle import read_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Under which a checkpoint keeps its weights, beside the epoch, the optimizer and so on.
_INSIDE = ("state_dict", "model_state_dict", "net", "model")
# As old files lack it; it does nothing in a trained classifier.
_COUNTER = ".num_batches_tracked"
_SHOWN = 3


@dataclass(frozen=True)
class Fit:
    """How weights of a layout become those of one architecture.

    Attributes:
        arguments: of the architecture's builder.
        renames: regular expressions and what takes their place in every name, in this order.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    renames: Sequence[tuple[str, str]] = ()

    def name(self, theirs: str) -> str:
        """Our name of a tensor."""
        for pattern, ours in self.renames:
            theirs = re.sub(pattern, ours, theirs)
        return theirs


@dataclass(frozen=True)
class Layout:
    """How a public repository names its weights.

    Attributes:
        prefixes: taken off if all names begin so; the first one that fits.
        fits: architecture -> how it fits; None for any architecture as it is.
    """

    prefixes: Sequence[str]
    fits: Mapping[str, Fit] | None

    def fit(self, layout: str, architecture: str) -> Fit:
        """How this layout fits an architecture.

        Raises:
            UsageError: it does not.
        """
        if self.fits is None:
            return Fit()
        if architecture not in self.fits:
            raise UsageError(
                f"layout {layout!r} has no weights for the architecture {architecture!r}; it has some for "
                f"{', '.join(self.fits)}"
            )
        return self.fits[architecture]


_PROJECTED = Fit({"shortcut": "projection"}, ((r"^fc\.", "linear."), (r"\.downsample\.", ".shortcut.")))
_STAGES = Fit({}, tuple((rf"^layer{number}\.", f"stages.{number - 1}.") for number in (1, 2, 3, 4)))

LAYOUTS: dict[str, Layout] = {
    # Our own names.
    "plain": Layout(("module.",), None),
    # akamaster/pytorch_resnet_cifar10, resnet.py: our own names, saved through DataParallel.
    "akamaster": Layout(("module.",), {name: Fit() for name in ("resnet20", "resnet56", "resnet110")}),
    # locuslab/smoothing, code/architectures.py: Sequential(normalization, model), the ImageNet model in DataParallel;
    # archs/cifar_resnet.py for CIFAR-10, torchvision's ResNet-50 for ImageNet. Normalization has no weights.
    "cohen": Layout(("1.module.", "1."), {"resnet20": _PROJECTED, "resnet110": _PROJECTED, "resnet50": Fit()}),
    # kuangliu/pytorch-cifar, models/resnet.py, with BasicBlock: four stages named from 1.
    "kuangliu": Layout(("module.",), {"resnet18": _STAGES}),
    # torchvision.models; its ResNet-18 is another network than ours, which is for 32 x 32 pixels.
    "torchvision": Layout(("module.",), {"resnet50": Fit()}),
}


def find_layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in LAYOUTS:
        raise UsageError(f"unknown layout {name!r}; known are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a file that torch saved, or in a safetensors file, by their names there.

    Nothing that the file names is run: torch's restricted reader takes tensors and plain values only.

    Raises:
        BundleError: there is no such file, it is no such file, or it holds something else.
    """
    if not path.is_file():
        raise BundleError(f"there is no file {path}; expected weights that torch.save wrote, or a safetensors file")
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    try:
        with warnings.catch_warnings():
            # Of old formats, which are what published files have.
            warnings.simplefilter("ignore")
            loaded = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises nearly anything on files of another kind.
        # Not torch's own message: it advises to run what is in the file.
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it asks for {asked[1]}" if asked else f"{type(error).__name__} while it was read"
        raise BundleError(
            f"{path} does not hold weights alone ({reason}); nothing in it was run. Expected what "
            "torch.save(model.state_dict(), ...) writes, or a dictionary around it: have its maker save it so"
        ) from error
    return _state_dict(path, loaded)


def load_into(network: nn.Module, weights: Mapping[str, Tensor], layout: Layout, fit: Fit) -> None:
    """Give a network these weights, all of them and no others.

    Args:
        network: of the architecture that `fit` belongs to; without the normalization of a bundle.
        weights: by the layout's names.
        layout: where the weights come from.
        fit: how they become those of the architecture.

    Raises:
        BundleError: a tensor is missing, left over, or of another shape.
    """
    prefix = next((each for each in layout.prefixes if all(name.startswith(each) for name in weights)), "")
    found = {fit.name(name.removeprefix(prefix)): tensor for name, tensor in weights.items()}
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name.endswith(_COUNTER):
            found.setdefault(name, tensor)
    faults = [
        *_listed("missing", [name for name in expected if name not in found]),
        *_listed("left over", [name for name in found if name not in expected]),
        *_listed(
            "of another shape",
            [
                f"{name} {tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
                for name, tensor in expected.items()
                if name in found and found[name].shape != tensor.shape
            ],
        ),
    ]
    if faults:
        raise BundleError(
            f"the weights do not fit the architecture: {'; '.join(faults)}. Names are given after renaming; "
            "choose the architecture and the layout that they were saved with, and data of their classes"
        )
    network.load_state_dict(found)


def _state_dict(path: Path, loaded: Any) -> dict[str, Tensor]:
    inner = loaded
    if isinstance(loaded, dict):
        inner = next((loaded[key] for key in _INSIDE if isinstance(loaded.get(key), dict)), loaded)
    if isinstance(inner, dict) and inner and all(isinstance(value, Tensor) for value in inner.values()):
        return {str(name): tensor for name, tensor in inner.items()}
    keys = ", ".join(map(str, list(loaded)[:6])) if isinstance(loaded, dict) else "no names"
    raise BundleError(
        f"{path} holds a {type(loaded).__name__} with {keys}; expected tensors by name, or a dictionary that has them "
        f"under {' or '.join(_INSIDE)}"
    )


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what}: {', '.join(names[:_SHOWN])}{more}"] if names else []
