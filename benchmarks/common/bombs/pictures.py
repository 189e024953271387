"""Images that ask for more than any machine has when they are decoded."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from common.bombs.bundles import bundle, described
from common.bombs.packed import sparse_file, zeros_packed


def picture(kind: str, size: tuple[int, int], mode: str = "RGB") -> bytes:
    """An image of zeros, encoded."""
    from PIL import Image

    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG with this header and these packed rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _big_png(side: int) -> bytes:
    return png(side, side, zeros_packed(b"", side * (1 + 3 * side)))


def images(
    folder: Path, content: bytes, name: str = "0.png", options: str = "", command: Sequence[str] = ()
) -> list[str]:
    """A folder of two classes with one image each, of which one is given."""
    for each in ("a", "b"):
        (folder / "test" / each).mkdir(parents=True)
        (folder / "train" / each).mkdir(parents=True)
        for split in ("test", "train"):
            (folder / split / each / "0.png").write_bytes(picture("PNG", (8, 8)))
    (folder / "test" / "a" / "0.png").unlink()
    (folder / "test" / "a" / name).write_bytes(content)
    return [*(command or _predict(folder)), f"images:{folder}{options}"]


def _predict(folder: Path) -> list[str]:
    """A command that decodes an image: it is trained for, by one epoch, with the statistics of the images."""
    return ["plan", "--noise", "gaussian:sigma=0.5", "--data"]


def _decode(folder: Path, content: bytes, name: str = "0.png", options: str = ",size=8") -> list[str]:
    bundle(folder, {"1.1.bias": described(2), "1.1.weight": described(2, 192, begin=8)}, 8 + 8 * 192,
           class_names=["a", "b"], input_space={"shape": [3, 8, 8], "low": 0.0, "high": 1.0, "mean": None, "std": None})  # fmt: skip
    model = folder / "model.safetensors"
    command = ["predict", "--model", str(model), "--n", "100", "--limit", "1", "--quiet", "--data"]
    return images(folder, content, name, options, command)


def eps() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n/loop {loop} def {} loop\nshowpage\n"


def _many_scans() -> bytes:
    """A JPEG whose last scan is written 20,000 times."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 20_000 + b"\xff\xd9"


def _fifo(folder: Path) -> list[str]:
    given = _decode(folder, b"")
    (folder / "test" / "a" / "0.png").unlink()
    os.mkfifo(folder / "test" / "a" / "0.png")
    return given


def _device(folder: Path) -> list[str]:
    given = _decode(folder, b"")
    (folder / "test" / "a" / "0.png").unlink()
    (folder / "test" / "a" / "0.png").symlink_to("/dev/zero")
    return given


def tiff(side: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (side, side)).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def honest_pictures(folder: Path) -> list[str]:
    return _decode(folder, picture("PNG", (8, 8)))


PICTURES = (
    ("PNG: 50,000 x 50,000 in its header", lambda folder: _decode(folder, png(50_000, 50_000, b""))),
    ("PNG: 12,000 x 12,000 zeros", lambda folder: _decode(folder, _big_png(12_000))),
    ("PNG: 9,000 x 9,000 zeros", lambda folder: _decode(folder, _big_png(9_000))),
    ("PNG: 1 x 60,000, resized", lambda folder: _decode(folder, picture("PNG", (1, 60_000)), options=",size=256")),
    ("PPM: 9,000 x 9,000 in its header", lambda folder: _decode(folder, b"P6 9000 9000 255\n", "0.ppm")),
    ("TIFF: 6,000 x 6,000 zeros", lambda folder: _decode(folder, tiff(6_000), "0.tif")),
    ("GIF: 9,000 x 9,000 zeros", lambda folder: _decode(folder, picture("GIF", (9_000, 9_000), "P"), "0.gif")),
    ("JPEG: 20,000 scans", lambda folder: _decode(folder, _many_scans(), "0.jpg")),
    ("EPS called 0.png, with an endless loop", lambda folder: _decode(folder, eps())),
    ("an image that is a pipe", _fifo),
    ("an image that is an endless device", _device),
    ("an image of a terabyte that the disk does not hold", lambda folder: sparse_file(_decode(folder, picture("PNG", (8, 8))), folder / "test" / "a" / "0.png")),
    ("a size of 10^9", lambda folder: _decode(folder, picture("PNG", (8, 8)), options=",size=1000000000")),
)  # fmt: skip
