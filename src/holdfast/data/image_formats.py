"""Which encoded images are read, and what would be lost: bits, transparency, orientation, further frames.

Pillow reads far more formats than these, some by starting other programs, and cuts 16 bits a channel to 8 in silence.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from holdfast.budgets import SMALL
from holdfast.errors import DataError, first_line
from holdfast.stand_ins import refuse_stand_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

# Endings of file names for each format of Pillow's.
_FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".mpo",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "AVIF": (".avif",),
}
ENDINGS = tuple(ending for endings in _FORMATS.values() for ending in endings)
# What Pillow converts to 8 bits a channel without loss of range; it clips 16-bit, 32-bit and float images.
_EIGHT_BIT = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_ONE_CHANNEL = ("1", "L", "LA", "La")
# Grey values of more bits, where 16 are asked for.
WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_MOST_BITS = 16
_ORIENTATION = 0x0112
# Pillow's own limit, beyond which it warns: a quarter of a gigabyte of colours.
MOST_PIXELS = 89_478_485
# No encoding takes more than the pixels themselves.
MOST_BYTES = 4 * MOST_PIXELS
# Large images are not encoded better than so: a black one may be.
_MOST_ENCODED = 250
# Of a progressive JPEG, each of which goes through the whole image; encoders write ten.
_MOST_SCANS = 200
_SCAN = b"\xff\xda"
# Within which the words of a PPM's header stand, comments and all.
_HEADER = 2**16
_BITS_PER_SAMPLE = 258

TRANSPARENT = "have an alpha channel or transparent colours, which are left out: the colours stored below them count"
PRINT = "are in the colours of print (CMYK), converted to RGB without their colour profile"
TURNED = "have an EXIF note to turn or mirror them, which is ignored: they are taken as stored"
UNREADABLE_NOTE = "have EXIF that cannot be read, so it is unknown whether to turn them"
GREY = (
    "are grey and get three equal channels, each with noise of its own; the option mode=grey reads one channel, as in "
    "images:DIR,mode=grey"
)
FRAMES = "have several frames or pages, of which the first is taken"


def open_image(data: bytes, name: str, *, wide: bool = False) -> Image:
    """An image with its header read; its pixels are decoded later.

    Args:
        data: the encoded image.
        name: what errors call it.
        wide: grey images of up to 16 bits may be, and no colours.

    Raises:
        DataError: it is not an image of these formats, or has another number of bits a channel than 8 at most.
    """
    import PIL.Image

    refuse_stand_in(data, name, DataError)
    PIL.Image.init()
    try:
        image = PIL.Image.open(io.BytesIO(data), formats=[known for known in _FORMATS if known in PIL.Image.OPEN])
        bits = _bits(image, data)
    except PIL.UnidentifiedImageError as error:
        raise DataError(
            f"{name} cannot be decoded, expected an image in one of the formats {', '.join(_FORMATS)}; found "
            f"{f'bytes that begin {data[:8]!r}' if data else 'an empty file'}; replace it or take it out"
        ) from error
    except Exception as error:
        raise not_an_image(name, error) from error
    check_size(image.size, len(image.getbands()), len(data), name)
    if data.count(_SCAN) > _MOST_SCANS and image.format in ("JPEG", "MPO"):
        raise DataError(
            f"{name} has {data.count(_SCAN):,} scans, expected {_MOST_SCANS} at most: it is made to take long; replace "
            "it or take it out"
        )
    if wide:
        if image.mode not in (*WIDE, "1", "L") or bits > _MOST_BITS:
            raise DataError(
                f"{name} has the pixel format {image.mode} and {bits} bits a channel, expected grey values of 16 bits "
                "at "
                "most, as mode=grey16 says; convert it first, or leave the option out for 8 bits"
            )
        return image
    if image.mode not in _EIGHT_BIT:
        advice = "convert it first, or read it by mode=grey16" if image.mode in WIDE else "convert it first"
        raise DataError(f"{name} has the pixel format {image.mode}, expected 8 bits a channel; {advice}")
    if bits > 8:
        raise DataError(
            f"{name} has {bits} bits a channel, expected 8 bits a channel at most: decoding would cut them in silence; "
            "convert it first"
        )
    return image


def check_size(size: tuple[int, int], bands: int, stored: int, name: str) -> None:
    """Raise DataError if an image is larger than is decoded: by its pixels, or by what they are encoded in.

    Args:
        size: width and height.
        bands: bytes of a pixel.
        stored: bytes of the encoded image.
        name: what errors call it.
    """
    pixels = size[0] * size[1]
    if pixels > MOST_PIXELS:
        raise DataError(
            f"{name} has {size[0]:,} x {size[1]:,} pixels, expected {MOST_PIXELS:,} at most; scale it down, or take it "
            "out"
        )
    if pixels * bands > max(SMALL, _MOST_ENCODED * stored):
        raise DataError(
            f"{name} has {size[0]:,} x {size[1]:,} pixels in {stored:,} bytes, expected {_MOST_ENCODED} times its size "
            "at most: it is made to fill the memory, or has nothing on it; scale it down, or take it out"
        )


def not_an_image(name: str, error: Exception) -> DataError:
    """The error for bytes that a decoder refuses: nearly any exception, so callers catch all and come here."""
    return DataError(
        f"{name} cannot be decoded, expected an image ({first_line(error) or type(error).__name__}); replace it or "
        "take it out"
    )


def peculiarities(image: Image, channels: int) -> list[str]:
    """What a person may see in an image and a classifier does not, each as the predicate of a sentence.

    Args:
        image: image whose header has been read.
        channels: number of channels that it will have.
    """
    found = [GREY] if channels > 1 and image.mode in _ONE_CHANNEL else []
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        found.append(TRANSPARENT)
    if image.mode == "CMYK":
        found.append(PRINT)
    found += _turned(image)
    if getattr(image, "is_animated", False):
        found.append(FRAMES)
    return found


def _turned(image: Image) -> list[str]:
    import PIL.Image

    try:
        # That of the class of PNG files would decode the whole image.
        orientation = PIL.Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # Cameras and editors write EXIF of any kind; Pillow raises nearly anything on it.
        return [UNREADABLE_NOTE]
    return [TURNED] if orientation in range(2, 9) else []


def _bits(image: Image, data: bytes) -> int:
    """Bits a channel, of the formats that can have more than 8 in a pixel format that has 8 in Pillow."""
    if image.format == "TIFF":
        return max(int(bits) for bits in getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,)))
    read = _BITS.get(image.format or "")
    return 8 if read is None else read(data)


def _png_bits(data: bytes) -> int:
    """The bit depth stands behind signature, length and type of the first chunk, width and height."""
    return data[24]


def _ppm_bits(data: bytes) -> int:
    """The bits from the largest value, the fourth word of the header; bitmaps (P1, P4) have none."""
    if data[:2] not in (b"P2", b"P3", b"P5", b"P6"):
        return 8
    words: list[bytes] = []
    for line in data[:_HEADER].splitlines():
        words += line.partition(b"#")[0].split()
        if len(words) >= 4:
            break
    return int(words[3]).bit_length()


def _jpeg2000_bits(data: bytes) -> int:
    """The bits from the marker SIZ of the code stream: after 38 bytes, three for each component, its bits first."""
    start = data.index(b"\xff\x4f\xff\x51") + 4
    components = int.from_bytes(data[start + 36 : start + 38], "big")
    return max((data[start + 38 + 3 * number] & 0x7F) + 1 for number in range(components))


def _avif_bits(data: bytes) -> int:
    """The bits from the box av1C: the third byte's second bit says that there are 10 or 12."""
    return 10 if data[data.index(b"av1C") + 6] & 0x40 else 8


_BITS: dict[str, Callable[[bytes], int]] = {
    "PNG": _png_bits,
    "PPM": _ppm_bits,
    "JPEG2000": _jpeg2000_bits,
    "AVIF": _avif_bits,
}
