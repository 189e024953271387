"""The compiled kernel of random words and noises, where this machine has a C compiler.

It is compiled once, in a second, and kept in the user's cache folder. Its words are those of numpy's generator, bit for
bit; its normal values are those of `continuous.normal` up to rounding. Without a compiler nothing but speed changes.
`HOLDFAST_COMPILER` names another compiler, or is empty for none.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import tempfile
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VARIABLE = "HOLDFAST_COMPILER"
# Without contraction, each operation is rounded by itself: all builds give the same values.
_OPTIONS = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
_MOST_SECONDS = 60.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Kinds of values that are int64; the others are float32.
_INTEGERS = "subsets", "flips"
# Blocks of words that are compared with numpy's.
_TRIED = 3


class _Place(ctypes.Structure):
    _fields_ = (
        ("seed", ctypes.c_uint64),
        ("upper", ctypes.c_uint64),
        ("stream", ctypes.c_uint64),
        ("lower", ctypes.c_uint64),
    )


class Lattice(ctypes.Structure):
    """The tables of a lattice noise; whoever makes it keeps the arrays alive."""

    _fields_ = (
        ("decided", ctypes.c_void_p),
        ("below", ctypes.c_void_p),
        ("ends", ctypes.c_void_p),
        ("half", ctypes.c_int64),
        ("width", ctypes.c_int64),
    )


class Subsets(ctypes.Structure):
    """How sets of places are chosen; whoever makes it keeps the room for one number for each place alive."""

    _fields_ = (
        ("places", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("leave_out", ctypes.c_int64),
        ("seen", ctypes.c_void_p),
    )


class Flips(ctypes.Structure):
    """How steps are drawn: fractions below which a place is kept, other values, the last integer of whole rounds."""

    _fields_ = (
        ("kept", ctypes.c_uint64),
        ("others", ctypes.c_uint64),
        ("last", ctypes.c_uint64),
    )


class Kernel:
    """The functions of the compiled library.

    A key is `(seed, upper, stream, lower)`; memory is given by its address.

    Attributes:
        types: torch's name of the type of each kind of values.
        right: whether its values were found right, for each kind that was asked for (`Draws.write`).
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        word, count, where, number = ctypes.c_uint64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
        values = [where, count, count, word]
        self._words = _typed(library.holdfast_words, [where, count, word, word, where])
        self._of = {
            "normal": _typed(library.holdfast_normal, [*values, number, where]),
            "uniform": _typed(library.holdfast_uniform, [*values, number, word, where]),
            "laplace": _typed(library.holdfast_laplace, [*values, number, word, where]),
            "lattice": _typed(library.holdfast_lattice, [*values, where, where]),
            "subsets": _typed(library.holdfast_subsets, [*values, where, where]),
            "flips": _typed(library.holdfast_flips, [*values, where, where]),
        }

        self.types = {kind: "torch.int64" if kind in _INTEGERS else "torch.float32" for kind in self._of}
        self.right: dict[str, bool] = {}

    def words(self, found: NDArray[np.uint64], first: int, lane: int, key: tuple[int, int, int, int]) -> None:
        """Fill `found`, contiguous, with the words of consecutive blocks of a lane, from number `first` on."""
        place = _Place(*key)
        self._words(found.ctypes.data, found.size // 4, first + 1, lane, ctypes.addressof(place))

    def values(
        self,
        kind: str,
        where: int,
        shape: tuple[int, int],
        first: int,
        how: tuple[Any, ...],
        key: tuple[int, int, int, int],
    ) -> None:
        """Write values `(draws, values)`, from draw number `first` on.

        Args:
            kind: float32: "normal" with their deviation, "uniform" with their half width and a lane, "laplace" with
                their scale and a lane, or "lattice" with the address of its tables. int64: "subsets" or "flips", with
                the address of how.
            where: address to write to.
            shape: of what is written.
            first: number of the first draw.
            how: what belongs to the kind.
            key: of the draws.
        """
        place = _Place(*key)
        self._of[kind](where, *shape, first, *how, ctypes.addressof(place))


def _typed(function: Any, arguments: list[Any]) -> Any:
    function.argtypes, function.restype = arguments, None
    return function


@lru_cache(maxsize=1)
def kernel() -> Kernel | None:
    """The kernel; None where there is no compiler, or the result is not what it should be."""
    compiler = shutil.which(os.environ.get(_VARIABLE, "cc"))
    if compiler is None:
        return None
    source = files("holdfast.noises").joinpath("kernel.c").read_bytes()
    try:
        found = Kernel(ctypes.CDLL(str(_built(compiler, source))))
    except (OSError, RuntimeError, subprocess.SubprocessError, AttributeError):
        # Compilers, linkers, file systems and systems without user numbers fail in many ways; numpy and torch compute
        # the same.
        return None
    return found if _is_right(found) else None


def _is_right(found: Kernel) -> bool:
    words = np.empty(4 * _TRIED, dtype=np.uint64)
    found.words(words, 0, 0, (0, 0, 0, 0))
    return bool(np.array_equal(words, np.random.Philox(key=np.zeros(2, dtype=np.uint64)).random_raw(4 * _TRIED)))


def _built(compiler: str, source: bytes) -> Path:
    """The library for this source and compiler, from the cache or compiled now."""
    about = Path(compiler).stat()
    name = sha256(b"\0".join([source, compiler.encode(), str((about.st_size, about.st_mtime_ns, _OPTIONS)).encode()]))
    folder = _cache()
    library = folder / f"kernel-{name.hexdigest()[:32]}.so"
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        made, text = Path(temporary) / "kernel.so", Path(temporary) / "kernel.c"
        text.write_bytes(source)
        command = [compiler, *_OPTIONS, str(text), "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=_MOST_SECONDS, stdin=subprocess.DEVNULL)
        # Processes that compile at the same time make the same library.
        made.replace(library)
    return library


def _cache() -> Path:
    """A folder that only this user writes to, whose libraries can be trusted.

    Raises:
        OSError: there is none, or others may write to it.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "holdfast"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & _OTHERS_WRITE:
        raise PermissionError(f"others may write to {folder}")
    return folder
