"""Noises and estimators by name and parameters: the parameters of Holdfast's own, and any of plugins."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from holdfast.formats.checking import fitting
from holdfast.formats.fields import Above, Alpha, Name, NotNegative, OpenShare, Positive, Samples, Text
from holdfast.limits import MOST_SET_BITS, set_bits

_Method = Literal["cohen", "split"]
_Null = Literal["multichannel", "normalized", "mean"]
_Fill = list[float] | None
# float32 cannot hold larger noise.
_Scale = Annotated[float, Meta(gt=0.0, le=1e30)]


class _Named(Struct, forbid_unknown_fields=True, tag_field="name"):
    pass


class _Gaussian(_Named, tag="gaussian"):
    sigma: _Scale


class _LatticeGaussian(_Named, tag="lattice-gaussian"):
    sigma: _Scale
    levels: Annotated[int, Meta(ge=2, le=65536)]


class _Laplace(_Named, tag="laplace"):
    b: _Scale


class _Uniform(_Named, tag="uniform"):
    half_width: _Scale


class _UniformFlip(_Named, tag="uniform-flip"):
    kappa: OpenShare
    levels: Annotated[int, Meta(ge=2, le=256)]


class _ChannelFlip(_Named, tag="channel-flip"):
    kappa: OpenShare
    levels: Annotated[int, Meta(ge=2, le=256)]


class _Ablation(_Named, tag="ablation"):
    k: Positive
    null: _Null
    fill: _Fill


class _Partition(_Named, tag="partition"):
    k: Positive
    pattern: Literal["random", "strided"]
    null: _Null
    fill: _Fill
    decision: Literal["majority", "runoff"] = "majority"


class _Splitting(_Named, tag="splitting"):
    half_width: _Scale
    levels: Annotated[int, Meta(ge=2, le=65536)]
    shift: Annotated[int, Meta(ge=0, lt=2**32)]


class _Columns(_Named, tag="columns"):
    width: Positive
    null: _Null
    fill: _Fill


class _Blocks(_Named, tag="blocks"):
    size: Positive
    null: _Null
    fill: _Fill


class _Fixed(_Named, tag="fixed"):
    n: Samples
    alpha: Alpha
    method: _Method


class _Looks(_Named, tag="looks"):
    n: Samples
    alpha: Alpha
    radii: list[NotNegative]
    precision: OpenShare | None
    ratio: Annotated[float, Meta(ge=1.001, le=10.0)]
    method: _Method


class _EProcess(_Named, tag="eprocess"):
    n: Samples
    alpha: Alpha
    radius: Above


class _Bets(_Named, tag="bets"):
    n: Samples
    alpha: Alpha
    radii: list[NotNegative]
    precision: OpenShare | None
    method: _Method
    selection_share: Annotated[float, Meta(ge=0.0, lt=1.0)]


class _Exact(_Named, tag="exact"):
    n: Samples


class _RunOff(_Named, tag="runoff"):
    n: Samples


class _Proved(_Named, tag="proved"):
    bound: Annotated[dict[str, Any], Meta(extra_json_schema={"required": ["name"]})]
    norm: Literal["L0", "L1", "L2", "Linf", "patch"]
    source: Text
    assumption: Text
    most: NotNegative | None

    def __post_init__(self) -> None:
        check_named(self.bound, "estimator.bound")


class _Other(Struct):
    """A noise or an estimator of a plugin, which checks its own parameters."""

    name: Name


_NOISES: tuple[type[_Named], ...] = (
    _Gaussian, _LatticeGaussian, _Laplace, _Uniform, _UniformFlip, _ChannelFlip, _Ablation, _Partition,
    _Splitting, _Columns, _Blocks,
)  # fmt: skip
_ESTIMATORS: tuple[type[_Named], ...] = (_Fixed, _Looks, _EProcess, _Bets, _Exact, _RunOff, _Proved)


def _schema(known: tuple[type[_Named], ...]) -> dict[str, Any]:
    """The schema of one of the known classes, or of one with another name."""
    made = [msgspec.json.schema(each)["$defs"][each.__name__] for each in known]
    names = [each.__struct_config__.tag for each in known]
    other = {"type": "object", "properties": {"name": {"type": "string", "not": {"enum": names}}}, "required": ["name"]}
    return {"anyOf": [*made, other]}


def _check(known: tuple[type[_Named], ...], description: dict[str, Any], within: str) -> None:
    kinds = {each.__struct_config__.tag: each for each in known}
    name = fitting(description, _Other, within).name
    if name in kinds:
        fitting(description, kinds[name], within)


def check_noise(description: dict[str, Any], within: str = "noise") -> None:
    """Raise ValueError unless a noise has a name and, if Holdfast has it, valid parameters."""
    _check(_NOISES, description, within)


def check_ablation(noise: dict[str, Any], shape: list[int]) -> None:
    """Raise ValueError if an ablation can keep too many sets of pixels to count them quickly."""
    if noise["name"] != "ablation":
        return
    pixels, retained = prod(shape[1:]) if len(shape) > 1 else shape[0], noise["k"]
    if set_bits(pixels, retained) > MOST_SET_BITS:
        raise ValueError(f"there are too many sets of {retained:,} kept pixels out of {pixels:,} to count them")


def check_estimator(description: dict[str, Any]) -> None:
    """Raise ValueError unless an estimator has a name and, if Holdfast has it, valid parameters."""
    _check(_ESTIMATORS, description, "estimator")


NoiseEntry = Annotated[dict[str, Any], Meta(extra_json_schema=_schema(_NOISES))]
EstimatorEntry = Annotated[dict[str, Any], Meta(extra_json_schema=_schema(_ESTIMATORS))]
# An attack or a backend: a name, and parameters that its class checks.
NamedEntry = Annotated[
    dict[str, Any],
    Meta(extra_json_schema={"required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}}),
]


def check_named(description: dict[str, Any], within: str) -> None:
    """Raise ValueError unless the description in the entry `within` has a name."""
    fitting(description, _Other, within)
