"""Small files in the layouts of published data sets, with inputs whose class is plain to see."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

_HAR = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")


def idx_files(folder: Path, train: int = 500, test: int = 1000) -> Path:
    """MNIST and Fashion-MNIST: the class is the row that is bright."""
    random = np.random.default_rng(5)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = random.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 4] = 250
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(_idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(_idx(labels))
    return folder


def svhn_files(folder: Path, train: int = 500, test: int = 1000) -> Path:
    """SVHN: the class is the pair of rows that is bright, 10 for the digit 0."""
    random = np.random.default_rng(6)
    for split, count in (("train", train), ("test", test)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = random.integers(0, 60, (count, 32, 32, 3)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[3 * label + 1 : 3 * label + 3] = 250
        published = np.where(labels == 0, 10, labels)[:, None]
        savemat(folder / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": published})
    return folder


def har_files(folder: Path, train: int = 500, test: int = 1000) -> Path:
    """HAR: the class is the block of features that is large."""
    random = np.random.default_rng(7)
    (folder / "activity_labels.txt").write_text("".join(f"{row} {name}\n" for row, name in enumerate(_HAR, start=1)))
    for split, count in (("train", train), ("test", test)):
        labels = random.integers(0, 6, count)
        features = random.uniform(-0.5, 0.5, (count, 561))
        for row, label in zip(features, labels, strict=True):
            row[90 * label : 90 * label + 90] += 0.5
        (folder / split).mkdir()
        np.savetxt(folder / split / f"X_{split}.txt", features, fmt="% .7e")
        np.savetxt(folder / split / f"y_{split}.txt", labels + 1, fmt="%d")
    return folder


# By kind of data: what writes its files.
FILES: dict[str, Callable[..., Path]] = {
    "mnist": idx_files,
    "fashion-mnist": idx_files,
    "svhn": svhn_files,
    "har": har_files,
}


def _idx(values: NDArray[np.uint8]) -> bytes:
    return gzip.compress(struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes())
