"""The adversarials of an attack in the folder `found/`, and a few of its inputs in `inputs/`: an array a file."""

from __future__ import annotations

import hashlib
import io
import math
import os
from typing import IO, TYPE_CHECKING, NoReturn

import numpy as np

from holdfast.errors import RunError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.folders import Folder

FOUND = "found"
# Unchanged inputs of the first adversarials, for pictures: no result uses them.
INPUTS = "inputs"
_ENDING = ".npy"


def write_adversarial(folder: Folder, index: int, values: NDArray[np.float32]) -> None:
    """Write the adversarial of an example into the folder of its attack; it is on the disk when this returns.

    Raises:
        OSError: the operating system refuses.
        RunError: something else than a file or a folder lies in its place.
    """
    with folder.folder(FOUND, make=True) as place, place.replacing(_name(index)) as file:
        file.write(_file(values))


def read_adversarial(folder: Folder, index: int, shape: tuple[int, ...], expected: str) -> NDArray[np.float32]:
    """The adversarial of an example.

    Args:
        folder: folder of the attack.
        index: index of the example.
        shape: shape of inputs.
        expected: the hash that the record names.

    Raises:
        RunError: its file is missing, or not the one with this hash and shape.
    """
    name = _name(index)
    try:
        with _found(folder) as place, place.reading(name) or _missing() as file:
            return _values(file, shape, expected)
    except ValueError as error:
        raise RunError(
            f"{folder / FOUND / name} {error}. Restore it from a copy; if there is none, delete the record of example "
            f"{index}, and run the same command to attack it again"
        ) from None


def write_input(folder: Folder, index: int, values: NDArray[np.float32]) -> None:
    """Write the unchanged input of an example beside its adversarial; raises what `write_adversarial` raises."""
    with folder.folder(INPUTS, make=True) as place, place.replacing(_name(index)) as file:
        file.write(_file(values))


def inputs_there(folder: Folder) -> int:
    """How many unchanged inputs the folder of an attack has."""
    if not folder.is_folder(INPUTS):
        return 0
    with folder.folder(INPUTS) as place:
        return sum(name.endswith(_ENDING) for name in place.names())


def read_input(folder: Folder, index: int, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The unchanged input of an example; None if it was not kept.

    Raises:
        RunError: its file has other values than so many finite numbers, or is no file.
    """
    name = _name(index)
    if not folder.is_folder(INPUTS):
        return None
    try:
        with folder.folder(INPUTS) as place:
            opened = place.reading(name)
            if opened is None:
                return None
            with opened as file:
                values = _values(file, shape)
        if not np.isfinite(values).all():
            raise ValueError("has values that are no finite numbers")
    except ValueError as error:
        raise RunError(f"{folder / INPUTS / name} {error}. Delete it to have the report without its picture") from None
    return values


def hashed(values: NDArray[np.float32]) -> str:
    """The SHA-256 of the file that holds an adversarial."""
    return hashlib.sha256(_file(values)).hexdigest()


def _name(index: int) -> str:
    return f"{index}{_ENDING}"


def _file(values: NDArray[np.float32]) -> bytes:
    """An array as a .npy file: little endian, the last dimension first."""
    return _header(values.shape) + values.astype("<f4").tobytes()


def _header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of a .npy file of float32 values of this shape."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return raw.getvalue()


def _found(folder: Folder) -> Folder:
    try:
        return folder.folder(FOUND)
    except OSError:
        return _missing()


def _missing() -> NoReturn:
    raise ValueError("is missing")


def _values(file: IO[bytes], shape: tuple[int, ...], expected: str | None = None) -> NDArray[np.float32]:
    """The values of an array. Its size is known beforehand, so that a damaged header is never followed.

    Raises:
        ValueError: it is another file than one of this shape, or than that with the expected hash; says so of the file.
    """
    header = _header(shape)
    size, found = len(header) + 4 * math.prod(shape), os.fstat(file.fileno()).st_size
    if found != size:
        raise ValueError(
            f"was changed after it was written: it has {found} bytes, and float32 values of shape {shape} take {size}"
        )
    raw = file.read()
    if not raw.startswith(header):
        raise ValueError(
            f"was changed after it was written: expected a .npy file of float32 values of shape {shape}, as the "
            "manifest says"
        )
    if expected is not None and hashlib.sha256(raw).hexdigest() != expected:
        raise ValueError("was changed after it was written: it does not have the hash that its record names")
    return np.frombuffer(raw, "<f4", offset=len(header)).reshape(shape).astype(np.float32)
