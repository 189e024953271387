"""CIFAR-10 in files of the published formats, made here: the real ones are not at hand."""

import hashlib
import io
import os
import pickle
import re
import struct
import tarfile
from typing import ClassVar

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.data.sources import cifar10
from holdfast.errors import DataError

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, in which the published pickles are."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_python2_string(self, value):
        short = len(value) < 256
        self.write((b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value))) + value)
        self.memoize(value)

    dispatch[bytes] = save_python2_string


def python2(value):
    buffer = io.BytesIO()
    Python2Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def python3(value):
    return pickle.dumps(value, protocol=2)


def images(number, num=4):
    return np.random.default_rng(number).integers(0, 256, (num, 3, 32, 32), dtype=np.uint8)


def labels(number, num=4):
    return [(number + 3 * place) % 10 for place in range(num)]


def binary_batch(number):
    rows = np.concatenate([np.array(labels(number), np.uint8)[:, None], images(number).reshape(4, -1)], axis=1)
    return rows.tobytes()


def python_batch(number, pack=python2, **changes):
    values = {
        b"batch_label": b"testing batch 1 of 1",
        b"labels": labels(number),
        b"data": images(number).reshape(4, -1),
        b"filenames": [b"a.png"] * 4,
    }
    return pack({**values, **{key.encode(): value for key, value in changes.items()}})


def binary_files():
    files = {f"{name}.bin": binary_batch(number) for number, name in enumerate(BATCHES)}
    return {**files, "batches.meta.txt": "\n".join([*NAMES, "", ""]).encode()}


def python_files(pack=python2):
    files = {name: python_batch(number, pack) for number, name in enumerate(BATCHES)}
    meta = {b"num_cases_per_batch": 10000, b"label_names": [name.encode() for name in NAMES], b"num_vis": 3072}
    return {**files, "batches.meta": pack(meta)}


FORMS = {
    "binary": ("cifar-10-batches-bin", binary_files),
    "python": ("cifar-10-batches-py", python_files),
    "python3": ("cifar-10-batches-py", lambda: python_files(python3)),
}


def fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(file, inner, files, mode="w:gz"):
    with tarfile.open(file, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def opened(path, split="test"):
    return open_data("cifar10", path, split, {})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["folder", "around", "archive", "beside"])
def test_all_forms_give_the_same(tmp_path, form, place):
    inner, make = FORMS[form]
    archive_name = f"cifar-10-{'binary' if form == 'binary' else 'python'}.tar.gz"
    if place in ("archive", "beside"):
        archive = pack(tmp_path / archive_name, inner, make())
        path = archive if place == "archive" else tmp_path
    else:
        folder = fill(tmp_path / inner, make())
        path = folder if place == "folder" else tmp_path
    train, test = opened(path, "train"), opened(path, "test")
    assert (train.shape, len(train), len(test)) == ((3, 32, 32), 20, 4)
    assert train.class_names == tuple(NAMES)
    assert train.labels.tolist() == [label for number in range(5) for label in labels(number)]
    assert test.labels.tolist() == labels(5)
    np.testing.assert_array_equal(test.batch(range(4)), images(5).astype(np.float32) / np.float32(255))
    expected = np.concatenate([images(number) for number in range(5)]).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(train.batch(range(20)), expected)


def test_files_that_are_not_the_published_ones_are_noted(tmp_path):
    size = "the test split has 4 examples, 10,000 as published at https://www.cs.toronto.edu/~kriz/cifar.html"
    folder = fill(tmp_path / "py", python_files())
    first, second = opened(folder).notes
    assert first.startswith(size)
    found = hashlib.md5((folder / "test_batch").read_bytes()).hexdigest()
    assert f"test_batch in {folder} has the MD5 {found}, the file published" in second
    assert "40351d587109b95175f43aff81a1287e" in second
    assert len(opened(folder, "train").notes) == 1 + 5
    # No checksums are published for the files of the binary version.
    assert len(opened(fill(tmp_path / "bin", binary_files())).notes) == 1
    archive = pack(tmp_path / "b.tar.gz", "cifar-10-batches-bin", binary_files())
    found = hashlib.md5(archive.read_bytes()).hexdigest()
    expected = f"has the MD5 {found}, the archive published at .* c32a1d4ab5d03f1284b67883e8d87530"
    assert re.search(expected, opened(archive).notes[1])


def test_published_files_are_not_noted(tmp_path, monkeypatch):
    folder = fill(tmp_path / "py", python_files())
    monkeypatch.setitem(cifar10._MD5, "test_batch", hashlib.md5((folder / "test_batch").read_bytes()).hexdigest())
    monkeypatch.setitem(cifar10._SIZES, "test", 4)
    assert opened(folder).notes == ()
    for version, make in (("bin", binary_files), ("py", python_files)):
        archive = pack(tmp_path / f"{version}.tar.gz", f"cifar-10-batches-{version}", make())
        monkeypatch.setitem(cifar10._ARCHIVE_MD5, version, hashlib.md5(archive.read_bytes()).hexdigest())
        assert opened(archive).notes == ()
    # An archive packed anew, with the published files in it.
    assert opened(pack(tmp_path / "a.tar.gz", "elsewhere", python_files())).notes == ()


class Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("where", ["file", "archive"])
def test_a_pickle_with_a_payload_is_refused_and_not_run(tmp_path, where):
    mark = tmp_path / "was-run"
    for function, argument in (
        (os.system, f"touch {mark}"),
        (eval, f"open({str(mark)!r}, 'w')"),
        (os.mkdir, str(mark)),
    ):
        files = python_files()
        files["test_batch"] = python_batch(5, python3, labels=Payload(function, argument))
        path = fill(tmp_path / "py", files)
        if where == "archive":
            path = pack(tmp_path / "a.tar.gz", "cifar-10-batches-py", files)
        with pytest.raises(
            DataError, match=r"test_batch in .* asks for \w+\.\w+, expected only .*nothing of it was run"
        ):
            opened(path)
        assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        # Attributes of what is allowed, and a stand-in that is called wrongly, given a state, or overwritten.
        b"\x80\x04cnumpy\nndarray.__class__\n.",
        b"cnumpy\ndtype\n(tR.",
        b"cnumpy\nndarray\n(Vlabels\nI1\ndb.",
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"\x82\x01.",
        b"Pidentity\n.",
        python2([1, 2]),
        python2({b"data": np.zeros((2, 3072))}),
    ],
)
def test_pickles_of_another_kind(tmp_path, content):
    folder = fill(tmp_path, {"test_batch": content})
    with pytest.raises(DataError, match=r"test_batch in .*(cannot be read, expected a complete pickle|asks for)"):
        opened(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [1, 2]}, "has 4 images and 2 labels, expected as many of each"),
        ({"labels": [0, 1, 2, 10]}, r"has labels from 0 to 10, expected 0 to 9"),
        ({"labels": None}, r"with data \(4, 3072\), expected data \(images, 3072\) and a list 'labels'"),
        ({"labels": [0.5] * 4}, "and a list 'labels'"),
        ({"data": [1, 2]}, "with no array 'data', expected"),
        ({"data": np.zeros((4, 3071), np.uint8)}, r"with data \(4, 3071\)"),
    ],
)
def test_batches_with_other_content(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        opened(fill(tmp_path, {"test_batch": python_batch(5, **changes)}))


def test_arrays_by_column_keep_their_order(tmp_path):
    content = python_batch(5, data=np.asfortranarray(images(5).reshape(4, -1)))
    np.testing.assert_array_equal(opened(fill(tmp_path, {"test_batch": content})).batch([1])[0] * 255, images(5)[1])


def test_files_that_are_cut_off(tmp_path):
    folder = fill(tmp_path / "bin", {"test_batch.bin": binary_batch(5)[:-1]})
    with pytest.raises(DataError, match="has 12291 bytes, expected a multiple of 3073; it is cut off or has something"):
        opened(folder)
    folder = fill(tmp_path / "py", {"test_batch": python_batch(5)[:-100]})
    with pytest.raises(DataError, match="cannot be read, expected a complete pickle of a dictionary"):
        opened(folder)
    archive = pack(tmp_path / "a.tar.gz", "cifar-10-batches-bin", binary_files())
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(DataError, match=r"a.tar.gz cannot be read, expected a complete .tar.gz archive"):
        opened(archive)
    with pytest.raises(DataError, match=r"labels of shape .* with at least one example"):
        opened(fill(tmp_path / "empty", {"test_batch.bin": b""}))


def test_other_class_names(tmp_path):
    expected = "has the class names cat, dog, expected airplane, automobile, .*; this is another data set"
    with pytest.raises(DataError, match=expected):
        opened(fill(tmp_path / "bin", {"test_batch.bin": binary_batch(5), "batches.meta.txt": b"cat\ndog\n"}))
    meta = python2({b"label_names": [b"cat", b"dog"]})
    with pytest.raises(DataError, match=expected):
        opened(fill(tmp_path / "py", {"test_batch": python_batch(5), "batches.meta": meta}))
    with pytest.raises(DataError, match="has the class names none, expected airplane"):
        opened(fill(tmp_path / "py", {"batches.meta": python2({b"label_names": 3})}))


def test_missing_files(tmp_path):
    expected = r"looked in .*none for test_batch.bin, test_batch, cifar-10-binary.tar.gz.*no such folder; .*toronto"
    with pytest.raises(DataError, match=expected):
        opened(tmp_path / "none")
    with pytest.raises(DataError, match="the folder has none of them; give the folder with CIFAR-10"):
        opened(tmp_path)
    files = binary_files()
    del files["data_batch_3.bin"]
    folder = fill(tmp_path / "bin", files)
    with pytest.raises(DataError, match=r"bin lacks data_batch_3.bin, expected data_batch_1.bin, data_batch_2.bin"):
        opened(folder, "train")
    assert len(opened(folder)) == 4
    archive = pack(tmp_path / "a.tar.gz", "cifar-10-batches-bin", files)
    with pytest.raises(
        DataError, match=r"a.tar.gz holds batches.meta.txt, data_batch_1.bin, .*, expected data_batch_1"
    ):
        opened(archive, "train")
    other = pack(tmp_path / "other.tar.gz", "somewhere", {"readme": b"nothing"})
    with pytest.raises(
        DataError, match=r"other.tar.gz holds no file of CIFAR-10, expected test_batch.bin or test_batch"
    ):
        opened(other)
