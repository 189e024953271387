"""Bundles that claim more than any machine has."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

# The rest of the command: as little work as possible.
_CERTIFY = ("--limit", "1", "--n", "100", "--n0", "10", "--seed", "1", "--quiet")


def header_of(**changes: Any) -> dict[str, Any]:
    """The header of a bundle of the digits, with changes."""
    honest = {
        "format": 1,
        "architecture": "fc",
        "arguments": {"widths": []},
        "input_space": {"shape": [1, 8, 8], "low": 0.0, "high": 1.0, "mean": None, "std": None},
        "noise": {"name": "gaussian", "sigma": 0.25},
        "class_names": list("0123456789"),
        "training": {},
    }
    return {**honest, **changes}


def safetensors(path: Path, header: str, tensors: Mapping[str, Any], data: bytes) -> None:
    """Write a file of this format by hand, so that it may claim what no library writes."""
    parts = json.dumps({"__metadata__": {"holdfast": header}, **tensors}).encode()
    path.write_bytes(struct.pack("<Q", len(parts)) + parts + data)


def described(*shape: int, kind: str = "F32", begin: int = 0, end: int | None = None) -> dict[str, Any]:
    """A tensor in the header of a safetensors file."""
    size = 4 * int(np.prod([int(each) for each in shape], dtype=object))
    return {"dtype": kind, "shape": list(shape), "data_offsets": [begin, begin + size if end is None else end]}


_HONEST = {"1.1.bias": described(10), "1.1.weight": described(10, 64, begin=40)}


def bundle(folder: Path, tensors: Mapping[str, Any] | None = None, data: int = 2600, **changes: Any) -> list[str]:
    path = folder / "model.safetensors"
    safetensors(path, json.dumps(header_of(**changes)), _HONEST if tensors is None else tensors, bytes(data))
    return ["certify", "--model", str(path), "--data", "digits", *_CERTIFY, "--out", str(folder / "run")]


def _within(inner: Any, depth: int) -> Any:
    for _ in range(depth):
        member = {"architecture": inner[0], "arguments": inner[1], "mean": None, "std": None}
        inner = "ensemble", {"members": [member]}
    return {"architecture": inner[0], "arguments": inner[1]}


def _members(count: int, architecture: str) -> dict[str, Any]:
    member: dict[str, Any] = {"architecture": architecture, "arguments": {}, "mean": None, "std": None}
    return {"architecture": "ensemble", "arguments": {"members": [member] * count}}


_FC: dict[str, Any] = {"architecture": "fc", "arguments": {"widths": []}, "mean": None, "std": None}
_DENOISED: dict[str, Any] = {"architecture": "denoised", "arguments": {"depth": 10**6, "classifier": _FC}}


def _long_header(folder: Path) -> list[str]:
    given = bundle(folder)
    path = folder / "model.safetensors"
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", 90_000_000))
        file.truncate(100_000_000)
    return given


def _many_tensors(folder: Path) -> list[str]:
    given = bundle(folder)
    path = folder / "model.safetensors"
    honest = path.read_bytes()
    length = struct.unpack("<Q", honest[:8])[0]
    empty = ',"%x":{"dtype":"F32","shape":[0],"data_offsets":[2600,2600]}'
    header = honest[8 : 7 + length] + "".join(empty % number for number in range(10**6)).encode() + b"}"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2600))
    return given


def _sparse_bundle(folder: Path) -> list[str]:
    """Consistent, with a terabyte of a file that takes no room on the disk."""
    width = 2**32
    tensors = {"1.1.bias": described(10), "1.1.weight": described(10, width, begin=40)}
    space = {"shape": [width], "low": 0.0, "high": 1.0, "mean": None, "std": None}
    given = bundle(folder, tensors, 0, input_space=space)
    path = folder / "model.safetensors"
    os.truncate(path, path.stat().st_size + 40 + 40 * width)
    return given


BUNDLES = (
    ("width of 10^9", partial(bundle, arguments={"widths": [10**9]})),
    ("widths of 10^6, forty of them", partial(bundle, arguments={"widths": [10**6] * 40})),
    ("depth of 10^6", partial(bundle, **_DENOISED)),
    ("10^9 blocks", partial(bundle, architecture="sparse-cnn", arguments={"blocks": 10**9})),
    ("kernel of 10^9", partial(bundle, architecture="sparse-cnn", arguments={"kernel": 10**9})),
    ("10^12 stored images", partial(bundle, architecture="nearest-neighbour", arguments={"stored": 10**12})),
    ("10^7 stored images", partial(bundle, architecture="nearest-neighbour", arguments={"stored": 10**7})),
    ("10^6 classes of a ResNet-20", partial(bundle, architecture="resnet20", class_names=[""] * 10**6)),
    ("an input of 10^9 x 10^9 pixels", partial(bundle, input_space={"shape": [1, 10**9, 10**9], "low": 0.0, "high": 1.0, "mean": None, "std": None})),
    ("200 ensembles within each other", partial(bundle, **_within(("fc", {"widths": []}), 200))),
    ("100,000 members", partial(bundle, **_members(10**5, "resnet110"))),
    ("300 members, 110 layers each", partial(bundle, **_members(300, "resnet110"))),
    ("a header of 90 MB", _long_header),
    ("10^6 tensors", _many_tensors),
    ("overlapping tensors", partial(bundle, tensors={"1.1.bias": described(10), "1.1.weight": described(10, 64)})),
    ("offsets beyond the file", partial(bundle, tensors={"1.1.bias": described(10), "1.1.weight": described(10, 64, begin=2**40)})),
    ("a shape of 2^40 x 2^40", partial(bundle, tensors={"1.1.bias": described(10), "1.1.weight": described(2**40, 2**40, begin=40, end=2600)})),
    ("an empty tensor of 0 x 10^18", partial(bundle, tensors={"1.1.bias": described(10, end=0) | {"shape": [0, 10**18]}}, data=0)),
    ("numbers of 4 bits", partial(bundle, tensors={"1.1.bias": described(10), "1.1.weight": described(10, 64, kind="F4", begin=40, end=360)}, data=360)),
    ("a terabyte that the disk does not hold", _sparse_bundle),
)  # fmt: skip
