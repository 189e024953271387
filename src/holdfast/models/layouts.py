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
from holdfast.models.checkpoint_files import check_checkpoint, check_claims
from holdfast.models.checkpoints import chosen, described, weights_within
from holdfast.models.mistaken import mistaken
from holdfast.models.operations import Refused
from holdfast.models.tensors import form_fault, mismatches, put_in, shapes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# Parts of names that wrappers of torch and of its friends put in, wherever in a network they stand.
_WRAPPERS = ("module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# What torch's AveragedModel keeps beside the weights.
_AVERAGES = "n_averaged"
# As old files lack it; it does nothing in a trained classifier.
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Fit:
    """How weights of a layout become those of one architecture.

    Attributes:
        arguments: arguments of the architecture's builder.
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

    What all names of a file begin with is no part of it: `load_into` takes that off.

    Attributes:
        fits: architecture -> how it fits; None for any architecture as it is.
    """

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
    "plain": Layout(None),
    # akamaster/pytorch_resnet_cifar10, resnet.py: our own names, saved through DataParallel.
    "akamaster": Layout({name: Fit() for name in ("resnet20", "resnet56", "resnet110")}),
    # locuslab/smoothing, code/architectures.py: Sequential(normalization, model), the ImageNet model in DataParallel;
    # archs/cifar_resnet.py for CIFAR-10, torchvision's ResNet-50 for ImageNet. Normalization has no weights.
    "cohen": Layout({"resnet20": _PROJECTED, "resnet110": _PROJECTED, "resnet50": Fit()}),
    # kuangliu/pytorch-cifar, models/resnet.py, with BasicBlock: four stages named from 1.
    "kuangliu": Layout({"resnet18": _STAGES}),
    # torchvision.models; its ResNet-18 is another network than ours, which is for 32 x 32 pixels.
    "torchvision": Layout({"resnet50": Fit()}),
}


def find_layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        UsageError: no layout has this name.
    """
    if name not in LAYOUTS:
        raise UsageError(f"unknown layout {name!r}; known are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def read_weights(path: Path, name: str | None = None) -> dict[str, Tensor]:
    """The tensors in a file that torch saved, or in a safetensors file, by their names there.

    Nothing that the file names is run: torch's restricted reader takes tensors and plain values only.

    Args:
        path: path of the file.
        name: which ones, where there are several; see `chosen`.

    Raises:
        BundleError: the file does not exist, is of another kind, or holds something else.
    """
    return chosen(read_sets(path), name, str(path))[1]


def read_sets(path: Path) -> dict[str, dict[str, Tensor]]:
    """All weights in a file, by where they lie in it; see `read_weights`."""
    if not path.is_file():
        raise BundleError(f"there is no file {path}; expected weights that torch.save wrote, or a safetensors file")
    if path.suffix == ".safetensors":
        return {"": read_tensors(path)[0]}
    instead = mistaken(path)
    if instead is not None:
        raise BundleError(
            f"{path} does not hold weights alone (it is {instead.what}); nothing in it was run. Expected what "
            f"torch.save(model.state_dict(), FILE) writes, or a dictionary around it: {instead.remedy}"
        )
    try:
        with warnings.catch_warnings():
            # Of old formats, which are what published files have.
            warnings.simplefilter("ignore")
            mapped = check_checkpoint(path)
            # Mapped, tensors are parts of the file: one that claims more than it has is an error.
            loaded = torch.load(path, weights_only=True, map_location="cpu", mmap=mapped or None)
    except BundleError:
        raise
    except Exception as error:  # torch raises nearly anything on files of another kind.
        # Not torch's own message: it advises to run what is in the file.
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it asks for {refused[1]}" if refused else f"{type(error).__name__} while it was read"
        reason = str(error) if isinstance(error, Refused) else reason
        raise BundleError(
            f"{path} does not hold weights alone ({reason}); nothing in it was run. Expected what "
            "torch.save(model.state_dict(), FILE) writes, or a dictionary around it: have its maker save it so"
        ) from error
    sets = weights_within(loaded)
    if not sets:
        raise BundleError(
            f"{path} holds {described(loaded)}; expected tensors by name, or a dictionary that has them, as under "
            "state_dict"
        )
    check_claims(path, sets.values())
    return sets


def load_into(network: nn.Module, weights: Mapping[str, Tensor], layout: Layout, fit: Fit) -> list[str]:
    """Give a network these weights, all of them and no others.

    Names may lie within those of wrappers (`module.`, `_orig_mod.`, `model.`), in any order: what all begin with is
    taken off as far as that makes them fit.

    Args:
        network: network of the architecture that `fit` belongs to; without the normalization of a bundle.
        weights: by the layout's names.
        layout: where the weights come from.
        fit: how they become those of the architecture.

    Returns:
        What is to be noted; see `put_in`.

    Raises:
        BundleError: a tensor is missing, left over, or of another shape; or its values cannot be weights; see
            `put_in`.
    """
    expected = network.state_dict()
    found = min(
        (_renamed(each, fit, expected) for each in _unwrapped(weights)), key=lambda each: _unmatched(each, expected)
    )
    misformed = {name: fault for name in found if name in expected and (fault := form_fault(found[name]))}
    faults = mismatches(shapes_of(expected), shapes_of(found), misformed)
    if faults:
        raise BundleError(
            f"the weights do not fit the architecture: {'; '.join(faults)}. Names are given after renaming; "
            f"choose the architecture and the layout that they were saved with, and data of their classes"
            f"{_fitting_part(weights, fit, expected)}"
        )
    return put_in(network, found, "the file")


def _renamed(weights: Mapping[str, Tensor], fit: Fit, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by our names, with the counters that old files lack."""
    found = {fit.name(name): tensor for name, tensor in weights.items()}
    return found | {name: each for name, each in expected.items() if name.endswith(_COUNTER) and name not in found}


def _unmatched(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> int:
    """How many names are missing or left over."""
    return len(set(found) ^ set(expected))


def _unwrapped(weights: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The same weights by shorter and shorter names: as they are, then without what all of them begin with.

    Then again without the names of wrappers at any place, as where only a part of a network was wrapped.
    """
    whole = {name: tensor for name, tensor in weights.items() if name != _AVERAGES}
    bare = {".".join(part for part in name.split(".") if part not in _WRAPPERS): each for name, each in whole.items()}
    for names in (whole, bare) if len(bare) == len(whole) else (whole,):
        left = names
        yield left
        while left and all("." in name for name in left) and len({name.partition(".")[0] for name in left}) == 1:
            left = {name.partition(".")[2]: tensor for name, tensor in left.items()}
            yield left


def _fitting_part(weights: Mapping[str, Tensor], fit: Fit, expected: Mapping[str, Tensor]) -> str:
    """Advice where the weights of several networks lie side by side and one of them fits, empty otherwise."""
    fitting = []
    for beginning in sorted({name.partition(".")[0] for name in weights}):
        part = {name: tensor for name, tensor in weights.items() if name.startswith(f"{beginning}.")}
        if len(part) < len(weights) and any(
            not _unmatched(_renamed(each, fit, expected), expected) for each in _unwrapped(part)
        ):
            fitting.append(beginning)
    return (
        f". Alone, those whose names begin with {' or with '.join(fitting)} would fit: choose them as the weights"
        if fitting
        else ""
    )
