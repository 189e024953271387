"""Grey images of 16 bits, in the formats that have them."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

import holdfast as hf
from holdfast.errors import DataError, UsageError

VALUES = np.random.default_rng(4).integers(0, 65_536, (12, 6, 8), dtype=np.uint16)


def saved(folder: Path, ending: str, values: np.ndarray = VALUES) -> Path:
    (folder / "a").mkdir(parents=True, exist_ok=True)
    for row, each in enumerate(values):
        file = folder / "a" / f"{row:02}.{ending}"
        if ending == "tif":
            tifffile.imwrite(file, each)
        elif ending == "pgm":
            file.write_bytes(b"P5 8 6 65535\n" + each.astype(">u2").tobytes())
        else:
            PIL.Image.fromarray(each).save(file)
    return folder


@pytest.mark.parametrize("ending", ["png", "tif", "pgm", "jp2"])
def test_all_bits_are_kept(tmp_path: Path, ending: str) -> None:
    data = hf.load_data(saved(tmp_path / "images", ending), "all", mode="grey16")
    assert (data.shape, data.low, data.high) == ((1, 6, 8), 0.0, 1.0)
    found = data.batch(range(12))[:, 0] * np.float32(65_535)
    np.testing.assert_array_equal(np.rint(found), VALUES)
    assert pickle.loads(pickle.dumps(data)).sha256 == data.sha256


def test_eight_bits_go_up_to_255(tmp_path: Path) -> None:
    values = (VALUES >> 8).astype(np.uint8)
    data = hf.load_data(saved(tmp_path / "images", "png", values), "all", mode="grey16")
    np.testing.assert_allclose(data.batch(range(12))[:, 0], values / 255, rtol=1e-6)


def test_they_are_resized_without_a_loss_of_bits(tmp_path: Path) -> None:
    flat = np.full((2, 6, 8), 257, dtype=np.uint16)
    data = hf.load_data(saved(tmp_path / "images", "tif", flat), "all", mode="grey16", size=3)
    assert data.shape == (1, 3, 3)
    np.testing.assert_allclose(data.batch([0]), 257 / 65_535, rtol=1e-6)


def test_without_the_option_they_are_refused_and_told_of_it(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"has the pixel format I;16, expected 8 bits a channel; convert it first, or read it by mode=grey16",
    ):
        hf.load_data(saved(tmp_path / "images", "png"), "all")
    with pytest.raises(UsageError, match="unknown mode 'grey32' of images; known are rgb, grey, grey16"):
        hf.load_data(tmp_path / "images", mode="grey32")


@pytest.mark.parametrize(
    "values", [np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.float32), np.zeros((6, 8), "i4")]
)
def test_what_is_not_grey_of_16_bits_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    out = io.BytesIO()
    tifffile.imwrite(out, values)
    (tmp_path / "images" / "a" / "0.tif").write_bytes(out.getvalue())
    with pytest.raises(DataError, match="expected grey values of 16 bits at most, as mode=grey16 says"):
        hf.load_data(tmp_path / "images", "all", mode="grey16")


def test_negative_values_are_refused(tmp_path: Path) -> None:
    data = hf.load_data(saved(tmp_path / "images", "tif", np.full((2, 6, 8), -3, np.int16)), "all", mode="grey16")
    with pytest.raises(DataError, match="values from -3 to -3, expected 0 to 65535"):
        data.batch([0])
