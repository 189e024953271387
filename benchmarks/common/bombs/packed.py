"""Much from little: zeros as packers write them, and files that take no room on the disk."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

PIECE = 2**23


def zeros_deflated(size: int) -> bytes:
    """So many zeros and the end, deflated; one part is written over and over."""
    part, last = zlib.compressobj(9, wbits=-15), zlib.compressobj(9, wbits=-15)
    piece = part.compress(bytes(PIECE)) + part.flush(zlib.Z_FULL_FLUSH)
    return piece * (size // PIECE) + last.compress(bytes(size % PIECE)) + last.flush()


def zeros_packed(head: bytes, size: int) -> bytes:
    """Some bytes and then zeros as zlib packs them."""
    first = zlib.compressobj(9, wbits=-15)
    begin = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH)
    # Zeros change the first sum of Adler-32 not at all, and add it to the second one each time.
    low, high = zlib.adler32(head) & 0xFFFF, zlib.adler32(head) >> 16
    check = (high + size * low) % 65521 << 16 | low
    return b"\x78\xda" + begin + zeros_deflated(size) + struct.pack(">I", check)


def zipped(entries: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A zip whose entries are some bytes and then so many zeros, deflated."""
    out = io.BytesIO()
    listing = []
    for name, (head, zeros) in entries.items():
        first = zlib.compressobj(9, wbits=-15)
        content = first.compress(head) + first.flush(zlib.Z_FULL_FLUSH) + zeros_deflated(zeros)
        check, piece = zlib.crc32(head), bytes(PIECE)
        for _ in range(zeros // PIECE):
            check = zlib.crc32(piece, check)
        check = zlib.crc32(piece[: zeros % PIECE], check)
        known = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, check, len(content), len(head) + zeros, len(name), 0)
        listing.append(
            b"PK\x01\x02"
            + struct.pack("<H", 20)
            + known
            + struct.pack("<HHHII", 0, 0, 0, 0, out.tell())
            + name.encode()
        )
        out.write(b"PK\x03\x04" + known + name.encode() + content)
    directory = b"".join(listing)
    end = struct.pack("<HHHHIIH", 0, 0, len(listing), len(listing), len(directory), out.tell(), 0)
    return out.getvalue() + directory + b"PK\x05\x06" + end


def gzipped(head: bytes, zeros: int) -> bytes:
    """Some bytes and so many zeros, packed; the zeros as one part that is written over and over."""
    parts = [gzip.compress(head), gzip.compress(bytes(PIECE), 9) * (zeros // PIECE)]
    return b"".join([*parts, gzip.compress(bytes(zeros % PIECE))])


def sparse_file(given: list[str], path: Path, size: int = 2**40) -> list[str]:
    os.truncate(path, size)
    return given
