"""Published weights of the denoiser FFDNet, in the layout of Tassano's code for IPOL: the map of the noise level comes
first, and has as many channels as an image."""

from __future__ import annotations

import math
import re

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, UsageError
from holdfast.models.checkpoints import chosen
from holdfast.models.ffdnet import FFDNet
from holdfast.models.layouts import read_sets
from holdfast.models.source import Network, model_source
from holdfast.models.tensors import put_in
from holdfast.spec import place, value_of

# A convolution or a batch normalization of the sequence, wherever that lies in the file.
_NAME = re.compile(r"(?:.*\.)?(\d+)\.(weight|bias|running_mean|running_var|num_batches_tracked)")
_FOLDED = 4


@model_source("ffdnet", path="FILE")
def ffdnet(path: str, *, level: str = "") -> Network:
    """A denoiser, to stand in front of a classifier.

    Args:
        path: file of the weights.
        level: standard deviation of the noise that it removes, in input units; up to 75/255 in its training.
    """
    sigma = value_of(level)
    if isinstance(sigma, tuple) and len(sigma) == 2 and sigma[1]:
        sigma = sigma[0] / sigma[1]
    if not isinstance(sigma, int | float) or not (math.isfinite(sigma) and sigma > 0):
        raise UsageError(f"a denoiser needs level=SIGMA, the noise that it removes, a number above 0; got {level!r}")
    file = place(path)
    _, tensors = chosen(read_sets(file), None, path)
    found = {name: match for name in tensors if (match := _NAME.fullmatch(name))}
    weights = {f"noise.{match[1]}.{match[2]}": tensors[name] for name, match in found.items()}
    convolutions = [tensor for name, tensor in weights.items() if name.endswith("weight") and tensor.ndim == 4]
    if len(found) != len(tensors) or len(convolutions) < 2:
        raise BundleError(
            f"{path} has no weights of FFDNet: expected one sequence of convolutions, got {list(tensors)[:3]}"
        )
    width, folded = convolutions[-1].shape[1], convolutions[-1].shape[0]
    module = FFDNet(folded // _FOLDED, float(sigma), width, len(convolutions), convolutions[0].shape[1] - folded)
    expected = module.state_dict()
    counters = {name: tensor for name, tensor in expected.items() if name.endswith("num_batches_tracked")}
    weights = {**counters, **weights}
    if {name: tensor.shape for name, tensor in weights.items()} != {
        name: each.shape for name, each in expected.items()
    }:
        raise BundleError(f"{path} has no weights of FFDNet for {folded // _FOLDED} channels: names or shapes differ")
    notes = put_in(module, weights, path)
    return Network(
        module,
        {"architecture": "ffdnet", "sha256": sha256_of(file, BundleError)},
        takes=None,
        notes=tuple(notes),
    )
