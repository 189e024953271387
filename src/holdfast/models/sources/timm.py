"""Architectures of timm with weights from a file. Nothing is downloaded, and no code in the file is run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, MissingExtraError, UsageError, first_line
from holdfast.models.checkpoints import chosen
from holdfast.models.layouts import read_sets
from holdfast.models.source import Network, model_source
from holdfast.models.tensors import mismatches, put_in, shapes_of
from holdfast.spec import place


@model_source("timm", path="NAME")
def timm(path: str, *, weights: str = "", num_classes: str = "") -> Network:
    """An architecture with its weights.

    Args:
        path: name of the architecture, as in `resnet18`.
        weights: file of its weights: safetensors, or what torch.save wrote of a state dict.
        num_classes: how many classes it knows, where not as many as its usual weights.
    """
    if find_spec("timm") is None:
        raise MissingExtraError("timm", "timm", "A model of timm")
    try:
        import timm
    except Exception as error:  # A torchvision that does not fit torch fails with anything.
        raise UsageError(
            f"timm cannot be imported ({type(error).__name__}: {first_line(error)}): install a torchvision that fits "
            "the installed torch"
        ) from error
    if not weights:
        raise UsageError(f"name the weights: timm:{path},weights=FILE. Holdfast downloads nothing")
    if num_classes and not (num_classes.isdecimal() and int(num_classes) >= 2):
        raise UsageError(f"num_classes is a whole number from 2 on, got {num_classes!r}")
    try:
        settings: dict[str, Any] = {"num_classes": int(num_classes)} if num_classes else {}
        module: Any = timm.create_model(path, pretrained=False, **settings)
    except Exception as error:  # timm raises RuntimeError for a name, and anything for arguments.
        raise UsageError(f"timm makes no network {path!r} ({first_line(error)})") from error
    file = place(weights)
    _, tensors = chosen(read_sets(file), None, weights)
    faults = mismatches(shapes_of(module.state_dict()), shapes_of(tensors))
    if faults:
        raise BundleError(
            f"the weights in {weights} do not fit {path}: {'; '.join(faults)}. For another number of classes write "
            "num_classes=N"
        )
    notes = put_in(module, tensors, weights)
    usual = module.default_cfg
    return Network(
        module.eval(),
        {"architecture": path, "sha256": sha256_of(file, BundleError)},
        takes=tuple(usual["input_size"]),
        classes=int(module.num_classes),
        mean=tuple(map(float, usual["mean"])),
        std=tuple(map(float, usual["std"])),
        notes=tuple(notes),
    )
