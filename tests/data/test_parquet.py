import io
import json
import pickle
import re
import sys

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.errors import DataError, MissingExtraError

Image = pytest.importorskip("PIL.Image")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TRAIN, TEST, VALIDATION = (f"{name}-00000-of-00001.parquet" for name in ("train", "test", "validation"))


def png(seed, height=6, width=6):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "png")
    return buffer.getvalue()


def write(file, seeds=range(10), labels=None, image="image", label="label", names=None, metadata=None, images=None):
    images = [{"bytes": png(seed), "path": f"{seed}.png"} for seed in seeds] if images is None else images
    labels = [row % 2 for row in range(len(images))] if labels is None else labels
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({image: pa.array(images, kind), label: labels})
    if names is not None:
        metadata = json.dumps({"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}})
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, file, row_group_size=4)
    return file


def opened(path, split="train", **options):
    return open_data("parquet", path, split, options)


def decoded(seed):
    return np.asarray(Image.open(io.BytesIO(png(seed)))).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def seeds_of(data, among=range(100)):
    known = {decoded(seed).tobytes(): seed for seed in among}
    return [known[example.x.tobytes()] for example in data]


def test_a_folder_with_both_splits(tmp_path):
    write(tmp_path / "train-00001-of-00002.parquet", range(10, 13))
    write(tmp_path / "train-00000-of-00002.parquet", range(10))
    write(tmp_path / TEST, range(20, 24), labels=[3, 2, 1, 0])
    write(tmp_path / VALIDATION, range(30, 34))
    train, test = opened(tmp_path), opened(tmp_path, "test")
    assert seeds_of(train) == list(range(13))
    assert train.labels.tolist() == [0, 1] * 5 + [0, 1, 0]
    assert seeds_of(test) == [20, 21, 22, 23]
    assert train.class_names == test.class_names == ("0", "1", "2", "3")
    assert train.shape == (3, 6, 6)


@pytest.mark.parametrize(("given", "train", "test"), [(TRAIN, 0, 20), (TEST, 0, 20), (VALIDATION, 0, 40)])
def test_a_file_is_one_split_and_its_neighbours_the_other(tmp_path, given, train, test):
    for name, first in ((TRAIN, 0), (TEST, 20), (VALIDATION, 40)):
        write(tmp_path / name, [first])
    assert seeds_of(opened(tmp_path / given))[0] == train
    assert seeds_of(opened(tmp_path / given, "test")) == [test]


def test_validation_stands_in_for_test(tmp_path):
    write(tmp_path / TRAIN, range(4))
    write(tmp_path / VALIDATION, range(10, 14))
    for path in (tmp_path, tmp_path / TRAIN):
        assert seeds_of(opened(path, "test")) == [10, 11, 12, 13]


@pytest.mark.parametrize("name", ["anything.parquet", "mine-0.parquet"])
def test_what_has_no_splits_is_split(tmp_path, name):
    write(tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        train, test = seeds_of(opened(path)), seeds_of(opened(path, "test"))
        assert (len(train), len(test)) == (8, 2)
        assert sorted(train + test) == list(range(10))


@pytest.mark.parametrize(("name", "there", "absent"), [(VALIDATION, "test", "train"), (TRAIN, "train", "test")])
def test_a_named_split_is_whole_and_the_other_is_missed(tmp_path, name, there, absent):
    write(tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        assert seeds_of(opened(path, there)) == list(range(10))
        with pytest.raises(DataError, match=rf"no {absent} split: expected a file {absent}-\*.parquet beside {name}"):
            opened(path, absent)


def test_a_file_of_another_name_stands_alone(tmp_path):
    write(tmp_path / TRAIN, range(20, 30))
    write(tmp_path / TEST, range(30, 40))
    write(tmp_path / "mine.parquet")
    both = seeds_of(opened(tmp_path / "mine.parquet")) + seeds_of(opened(tmp_path / "mine.parquet", "test"))
    assert sorted(both) == list(range(10))


def test_the_split_does_not_depend_on_order(tmp_path):
    write(tmp_path / "a.parquet", range(20))
    write(tmp_path / "b.parquet", range(19, -1, -1), labels=[(row + 1) % 2 for row in range(20)])
    chosen = [set(seeds_of(opened(tmp_path / name, "test"))) for name in ("a.parquet", "b.parquet")]
    assert chosen[0] == chosen[1]


def test_column_names_and_class_names(tmp_path):
    write(tmp_path / "a.parquet", image="img", label="labels", names=["cat", "dog", "eel"])
    assert opened(tmp_path).class_names == ("cat", "dog", "eel")
    assert opened(tmp_path).labels.tolist() == opened(tmp_path / "a.parquet").labels.tolist()


@pytest.mark.parametrize(
    "metadata", ["{}", '{"info": {"features": {"label": {"dtype": "int64", "_type": "Value"}}}}', '{"info": {}}']
)
def test_metadata_without_class_names(tmp_path, metadata):
    write(tmp_path / "a.parquet", metadata=metadata)
    assert opened(tmp_path).class_names == ("0", "1")


@pytest.mark.parametrize("metadata", ["no JSON", "[]", '{"info": {"features": {"label": {"_type": "ClassLabel"}}}}'])
def test_metadata_that_cannot_be_read(tmp_path, metadata):
    write(tmp_path / "a.parquet", metadata=metadata)
    with pytest.raises(DataError, match=r"a.parquet has metadata under 'huggingface' that cannot be read .* expected"):
        opened(tmp_path)


def test_a_label_beyond_the_class_names(tmp_path):
    write(tmp_path / "a.parquet", names=["only"])
    with pytest.raises(DataError, match=r"go from 0 to 1, expected 0 to 0 \(1 class names\)"):
        opened(tmp_path)


def test_the_hash_is_of_the_content(tmp_path):
    write(tmp_path / "a.parquet")
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "b.parquet", image="img", names=["cat", "dog"])
    assert opened(tmp_path / "a.parquet").sha256 == opened(tmp_path / "folder").sha256
    assert opened(tmp_path / "a.parquet").sha256 != opened(tmp_path / "a.parquet", mode="grey").sha256


def test_size_and_mode(tmp_path):
    images = [{"bytes": png(seed, 6 + seed, 9), "path": None} for seed in range(10)]
    write(tmp_path / "a.parquet", images=images)
    with pytest.raises(DataError, match=r"images differ in size: row \d of .*a.parquet is 9 x \d"):
        opened(tmp_path)
    assert opened(tmp_path, size="4", mode="grey").batch(range(8)).shape == (8, 1, 4, 4)


def test_an_image_that_cannot_be_decoded(tmp_path):
    images = [{"bytes": png(seed), "path": None} for seed in range(4)]
    images[2] = {"bytes": b"no image", "path": None}
    write(tmp_path / TRAIN, images=images)
    write(tmp_path / TEST)
    with pytest.raises(DataError, match=r"row 2 of .*train-00000-of-00001.parquet cannot be decoded"):
        opened(tmp_path)


@pytest.mark.parametrize("images", [[None], [{"bytes": None, "path": "a.png"}]])
def test_rows_without_bytes(tmp_path, images):
    write(tmp_path / "a.parquet", images=images)
    with pytest.raises(DataError, match=r"rows without image bytes in 'image', expected them in every row; save the"):
        opened(tmp_path)


def test_rows_without_label(tmp_path):
    write(tmp_path / "a.parquet", range(2), labels=[None, 1])
    with pytest.raises(DataError, match="lacks 1 values in 'label', expected a label in each row"):
        opened(tmp_path)


def test_hidden_labels(tmp_path):
    write(tmp_path / "a.parquet", range(2), labels=[-1, -1])
    with pytest.raises(DataError, match=r"has the label -1 in 'label', expected 0 or more; a negative label stands"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("table", "found", "expected"),
    [
        ({"picture": [b"x"], "label": [1]}, "picture (binary), label (int64)", "image or img (struct"),
        ({"image": [b"x"], "label": [1]}, "image (binary), label (int64)", "image or img (struct"),
        ({"img": [{"path": "x"}], "label": [1]}, "label (int64)", "image or img (struct"),
        ({"img": [{"bytes": b"x"}], "labels": ["cat"]}, "labels (string)", "label or labels (integer)"),
        ({"img": [{"bytes": b"x"}]}, "img (struct<bytes: binary>)", "label or labels (integer)"),
        ({}, "has the columns none", "image or img (struct"),
    ],
)
def test_columns_of_another_layout(tmp_path, table, found, expected):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=re.escape(found) + ".*; expected a column " + re.escape(expected)):
        opened(tmp_path)


def test_files_that_are_corrupt(tmp_path):
    file = write(tmp_path / "a.parquet")
    whole = file.read_bytes()
    spoilt = bytearray(whole)
    spoilt[4:60] = b"\xff" * 56
    for content in (b"", b"no parquet", whole[:-20], bytes(spoilt)):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"a.parquet cannot be read, expected a complete Parquet file .*get it"):
            opened(tmp_path)


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"no file or folder .*none; expected a Parquet file or a folder"):
        opened(tmp_path / "none")


def test_folder_without_files(tmp_path):
    with pytest.raises(DataError, match=r"has no files ending in .parquet; give the folder they lie in, or one file"):
        opened(tmp_path)


def test_no_rows(tmp_path):
    write(tmp_path / TRAIN, [], labels=pa.array([], pa.int64()))
    write(tmp_path / TEST)
    with pytest.raises(DataError, match="parquet: the train split has no images, expected at least one; check where"):
        opened(tmp_path)
    assert len(opened(tmp_path, "test")) == 10


@pytest.mark.parametrize(("module", "extra"), [("pyarrow.parquet", "parquet"), ("PIL.Image", "images")])
def test_without_the_packages(tmp_path, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"which is not installed. .*'holdfast-robustness\[{extra}\]'"):
        opened(write(tmp_path / "a.parquet"))


def test_can_be_sent_to_another_process(tmp_path):
    data = opened(write(tmp_path / "a.parquet"))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).batch([3]), data.batch([3]))


def test_cifar10(data_folder):
    test = opened(data_folder / "cifar10" / TEST, "test")
    assert (len(test), test.shape) == (10_000, (3, 32, 32))
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.class_names == tuple("0123456789")
    # These are JPEG copies; their means are those of the originals.
    np.testing.assert_allclose(test.batch(range(2000)).mean(axis=(0, 2, 3)), [0.494, 0.485, 0.450], atol=0.02)
    train = opened(data_folder / "cifar10" / TEST, "train")
    assert np.bincount(train.labels).tolist() == [5000] * 10


def test_imagenet_sample(data_folder):
    test = opened(data_folder / "imagenet-sample", "test", size="224")
    assert len(test) == 200
    assert test.shape == (3, 224, 224)
    assert test.batch([0, 1]).shape == (2, 3, 224, 224)
    with pytest.raises(DataError, match="images differ in size"):
        opened(data_folder / "imagenet-sample", "test")
