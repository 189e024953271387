"""Check that weights are plain tensors of finite real numbers that the network can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from holdfast.errors import BundleError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

# Numbers that float32 has exactly or rounds; 8-bit floats come with scales, which a tensor alone does not have.
_FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# As torch's batch normalizations name the variance of what they have seen.
_VARIANCE = "running_var"

_CODES = (
    "Whole numbers of a quantized network mean nothing without their scales: take the checkpoint that it was quantized "
    "from. Holdfast quantizes by itself (precision int8)"
)
_REAL = "The network computes with real numbers: take weights of a network with real numbers"
_DENSE = "A network computes with dense tensors: have its maker save dense tensors (tensor.to_dense())"
_THERE = "There is nothing to compute with: have its maker save the model after its weights were loaded"
_DIVERGED = "A network that diverged cannot be certified: take an earlier checkpoint, or train it again"
_LARGE = "Holdfast computes in float32: scale the weights down"
_WHOLE = "The file is damaged, or is one of another architecture; fetch it again, or name the other architecture"
_DAMAGED = f"A variance is 0 or more. {_WHOLE}"


def listed(what: str, names: Sequence[str]) -> list[str]:
    """What is wrong with some tensors, in a phrase that shows a few of them; empty if there are none."""
    return [f"{what}: {some(names)}"] if names else []


def mismatches(
    expected: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]], unshaped: Container[str] = ()
) -> list[str]:
    """How tensors by name and shape are not those of a network: missing, left over, of another shape.

    Args:
        expected: shapes of the network's tensors.
        found: shapes of those of a file.
        unshaped: names whose shapes are not compared.
    """
    shapes = [
        f"{name} {tuple(found[name])}, expected {tuple(shape)}"
        for name, shape in expected.items()
        if name in found and name not in unshaped and tuple(found[name]) != tuple(shape)
    ]
    return [
        *listed("missing", [name for name in expected if name not in found]),
        *listed("left over", [name for name in found if name not in expected]),
        *listed("of another shape", shapes),
    ]


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, by its name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def put_in(network: nn.Module, weights: Mapping[str, Tensor], origin: str) -> list[str]:
    """Give a network its weights, after a look at what they are, and see that it then has them.

    Args:
        network: network whose `state_dict` has these names and shapes.
        weights: by the network's names.
        origin: where they come from, for messages.

    Returns:
        What is to be noted: that numbers were rounded, say.

    Raises:
        BundleError: a tensor is quantized, sparse, without values, of another kind of numbers, not finite, too large
            for the network's own type, or a negative variance; or two names mean one tensor and have different values.
    """
    expected = network.state_dict()
    faults = {name: fault for name, tensor in weights.items() if (fault := tensor_fault(name, tensor, expected[name]))}
    if faults:
        kinds: dict[str, list[str]] = {}
        for name, (found, advice) in faults.items():
            kinds.setdefault(advice, []).append(f"{name} {found}")
        faulty = ". Also ".join(f"{some(each, between='; ')}. {advice}" for advice, each in kinds.items())
        raise BundleError(f"the weights in {origin} cannot be used: {faulty}")
    network.load_state_dict(dict(weights))
    _check_held(network, weights, origin)
    return _notes(weights, expected)


def tensor_fault(name: str, tensor: Tensor, expected: Tensor) -> tuple[str, str] | None:
    """What is wrong with a tensor and what to do, in words; None where nothing is.

    Args:
        name: in the network.
        tensor: tensor that the file has, of the shape expected.
        expected: the network's own, of whose type it will be.
    """
    form = form_fault(tensor)
    if form is not None:
        return form
    if expected.is_floating_point():
        return _float_fault(name, tensor, expected.dtype)
    if expected.is_complex():
        return None if bool(tensor.isfinite().all()) else (_non_finite(tensor), _DIVERGED)
    converted = tensor.to(expected.dtype)
    if tensor.is_complex() or (tensor.dtype == torch.bool) != (expected.dtype == torch.bool):
        return f"holds {_type(tensor)}, expected {_type(expected)}", _WHOLE
    # There and back again: also for whole numbers that are kept as floats.
    if not bool((converted.to(tensor.dtype) == tensor).all()):
        return f"holds {_type(tensor)} that are no {_type(expected)}", _WHOLE
    return None


def form_fault(tensor: Tensor) -> tuple[str, str] | None:
    """What is wrong with the way a tensor keeps its numbers, and what to do; None where nothing is."""
    if tensor.is_quantized:
        return f"is quantized ({_type(tensor)}), expected floating-point numbers", _CODES
    if tensor.is_meta:
        return "is on the device meta, which keeps no values, expected numbers", _THERE
    if tensor.is_nested or tensor.layout is not torch.strided:
        found = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
        return f"has the layout {found}, expected a dense tensor", _DENSE
    return None


def _float_fault(name: str, tensor: Tensor, dtype: torch.dtype) -> tuple[str, str] | None:
    if tensor.is_complex():
        return f"holds {_type(tensor)}, expected floating-point numbers", _REAL
    if tensor.dtype not in _FLOATS:
        return f"holds {_type(tensor)}, expected float32, float16, bfloat16 or float64", _CODES
    if not bool(tensor.isfinite().all()):
        return _non_finite(tensor), _DIVERGED
    if not bool(tensor.to(dtype).isfinite().all()):
        largest = float(tensor.abs().max())
        return f"holds {largest:.3g} in {_type(tensor)}, above all of {str(dtype).removeprefix('torch.')}", _LARGE
    if name.rpartition(".")[2] == _VARIANCE and bool((tensor < 0).any()):
        return f"holds {int((tensor < 0).sum())} negative variances (the least is {float(tensor.min()):.3g})", _DAMAGED
    return None


def _non_finite(tensor: Tensor) -> str:
    wrong = (~tensor.isfinite()).nonzero()
    first = tuple(wrong[0].tolist())
    value = tensor[first].item()
    return f"holds {len(wrong)} of {tensor.numel()} values that are not finite (the first is {value} at {list(first)})"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_held(network: nn.Module, weights: Mapping[str, Tensor], origin: str) -> None:
    """Raise unless each tensor of the network is what the file has under its name: one may have two names."""
    held = network.state_dict()
    lost = [
        name for name, tensor in weights.items() if not torch.equal(held[name].cpu(), tensor.cpu().to(held[name].dtype))
    ]
    if lost:
        raise BundleError(
            f"the weights in {origin} cannot be used: {'; '.join(listed('lost', lost))}. The architecture has one "
            "tensor under several names, for which the file has different values; take the architecture that it was "
            "saved with"
        )


def _notes(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """How numbers of another type were converted."""
    types: dict[str, int] = {}
    for name, tensor in weights.items():
        if expected[name].is_floating_point() and tensor.dtype != expected[name].dtype:
            types[_type(tensor)] = types.get(_type(tensor), 0) + 1
    exact = {"float16", "bfloat16"}
    return [
        f"{count} tensors of {name} "
        + (
            "are kept in float32, exactly"
            if name in exact
            else "were rounded to float32: the network is not exactly theirs"
        )
        for name, count in types.items()
    ]
