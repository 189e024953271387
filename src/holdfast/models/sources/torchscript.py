"""Programs of TorchScript, which torch has deprecated. No Python code in them is run."""

from __future__ import annotations

import hashlib
import io
import warnings

import torch
from torch import nn

from holdfast.budgets import content_of
from holdfast.errors import BundleError, HoldfastWarning, first_line
from holdfast.models.networks import FromBytes
from holdfast.models.source import Network, model_source
from holdfast.spec import place


@model_source("torchscript", path="FILE")
def torchscript(path: str) -> Network:
    """A program that `torch.jit.save` wrote, as long as torch reads it."""
    file = place(path)
    content = content_of(file, BundleError)
    try:
        program = FromBytes(program_in, content)
    except (RuntimeError, AttributeError, ValueError) as error:
        raise BundleError(f"{path} is no TorchScript program that torch reads ({first_line(error)})") from error
    warnings.warn(
        f"{path} is TorchScript, which torch has deprecated and will not read forever: export the network by "
        "torch.export, to a .pt2 file",
        HoldfastWarning,
        stacklevel=2,
    )
    return Network(program, {"sha256": hashlib.sha256(content).hexdigest()})


def program_in(content: bytes) -> nn.Module:
    """The program in the bytes of a file, in eval mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    return program.eval()
