"""NumPy's files, .npy and .npz, read without pickles and not before their headers fit what they hold."""

from __future__ import annotations

import ast
import math
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from holdfast.budgets import check_memory, check_packed, size_of
from holdfast.errors import DataError, first_line
from holdfast.stand_ins import refuse_stand_in_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
# A header names a type and a shape.
_MOST_HEADER = 2**16
# More are no data set but a state of something.
_MOST_MEMBERS = 1_000
_AFRESH = "get it again from a source that you trust"


class Archive:
    """The arrays of a .npz file by their names, or the one of a .npy file as `array`.

    Args:
        file: path of it.

    Raises:
        DataError: it cannot be read, or is no such file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        refuse_stand_in_file(file, DataError)
        self._size = size_of(file, DataError)
        with file.open("rb") as opened:
            self._alone = opened.read(len(_MAGIC)) == _MAGIC
        self.shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        self._headers()

    def read(self, name: str) -> NDArray[Any]:
        """One of the arrays.

        Raises:
            DataError: it is corrupt, or asks for too much memory.
        """
        shape, kind = self.shapes[name]
        where = self._where(name)
        check_memory(2 * math.prod(shape) * kind.itemsize, where, DataError, "take fewer examples")
        try:
            with self._opened(name) as opened:
                _header(opened, where)
                by_column = self._orders[name]
                content = opened.read(math.prod(shape) * kind.itemsize)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise self._corrupt(error) from error
        if len(content) != math.prod(shape) * kind.itemsize:
            raise DataError(f"{where} is cut off; {_AFRESH}")
        found: NDArray[Any] = np.frombuffer(content, dtype=kind).reshape(shape, order="F" if by_column else "C")
        return found.astype(kind.newbyteorder("="))

    def _headers(self) -> None:
        self._orders: dict[str, bool] = {}
        if self._alone:
            with self.file.open("rb") as opened:
                self._take("array", opened, self._size, self._size)
            return
        try:
            with zipfile.ZipFile(self.file) as archive:
                members = archive.infolist()
                if len(members) > _MOST_MEMBERS:
                    raise DataError(
                        f"{self.file} holds {len(members):,} files, expected arrays of a data set; {_AFRESH}"
                    )
                for member in members:
                    if member.filename.endswith(".npy"):
                        name = member.filename.removesuffix(".npy")
                        if name in self.shapes:
                            raise DataError(f"{self.file} holds the array {name!r} twice, expected it once; {_AFRESH}")
                        with archive.open(member) as opened:
                            self._take(name, opened, member.file_size, member.compress_size)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise self._corrupt(error) from error

    def _take(self, name: str, opened: IO[bytes], size: int, stored: int) -> None:
        """Look at the header of an array; one of objects is no array that is read."""
        where = self._where(name)
        header, length = _header(opened, where)
        try:
            kind, shape, by_column = np.dtype(header["descr"]), header["shape"], header["fortran_order"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where} has a header that cannot be read ({first_line(error)}); {_AFRESH}") from error
        if not (isinstance(shape, tuple) and all(type(each) is int and each >= 0 for each in shape)) or len(shape) > 32:
            raise DataError(f"{where} has the shape {shape!r} in its header, expected whole numbers; {_AFRESH}")
        if kind.hasobject:
            # To read it is to run what it says.
            return
        claimed = math.prod(shape) * kind.itemsize
        if claimed != size - length:
            raise DataError(
                f"{where} claims {claimed:,} bytes in its header and has {max(0, size - length):,}; it is cut off or "
                f"corrupt: {_AFRESH}"
            )
        check_packed(size, stored, where, DataError, _AFRESH)
        self.shapes[name] = shape, kind
        self._orders[name] = bool(by_column)

    def _opened(self, name: str) -> IO[bytes]:
        if self._alone:
            return self.file.open("rb")
        return zipfile.ZipFile(self.file).open(f"{name}.npy")

    def _where(self, name: str) -> str:
        return str(self.file) if self._alone else f"{name} in {self.file}"

    def _corrupt(self, error: Exception) -> DataError:
        return DataError(
            f"{self.file} cannot be read, expected a complete .npz or .npy file of NumPy "
            f"({first_line(error) or type(error).__name__}); get it again"
        )


def _header(opened: IO[bytes], where: str) -> tuple[dict[str, Any], int]:
    """The header of an array, and how many bytes stand before its values."""
    start = opened.read(8)
    if start[:6] != _MAGIC or len(start) < 8 or start[6] not in (1, 2, 3):
        raise DataError(f"{where} begins with {start[:6]!r}, expected an array of NumPy; {_AFRESH}")
    form = "<H" if start[6] == 1 else "<I"
    wide = struct.calcsize(form)
    length = opened.read(wide)
    size = struct.unpack(form, length)[0] if len(length) == wide else _MOST_HEADER + 1
    if size > _MOST_HEADER:
        raise DataError(f"{where} has a header of {size:,} bytes, expected {_MOST_HEADER:,} at most; {_AFRESH}")
    text = opened.read(size)
    try:
        found = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin1").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise DataError(f"{where} has a header that cannot be read ({first_line(error)}); {_AFRESH}") from error
    if not isinstance(found, dict):
        raise DataError(
            f"{where} has a header of the kind {type(found).__name__}, expected names and values; {_AFRESH}"
        )
    return found, 8 + wide + size
