import gzip
import hashlib
import re
import struct

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.errors import DataError, UsageError

IMAGES = np.random.default_rng(3).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.uint8)


def idx(values, magic=None):
    magic = 0x800 + values.ndim if magic is None else magic
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


def write(folder, images=None, labels=None, prefix="t10k", mark="-", ending=".gz"):
    pack = gzip.compress if ending else bytes
    images = idx(IMAGES) if images is None else images
    labels = idx(LABELS) if labels is None else labels
    (folder / f"{prefix}-images{mark}idx3-ubyte{ending}").write_bytes(pack(images))
    (folder / f"{prefix}-labels{mark}idx1-ubyte{ending}").write_bytes(pack(labels))
    return folder


def opened(folder, split="test"):
    return open_data("mnist", folder, split, {})


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_all_spellings_give_the_same(tmp_path, mark, ending, split, prefix):
    data = opened(write(tmp_path, prefix=prefix, mark=mark, ending=ending), split)
    assert data.shape == (1, 28, 28)
    assert data.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(data.batch(range(7)), IMAGES[:, np.newaxis].astype(np.float32) / np.float32(255))
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert data.sha256 == opened(write(other)).sha256


def test_missing_folder(tmp_path):
    expected = f"looked in {tmp_path / 'none'} for t10k-images-idx3-ubyte, t10k-images-idx3-ubyte.gz"
    with pytest.raises(DataError, match=re.escape(expected) + ".*no such folder; give the folder"):
        opened(tmp_path / "none")


def test_missing_file(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"looked in .* for t10k-labels-idx1-ubyte, .*: the folder has none of them"):
        opened(tmp_path)


def test_corrupt_gzip(tmp_path):
    file = write(tmp_path) / "t10k-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 0xFF
    for content in (whole[:-100], bytes(flipped), b"no gzip at all", b"\x1f\x8b\x08" + b"\x00" * 7 + b"\xff" * 20):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz cannot be read, expected a complete gzip file"):
            opened(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"\x00\x00\x08", None, "has 3 bytes, expected a header of 16"),
        (None, b"", "labels-idx1-ubyte has 0 bytes, expected a header of 8"),
        (idx(IMAGES, magic=0x801), None, "magic number 0x00000801, expected 0x00000803"),
        (None, idx(LABELS, magic=0x803), "magic number 0x00000803, expected 0x00000801"),
        (idx(IMAGES[:, :27]), None, "has images of 27 x 28, expected 28 x 28"),
        (idx(IMAGES)[:-1], None, "has 5503 bytes after decompression, expected 5504 for the 7 items"),
        (idx(IMAGES) + b"x", None, "has 5505 bytes after decompression, expected 5504"),
        (None, idx(LABELS[:6]), "has 6 labels, expected 7 as there are images in"),
        (None, idx(LABELS + np.uint8(1)), "has the label 10, expected 0 to 9"),
        (idx(IMAGES[:0]), idx(LABELS[:0]), "expected .len,. with at least one example"),
    ],
)
def test_wrong_content(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        opened(write(tmp_path, images, labels, ending=""))


def test_the_original_files(data_folder):
    data = opened(data_folder / "mnist")
    assert len(data) == 10_000
    assert np.bincount(data.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data[0].label == 7
    values = np.rint(data.batch(range(len(data))) * 255).astype(np.uint8)
    # The MD5 of the raw test image file, its header of 16 bytes included.
    header = struct.pack(">4I", 0x803, 10_000, 28, 28)
    assert hashlib.md5(header + values.tobytes()).hexdigest() == "2646ac647ad5339dbf082846283269ea"


def test_mean_and_deviation_of_the_original_training_set(data_folder):
    data = opened(data_folder / "mnist", "train")
    assert len(data) == 60_000
    mean, deviation = data.channel_statistics()
    # The constants that PyTorch's MNIST examples normalize with.
    assert round(mean[0], 4) == 0.1307
    assert round(deviation[0], 4) == 0.3081


def test_black_and_white(tmp_path):
    data = open_data("mnist", write(tmp_path), "test", {"levels": "2"})
    assert data.source == "mnist-binary"
    np.testing.assert_array_equal(data.batch(range(7)), (IMAGES >= 128)[:, np.newaxis].astype(np.float32))
    assert data.sha256 != opened(tmp_path).sha256
    assert open_data("mnist", tmp_path, "test", {"levels": "256"}).sha256 == opened(tmp_path).sha256
    with pytest.raises(UsageError, match=r"levels of mnist is 256 \(as published\) or 2 .*, got '16'"):
        open_data("mnist", tmp_path, "test", {"levels": "16"})
