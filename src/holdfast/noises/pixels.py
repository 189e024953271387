"""Which axis of an input holds the channels: counting pixels depends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.noises.base import guarantees_of

if TYPE_CHECKING:
    from holdfast.noises.base import Noise, Shape

CHANNELS_FIRST, CHANNELS_LAST = "channels-first", "channels-last"
LAYOUTS = (CHANNELS_FIRST, CHANNELS_LAST)

# Grey, grey and opacity, red-green-blue, and that with opacity: hardly any image is as narrow as this.
_MOST_CHANNELS = 4


def check_layout(layout: str | None) -> str | None:
    """`layout`, if it is valid or None (undeclared); UsageError otherwise."""
    if layout not in (None, *LAYOUTS):
        raise UsageError(
            f"layout is 'channels-first', for inputs (channels, height, width), or 'channels-last', for (height, "
            f"width, channels); got {layout!r}"
        )
    return layout


def counts_pixels(noise: Noise) -> bool:
    """Whether a guarantee of the noise is in pixels, so that the channel axis must be known."""
    return any(theorem.norm.whole for theorem in guarantees_of(noise))


def looks_channels_last(shape: Shape) -> bool:
    """Whether inputs of this shape are more probably (height, width, channels) than (channels, height, width).

    True if the last axis has at most 4 entries and is not longer than the first; or if the first two are a square and
    the last one is shorter. False if both readings have the same pixels.
    """
    if len(shape) != 3:
        return False
    first, second, last = shape
    narrow = last <= _MOST_CHANNELS and first >= last
    return (narrow or (first == second and last < first)) and not first == last == 1


def refuse_channels_last(what: str, shape: Shape, remedy: str) -> None:
    """Raise UsageError if inputs of undeclared layout look like (height, width, channels).

    Args:
        what: what counts pixels, in words.
        shape: of one input.
        remedy: how to declare the layout, in words: a sentence without its period.
    """
    if looks_channels_last(shape):
        first, second, last = shape
        raise UsageError(
            f"inputs of shape {shape} look like (height, width, channels), and {what} counts pixels: with the channels "
            f"first they have {second * last} pixels of {first} values each, with the channels last {first * second} "
            f"pixels of {last}. {remedy}"
        )


def check_axes(what: str, shape: Shape, layout: str | None) -> None:
    """Raise UsageError if nobody said which axis of a series or a volume has the channels.

    An image without an axis for its channel has the form of a series: its columns would count as pixels.

    Args:
        what: what counts pixels, in words.
        shape: of one input.
        layout: as declared; None where it was not.
    """
    if len(shape) in (0, 1, 3) or layout == CHANNELS_FIRST:
        return
    raise UsageError(
        f"inputs have the shape {shape}, and {what} counts pixels: of grey images without an axis for their channel, "
        "give x[:, None]; of (channels, time) or (channels, depth, height, width), declare layout="
        "'channels-first'"
    )


# The remedy where inputs are (channels, height, width) by definition and no layout can be declared.
TRANSPOSE = (
    "Here inputs are (channels, height, width): move the channels to the front, as x.transpose(2, 0, 1) does. If they "
    "are there already, swap height and width, which changes no set of pixels"
)
