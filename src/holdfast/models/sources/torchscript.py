"""Programs of TorchScript, which torch has deprecated. No Python code in them is run."""

from __future__ import annotations

import warnings

import torch

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, HoldfastWarning, first_line
from holdfast.models.source import Network, model_source
from holdfast.spec import place


@model_source("torchscript", path="FILE")
def torchscript(path: str) -> Network:
    """A program that `torch.jit.save` wrote, as long as torch reads it."""
    file = place(path)
    sha256 = sha256_of(file, BundleError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
        except (RuntimeError, AttributeError, ValueError) as error:
            raise BundleError(f"{path} is no TorchScript program that torch reads ({first_line(error)})") from error
    warnings.warn(
        f"{path} is TorchScript, which torch has deprecated and will not read forever: export the network by "
        "torch.export, to a .pt2 file",
        HoldfastWarning,
        stacklevel=2,
    )
    return Network(program.eval(), {"sha256": sha256})
