"""Every file that a source of data reads, with a pointer or a page of a server in its place."""

import gzip
import io
import struct
import tarfile

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.data.source import SOURCES
from holdfast.errors import DataError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1234\n" % (b"0" * 64)
ANNEX = b"/annex/objects/MD5E-s1234--0123456789abcdef0123456789abcdef.bin\n"
PAGES = {
    "a page": b"\r\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>",
    "a page with a mark": b"\xef\xbb\xbf<html><body>moved</body></html>",
    "a page in UTF-16": "\ufeff<html><body>moved</body></html>".encode("utf-16-le"),
    "an error of a store": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
}
IN_PLACE = {"a pointer": POINTER, "a pointer of git-annex": ANNEX, **PAGES}
in_place = pytest.mark.parametrize("content", IN_PLACE.values(), ids=IN_PLACE)


def expected(content):
    if content is POINTER:
        return "is a git-lfs pointer, not the file itself: `git lfs pull` fetches it"
    if content is ANNEX:
        return "is a git-annex pointer, not the file itself: `git annex get` fetches it"
    return "is an HTML or XML page, as a server sends where a download fails"


def picture(file):
    image = pytest.importorskip("PIL.Image")
    file.parent.mkdir(parents=True, exist_ok=True)
    image.new("RGB", (6, 6)).save(file, "png")
    return file


def images(folder):
    for split in ("train", "test"):
        picture(folder / split / "cat" / "0.png")
    return folder


def pooled(folder):
    for number in range(5):
        picture(folder / "cat" / f"{number}.png")
    return folder


def imagenet(folder):
    picture(folder / "val" / "a.JPEG")
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\na,n02000000\n")
    return folder


def mnist(folder, ending=""):
    pack = gzip.compress if ending else bytes
    for name, values in (("images-idx3", np.zeros((2, 28, 28), np.uint8)), ("labels-idx1", np.zeros(2, np.uint8))):
        content = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes()
        (folder / f"t10k-{name}-ubyte{ending}").write_bytes(pack(content))
    return folder


def cifar10(folder):
    (folder / "test_batch.bin").write_bytes(bytes(3073))
    (folder / "batches.meta.txt").write_text("airplane automobile bird cat deer dog frog horse ship truck")
    return folder


def har(folder):
    (folder / "test").mkdir()
    names = ("WALKING", "UP", "DOWN", "SITTING", "STANDING", "LAYING")
    (folder / "activity_labels.txt").write_text("".join(f"{row + 1} {name}\n" for row, name in enumerate(names)))
    (folder / "test" / "X_test.txt").write_text("0 " * 561 + "\n")
    (folder / "test" / "y_test.txt").write_text("1\n")
    return folder


def svhn(folder):
    from scipy.io import savemat

    savemat(folder / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 1), np.uint8), "y": np.ones((1, 1), np.uint8)})
    return folder


def parquet(folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    content = picture(folder / "0.png").read_bytes()
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array([{"bytes": content, "path": None}], kind), "label": [0]})
    pq.write_table(table, folder / "test.parquet")
    return folder


def csv(folder):
    (folder / "test.csv").write_text("a,b,label\n0,1,0\n")
    return folder / "test.csv"


def npz(folder):
    np.savez(folder / "test.npz", x=np.zeros((1, 2), np.float32), y=np.zeros(1, np.int64))
    return folder / "test.npz"


def saved(folder):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"x": [[0.0, 1.0]] * 5, "label": [0] * 5}).save_to_disk(str(folder / "saved"))
    return folder / "saved"


FILES = [
    ("images", images, "test/cat/0.png"),
    ("images", pooled, "cat/3.png"),
    ("imagenet", imagenet, "val/a.JPEG"),
    ("imagenet", imagenet, "LOC_val_solution.csv"),
    ("mnist", mnist, "t10k-images-idx3-ubyte"),
    ("mnist", mnist, "t10k-labels-idx1-ubyte"),
    ("fashion-mnist", lambda folder: mnist(folder, ".gz"), "t10k-images-idx3-ubyte.gz"),
    ("fashion-mnist", lambda folder: mnist(folder, ".gz"), "t10k-labels-idx1-ubyte.gz"),
    ("cifar10", cifar10, "test_batch.bin"),
    ("cifar10", cifar10, "batches.meta.txt"),
    ("cifar10", cifar10, "test_batch"),
    ("cifar10", cifar10, "cifar-10-python.tar.gz"),
    ("svhn", svhn, "test_32x32.mat"),
    ("har", har, "activity_labels.txt"),
    ("har", har, "test/X_test.txt"),
    ("har", har, "test/y_test.txt"),
    ("parquet", parquet, "test.parquet"),
    ("csv", csv, ""),
    ("npz", npz, ""),
    ("hf", saved, "data-00000-of-00001.arrow"),
    ("hf", saved, "state.json"),
]


def test_every_source_that_reads_files_is_here():
    # What `python` reads is the user's own code; `digits` comes with the package.
    assert {source for source, *_ in FILES} == set(SOURCES.names()) - {"python", "digits"}


@in_place
@pytest.mark.parametrize(("source", "make", "name"), FILES, ids=[f"{source}-{name}" for source, _, name in FILES])
def test_a_file_with_something_else_in_its_place(tmp_path, source, make, name, content):
    folder = make(tmp_path)
    assert len(open_data(source, folder, "test", {}).batch([0])) == 1, "the files are right before"
    if source == "cifar10" and not (folder / name).exists():
        # The other version, or the archive, is looked for where the binary one is not there.
        (folder / "test_batch.bin").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(DataError) as said:
        open_data(source, folder, "test", {}).batch([0])
    assert str(said.value).startswith(f"{folder / name} {expected(content)}")


@in_place
def test_a_row_with_something_else_in_the_place_of_its_image(tmp_path, content):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    good = picture(tmp_path / "0.png").read_bytes()
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = [{"bytes": each, "path": None} for each in (good, content)]
    pq.write_table(pa.table({"image": pa.array(images, kind), "label": [0, 0]}), tmp_path / "test.parquet")
    with pytest.raises(DataError) as said:
        open_data("parquet", tmp_path, "test", {})
    assert str(said.value).startswith(f"row 1 of {tmp_path / 'test.parquet'} {expected(content)}")


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@in_place
def test_a_member_of_an_archive_with_something_else_in_its_place(tmp_path, content):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive([("test_batch.bin", content)]))
    with pytest.raises(DataError) as said:
        open_data("cifar10", tmp_path, "test", {})
    assert str(said.value).startswith(f"test_batch.bin in {tmp_path / 'cifar-10-binary.tar.gz'} {expected(content)}")


def test_an_archive_that_holds_a_file_twice(tmp_path):
    members = [("test_batch.bin", bytes(3073)), ("test_batch.bin", bytes(2 * 3073))]
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive(members))
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz holds test_batch.bin twice, expected it once"):
        open_data("cifar10", tmp_path, "test", {})
