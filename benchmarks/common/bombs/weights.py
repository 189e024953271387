"""Files of weights, as torch saves them, that ask for more than any machine has."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from common.bombs.packed import sparse_file, zipped

_IMPORT = ("--arch", "fc", "--layout", "plain", "--data", "digits")


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


def honest_weights(folder: Path) -> list[str]:
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


WEIGHTS = (
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
    ("a Torch file of zeros, one byte in a terabyte", lambda folder: sparse_file(weights(folder, saved(honest_state())), folder / "weights.pth")),
)  # fmt: skip
