"""The pickles of CIFAR-10's Python version, read without running anything that they name.

A pickle may name any function and have it called while it is read. Here every name is either one of the few that a
batch needs, for which a stand-in of this module is called that only keeps its arguments, or an error.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import DataError


class _Kind:
    """Stands for `numpy.dtype`: keeps the code of the type."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """The rest, such as the byte order, does not matter for single bytes."""


class _Array:
    """Stands for `numpy.ndarray`: keeps shape, type, order and bytes."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def values(self) -> NDArray[np.uint8]:
        """The array itself.

        Raises:
            ValueError: it is not one of uint8, or has not as many bytes as its shape says.
        """
        _, shape, kind, by_column, content = self.state
        if not (isinstance(kind, _Kind) and kind.code in ("u1", "|u1") and isinstance(content, bytes)):
            raise ValueError("an array of another type than uint8")
        flat: NDArray[np.uint8] = np.frombuffer(content, dtype=np.uint8)
        return flat.reshape([int(size) for size in shape], order="F" if by_column else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands for `_codecs.encode`: how protocol 2 of Python 3 writes bytes."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
}


# What a batch is written with, by protocols 0 to 5; not sets, nor instances of old classes.
_OPERATIONS = b"".join((
    b"(.0}]tldaepqrghjsu)", b"FGIJKLMNSTUVXBC", b"cRb",
    bytes([0x80, *range(0x85, 0x8C), 0x8C, 0x8D, 0x8E, 0x93, 0x94, 0x95]),
))  # fmt: skip
# Those that fill dictionaries, and where they have the keys on the stack.
_FILLING = {pickle.SETITEM[0]: slice(-2, -1), pickle.SETITEMS[0]: slice(0, None, 2), pickle.DICT[0]: slice(0, None, 2)}


def _keyed(code: int, load: Callable[[Any], None]) -> Callable[[Any], None]:
    """An operation that takes texts for keys alone: to hash a tuple of tuples may take for ever."""
    if code not in _FILLING:
        return load

    def checked(reader: Any) -> None:
        if not all(isinstance(key, (str, bytes)) for key in reader.stack[_FILLING[code]]):
            raise ValueError("a dictionary whose keys are not texts")
        load(reader)

    return checked


# Python's own, written in Python: the one in C makes room for as many memos as a pickle says that there are.
class _Reader(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: _keyed(code, pickle._Unpickler.dispatch[code]) for code in _OPERATIONS
    }

    def find_class(self, module: str, name: str) -> Any:
        found = _STAND_INS.get((module, name))
        if found is None:
            raise _Forbidden(f"{module}.{name}")
        return found


class _Forbidden(Exception):
    """A name that no batch needs."""


def read_dictionary(content: bytes, name: str, home: str) -> dict[str, Any]:
    """The dictionary in a pickle, with strings for keys; arrays are uint8.

    Args:
        content: content of the file.
        name: what errors call it.
        home: where it is published.

    Raises:
        DataError: it names something that a batch does not need, is cut off, or holds something else.
    """
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
        return {
            key.decode("latin1") if isinstance(key, bytes) else str(key): (
                value.values() if isinstance(value, _Array) else value
            )
            for key, value in found.items()
        }
    except _Forbidden as error:
        raise DataError(
            f"{name} is a pickle that asks for {error}, expected only lists, strings and arrays of bytes; nothing of "
            f"it was run. It is not a file of CIFAR-10: get it again from {home}"
        ) from error
    except Exception as error:  # Corrupt pickles raise nearly anything.
        raise DataError(
            f"{name} cannot be read, expected a complete pickle of a dictionary ({error!r}); get it again from {home}"
        ) from error
