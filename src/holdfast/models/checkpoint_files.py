"""Files that torch.save wrote: what they would allocate is checked before torch reads them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from holdfast.budgets import check_memory, size_of
from holdfast.errors import BundleError
from holdfast.models.operations import check_operations

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

# Of a zip: its entries, and the bytes of the directory that names them. One entry is one tensor.
_MOST_ENTRIES, _MOST_DIRECTORY = 200_000, 2**25
# What ends a zip, where in it the size of the directory stands, and how long a comment behind it can be.
_END, _END_SIZE, _DIRECTORY = b"PK\x05\x06", 22, slice(12, 16)
_COMMENT = 2**16
# Of the pickle that names the tensors.
_MOST_PICKLE = 2**26
# Magic number, version, system, the weights, and the keys of their storages.
_OLD_PICKLES = 5
# Where a tar says that it is one.
_TAR = slice(257, 262)
_SAVE_AGAIN = "have its maker save it again with torch.save(model.state_dict(), FILE)"


def check_checkpoint(path: Path) -> bool:
    """Raise BundleError unless a file asks for no more than it has.

    Returns:
        Whether it is a zip, whose tensors lie in it as they are.

    Raises:
        OSError: it cannot be read.
        Refused: its pickle asks for too much.
    """
    size = size_of(path, BundleError)
    check_memory(2 * size, path, BundleError, "take a smaller model, or a machine with more memory")
    with path.open("rb") as file:
        if file.read(512)[_TAR] == b"ustar":
            raise BundleError(
                f"{path} is a tar archive, as torch wrote before 2017, expected a newer file: {_SAVE_AGAIN}"
            )
    if not zipfile.is_zipfile(path):
        _check_old(path)
        return False
    check_directory(path, size)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise BundleError(f"{path} has {len(entries):,} entries, expected {_MOST_ENTRIES:,} at most: {_SAVE_AGAIN}")
        unpacked = sum(entry.file_size for entry in entries)
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or unpacked > size:
            raise BundleError(
                f"{path} is a zip whose entries unpack to {unpacked:,} bytes, and it has {size:,}: torch writes them "
                f"as they are, each in a place of its own. Unpack it and pack it again without compression, or "
                f"{_SAVE_AGAIN}"
            )
        for entry in entries:
            if entry.filename.rpartition("/")[2] == "data.pkl":
                _check_length(entry.file_size, path)
                check_operations(archive.read(entry))
    return True


def check_directory(path: Path, size: int) -> None:
    """Raise BundleError if the directory of a zip is too long to be read; how long it is stands at its end."""
    with path.open("rb") as file:
        file.seek(max(0, size - _END_SIZE - _COMMENT))
        end = file.read()
    place = end.rfind(_END)
    length = int.from_bytes(end[place:][_DIRECTORY], "little")
    # Where it is 2^32 - 1, another record has it: entries of so many bytes are no network either way.
    if place >= 0 and length > _MOST_DIRECTORY:
        raise BundleError(
            f"{path} is a zip with a directory of {length:,} bytes, expected {_MOST_DIRECTORY:,} at most: {_SAVE_AGAIN}"
        )


def check_claims(path: Path, sets: Iterable[dict[str, Tensor]]) -> None:
    """Raise BundleError unless the tensors that were read have no more bytes than their file.

    Args:
        path: path of the file.
        sets: sets of tensors by name.
    """
    size = path.stat().st_size
    seen: set[int] = set()
    claimed = 0
    for name, tensor in (pair for weights in sets for pair in weights.items()):
        if not _in_memory(tensor):
            # Those are refused where weights are put in, and have no memory of their own.
            continue
        storage = tensor.untyped_storage()
        own, needed = storage.nbytes(), tensor.numel() * tensor.element_size()
        claimed += 0 if storage.data_ptr() in seen else own
        seen.add(storage.data_ptr())
        if needed > own or claimed > size:
            raise BundleError(
                f"the tensor {name} in {path} claims {needed:,} bytes, and there are {min(own, size):,} for it: the "
                f"file was changed, or made to fill the memory; {_SAVE_AGAIN}"
            )


def _check_old(path: Path) -> None:
    """The pickles of a file that is no zip lie one after the other, and the tensors behind them."""
    with path.open("rb") as file:
        # The pickles alone; what is behind them is not looked through.
        content = file.read(_MOST_PICKLE)
    place = 0
    for _ in range(_OLD_PICKLES):
        if place >= len(content):
            break
        place = check_operations(content, place)
        _check_length(place + 1, path)


def _check_length(length: int, path: Path) -> None:
    if length > _MOST_PICKLE:
        raise BundleError(
            f"{path} has {length:,} bytes of names and settings beside its tensors, expected {_MOST_PICKLE:,} at "
            f"most: {_SAVE_AGAIN}"
        )


def _in_memory(tensor: Any) -> bool:
    import torch

    return bool(tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_meta)
