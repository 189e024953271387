"""Compare what a file asks for with its size and with the available memory, before allocating anything.

A file of a kilobyte may claim a petabyte: in a header, by packed zeros, by a hole that takes no disk space, or by being
an endless pipe instead of a file. Only memory limits large honest data.
"""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable

# Bytes that do no harm, however well they were packed.
SMALL = 2**26
# Largest compression of anything larger: photographs and weights hardly compress, black images a thousandfold.
MOST_PACKED = 100
# Assumed if neither the system nor the process states how much there is.
_UNKNOWN = 2**33
_GROUP = Path("/sys/fs/cgroup")
_PART = 2**20
# The unit in which the system counts a file's disk space; some file systems do not count it.
_BLOCK = 512


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes, or all."""


def available_memory() -> int:
    """Bytes of memory that this process may still use, by the machine, its control group and its own limits."""
    limits = [_of_machine(), _of_group()]
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if limit != resource.RLIM_INFINITY:
        limits.append(limit)
    return min((each for each in limits if each is not None), default=_UNKNOWN)


def check_memory(size: int, what: object, kind: type[HoldfastError], advice: str) -> None:
    """Raise an error of `kind` if fewer than `size` bytes of memory are available.

    Args:
        size: bytes needed.
        what: the file that needs them.
        kind: of the error.
        advice: what to do.
    """
    available = available_memory()
    if size > available:
        raise kind(f"{what} asks for {size:,} bytes of memory, and there are {available:,}; {advice}")


def check_packed(size: int, stored: int, what: object, kind: type[HoldfastError], advice: str) -> None:
    """Raise an error of `kind` if a file unpacks to far more than its size, which no honest file does.

    Args:
        size: unpacked bytes, in all or so far.
        stored: packed bytes.
        what: the file that holds them.
        kind: of the error.
        advice: what to do.
    """
    if size > SMALL and size > MOST_PACKED * stored:
        raise kind(
            f"{what} unpacks to {size:,} bytes or more, and has {stored:,}: it is made to fill the memory, expected at "
            f"most {MOST_PACKED} times its size; {advice}"
        )


def size_of(path: Path, kind: type[HoldfastError], most: int | None = None) -> int:
    """The size in bytes of a file that is safe to read whole.

    Args:
        path: of the file.
        kind: of the error.
        most: largest size of such a file; None if only memory limits it.

    Raises:
        OSError: the file is missing or may not be accessed.
        HoldfastError: of `kind`: it is a pipe, a device or a folder, or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise kind(f"{path} is no regular file but a pipe, a device or a folder; expected a file. Give another path")
    check_size(found, path, kind, most)
    return found.st_size


def check_size(found: os.stat_result, what: object, kind: type[HoldfastError], most: int | None = None) -> None:
    """Raise an error of `kind` unless a regular file is safe to read whole; see `size_of`."""
    if most is not None and found.st_size > most:
        raise kind(
            f"{what} has {found.st_size:,} bytes, expected at most {most:,} for a file of its kind; check that it is "
            "the file that its name says"
        )
    if found.st_blocks:
        check_packed(found.st_size, _BLOCK * found.st_blocks, what, kind, "get it again from a source that you trust")
    check_memory(found.st_size, what, kind, "use a smaller file, or a machine with more memory")


def content_of(path: Path, kind: type[HoldfastError], most: int | None = None) -> bytes:
    """The content of a file; see `size_of`."""
    size = size_of(path, kind, most)
    with path.open("rb") as file:
        # No more than checked, even if the file grows.
        return file.read(size)


def sha256_of(path: Path, kind: type[HoldfastError]) -> str:
    """The SHA-256 of a file, read in parts; see `size_of`."""
    size_of(path, kind)
    content = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            content.update(part)
    return content.hexdigest()


def unzipped(content: bytes, name: object, kind: type[HoldfastError], sized: Callable[[bytes], int | None]) -> bytes:
    """Unpack a gzip file, within its limits.

    Args:
        content: of the file, with one or more gzip members.
        name: of the file, for messages.
        kind: of the error.
        sized: computes the expected number of bytes from the first bytes; None if these do not state it. At most one
            byte more is unpacked, which reveals a file that is too long.

    Raises:
        zlib.error: it is not a gzip file, or corrupt.
        EOFError: it is truncated.
        HoldfastError: of `kind`: it asks for too much memory.
    """
    advice = "get it again from a source that you trust"
    parts: list[bytes] = []
    size, most, left = 0, None, content
    while left:
        inflater = zlib.decompressobj(wbits=31)
        while not inflater.eof:
            part = inflater.decompress(left, _PART)
            left = inflater.unconsumed_tail
            if not part and not inflater.eof and not left:
                raise EOFError("it ends before the end-of-stream marker was reached")
            if not parts and part:
                most = sized(part)
                if most is not None:
                    check_packed(most, len(content), name, kind, advice)
                    check_memory(most, name, kind, advice)
            parts.append(part)
            size += len(part)
            check_packed(size, len(content), name, kind, advice)
            if most is not None and size > most:
                return b"".join(parts)[: most + 1]
        # The file may be padded with zero bytes.
        left = inflater.unused_data.lstrip(b"\0")
    return b"".join(parts)


class Limited:
    """A stream that raises an error once it has unpacked far more than its packed size, since it may be endless.

    Args:
        stream: to read from.
        stored: packed bytes.
        name: of the file, for messages.
        kind: of the error.
    """

    def __init__(self, stream: _Readable, stored: int, name: object, kind: type[HoldfastError]) -> None:
        self._stream, self._stored, self._name, self._kind = stream, stored, name, kind
        self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes or all remaining ones, in parts, so that a false size takes no memory."""
        parts: list[bytes] = []
        while size:
            part = self._stream.read(_PART if size < 0 else min(size, _PART))
            if not part:
                break
            parts.append(part)
            size -= len(part) if size > 0 else 0
            self._read += len(part)
            check_packed(self._read, self._stored, self._name, self._kind, "get it again from a source that you trust")
        return b"".join(parts)

    def tell(self) -> int:
        """The number of bytes read so far."""
        return self._read


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _of_group() -> int | None:
    """The memory left by a container's control group; None if there is none, or no limit."""
    try:
        most, used = ((_GROUP / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except OSError:
        return None
    return max(0, int(most) - int(used)) if most.isdigit() else None
