"""The adversarials of an attack: in the folder `found/`, one array in each file."""

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


def hashed(values: NDArray[np.float32]) -> str:
    """The SHA-256 of the file that holds an adversarial."""
    return hashlib.sha256(_file(values)).hexdigest()


def _name(index: int) -> str:
    return f"{index}.npy"


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


def _values(file: IO[bytes], shape: tuple[int, ...], expected: str) -> NDArray[np.float32]:
    """The values of an adversarial. Its size is known beforehand, so that a damaged header is never followed.

    Raises:
        ValueError: it is another file than that with this hash; says so of the file.
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
    if hashlib.sha256(raw).hexdigest() != expected:
        raise ValueError("was changed after it was written: it does not have the hash that its record names")
    return np.frombuffer(raw, "<f4", offset=len(header)).reshape(shape).astype(np.float32)
