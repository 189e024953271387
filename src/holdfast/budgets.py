"""What a file asks for, compared with the file and with the memory that there is, before any of it is taken.

A file of a kilobyte may claim a petabyte: in a header, by packed zeros, by a hole that the disk does not hold, or by
being no file at all but a pipe that never ends. Large honest data are limited by memory alone.
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

# Bytes that are nobody's harm, however well they were packed.
SMALL = 2**26
# What is larger is not packed better than this: photographs and weights hardly are, black images a thousandfold.
MOST_PACKED = 100
# Where neither the system nor the process says how much there is.
_UNKNOWN = 2**33
_GROUP = Path("/sys/fs/cgroup")
_PART = 2**20
# In which the system counts what a file takes of the disk; some file systems do not say.
_BLOCK = 512


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or all."""


def available_memory() -> int:
    """Bytes that this process may still take: of the machine, of its control group, of its own limits."""
    found = [_of_machine(), _of_group()]
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if limit != resource.RLIM_INFINITY:
        found.append(limit)
    return min((each for each in found if each is not None), default=_UNKNOWN)


def check_memory(wanted: int, what: object, kind: type[HoldfastError], advice: str) -> None:
    """Raise an error of this kind if there are not so many bytes of memory.

    Args:
        wanted: bytes.
        what: asks for them: a file.
        kind: of the error.
        advice: what to do.
    """
    available = available_memory()
    if wanted > available:
        raise kind(f"{what} asks for {wanted:,} bytes of memory, and there are {available:,}; {advice}")


def check_packed(size: int, stored: int, what: object, kind: type[HoldfastError], advice: str) -> None:
    """Raise an error of this kind if much comes out of little: no honest file of its kind is packed so well.

    Args:
        size: bytes that come out, or so many of them as have come out by now.
        stored: bytes that they are packed in.
        what: holds them.
        kind: of the error.
        advice: what to do.
    """
    if size > SMALL and size > MOST_PACKED * stored:
        raise kind(
            f"{what} unpacks to {size:,} bytes or more, and has {stored:,}: it is made to fill the memory, expected "
            f"{MOST_PACKED} times its size at most; {advice}"
        )


def size_of(path: Path, kind: type[HoldfastError], most: int | None = None) -> int:
    """The bytes of a file that may be read whole.

    Args:
        path: of it.
        kind: of the error.
        most: bytes that such a file can have; None for as many as there is memory for.

    Raises:
        OSError: it is not there, or may not be used.
        HoldfastError: of that kind: it is a pipe, a device or a folder, or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise kind(f"{path} is no regular file but a pipe, a device or a folder; expected a file. Give another path")
    check_size(found, path, kind, most)
    return found.st_size


def check_size(found: os.stat_result, what: object, kind: type[HoldfastError], most: int | None = None) -> None:
    """Raise an error of this kind unless a regular file may be read whole; see `size_of`."""
    if most is not None and found.st_size > most:
        raise kind(
            f"{what} has {found.st_size:,} bytes, expected {most:,} at most for a file of its kind; check that this is "
            "the file its name says"
        )
    if found.st_blocks:
        check_packed(found.st_size, _BLOCK * found.st_blocks, what, kind, "get it afresh from a source that you trust")
    check_memory(found.st_size, what, kind, "take a smaller file, or a machine with more memory")


def content_of(path: Path, kind: type[HoldfastError], most: int | None = None) -> bytes:
    """The bytes of a file; see `size_of`."""
    size = size_of(path, kind, most)
    with path.open("rb") as file:
        # Not more than it had, should it grow.
        return file.read(size)


def sha256_of(path: Path, kind: type[HoldfastError]) -> str:
    """The SHA-256 of a file, a part of it in memory at a time; see `size_of`."""
    size_of(path, kind)
    content = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            content.update(part)
    return content.hexdigest()


def unzipped(content: bytes, name: object, kind: type[HoldfastError], sized: Callable[[bytes], int | None]) -> bytes:
    """What a gzip file holds, as far as it may.

    Args:
        content: of the file, of one gzip member or several.
        name: of it, for messages.
        kind: of the error.
        sized: from the first bytes, how many there are to be; None where these do not say. One more than that is
            unpacked at most, so that a file that is too long is seen.

    Raises:
        zlib.error: it is no gzip file, or corrupt.
        EOFError: it is cut off.
        HoldfastError: of that kind: it asks for too much.
    """
    advice = "get it afresh from a source that you trust"
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
        # Zero bytes may fill up the file.
        left = inflater.unused_data.lstrip(b"\0")
    return b"".join(parts)


class Limited:
    """What is read of a stream, up to so many bytes: then an error, since it may have no end.

    Args:
        stream: that is read from.
        stored: bytes that it unpacks.
        name: of the file, for messages.
        kind: of the error.
    """

    def __init__(self, stream: _Readable, stored: int, name: object, kind: type[HoldfastError]) -> None:
        self._stream, self._stored, self._name, self._kind = stream, stored, name, kind
        self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or all that are left; in parts, so that a claim of many takes no memory."""
        parts: list[bytes] = []
        while size:
            part = self._stream.read(_PART if size < 0 else min(size, _PART))
            if not part:
                break
            parts.append(part)
            size -= len(part) if size > 0 else 0
            self._read += len(part)
            check_packed(self._read, self._stored, self._name, self._kind, "get it afresh from a source that you trust")
        return b"".join(parts)

    def tell(self) -> int:
        """Bytes that have been read."""
        return self._read


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _of_group() -> int | None:
    """What the control group of a container leaves; None where there is none, or no limit."""
    try:
        most, taken = ((_GROUP / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except OSError:
        return None
    return max(0, int(most) - int(taken)) if most.isdigit() else None
