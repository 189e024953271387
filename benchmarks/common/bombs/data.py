"""Files of data sets that ask for more than any machine has."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common.bombs.packed import gzipped, sparse_file, zeros_packed
from common.bombs.pictures import picture


def plan(spec: object) -> list[str]:
    return ["plan", "--noise", "gaussian:sigma=0.5", "--data", str(spec)]


def idx(folder: Path, count: int, content: int, side: int = 28) -> list[str]:
    """MNIST files with a header for so many images and so many zero bytes, packed."""
    images = struct.pack(">IIII", 0x803, count, side, side)
    labels = struct.pack(">II", 0x801, count)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzipped(images, content))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzipped(labels, min(count, 2**24)))
    return plan(f"mnist:{folder}")


_CIFAR = ("test_batch.bin", "batches.meta.txt", "test_batch", "batches.meta")


def _tar_gz(folder: Path, members: Sequence[tuple[str, int, bytes]]) -> list[str]:
    """A CIFAR-10 archive of members of zeros: names, sizes and types."""
    path = folder / "cifar-10-binary.tar.gz"
    parts = []
    for name, size, kind in members:
        member = tarfile.TarInfo(name)
        member.size, member.type = size, kind
        parts.append(gzipped(member.tobuf(tarfile.GNU_FORMAT), size))
    path.write_bytes(b"".join([*parts, gzip.compress(bytes(1024))]))
    return plan(f"cifar10:{path}")


def _sparse_member(folder: Path) -> list[str]:
    """Members of GNU's sparse kind: 128 MB of zeros that take no room in the archive."""
    path = folder / "cifar-10-binary.tar.gz"
    with gzip.open(path, "wb") as file:
        for name in _CIFAR:
            member = tarfile.TarInfo(name)
            member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
            block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
            block[483:495] = b"%011o\0" % 2**27
            block[148:156] = b"        "
            block[148:156] = b"%06o\0 " % sum(block)
            file.write(bytes(block))
        file.write(bytes(1024))
    return plan(f"cifar10:{path}")


def cifar_pickle(folder: Path, content: bytes) -> list[str]:
    (folder / "test_batch").write_bytes(content)
    return plan(f"cifar10:{folder}")


def _mat_element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _mat_variable(name: str, shape: Sequence[int], zeros: int, packed: bool) -> bytes:
    """An array of zeros of uint8 in the format of MATLAB 5, which may claim another shape."""
    parts = (
        _mat_element(6, struct.pack("<II", 9, 0)),
        _mat_element(5, struct.pack(f"<{len(shape)}i", *shape)),
        _mat_element(1, name.encode()),
        struct.pack("<II", 2, zeros),
    )
    head, padded = b"".join(parts), zeros + -zeros % 8
    head = struct.pack("<II", 14, len(head) + padded) + head
    if not packed:
        return head + bytes(padded)
    content = zeros_packed(head, padded)
    return struct.pack("<II", 15, len(content)) + content


def mat(folder: Path, images: int, zeros: int, packed: bool = True) -> list[str]:
    """SVHN's file with arrays of zeros."""
    x = _mat_variable("X", (32, 32, 3, images), zeros, packed)
    y = _mat_variable("y", (images, 1), images, True)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    (folder / "test_32x32.mat").write_bytes(head + x + y)
    return plan(f"svhn:{folder}")


def parquet(folder: Path, labels: Any, images: Any, **how: Any) -> list[str]:
    """A Parquet file of images and labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.StructArray.from_arrays([images], names=["bytes"])
    path = folder / "test.parquet"
    pq.write_table(pa.table({"image": column, "label": labels}), path, store_schema=False, **how)
    return plan(f"parquet:{path}")


def _many_rows(folder: Path) -> list[str]:
    import pyarrow as pa

    count = 10_000_000
    empty = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([b""]))
    return parquet(folder, pa.array(np.zeros(count, dtype=np.int64)), empty)


def _one_image_often(folder: Path) -> list[str]:
    """One image of half a megabyte in 4,000 rows: a dictionary has it once."""
    import pyarrow as pa

    image = picture("PNG", (8, 8)) + np.random.default_rng(0).bytes(2**19)
    encoded = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4000, dtype=np.int32)), pa.array([image]))
    labels = pa.array(np.zeros(4000, dtype=np.int64))
    return parquet(folder, labels, encoded, dictionary_pagesize_limit=2**24)


def _packed_images(folder: Path) -> list[str]:
    import pyarrow as pa

    images = pa.array([picture("PNG", (8, 8)) + bytes(2**26)] * 10)
    return parquet(
        folder,
        pa.array(np.zeros(10, dtype=np.int64)),
        images,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )


def _many_columns(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "test.parquet"
    pq.write_table(pa.table({f"c{number}": pa.array([1]) for number in range(30_000)}), path)
    return plan(f"parquet:{path}")


def _deep_metadata(folder: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = parquet(folder, pa.array([0]), pa.array([picture("PNG", (8, 8))]))
    table = pq.read_table(folder / "test.parquet")
    pq.write_table(table.replace_schema_metadata({"huggingface": "[" * 10**6}), folder / "test.parquet")
    return given


def _looping_links(folder: Path) -> list[str]:
    """A folder with 300 links to itself."""
    for number in range(300):
        (folder / f"d{number}").symlink_to(folder, target_is_directory=True)
    return plan(f"parquet:{folder}")


def har(folder: Path, row: bytes, times: int = 1) -> list[str]:
    """Texts of numbers, of which a part is written so many times."""
    (folder / "test").mkdir()
    (folder / "activity_labels.txt").write_text("".join(f"{n} ACT{n}\n" for n in range(1, 7)))
    (folder / "test" / "X_test.txt").write_bytes(row * times)
    (folder / "test" / "y_test.txt").write_bytes(b"1\n")
    return plan(f"har:{folder}")


def _sparse_text(folder: Path) -> list[str]:
    return sparse_file(har(folder, b"0 "), folder / "test" / "X_test.txt")


def _sparse_idx(folder: Path) -> list[str]:
    given = idx(folder, 10, 7840)
    (folder / "t10k-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, 10, 28, 28))
    return sparse_file(given, folder / "t10k-images-idx3-ubyte")


FILES = (
    ("gzip: 2 GB of zeros behind ten images", partial(idx, count=10, content=2**31)),
    ("gzip: a header of 4 billion images", partial(idx, count=2**32 - 1, content=2**25)),
    ("gzip: 2.7 million black images", partial(idx, count=2**31 // 784, content=2**31 // 784 * 784)),
    ("idx: a terabyte that the disk does not hold", lambda folder: _sparse_idx(folder)),
    ("tar.gz: 2 GB beside the images", partial(_tar_gz, members=[("other", 2**31, tarfile.REGTYPE), ("test_batch.bin", 0, tarfile.REGTYPE)])),
    ("tar.gz: four files of 128 MB", partial(_tar_gz, members=[(name, 2**27, tarfile.REGTYPE) for name in _CIFAR])),
    ("tar.gz: a header of 2 GB", partial(_tar_gz, members=[("pax", 2**31, tarfile.XHDTYPE)])),
    ("tar.gz: sparse members", _sparse_member),
    ("CIFAR pickle: memo number 2^28", lambda folder: cifar_pickle(folder, b"\x80\x02}r" + struct.pack("<I", 2**28) + b".")),
    ("CIFAR pickle: a key whose hash takes 2^60 steps", lambda folder: cifar_pickle(folder, b"\x80\x02}K\x01" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60)) + b"K\x01s.")),
    ("CIFAR pickle: 2^62 bytes", lambda folder: cifar_pickle(folder, b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"a.")),
    ("CIFAR pickle: an array of 2^40", lambda folder: cifar_pickle(folder, pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, 2).replace(b"K\x00M\x00\x0c\x86", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"M\x00\x0c\x86"))),
    (".mat: X that inflates to 1.8 GB", partial(mat, images=600_000, zeros=600_000 * 3072)),
    (".mat: X claims 500,000 images", partial(mat, images=500_000, zeros=3072)),
    (".mat: X claims 500,000 images, not packed", partial(mat, images=500_000, zeros=3072, packed=False)),
    ("Parquet: 10 million rows", _many_rows),
    ("Parquet: one image 4,000 times", _one_image_often),
    ("Parquet: images that inflate to 670 MB", _packed_images),
    ("Parquet: 30,000 columns", _many_columns),
    ("Parquet: metadata nested 10^6 deep", _deep_metadata),
    ("Parquet: 300 links of a folder to itself", _looping_links),
    ("text: one line of 80 MB", lambda folder: har(folder, b"0.1 " * 2**10, 2**14)),
    ("text: a terabyte that the disk does not hold", _sparse_text),
)  # fmt: skip
