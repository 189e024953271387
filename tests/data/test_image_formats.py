"""What of an encoded image would be lost or read otherwise than a person sees it is refused or said."""

import io
import struct
import zlib

import numpy as np
import pytest

from holdfast.data import image_formats, open_data
from holdfast.errors import DataError

Image = pytest.importorskip("PIL.Image")

PIXELS = np.random.default_rng(3).integers(0, 256, (6, 6, 3), dtype=np.uint8)


def save(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def encoded(image, kind="png", **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def folder_with(tmp_path, content, name="0.png", others=2):
    """A test split with this file, and some plain ones behind it."""
    for split in ("train", "test"):
        for number in range(others):
            save(tmp_path / split / "cat" / f"plain{number}.png", encoded(Image.fromarray(PIXELS)))
    save(tmp_path / "test" / "cat" / name, content)
    return tmp_path


def parquet_with(tmp_path, content, others=2):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": each, "path": None} for each in [content, *[encoded(Image.fromarray(PIXELS))] * others]]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(images, kind), "label": [0] * len(images)}), tmp_path / "test.parquet")
    return tmp_path / "test.parquet"


def opened(folder, **options):
    return open_data("images", folder, "test", options)


def png(colour, channels, depth=16):
    """A PNG of 6 x 6 whose samples are all 40,000; Pillow writes none of 16 bits in colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 6, 6, depth, colour, 0, 0, 0)
    row = b"\0" + np.full(6 * channels, 40_000, dtype=">u2").tobytes()
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff16():
    """An uncompressed TIFF of 6 x 6 in RGB with 16 bits a channel."""
    values = np.full(6 * 6 * 3, 40_000, dtype="<u2").tobytes()
    depths = 8 + 2 + 9 * 12 + 4
    entries = [
        *((256, 3, 1, 6), (257, 3, 1, 6), (258, 3, 3, depths), (259, 3, 1, 1), (262, 3, 1, 2)),
        *((273, 4, 1, depths + 6), (277, 3, 1, 3), (278, 3, 1, 6), (279, 4, 1, len(values))),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + struct.pack("<3H", 16, 16, 16) + values


def ppm(magic, largest):
    return b"%b\n# made\n6 6 # here\n%d\n" % (magic, largest) + np.full(108, 40_000 % largest, dtype=">u2").tobytes()


def jpeg2000():
    """The head of a code stream of 6 x 6 in RGB with 16 bits a channel; Pillow writes none."""
    size = struct.pack(">HHIIIIIIIIH", 47, 0, 6, 6, 0, 0, 6, 6, 0, 0, 3) + bytes((15, 1, 1)) * 3
    return b"\xff\x4f\xff\x51" + size + b"\xff\xd9"


DEEP = {
    "PNG in RGB": (png(2, 3), "16 bits a channel"),
    "PNG in RGBA": (png(6, 4), "16 bits a channel"),
    "PNG in grey and alpha": (png(4, 2), "16 bits a channel"),
    "PNG in grey": (png(0, 1), "the pixel format I;16"),
    "TIFF": (tiff16(), "16 bits a channel"),
    "PPM": (ppm(b"P6", 65_535), "16 bits a channel"),
    "PPM of 10 bits": (ppm(b"P6", 1_023), "10 bits a channel"),
    "JPEG 2000": (jpeg2000(), "16 bits a channel"),
}


@pytest.mark.parametrize(("content", "found"), DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("size", ["", "4"])
def test_more_than_eight_bits_are_refused_and_not_cut(tmp_path, content, found, size):
    with pytest.raises(DataError, match=f"0.png has {found}, expected 8 bits a channel.*; convert it first"):
        opened(folder_with(tmp_path, content), size=size)
    with pytest.raises(DataError, match=rf"row 0 of .*test.parquet has {found}"):
        open_data("parquet", parquet_with(tmp_path, content), "test", {"size": size})


def test_avif_of_ten_bits_is_told_from_eight(tmp_path):
    try:
        content = encoded(Image.fromarray(PIXELS), "avif")
    except (KeyError, OSError):
        pytest.skip("this Pillow writes no AVIF")
    assert opened(folder_with(tmp_path, content, "0.avif")).shape == (3, 6, 6)
    place = content.index(b"av1C") + 6
    # Pillow writes none of 10 bits, and its decoder refuses one whose header alone says so.
    deep = content[:place] + bytes([content[place] | 0x40]) + content[place + 1 :]
    assert [image_formats._avif_bits(each) for each in (content, deep)] == [8, 10]


@pytest.mark.parametrize("largest", [255, 15, 1])
def test_fewer_bits_are_stretched_to_the_whole_range(tmp_path, largest):
    values = (PIXELS.astype(int) % (largest + 1)).astype(np.uint8)
    folder = folder_with(tmp_path, b"P6 6 6 %d\n" % largest + values.tobytes(), "0.ppm")
    np.testing.assert_allclose(opened(folder)[0].x, values.transpose(2, 0, 1) / largest, atol=0.51 / 255)


def test_one_bit_is_black_and_white(tmp_path):
    bits = PIXELS[:, :, 0] > 127
    data = opened(folder_with(tmp_path, encoded(Image.fromarray(bits))), mode="grey")
    np.testing.assert_array_equal(data[0].x[0], bits.astype(np.float32))
    assert data.notes == ()


def with_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


PALETTE = Image.fromarray(PIXELS).convert("P")
PECULIAR = {
    "alpha": (encoded(Image.fromarray(PIXELS).convert("RGBA")), "have an alpha channel or transparent colours"),
    "grey and alpha": (encoded(Image.fromarray(PIXELS).convert("LA")), "have an alpha channel or transparent colours"),
    "a transparent colour": (encoded(PALETTE, transparency=3), "have an alpha channel or transparent colours"),
    "transparent colours": (encoded(PALETTE, transparency=bytes(256)), "have an alpha channel or transparent colours"),
    "CMYK": (encoded(Image.fromarray(PIXELS).convert("CMYK"), "jpeg"), "are in the colours of print"),
    "turned JPEG": (encoded(Image.fromarray(PIXELS), "jpeg", exif=with_exif(6)), "have an EXIF note to turn"),
    "turned PNG": (encoded(Image.fromarray(PIXELS), exif=with_exif(3)), "have an EXIF note to turn"),
    "GIF": (
        encoded(PALETTE, "gif", save_all=True, append_images=[Image.new("P", (6, 6), 9)]),
        "have several frames or pages",
    ),
    "TIFF of two pages": (
        encoded(Image.fromarray(PIXELS), "tiff", save_all=True, append_images=[Image.new("RGB", (6, 6))]),
        "have several frames or pages",
    ),
    "APNG": (
        encoded(Image.fromarray(PIXELS), save_all=True, append_images=[Image.new("RGB", (6, 6))]),
        "have several frames or pages",
    ),
}


@pytest.mark.parametrize(("content", "words"), PECULIAR.values(), ids=PECULIAR)
@pytest.mark.parametrize("size", ["", "4"])
def test_what_a_person_sees_otherwise_is_counted_and_named(tmp_path, content, words, size):
    folder = folder_with(tmp_path, content)
    data = opened(folder, size=size)
    found = [each for each in data.notes if words in each]
    assert len(found) == 1, data.notes
    assert found[0].startswith(f"1 of 3 images {words}")
    assert found[0].endswith(f": {folder / 'test' / 'cat' / '0.png'}")
    assert data.batch(range(3)).shape[0] == 3
    rows = open_data("parquet", parquet_with(tmp_path, content), "test", {"size": size}).notes
    assert any(each.startswith(f"1 of 3 images {words}") and "row 0 of " in each for each in rows)


def test_upright_images_need_no_word(tmp_path):
    assert opened(folder_with(tmp_path, encoded(Image.fromarray(PIXELS), "jpeg", exif=with_exif(1)))).notes == ()


def test_many_are_counted_and_three_are_named(tmp_path):
    folder = folder_with(tmp_path, encoded(Image.fromarray(PIXELS)))
    for number in range(5):
        save(folder / "test" / "cat" / f"a{number}.png", encoded(Image.fromarray(PIXELS).convert("RGBA")))
    (found,) = opened(folder).notes
    assert found.startswith("5 of 8 images have an alpha channel")
    assert found.endswith("a2.png and 2 more")
    assert "a3.png" not in found


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "an empty file"), (b"no image", "bytes that begin b'no image'"), (b"8BPS" + bytes(40), "8BPS")],
)
def test_what_is_no_image_is_named_by_its_place(tmp_path, content, found):
    with pytest.raises(
        DataError, match=rf"0.png cannot be decoded, expected an image in one of .* PNG, .*{found}"
    ) as said:
        opened(folder_with(tmp_path, content))
    assert "BytesIO" not in str(said.value)
    with pytest.raises(DataError, match=rf"row 0 of .*test.parquet cannot be decoded, expected .*{found}") as said:
        open_data("parquet", parquet_with(tmp_path, content), "test", {})
    assert "BytesIO" not in str(said.value)


def test_a_wrong_image_is_found_before_any_work_where_sizes_are_given_too(tmp_path):
    folder = folder_with(tmp_path, b"no image", "z.png")
    with pytest.raises(DataError, match=r"z.png cannot be decoded"):
        opened(folder, size="4")


def test_grey_images_that_get_three_channels_are_said(tmp_path):
    grey, colours = Image.fromarray(PIXELS).convert("L"), Image.fromarray(PIXELS)
    folder = folder_with(tmp_path, encoded(grey))
    (note,) = opened(folder).notes
    assert note.startswith("1 of 3 images are grey and get three equal channels, each with noise of its own")
    assert "images:DIR,mode=grey" in note
    assert opened(folder).shape[0] == 3
    as_grey = opened(folder, mode="grey")
    assert as_grey.notes == ()
    assert as_grey.shape[0] == 1
    assert opened(folder_with(tmp_path / "colours", encoded(colours))).notes == ()
