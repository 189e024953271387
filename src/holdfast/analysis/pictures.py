"""PNG files of small images, for pages and reports."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.analysis import extras

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PURPOSE = "Showing pictures"
# Nothing is enlarged beyond so many pixels.
_LONGEST = 1024


def png(pixels: NDArray[np.uint8], least: int = 1, most: int | None = None) -> bytes:
    """A PNG file of an image.

    Args:
        pixels: `(height, width, 3)`.
        least: the shorter side becomes at least so long: each pixel a square, so that none is blurred. Less if the
            longer side would become longer than 1,024.
        most: the longer side becomes at most so long, which averages pixels; None for any length.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    sides = pixels.shape[:2]
    times = max(1, min(-(-least // min(sides)), _LONGEST // max(sides)))
    enlarged = np.ascontiguousarray(pixels.repeat(times, axis=0).repeat(times, axis=1))
    image = _pillow().fromarray(enlarged)
    if most is not None and max(image.size) > most:
        image.thumbnail((most, most))
    return _encoded(image)


def side_by_side(rows: Sequence[Sequence[bytes]], height: int) -> bytes:
    """PNG files as one picture: each row scaled to one height, with white lines between them.

    Args:
        rows: at least one row, each of at least one file.
        height: of a row, in pixels.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    pillow = _pillow()
    line = max(1, height // 32)
    scaled = [[_of_height(pillow.open(io.BytesIO(file)).convert("RGB"), height) for file in row] for row in rows]
    width = max(sum(image.width + line for image in row) for row in scaled) - line
    whole = pillow.new("RGB", (width, (height + line) * len(rows) - line), "white")
    for number, row in enumerate(scaled):
        left = 0
        for image in row:
            whole.paste(image, (left, number * (height + line)))
            left += image.width + line
    return _encoded(whole)


def within(file: bytes, width: int, height: int) -> bytes:
    """A PNG file that is made smaller, if it must be, to fit into so many pixels; what is transparent becomes white.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    pillow = _pillow()
    image = pillow.open(io.BytesIO(file)).convert("RGBA")
    ground = pillow.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    smaller = ground.convert("RGB")
    smaller.thumbnail((width, height))
    return _encoded(smaller)


def _of_height(image: Any, height: int) -> Any:
    return image.resize((max(1, round(image.width * height / image.height)), height))


def data_uri(file: bytes) -> str:
    """A PNG file as an address that holds it, which the content policy of reports allows."""
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def _encoded(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _pillow() -> Any:
    return extras.load("PIL.Image", _PURPOSE)
