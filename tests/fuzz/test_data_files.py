"""Data files as strangers send them: small honest ones of each kind, damaged, cut, spliced and with other numbers."""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import struct
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from broken import broken
from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs

from holdfast.data.source import open_data

_KINDS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000")


def _idx(magic: int, *sizes: int) -> bytes:
    rng = np.random.default_rng(0)
    content = rng.integers(0, 10, int(np.prod(sizes)), dtype=np.uint8).tobytes()
    return struct.pack(f">I{len(sizes)}I", magic, *sizes) + content


@cache
def pictures() -> dict[str, bytes]:
    from PIL import Image

    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found = {}
    for kind in _KINDS:
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind)
        found[kind] = file.getvalue()
    return found


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = pa.StructArray.from_arrays([pa.array([pictures()["PNG"]] * 3)], names=["bytes"])
    file = io.BytesIO()
    pq.write_table(pa.table({"image": images, "label": pa.array([0, 1, 2])}), file)
    return file.getvalue()


def _mat(packed: bool) -> bytes:
    file = io.BytesIO()
    arrays = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)}
    scipy.io.savemat(file, arrays, do_compression=packed)
    return file.getvalue()


def _cifar(protocol: int) -> bytes:
    batch = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 9], b"filenames": [b"a.png", b"b.png"]}
    return pickle.dumps(batch, protocol)


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as out:
        member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        member.size = 3073
        out.addfile(member, io.BytesIO(bytes(3073)))
    return file.getvalue()


@cache
def honest() -> dict[str, tuple[str, str, list[bytes]]]:
    """Source, file that is given, and honest contents of it, by what is tried."""
    images = [_idx(0x803, 3, 28, 28)]
    return {
        "idx": ("mnist", "t10k-images-idx3-ubyte", images),
        "gz": ("mnist", "t10k-images-idx3-ubyte.gz", [gzip.compress(images[0])]),
        "mat": ("svhn", "test_32x32.mat", [_mat(True), _mat(False)]),
        "pickle": ("cifar10", "test_batch", [_cifar(protocol) for protocol in (2, 4)]),
        "tar": ("cifar10", "cifar-10-binary.tar.gz", [_tar()]),
        "parquet": ("parquet", "test.parquet", [_parquet()]),
        "text": ("har", "test/X_test.txt", [b" ".join([b"-0.25"] * 561) + b"\n"]),
        "picture": ("images", "test/a/0.png", list(pictures().values())),
    }


def _folder(kind: str, folder: Path) -> None:
    """What lies beside the file that is tried."""
    if kind in ("idx", "gz"):
        (folder / "t10k-labels-idx1-ubyte").write_bytes(_idx(0x801, 3))
    if kind == "text":
        (folder / "test").mkdir()
        (folder / "activity_labels.txt").write_text("".join(f"{n} ACT{n}\n" for n in range(1, 7)))
        (folder / "test" / "y_test.txt").write_text("1\n")
    if kind == "picture":
        for place in ("train/a", "train/b", "test/a", "test/b"):
            (folder / place).mkdir(parents=True)
            (folder / place / "0.png").write_bytes(pictures()["PNG"])


def read(kind: str, content: bytes) -> object:
    """What a source makes of a folder with this file, its first input decoded."""
    source, name, _ = honest()[kind]
    folder = Path(tempfile.mkdtemp())
    try:
        _folder(kind, folder)
        (folder / name).write_bytes(content)
        data = open_data(source, folder, "test", {})
        return data.batch([0]), data.sha256
    finally:
        shutil.rmtree(folder)


def _tried(kind: str) -> Callable[[], None]:
    @inputs(0.02)
    @given(st.data())
    def test(data: st.DataObject) -> None:
        content = data.draw(broken(honest()[kind][2]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answered(lambda: read(kind, content))

    return test


@pytest.mark.parametrize("kind", ["idx", "gz", "mat", "pickle", "tar", "parquet", "text", "picture"])
def test_any_file_is_data_or_an_error_in_words(kind: str) -> None:
    read(kind, honest()[kind][2][0])
    _tried(kind)()
