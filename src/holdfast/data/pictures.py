"""Encoded images (PNG, JPEG and others) as a data set: decoded, resized and cropped when asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from holdfast.data.base import DataSet
from holdfast.data.image_formats import MOST_PIXELS, WIDE, not_an_image, open_image, peculiarities
from holdfast.data.remarks import counted
from holdfast.errors import DataError, MissingExtraError, UsageError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from holdfast.data.crops import ResizedCrop

_PILLOW_MODES = {"rgb": "RGB", "grey": "L"}
# Of an image that is resized to a larger one, of which the centre is taken.
_MOST_RESIZED = 2**24
_CHANNELS = {"rgb": 3, "grey": 1, "grey16": 1}
_LARGEST = {True: 65_535, False: 255}
_SIZE = re.compile("0*[1-9][0-9]{0,5}")


class Encoded(Protocol):
    """Where encoded images are read from, and how errors name them."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image."""

    def name(self, index: int) -> str:
        """What an error calls this image."""


@dataclass(frozen=True)
class Preparation:
    """What is done to an image after decoding.

    Attributes:
        size: the short side is resized to this many pixels (bilinear, antialiased), then the centre `size` x `size`
            is kept; None leaves the image as it is.
        mode: "rgb" (3 channels), "grey" (1 channel, ITU-R 601 luma), or "grey16" (grey images of up to 16 bits, as
            numbers: 65,535 is 1, or 255 where there are 8 bits).
        margin: the short side is resized to this many times `size` instead, rounded to a whole pixel; at least 1.
    """

    size: int | None
    mode: str
    margin: float = 1.0

    @classmethod
    def parse(cls, size: str, mode: str, crop: str = "") -> Preparation:
        """The preparation from the options of a source; an empty `size` is none.

        Args:
            size: width and height in pixels.
            mode: how many channels, and of how many bits.
            crop: the short side that an image is resized to before the centre `size` x `size` is cut out; empty for
                `size` itself.

        Raises:
            UsageError: `size` is not a positive whole number, `crop` is smaller, or `mode` is unknown.
        """
        if mode not in _CHANNELS:
            raise UsageError(f"unknown mode {mode!r} of images; known are {', '.join(_CHANNELS)}")
        if size and not _SIZE.fullmatch(size):
            raise UsageError(f"size is the width and height in pixels, a positive whole number, got {size!r}")
        if size and int(size) ** 2 > MOST_PIXELS:
            raise UsageError(
                f"size is the width and height in pixels; {size} is more than {math.isqrt(MOST_PIXELS):,}, and such "
                "an image more than is decoded"
            )
        if not crop:
            return cls(int(size) if size else None, mode)
        if not size:
            raise UsageError(
                f"crop={crop} is the short side of which the centre is cut out: say its size, as in size=224"
            )
        if not _SIZE.fullmatch(crop) or int(crop) < int(size) or int(crop) ** 2 > MOST_PIXELS:
            raise UsageError(
                f"crop is the short side in pixels, before the centre {size} x {size} is cut out: a whole number from "
                f"{size} to {math.isqrt(MOST_PIXELS):,}, got {crop!r}"
            )
        return cls(int(size), mode, int(crop) / int(size))

    @property
    def wide(self) -> bool:
        """Whether values are float32 in [0, 1], made of up to 16 bits."""
        return self.mode == "grey16"

    def apply(
        self, image: Image, cut: Callable[[Image], Image] | None = None
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        """A decoded image as `(channels, height, width)`.

        Args:
            image: the image.
            cut: what is done to it in the place of the resized centre.
        """
        cut = cut or self._resized
        if self.wide:
            return self._wide(image, cut)
        if "transparency" in image.info:
            image = image.convert("RGBA")
        values = np.asarray(cut(image.convert(_PILLOW_MODES[self.mode])), dtype=np.uint8)
        return values[np.newaxis] if values.ndim == 2 else values.transpose(2, 0, 1)

    def _resized(self, image: Image) -> Image:
        return image if self.size is None else _centre(image, round(self.size * self.margin), self.size)

    def _wide(self, image: Image, cut: Callable[[Image], Image]) -> NDArray[np.float32]:
        """Grey values divided by the largest that so many bits hold."""
        largest = _LARGEST[image.mode in WIDE]
        # Pillow resizes floats exactly enough, and not all forms of 16 bits.
        values = np.asarray(cut(image.convert("I" if image.mode in WIDE else "L").convert("F")), dtype=np.float32)
        if values.size and not (values.min() >= 0 and values.max() <= largest):
            raise ValueError(f"it has values from {values.min():g} to {values.max():g}, expected 0 to {largest}")
        scaled: NDArray[np.float32] = values[np.newaxis] / np.float32(largest)
        return scaled


def picture_data_set(
    encoded: Encoded,
    preparation: Preparation,
    *,
    source: str,
    split: str,
    class_names: Sequence[str],
    labels: NDArray[np.int64],
    notes: Sequence[str] = (),
    survey: bool = True,
) -> DataSet:
    """A data set that decodes its images when they are asked for.

    Transparency is dropped, grey images get three equal channels where these are asked for, orientation notes in EXIF
    are not followed, and of an animation the first frame counts; a note says how many images this is about. Images of
    more than 8 bits a channel are refused.

    Args:
        encoded: the images.
        preparation: what is done to each after decoding.
        source: short name of where they come from.
        split: "train" or "test".
        class_names: one name a class.
        labels: `(len,)` class indices.
        notes: more notes about them.
        survey: read the headers of all images now, for these notes, and so that a wrong one is found before any work.
            Without `size` this is done in any case.

    Raises:
        DataError: there are no images, one cannot be decoded, or without `size` they do not all have the same size.
    """
    if not len(encoded):
        raise DataError(
            f"{source}: the {split} split has no images, expected at least one; check where it is read from"
        )
    channels, wide = _CHANNELS[preparation.mode], preparation.wide
    if preparation.size is None:
        size, seen = _survey(encoded, channels, one_size=True, wide=wide)
    else:
        size = (preparation.size, preparation.size)
        seen = _survey(encoded, channels, one_size=False, wide=wide)[1] if survey else ()
    shape = (channels, *size)
    pictures = _Pictures(encoded, preparation, shape)
    return DataSet(
        source=source,
        split=split,
        class_names=class_names,
        labels=labels,
        shape=shape,
        load=pictures.load,
        raw=encoded.read,
        decoder=f"pillow {version('pillow')}",
        bounds=(0.0, 1.0) if wide else None,
        notes=(*notes, *seen),
        # Without a size, inputs are the whole images.
        crop=None if preparation.size is None else pictures.crop,
    )


def require_pillow() -> None:
    """Raise MissingExtraError unless Pillow can be imported."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("pillow", "images", "Decoding images") from error


@dataclass(frozen=True)
class _Pictures:
    encoded: Encoded
    preparation: Preparation
    shape: tuple[int, int, int]

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8] | NDArray[np.float32]:
        kind = np.float32 if self.preparation.wide else np.uint8
        values: NDArray[Any] = np.empty((len(indices), *self.shape), dtype=kind)
        for row, index in enumerate(indices.tolist()):
            values[row] = self._decode(index)
        return values

    def crop(
        self, indices: NDArray[np.int64], crop: ResizedCrop, uniforms: NDArray[np.float64]
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        kind = np.float32 if self.preparation.wide else np.uint8
        values: NDArray[Any] = np.empty((len(indices), *self.shape), dtype=kind)
        for row, index in enumerate(indices.tolist()):
            values[row] = self._decode(index, partial(_rectangle, crop, uniforms[row : row + 1], self.shape[1:]))
        return values

    def _decode(
        self, index: int, cut: Callable[[Image], Image] | None = None
    ) -> NDArray[np.uint8] | NDArray[np.float32]:
        name = self.encoded.name(index)
        image = open_image(self.encoded.read(index), name, wide=self.preparation.wide)
        try:
            values = self.preparation.apply(image, cut)
        except Exception as error:
            raise not_an_image(name, error) from error
        if values.shape != self.shape:
            raise DataError(
                f"{name} now has shape {values.shape}, expected {self.shape} as when the data set was opened; "
                "leave the files alone while they are in use"
            )
        return values


def _survey(encoded: Encoded, channels: int, *, one_size: bool, wide: bool) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Height and width of the first image, and notes on what the headers of all say.

    Raises:
        DataError: an image is of no known format, or they do not all have one size though `one_size` asks for it.
    """
    found: dict[str, list[int]] = {}
    width, height = open_image(encoded.read(0), encoded.name(0), wide=wide).size
    for index in range(len(encoded)):
        image = open_image(encoded.read(index), encoded.name(index), wide=wide)
        if one_size and image.size != (width, height):
            raise DataError(
                f"images differ in size: {encoded.name(0)} is {width} x {height}, {encoded.name(index)} is "
                f"{image.size[0]} x {image.size[1]} (width x height), expected one size; bring them to one with the "
                f"option size=N, as in size={min(width, height, *image.size)}"
            )
        for what in _peculiar(image, encoded.name(index), channels):
            found.setdefault(what, []).append(index)
    notes = tuple(
        f"{len(indices):,} of {counted(len(encoded), 'image')} {what}: "
        f"{some([encoded.name(index) for index in indices[:3]], len(indices))}"
        for what, indices in found.items()
    )
    return (height, width), notes


def _peculiar(image: Image, name: str, channels: int) -> list[str]:
    try:
        return peculiarities(image, channels)
    except Exception as error:
        raise not_an_image(name, error) from error


def _centre(image: Image, short_side: int, size: int) -> Image:
    """The centre `size` x `size` of an image resized to `short_side`."""
    import PIL.Image

    width, height = image.size
    short = min(width, height)
    if short != short_side:
        width, height = max(short_side, width * short_side // short), max(short_side, height * short_side // short)
        if width * height > max(_MOST_RESIZED, math.prod(image.size), 4 * short_side**2):
            raise DataError(
                f"its {image.size[0]:,} x {image.size[1]:,} pixels would become {width:,} x {height:,}, of which the "
                f"centre {size} x {size} is taken; cut out what is to be seen"
            )
        image = image.resize((width, height), PIL.Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def _rectangle(crop: ResizedCrop, uniforms: NDArray[np.float64], size: tuple[int, int], image: Image) -> Image:
    """A random rectangle of an image, resized to a height and a width (bilinear, antialiased)."""
    import PIL.Image

    width, height = image.size
    box = tuple(crop.boxes(uniforms, height, width)[0].tolist())
    return image.crop(box).resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR)
