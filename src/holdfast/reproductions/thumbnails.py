"""A small picture of a page, for lists of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import extras
from holdfast.analysis.charts import PURPOSE
from holdfast.analysis.pictures import data_uri, side_by_side, within

if TYPE_CHECKING:
    from holdfast.reproductions.pages import Page

# Pixels. A thumbnail is wider than high.
_WIDTH, _HEIGHT = 240, 150
# Rows and columns of pictures that fit.
_ROWS, _COLUMNS = 2, 4
# Charts are drawn in the colour of the text around them, which an embedded picture does not know.
_INK = "#1c2024"


def thumbnail(page: Page) -> str | None:
    """The first pictures of a page, or its first chart, as the address of a PNG file that it holds (`data:`).

    At most 240 x 150 pixels, on white, which can be read in light and in dark.

    Returns:
        None if the page has neither.

    Raises:
        MissingExtraError: pillow, altair or vl-convert-python is not installed.
    """
    if page.pictures:
        strips = page.pictures[0].strips[:_ROWS]
        rows = [[picture.png for picture in strip.pictures[:_COLUMNS]] for strip in strips]
        return data_uri(within(side_by_side(rows, _HEIGHT // len(rows)), _WIDTH, _HEIGHT))
    if page.charts:
        return data_uri(within(_drawn(page.charts[0].draw()), _WIDTH, _HEIGHT))
    return None


def _drawn(svg: str) -> bytes:
    """A chart as PNG."""
    convert = extras.load("vl_convert", PURPOSE)
    file: bytes = convert.svg_to_png(svg.replace("currentColor", _INK))
    return file
