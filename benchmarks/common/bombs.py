"""Small files and short command lines that ask for more than any machine has: what each is, and how it is made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

# What a command asks for besides the bomb: as little as it can.
_CERTIFY = ("--limit", "1", "--n", "100", "--n0", "10", "--seed", "1", "--quiet")
_IMPORT = ("--arch", "fc", "--layout", "plain", "--data", "digits")


@dataclass(frozen=True)
class Bomb:
    """One attempt.

    Attributes:
        name: of it, for tables.
        make: writes its files into an empty folder; returns the arguments of `holdfast`, of which the last that is
            a path within the folder is the file that a stranger sent.
        base: the name of the honest command of `BASES` that is like it: what this one takes beyond that is its cost.
    """

    name: str
    make: Callable[[Path], list[str]]
    base: str


# --- Much from little --------------------------------------------------------------------------------------------

_PIECE = 2**23


def zeros_deflated(size: int) -> bytes:
    """So many zeros and the end, deflated; one part is written over and over."""
    part, last = zlib.compressobj(9, wbits=-15), zlib.compressobj(9, wbits=-15)
    piece = part.compress(bytes(_PIECE)) + part.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // _PIECE) + last.compress(bytes(size % _PIECE)) + last.flush()


def zeros_packed(head: bytes, size: int) -> bytes:
    """Some bytes and then zeros as zlib packs them."""
    first = zlib.compressobj(9, wbits=-15)
    begin = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH)
    # Zeros change the first sum of Adler-32 not at all, and add it to the second one each time.
    low, high = zlib.adler32(head) & 0xFFFF, zlib.adler32(head) >> 16
    check = (high + size * low) % 65521 << 16 | low
    return b"\x78\xda" + begin + zeros_deflated(size) + struct.pack(">I", check)


def zipped(entries: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A zip whose entries are some bytes and then so many zeros, deflated."""
    out = io.BytesIO()
    listing = []
    for name, (head, zeros) in entries.items():
        first = zlib.compressobj(9, wbits=-15)
        content = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH) + zeros_deflated(zeros)
        check, piece = zlib.crc32(head), bytes(_PIECE)
        for _ in range(zeros // _PIECE):
            check = zlib.crc32(piece, check)
        check = zlib.crc32(piece[: zeros % _PIECE], check)
        known = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, check, len(content), len(head) + zeros, len(name), 0)
        listing.append(
            b"PK\x01\x02"
            + struct.pack("<H", 20)
            + known
            + struct.pack("<HHHII", 0, 0, 0, 0, out.tell())
            + name.encode()
        )
        out.write(b"PK\x03\x04" + known + name.encode() + content)
    directory = b"".join(listing)
    end = struct.pack("<HHHHIIH", 0, 0, len(listing), len(listing), len(directory), out.tell(), 0)
    return out.getvalue() + directory + b"PK\x05\x06" + end


# --- Bundles -----------------------------------------------------------------------------------------------------


def header_of(**changes: Any) -> dict[str, Any]:
    """What a bundle of the digits says of itself, with changes."""
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


_BUNDLES = (
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


# --- Weights of others -------------------------------------------------------------------------------------------


def weights(folder: Path, content: bytes) -> list[str]:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return ["import-weights", str(path), *_IMPORT, "--out", str(folder / "model.safetensors")]


def saved(state: Any, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def honest_state() -> OrderedDict[str, torch.Tensor]:
    sizes = {"1.weight": (10, 64), "1.bias": (10,)}
    return OrderedDict((name, torch.full(size, 0.01)) for name, size in sizes.items())


def _honest_weights(folder: Path) -> list[str]:
    return weights(folder, saved(honest_state()))


def archive(pickled: bytes, entries: Mapping[str, bytes] | None = None, compressed: bool = False) -> bytes:
    """A zip as torch writes it, with this pickle."""
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as out:
        parts = {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **(entries or {})}
        for name, content in parts.items():
            out.writestr(f"archive/{name}", content)
    return file.getvalue()


def _pickled_call(module: str, name: str, *arguments: bytes) -> bytes:
    """A pickle that calls a name with these pickled arguments."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def _long(number: int) -> bytes:
    raw = number.to_bytes(8, "little")
    return b"\x8a\x08" + raw


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


_FLOAT_STORAGE = b"ctorch\nFloatStorage\n"


def tensor_pickle(elements: int, size: int, stride: int) -> bytes:
    """The pickle of a dictionary with one tensor, whose storage, size and stride may claim anything."""
    storage = b"(" + _text("storage") + _FLOAT_STORAGE + _text("0") + _text("cpu") + _long(elements) + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    size_of = b"(" + _long(size) + b"t" + b"(" + _long(stride) + b"t"
    made = rebuild + b"(" + storage + b"K\x00" + size_of + b"\x89" + b"ccollections\nOrderedDict\n)R" + b"tR"
    return b"\x80\x02}" + _text("1.weight") + made + b"s."


def _hex_doubling(folder: Path) -> list[str]:
    """bytes encoded as hexadecimal, 33 times over: twice as many each time."""
    value = b"U\x10" + b"a" * 16
    for _ in range(33):
        value = b"c_codecs\nencode\n(" + value + _text("hex") + b"tR"
    return weights(folder, archive(b"\x80\x02" + value + b"."))


def _tuple_key(folder: Path) -> list[str]:
    """A tuple of twice the tuple before, 60 deep, as a key: its hash takes 2^60 steps."""
    chain = b"K\x01" + b"".join(b"q" + bytes([number]) + b"h" + bytes([number]) + b"\x86" for number in range(60))
    return weights(folder, archive(b"\x80\x02}" + chain + b"K\x01s."))


def _shared_dictionaries(folder: Path) -> list[str]:
    """Dictionaries of 200 names for one and the same dictionary, five deep."""
    inner: Any = {"weight": torch.zeros(1)}
    for _ in range(5):
        inner = {f"part{number}": inner for number in range(200)}
    return weights(folder, saved(inner))


def _inflating_storage(folder: Path) -> list[str]:
    pickled = tensor_pickle(2**28, 2**28, 1)
    return weights(
        folder,
        zipped(
            {
                "archive/data.pkl": (pickled, 0),
                "archive/data/0": (b"", 2**30),
                "archive/version": (b"3\n", 0),
                "archive/byteorder": (b"little", 0),
            }
        ),
    )


def _inflating_pickle(folder: Path) -> list[str]:
    head = b"\x80\x02}X" + struct.pack("<I", 2**30)
    return weights(folder, zipped({"archive/data.pkl": (head, 2**30), "archive/version": (b"3\n", 0)}))


def _many_entries(folder: Path) -> list[str]:
    return weights(folder, archive(b"\x80\x02}.", {f"data/{number}": b"" for number in range(20_000)}))


def _many_operations(folder: Path) -> list[str]:
    return weights(folder, archive(b"\x80\x02" + b"N0" * 2**22 + b"}."))


def _deep_zip_directory(folder: Path) -> list[str]:
    """An end of a zip directory that claims 2^32 entries in 4 GB."""
    content = bytearray(archive(tensor_pickle(4, 4, 1), {"data/0": bytes(16)}))
    place = content.rindex(b"PK\x05\x06")
    content[place + 8 : place + 20] = struct.pack("<HHII", 65535, 65535, 2**32 - 2, 10)
    return weights(folder, bytes(content))


def _sparse_coo(folder: Path) -> list[str]:
    wide = torch.sparse_coo_tensor(torch.zeros((1, 1), dtype=torch.int64), torch.ones(1), (2**40,))
    return weights(folder, saved({**honest_state(), "1.bias": wide}))


def _old_tar(folder: Path) -> list[str]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as out:
        member = tarfile.TarInfo("storages")
        member.size = 2**20
        out.addfile(member, io.BytesIO(bytes(2**20)))
    return weights(folder, file.getvalue())


def _legacy_claims(folder: Path) -> list[str]:
    content = saved({"1.weight": torch.zeros(77)}, legacy=True)
    return weights(folder, content.replace(b"K\x4d", b"\x8a\x08" + (2**40).to_bytes(8, "little")))


_WEIGHTS = (
    ("a pickle that asks for 2^40 bytes", lambda folder: weights(folder, archive(_pickled_call("__builtin__", "bytearray", _long(2**40))))),
    ("a tensor without values of 2^32 numbers", lambda folder: weights(folder, archive(_pickled_call("torch", "FloatTensor", _long(2**32))))),
    ("bytes that double 33 times", _hex_doubling),
    ("a key whose hash takes 2^60 steps", _tuple_key),
    ("one dictionary under 200^5 names", _shared_dictionaries),
    ("a storage of 2^40 numbers in 16 bytes", lambda folder: weights(folder, archive(tensor_pickle(2**40, 4, 1), {"data/0": bytes(16)}))),
    ("a storage of 2^20 numbers in 16 bytes", lambda folder: weights(folder, archive(tensor_pickle(2**20, 2**20, 1), {"data/0": bytes(16)}))),
    ("a tensor larger than its storage", lambda folder: weights(folder, archive(tensor_pickle(4, 2**36, 1), {"data/0": bytes(16)}))),
    ("one number 2^36 times, by a stride of 0", lambda folder: weights(folder, archive(tensor_pickle(4, 2**36, 0), {"data/0": bytes(16)}))),
    ("a storage that inflates to 1 GB", _inflating_storage),
    ("a pickle that inflates to 1 GB", _inflating_pickle),
    ("20,000 entries", _many_entries),
    ("8 million operations", _many_operations),
    ("a directory of 4 GB", _deep_zip_directory),
    ("a sparse tensor of 2^40", _sparse_coo),
    ("a tar of old torch", _old_tar),
    ("an old file that claims 2^40 numbers", _legacy_claims),
    ("a Torch file of zeros, one byte in a terabyte", lambda folder: _sparse_file(weights(folder, saved(honest_state())), folder / "weights.pth")),
)  # fmt: skip


def _sparse_file(given: list[str], path: Path, size: int = 2**40) -> list[str]:
    os.truncate(path, size)
    return given


# --- Runs and attacks --------------------------------------------------------------------------------------------

_DATA = {
    "source": "made-up", "split": "test", "sha256": "0" * 64, "size": 12, "shape": [1, 6, 6], "low": 0.0, "high": 1.0,
    "class_names": list("abcd"), "decoder": "", "every": 1, "limit": None, "sorted_by_class": False,
}  # fmt: skip
_MANIFEST = {
    "kind": "certify", "noise": {"name": "gaussian", "sigma": 0.5}, "guarantee": "cohen",
    "estimator": {"name": "fixed", "n": 300, "alpha": 0.01, "method": "split"}, "n0": 30, "data": _DATA,
    "model": {"sha256": "1" * 64}, "seed": 9, "block": 1024, "precision": "float32", "device": "cpu",
    "versions": {"holdfast": "0.1.0"}, "created": "2026-01-01T00:00:00+00:00", "format": 2, "joint_alpha": None,
}  # fmt: skip
_VOTES = {"index": 0, "label": 0, "selection": [30, 0, 0, 0], "estimation": [300, 0, 0, 0]}
_CLAIM = {"index": 0, "label": 0, "predicted": 0, "radius": 0.5, "seconds": 2.0}
_RAW = "@"


def canonical(entries: Mapping[str, Any]) -> str:
    """JSON as digests are taken of; texts such as "@1e-9@" are written as they are, without marks."""
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return text.replace(f'"{_RAW}', "").replace(f'{_RAW}"', "")


def sealed(entries: Mapping[str, Any], digits: int, promised: str = "") -> tuple[str, str]:
    """A document with its digest, which fits, and that digest."""
    text = canonical(entries)
    digest = hashlib.sha256((promised + text).encode()).hexdigest()[:digits]
    return f'{text[:-1]},"digest":"{digest}"}}\n', digest


def run(
    folder: Path, command: Sequence[str], manifest: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None, records: Sequence[Mapping[str, Any]] = (_VOTES,),
) -> list[str]:  # fmt: skip
    """A run with these entries of the manifest and of its data, whose digests fit, and a command that reads it."""
    path = folder / "run"
    path.mkdir()
    document, digest = sealed({**_MANIFEST, "data": {**_DATA, **(data or {})}, **(manifest or {})}, 64)
    (path / "manifest.json").write_text(document)
    lines = [sealed(record, 16, f"{digest}\n")[0] for record in records]
    (path / "records.jsonl").write_text("".join(lines))
    return [part if part != "RUN" else str(path) for part in command]


TABLE, VERIFY, INFO = ("table", "RUN"), ("verify", "RUN"), ("info", "RUN")
REPORT = ("report", "RUN", "--out", "report.html")
_EXPORT = ("export-log", "RUN", "--out", "log.tsv")


def _estimator(**changes: Any) -> dict[str, Any]:
    return {"estimator": {"name": "fixed", "n": 300, "alpha": 0.01, "method": "split", **changes}}


def _looks(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "looks",
        "n": 300,
        "alpha": 0.01,
        "radii": [0.5],
        "precision": None,
        "ratio": 1.5,
        "method": "split",
    }
    return {"estimator": {**given, **changes}}


def _ablation(k: Any, **more: Any) -> dict[str, Any]:
    noise = {"name": "ablation", "k": k, "null": "multichannel", "fill": None}
    return {"noise": noise, "guarantee": "levine", **more}


_MANY = 10**15
_MANY_VOTES = {**_VOTES, "estimation": [6 * 10**14, 4 * 10**14, 0, 0]}
_IMPORTED: dict[str, Any] = {"kind": "imported", "seed": None, "model": {}}

_RUNS = tuple(
    (f"{what}; {command[0]}", partial(run, command=command, **given))
    for what, commands, given in (
        ("a split of 10^10", (TABLE, VERIFY, INFO, REPORT), {"data": {"size": 10**10}}),
        ("a split of 10^30", (TABLE, VERIFY), {"data": {"size": 10**30}}),
        ("every 10^11, limit 10^11", (TABLE, VERIFY), {"data": {"size": 10**11, "every": 10**11, "limit": 10**11}}),
        ("an index of 0.5 in a split of 10^10", (TABLE, VERIFY), {"data": {"size": 10**10}, "records": [{**_VOTES, "index": "@0.5@"}]}),
        ("a label of 10^9", (TABLE, VERIFY), {"records": [{**_VOTES, "label": 10**9}]}),
        ("10^6 class names", (TABLE, VERIFY, REPORT), {"data": {"class_names": [""] * 10**6}}),
        ("n = 10^15", (TABLE, VERIFY), {"manifest": _estimator(n=_MANY), "records": [_MANY_VOTES]}),
        ("n0 = 10^18", (TABLE, VERIFY), {"manifest": {"n0": 10**18}, "records": [{**_VOTES, "selection": [10**18, 0, 0, 0]}]}),
        ("looks with a ratio of 1.0000001", (TABLE, VERIFY), {"manifest": _looks(n=10**9, ratio=1.0000001), "records": [{**_VOTES, "estimation": [10**9, 0, 0, 0]}]}),
        ("alpha = 1e-100000000", (TABLE, VERIFY), {"manifest": _estimator(alpha="@1e-100000000@")}),
        ("alpha = 1e-300", (TABLE, VERIFY), {"manifest": _estimator(alpha=1e-300)}),
        ("joint_alpha = 1e-100000000", (VERIFY,), {"manifest": {"joint_alpha": "@1e-100000000@"}}),
        ("joint_alpha of 10^7 digits", (VERIFY,), {"manifest": {"joint_alpha": "@0." + "1" * 10**7 + "@"}}),
        ("a seed of 10^7 digits", (TABLE, VERIFY), {"manifest": {"seed": "@" + "1" * 10**7 + "@"}}),
        ("k of 10^6 in 10^6 x 10^6 pixels", (TABLE, VERIFY, REPORT), {"manifest": _ablation(10**6), "data": {"shape": [1, 10**6, 10**6]}}),
        ("k of 10^11 in 10^6 x 10^6 pixels", (TABLE, VERIFY), {"manifest": _ablation(10**11), "data": {"shape": [1, 10**6, 10**6]}}),
        ("k of 1 in 10^6 x 10^6 pixels", (TABLE, VERIFY, REPORT), {"manifest": _ablation(1), "data": {"shape": [1, 10**6, 10**6]}}),
        ("blocks of 1 in 10^5 x 10^5 pixels", (TABLE, VERIFY), {"manifest": {"noise": {"name": "partition", "k": 1, "pattern": "strided", "null": "multichannel", "fill": None}, "guarantee": "partition", "estimator": {"name": "exact", "n": 10**10}, "n0": 0}, "data": {"shape": [1, 10**5, 10**5]}, "records": [{**_VOTES, "selection": [0] * 4, "estimation": [10**10, 0, 0, 0]}]}),
        ("kappa = 1 - 2^-53", (TABLE, VERIFY), {"manifest": {"noise": {"name": "uniform-flip", "kappa": 1 - 2.0**-53, "levels": 2}, "guarantee": "lee"}, "data": {"shape": [1, 10**5, 10**5]}}),
        ("kappa = 0.999", (TABLE, VERIFY), {"manifest": {"noise": {"name": "uniform-flip", "kappa": 0.999, "levels": 256}, "guarantee": "lee"}, "data": {"shape": [1, 100, 100]}}),
        ("sigma = 1e300", (TABLE, VERIFY), {"manifest": {"noise": {"name": "gaussian", "sigma": 1e300}}}),
        ("sigma = 1e-300", (TABLE, VERIFY, REPORT), {"manifest": {"noise": {"name": "gaussian", "sigma": 1e-300}}}),
        ("sigma = 1e-100000000", (VERIFY,), {"manifest": {"noise": {"name": "gaussian", "sigma": "@1e-100000000@"}}}),
        ("sigma of 1e300 grid steps", (VERIFY,), {"manifest": {"noise": {"name": "lattice-gaussian", "sigma": 1e300, "levels": 256}, "guarantee": "cohen_lattice"}}),
        ("a radius of 1e308 in an imported log", (TABLE, VERIFY, REPORT), {"manifest": _IMPORTED, "records": [{**_CLAIM, "radius": 1e308}]}),
        ("a radius of 1e-100000000 in an imported log", (VERIFY,), {"manifest": _IMPORTED, "records": [{**_CLAIM, "radius": "@1e-100000000@"}]}),
        ("10^12 pixels in an imported log", (TABLE, VERIFY, REPORT), {"manifest": {**_IMPORTED, **_ablation(45)}, "data": {"shape": [1, 10**6, 10**6]}, "records": [{**_CLAIM, "radius": 10.0**12}]}),
        ("a bet on 1e308", (TABLE, VERIFY), {"manifest": {"estimator": {"name": "eprocess", "n": 300, "alpha": 0.01, "radius": 1e308}}}),
        ("a bet of 10^15 samples", (TABLE, VERIFY), {"manifest": {"estimator": {"name": "eprocess", "n": _MANY, "alpha": 0.01, "radius": 0.1}}, "records": [_MANY_VOTES]}),
    )
    for command in commands
)  # fmt: skip


def _sparse_records(folder: Path) -> list[str]:
    return _sparse_file(run(folder, TABLE), folder / "run" / "records.jsonl")


def _gallery(folder: Path, shape: str, zeros: int) -> list[str]:
    """A run with pictures that have this shape, and so many zeros."""
    given = run(folder, REPORT)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    pictures = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    index = io.BytesIO()
    np.save(index, np.zeros(1, dtype=np.int64))
    entries = {"index.npy": (index.getvalue(), 0), "pictures.npy": (pictures, zeros)}
    (folder / "run" / "gallery.npz").write_bytes(zipped(entries))
    return given


_ATTACK: dict[str, Any] = {
    "attack": {"name": "pgd", "norm": "l2", "steps": 10, "step_size": None, "random_start": True}, "norm": "L2",
    "budgets": {"values": [0.5], "relative": False}, "wanted": None, "restarts": 1, "repeats": 1, "confidence": 0.99,
    "noise": None, "n": 0, "alpha": 0, "search_alpha": 0, "soft_samples": 8, "data": _DATA, "model": {"sha256": "1" * 64},
    "certification": None, "seed": 1, "precision": "float32", "device": "cpu", "versions": {"holdfast": "0.1.0"},
    "created": "2026-01-01T00:00:00+00:00", "format": 1,
}  # fmt: skip
_FOUND: dict[str, Any] = {
    "index": 0, "label": 0, "reference": 0, "radius": None, "budgets": [0.5], "magnitude": 0.25,
    "kind": "misclassified", "answer": 1, "claims": 1, "refused": 0, "repeats": 1, "failures": 1, "votes": None,
    "restarts": 1, "queries": {}, "adversarial": "0" * 64,
}  # fmt: skip


def attack(
    folder: Path, command: Sequence[str], manifest: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None, record: Mapping[str, Any] | None = None, found: int = 272,
) -> list[str]:  # fmt: skip
    """An attack with these entries, whose digests fit, with a file for its adversarial of so many bytes."""
    path = folder / "run"
    (path / "found").mkdir(parents=True)
    document, digest = sealed({**_ATTACK, "data": {**_DATA, **(data or {})}, **(manifest or {})}, 64)
    (path / "attack.json").write_text(document)
    (path / "records.jsonl").write_text(sealed({**_FOUND, **(record or {})}, 16, f"{digest}\n")[0])
    (path / "found" / "0.npy").write_bytes(b"")
    os.truncate(path / "found" / "0.npy", found)
    return [part if part != "RUN" else str(path) for part in command]


_ATTACKS = tuple(
    (f"an attack: {what}; {command[0]}", partial(attack, command=command, **given))
    for what, commands, given in (
        ("10^9 restarts and repeats", (TABLE, VERIFY), {"manifest": {"restarts": 10**9, "repeats": 10**9}}),
        ("10^5 budgets", (TABLE, VERIFY), {"manifest": {"budgets": {"values": [1 + n / 10**6 for n in range(10**5)], "relative": False}}}),
        ("a split of 10^30", (TABLE, VERIFY), {"data": {"size": 10**30}}),
        ("values up to 1e300", (TABLE, VERIFY), {"data": {"high": 1e300}}),
        ("10^6 x 10^6 pixels", (TABLE, VERIFY), {"data": {"shape": [1, 10**6, 10**6]}}),
        ("a terabyte of an adversarial", (TABLE, VERIFY), {"found": 2**40}),
        ("an index of 0.5 in a split of 10^10", (VERIFY,), {"data": {"size": 10**10}, "record": {"index": "@0.5@"}}),
        ("a magnitude of 1e-100000000", (VERIFY,), {"record": {"magnitude": "@1e-100000000@"}}),
    )
    for command in commands
)  # fmt: skip


# --- Data --------------------------------------------------------------------------------------------------------


def _plan(spec: object) -> list[str]:
    return ["plan", "--noise", "gaussian:sigma=0.5", "--data", str(spec)]


def gzipped(head: bytes, zeros: int) -> bytes:
    """Some bytes and so many zeros, packed; the zeros as one part that is written over and over."""
    parts = [gzip.compress(head), gzip.compress(bytes(_PIECE), 9) * (zeros // _PIECE)]
    return b"".join([*parts, gzip.compress(bytes(zeros % _PIECE))])


def idx(folder: Path, count: int, content: int, side: int = 28) -> list[str]:
    """MNIST files with a header for so many images and so many zero bytes, packed."""
    images = struct.pack(">IIII", 0x803, count, side, side)
    labels = struct.pack(">II", 0x801, count)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzipped(images, content))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzipped(labels, min(count, 2**24)))
    return _plan(f"mnist:{folder}")


_CIFAR = ("test_batch.bin", "batches.meta.txt", "test_batch", "batches.meta")


def _tar_gz(folder: Path, members: Sequence[tuple[str, int, bytes]]) -> list[str]:
    """A CIFAR-10 archive of members of zeros: names, sizes and types."""
    path = folder / "cifar-10-binary.tar.gz"
    parts = []
    for name, size, kind in members:
        member = tarfile.TarInfo(name)
        member.size, member.type = size, kind
        parts.append(gzipped(member.tobuf(tarfile.GNU_FORMAT), size))
    path.write_bytes(b"".join([*parts, gzip.compress(bytes(1024))]))
    return _plan(f"cifar10:{path}")


def _sparse_member(folder: Path) -> list[str]:
    """Members of GNU's sparse kind: 128 MB of zeros that take no room in the archive."""
    path = folder / "cifar-10-binary.tar.gz"
    with gzip.open(path, "wb") as file:
        for name in _CIFAR:
            member = tarfile.TarInfo(name)
            member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
            block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
            block[483:495] = b"%011o\0" % 2**27
            block[148:156] = b"        "
            block[148:156] = b"%06o\0 " % sum(block)
            file.write(bytes(block))
        file.write(bytes(1024))
    return _plan(f"cifar10:{path}")


def cifar_pickle(folder: Path, content: bytes) -> list[str]:
    (folder / "test_batch").write_bytes(content)
    return _plan(f"cifar10:{folder}")


def _mat_element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _mat_variable(name: str, shape: Sequence[int], zeros: int, packed: bool) -> bytes:
    """An array of zeros of uint8 in the format of MATLAB 5, which may claim another shape."""
    parts = (
        _mat_element(6, struct.pack("<II", 9, 0)),
        _mat_element(5, struct.pack(f"<{len(shape)}i", *shape)),
        _mat_element(1, name.encode()),
        struct.pack("<II", 2, zeros),
    )
    head, padded = b"".join(parts), zeros + -zeros % 8
    head = struct.pack("<II", 14, len(head) + padded) + head
    if not packed:
        return head + bytes(padded)
    content = zeros_packed(head, padded)
    return struct.pack("<II", 15, len(content)) + content


def mat(folder: Path, images: int, zeros: int, packed: bool = True) -> list[str]:
    """SVHN's file with arrays of zeros."""
    x = _mat_variable("X", (32, 32, 3, images), zeros, packed)
    y = _mat_variable("y", (images, 1), images, True)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    (folder / "test_32x32.mat").write_bytes(head + x + y)
    return _plan(f"svhn:{folder}")


def parquet(folder: Path, labels: Any, images: Any, **how: Any) -> list[str]:
    """A Parquet file of images and labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.StructArray.from_arrays([images], names=["bytes"])
    path = folder / "test.parquet"
    pq.write_table(pa.table({"image": column, "label": labels}), path, store_schema=False, **how)
    return _plan(f"parquet:{path}")


def _many_rows(folder: Path) -> list[str]:
    import pyarrow as pa

    count = 10_000_000
    empty = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([b""]))
    return parquet(folder, pa.array(np.zeros(count, dtype=np.int64)), empty)


def _one_image_often(folder: Path) -> list[str]:
    """One image of half a megabyte in 4,000 rows: a dictionary has it once."""
    import pyarrow as pa

    image = picture("PNG", (8, 8)) + np.random.default_rng(0).bytes(2**19)
    encoded = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, dtype=np.int32)), pa.array([image]))
    labels = pa.array(np.zeros(4000, dtype=np.int64))
    return parquet(folder, labels, encoded, dictionary_pagesize_limit=2**24)


def _packed_images(folder: Path) -> list[str]:
    import pyarrow as pa

    images = pa.array([picture("PNG", (8, 8)) + bytes(2**26)] * 10)
    return parquet(
        folder,
        pa.array(np.zeros(10, dtype=np.int64)),
        images,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )


def _many_columns(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "test.parquet"
    pq.write_table(pa.table({f"c{number}": pa.array([1]) for number in range(30_000)}), path)
    return _plan(f"parquet:{path}")


def _deep_metadata(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = parquet(folder, pa.array([0]), pa.array([picture("PNG", (8, 8))]))
    table = pq.read_table(folder / "test.parquet")
    pq.write_table(table.replace_schema_metadata({"huggingface": "[" * 10**6}), folder / "test.parquet")
    return given


def _looping_links(folder: Path) -> list[str]:
    """A folder with 300 links to itself."""
    for number in range(300):
        (folder / f"d{number}").symlink_to(folder, target_is_directory=True)
    return _plan(f"parquet:{folder}")


def picture(kind: str, size: tuple[int, int], mode: str = "RGB") -> bytes:
    """An image of zeros, encoded."""
    from PIL import Image

    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG with this header and these packed rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _big_png(side: int) -> bytes:
    return png(side, side, zeros_packed(b"", side * (1 + 3 * side)))


def images(
    folder: Path, content: bytes, name: str = "0.png", options: str = "", command: Sequence[str] = ()
) -> list[str]:
    """A folder of two classes with one image each, of which one is given."""
    for each in ("a", "b"):
        (folder / "test" / each).mkdir(parents=True)
        (folder / "train" / each).mkdir(parents=True)
        for split in ("test", "train"):
            (folder / split / each / "0.png").write_bytes(picture("PNG", (8, 8)))
    (folder / "test" / "a" / "0.png").unlink()
    (folder / "test" / "a" / name).write_bytes(content)
    return [*(command or _predict(folder)), f"images:{folder}{options}"]


def _predict(folder: Path) -> list[str]:
    """A command that decodes an image: it is trained for, by one epoch, with the statistics of the images."""
    return ["plan", "--noise", "gaussian:sigma=0.5", "--data"]


def _decode(folder: Path, content: bytes, name: str = "0.png", options: str = ",size=8") -> list[str]:
    bundle(folder, {"1.1.bias": described(2), "1.1.weight": described(2, 192, begin=8)}, 8 + 8 * 192,
           class_names=["a", "b"], input_space={"shape": [3, 8, 8], "low": 0.0, "high": 1.0, "mean": None, "std": None})  # fmt: skip
    model = folder / "model.safetensors"
    command = ["predict", "--model", str(model), "--n", "100", "--limit", "1", "--quiet", "--data"]
    return images(folder, content, name, options, command)


def _eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n/loop {loop} def {} loop\nshowpage\n"


def _many_scans() -> bytes:
    """A JPEG whose last scan is written 20,000 times."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 20_000 + b"\xff\xd9"


def _fifo(folder: Path) -> list[str]:
    given = _decode(folder, b"")
    (folder / "test" / "a" / "0.png").unlink()
    os.mkfifo(folder / "test" / "a" / "0.png")
    return given


def _device(folder: Path) -> list[str]:
    given = _decode(folder, b"")
    (folder / "test" / "a" / "0.png").unlink()
    (folder / "test" / "a" / "0.png").symlink_to("/dev/zero")
    return given


def har(folder: Path, row: bytes, times: int = 1) -> list[str]:
    """Texts of numbers, of which a part is written so many times."""
    (folder / "test").mkdir()
    (folder / "activity_labels.txt").write_text("".join(f"{n} ACT{n}\n" for n in range(1, 7)))
    (folder / "test" / "X_test.txt").write_bytes(row * times)
    (folder / "test" / "y_test.txt").write_bytes(b"1\n")
    return _plan(f"har:{folder}")


def _sparse_text(folder: Path) -> list[str]:
    return _sparse_file(har(folder, b"0 "), folder / "test" / "X_test.txt")


_FILES = (
    ("gzip: 2 GB of zeros behind ten images", partial(idx, count=10, content=2**31)),
    ("gzip: a header of 4 billion images", partial(idx, count=2**32 - 1, content=2**25)),
    ("gzip: 2.7 million black images", partial(idx, count=2**31 // 784, content=2**31 // 784 * 784)),
    ("idx: a terabyte that the disk does not hold", lambda folder: _sparse_idx(folder)),
    ("tar.gz: 2 GB beside the images", partial(_tar_gz, members=[("other", 2**31, tarfile.REGTYPE), ("test_batch.bin", 0, tarfile.REGTYPE)])),
    ("tar.gz: four files of 128 MB", partial(_tar_gz, members=[(name, 2**27, tarfile.REGTYPE) for name in _CIFAR])),
    ("tar.gz: a header of 2 GB", partial(_tar_gz, members=[("pax", 2**31, tarfile.XHDTYPE)])),
    ("tar.gz: sparse members", _sparse_member),
    ("CIFAR pickle: memo number 2^28", lambda folder: cifar_pickle(folder, b"\x80\x02}r" + struct.pack("<I", 2**28) + b".")),
    ("CIFAR pickle: a key whose hash takes 2^60 steps", lambda folder: cifar_pickle(folder, b"\x80\x02}K\x01" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60)) + b"K\x01s.")),
    ("CIFAR pickle: 2^62 bytes", lambda folder: cifar_pickle(folder, b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.")),
    ("CIFAR pickle: an array of 2^40", lambda folder: cifar_pickle(folder, pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 2).replace(b"K\x00M\x00\x0c\x86", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"M\x00\x0c\x86"))),
    (".mat: X that inflates to 1.8 GB", partial(mat, images=600_000, zeros=600_000 * 3072)),
    (".mat: X claims 500,000 images", partial(mat, images=500_000, zeros=3072)),
    (".mat: X claims 500,000 images, not packed", partial(mat, images=500_000, zeros=3072, packed=False)),
    ("Parquet: 10 million rows", _many_rows),
    ("Parquet: one image 4,000 times", _one_image_often),
    ("Parquet: images that inflate to 670 MB", _packed_images),
    ("Parquet: 30,000 columns", _many_columns),
    ("Parquet: metadata nested 10^6 deep", _deep_metadata),
    ("Parquet: 300 links of a folder to itself", _looping_links),
    ("text: one line of 80 MB", lambda folder: har(folder, b"0.1 " * 2**10, 2**14)),
    ("text: a terabyte that the disk does not hold", _sparse_text),
)  # fmt: skip

_PICTURES = (
    ("PNG: 50,000 x 50,000 in its header", lambda folder: _decode(folder, png(50_000, 50_000, b""))),
    ("PNG: 12,000 x 12,000 zeros", lambda folder: _decode(folder, _big_png(12_000))),
    ("PNG: 9,000 x 9,000 zeros", lambda folder: _decode(folder, _big_png(9_000))),
    ("PNG: 1 x 60,000, resized", lambda folder: _decode(folder, picture("PNG", (1, 60_000)), options=",size=256")),
    ("PPM: 9,000 x 9,000 in its header", lambda folder: _decode(folder, b"P6 9000 9000 255\n", "0.ppm")),
    ("TIFF: 6,000 x 6,000 zeros", lambda folder: _decode(folder, tiff(6_000), "0.tif")),
    ("GIF: 9,000 x 9,000 zeros", lambda folder: _decode(folder, picture("GIF", (9_000, 9_000), "P"), "0.gif")),
    ("JPEG: 20,000 scans", lambda folder: _decode(folder, _many_scans(), "0.jpg")),
    ("EPS called 0.png, with an endless loop", lambda folder: _decode(folder, _eps())),
    ("an image that is a pipe", _fifo),
    ("an image that is an endless device", _device),
    ("an image of a terabyte that the disk does not hold", lambda folder: _sparse_file(_decode(folder, picture("PNG", (8, 8))), folder / "test" / "a" / "0.png")),
    ("a size of 10^9", lambda folder: _decode(folder, picture("PNG", (8, 8)), options=",size=1000000000")),
)  # fmt: skip


def tiff(side: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (side, side)).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def _sparse_idx(folder: Path) -> list[str]:
    given = idx(folder, 10, 7840)
    (folder / "t10k-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 10, 28, 28))
    return _sparse_file(given, folder / "t10k-images-idx3-ubyte")


# --- Numbers on the command line ---------------------------------------------------------------------------------


def _with(*more: str) -> Callable[[Path], list[str]]:
    return lambda folder: [*bundle(folder), *more]


_PLAN = ("plan", "--data", "digits")
_NUMBERS = (
    ("--threads 100000", _with("--threads", "100000")),
    ("--engine processes:100000", _with("--engine", "processes:100000")),
    ("--engine processes:2 --threads 100000", _with("--engine", "processes:2", "--threads", "100000")),
    ("--batch-size of 10^12", _with("--batch-size", "1000000000000")),
    ("--batch-size of 10^12, n = 10^9", _with("--batch-size", "1000000000000", "--n", "1000000000")),
    ("--n of 10^18", _with("--n", str(10**18))),
    ("--n0 of 10^18", _with("--n0", str(10**18))),
    ("--alpha 1e-300", _with("--alpha", "1e-300")),
    ("plan: n = 10^18", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=0.5", "--n", str(10**18)]),
    ("plan: alpha = 1e-300", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=0.5", "--alpha", "1e-300"]),
    ("plan: kappa = 0.9999", lambda folder: [*_PLAN, "--noise", "uniform-flip:kappa=0.9999,levels=17"]),
    ("plan: sigma = 1e400", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=1e400"]),
    ("plan: sigma = 1e-100000000", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=1e-100000000"]),
    ("plan: sigma of 10^7 digits / 3", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=" + "1" * 10**5 + "/3"]),
    ("predict: alpha = 1e-300", lambda folder: ["predict", "--model", bundle(folder)[2], "--data", "digits", "--n", "100", "--limit", "1", "--alpha", "1e-300"]),
)  # fmt: skip


def _honest_pictures(folder: Path) -> list[str]:
    return _decode(folder, picture("PNG", (8, 8)))


# Honest commands: what their like costs.
BASES: dict[str, Callable[[Path], list[str]]] = {
    "certify": bundle,
    "import-weights": _honest_weights,
    "table": partial(run, command=TABLE),
    "verify": partial(run, command=VERIFY),
    "info": partial(run, command=INFO),
    "report": partial(run, command=REPORT),
    "plan": lambda folder: _plan("digits"),
    "predict": _honest_pictures,
}


def _named(bombs: Sequence[tuple[str, Callable[[Path], list[str]]]], base: str) -> list[Bomb]:
    return [Bomb(name, make, base) for name, make in bombs]


def _by_command(bombs: Sequence[tuple[str, Callable[[Path], list[str]]]]) -> list[Bomb]:
    return [Bomb(name, make, name.rpartition("; ")[2]) for name, make in bombs]


BOMBS: dict[str, list[Bomb]] = {
    "Bundles": _named(_BUNDLES, "certify"),
    "Weights of others": _named(_WEIGHTS, "import-weights"),
    "Runs": [
        *_by_command(_RUNS),
        Bomb("a terabyte of records that the disk does not hold; table", _sparse_records, "table"),
        Bomb("a gallery that claims 10^12 bytes; report", partial(_gallery, shape="(1, 5, 10000000, 10000, 3)", zeros=75), "report"),
        Bomb("a gallery that inflates to 600 MB; report", partial(_gallery, shape="(1, 5, 40000000, 1, 3)", zeros=600_000_000), "report"),
        Bomb("a gallery of objects; report", partial(_gallery, shape="(1,), 'x': (1,)", zeros=75), "report"),
    ],
    "Attacks": _by_command(_ATTACKS),
    "Data": _named(_FILES, "plan"),
    "Pictures": _named(_PICTURES, "predict"),
    "Numbers": [Bomb(name, make, "plan" if name.startswith("plan") else "certify") for name, make in _NUMBERS],
}  # fmt: skip
