"""Tensors in a safetensors file: their names and shapes first, their values when these are known to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from holdfast.budgets import check_memory, check_size, sha256_of
from holdfast.errors import BundleError, first_line
from holdfast.folders import path_of
from holdfast.models.mistaken import mistaken

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from holdfast.folders import Where

# Bytes of the header, whose length is the first number in a file; and the tensors that it describes. A hundred
# ResNet-110 have 65,600 tensors in 7 MB of header.
_MOST_HEADER, _MOST_TENSORS = 2**25, 200_000
_LENGTH = 8


@dataclass(frozen=True)
class Stored:
    """The header of a safetensors file.

    Attributes:
        path: path of the file.
        size: bytes of the file.
        header: what its maker wrote into it.
        shapes: shapes of the tensors, by their names.
    """

    path: Where
    size: int
    header: dict[str, str]
    shapes: dict[str, tuple[int, ...]]

    def tensors(self) -> dict[str, Tensor]:
        """The values of all tensors.

        Raises:
            BundleError: one has numbers of a kind that torch does not have, or there is not enough memory.
        """
        check_memory(self.size, self.path, BundleError, "take a smaller model, or a machine with more memory")
        try:
            with path_of(self.path) as path, safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in self.shapes}
        except Exception as error:  # torch raises nearly anything on numbers that it does not know.
            raise _no_such_file(self.path, error) from error

    def sha256(self) -> str:
        """Of the file."""
        with path_of(self.path) as path:
            return sha256_of(path, BundleError)


def stored(where: Where) -> Stored:
    """The header of a safetensors file; no value in it is read.

    Raises:
        BundleError: there is no such file, it is not of this kind, or it asks for too much.
        RunError: below what the user names something else than a file lies there.
    """
    try:
        with path_of(where) as path:
            return _stored(where, path)
    except FileNotFoundError:
        raise BundleError(f"there is no model file {where}; `holdfast train --out {where}` makes one") from None


def _stored(where: Where, path: Path) -> Stored:
    """What the file of a place says of itself, opened by this path."""
    instead = mistaken(path, where)
    if instead is not None:
        raise BundleError(f"{where} is not a safetensors file, but {instead.what}: {instead.remedy}")
    try:
        found = path.stat()
        check_size(found, where, BundleError)
        size = found.st_size
        _check_header(where, path, size)
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            if len(names) > _MOST_TENSORS:
                raise BundleError(
                    f"{where} has {len(names):,} tensors, expected {_MOST_TENSORS:,} at most: it is not a network, or "
                    "made to fill the memory"
                )
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            return Stored(where, size, file.metadata() or {}, shapes)
    except (SafetensorError, OSError) as error:
        raise _no_such_file(where, error) from error


def _check_header(where: Where, path: Path, size: int) -> None:
    """Raise BundleError where the first number in a file, the length of its header, cannot be that."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
    if length > _MOST_HEADER and _LENGTH + length <= size:
        raise BundleError(
            f"{where} has a header of {length:,} bytes, expected {_MOST_HEADER:,} at most: it is not a model, or made "
            "to fill the memory"
        )


def _no_such_file(path: Where, error: Exception) -> BundleError:
    return BundleError(
        f"{path} is not a safetensors file, or it is cut off ({first_line(error)}). Holdfast loads its own bundles "
        "only, never pickled models (.pt, .pth, .pkl); `holdfast import-weights` makes bundles of some"
    )
