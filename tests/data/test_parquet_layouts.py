"""Which Parquet files are taken for which split, in the layouts that people publish, and what contradicts itself."""

import io
import json
import shutil

import pytest

from holdfast.data import open_data
from holdfast.errors import DataError

Image = pytest.importorskip("PIL.Image")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def png(seed):
    buffer = io.BytesIO()
    Image.new("RGB", (6, 6), (seed, seed, seed)).save(buffer, "png")
    return buffer.getvalue()


def write(file, seeds, names=None, labels=None, columns=("image", "label")):
    """A file whose images are grey, each of the brightness that is its seed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([{"bytes": png(seed), "path": None} for seed in seeds])
    table = pa.table({columns[0]: images, columns[1]: [0] * len(images) if labels is None else labels})
    if names is not None:
        features = {columns[1]: {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)
    return file


def opened(path, split="test"):
    return open_data("parquet", path, split, {})


def seeds(path, split="test"):
    data = opened(path, split)
    return [round(255 * float(example.x[0, 0, 0])) for example in data]


def note(data, words):
    found = [each for each in data.notes if words in each]
    assert len(found) == 1, data.notes
    return found[0]


LAYOUTS = {
    "shards": ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"),
    "shards with hashes": (
        "train-00000-of-00002-0123456789abcdef",
        "train-00001-of-00002-fedcba9876543210",
        "test-00000-of-00001-a09b74b3ef9c3b56",
    ),
    "data/": ("data/train-00000-of-00002", "data/train-00001-of-00002", "data/test-00000-of-00001"),
    "a configuration": (
        "plain_text/train-00000-of-00002",
        "plain_text/train-00001-of-00002",
        "plain_text/test-00000-of-00001",
    ),
    "converted": ("plain_text/train/0000", "plain_text/train/0001", "plain_text/test/0000"),
    "folders of splits": ("train/part-a", "train/part-b", "test/part-a"),
    "folders in data/": ("data/train/0000", "data/train/0001", "data/test/0000"),
    "a prefix": ("cifar10-train-00000-of-00002", "cifar10-train-00001-of-00002", "cifar10-test-00000-of-00001"),
    "whole words": ("my_train_a", "my_train_b", "my_test"),
    "valid": ("train-00000-of-00002", "train-00001-of-00002", "valid-00000-of-00001"),
    "val/": ("train/0000", "train/0001", "val/0000"),
    "dev": ("train-00000-of-00002", "train-00001-of-00002", "dev"),
    "capitals": ("Train-00000-of-00002", "Train-00001-of-00002", "Test"),
}


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_published_layouts(tmp_path, names):
    for number, name in enumerate(names):
        write(tmp_path / f"{name}.parquet", [10 * number, 10 * number + 1])
    assert seeds(tmp_path, "train") == [0, 1, 10, 11]
    assert seeds(tmp_path, "test") == [20, 21]
    assert not [each for each in opened(tmp_path).notes if "one distinct image in five" in each]


@pytest.mark.parametrize("name", ["plain_text/train", "plain_text/test", "plain_text/test/0000.parquet", "plain_text"])
def test_a_part_of_a_layout_gives_both_splits(tmp_path, name):
    write(tmp_path / "plain_text" / "train" / "0000.parquet", [1, 2])
    write(tmp_path / "plain_text" / "test" / "0000.parquet", [3, 4])
    assert seeds(tmp_path / name, "train") == [1, 2]
    assert seeds(tmp_path / name, "test") == [3, 4]


@pytest.mark.parametrize(
    ("file", "given"), [("train-00000-of-00001", "."), ("train/0000", "train"), ("train/0000", "train/0000.parquet")]
)
def test_training_images_alone_are_never_certified_as_test_images(tmp_path, file, given):
    write(tmp_path / f"{file}.parquet", range(10))
    assert seeds(tmp_path / given, "train") == list(range(10))
    with pytest.raises(DataError, match=r"has no test split: expected a file test-\*.parquet beside .*; add it"):
        opened(tmp_path / given)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_by_content_is_said(tmp_path, split):
    file = write(tmp_path / "mine.parquet", range(10))
    for path in (file, tmp_path):
        assert "one distinct image in five" in note(opened(path, split), f"{path} does not say")


def test_validation_in_the_place_of_test_is_said(tmp_path):
    write(tmp_path / "train.parquet", [1])
    write(tmp_path / "validation.parquet", [2])
    assert "(validation.parquet) is taken for the test split" in note(opened(tmp_path), "the validation split")
    write(tmp_path / "test.parquet", [3])
    assert seeds(tmp_path) == [3]
    assert "is left aside" in note(opened(tmp_path), "the validation split (validation.parquet)")


def test_files_that_are_left_out_are_said(tmp_path):
    write(tmp_path / "train.parquet", [1])
    write(tmp_path / "test.parquet", [2])
    write(tmp_path / "extra-00000-of-00001.parquet", [3])
    write(tmp_path / "old" / "test.parquet", [4])
    (tmp_path / "._test.parquet").write_bytes(b"no Parquet")
    data = opened(tmp_path)
    assert len(data) == 1
    assert "(extra-00000-of-00001.parquet)" in note(data, "1 file whose name is that of no split")
    assert str(tmp_path / "old" / "test.parquet") in note(data, "1 Parquet file in the folders within")
    assert str(tmp_path / "._test.parquet") in note(data, "1 hidden file")


MISSING = {
    "the second of two": (["test-00000-of-00002"], "1 shard of 2, without number 1"),
    "the first of two": (["test-00001-of-00002-abc123"], "1 shard of 2, without number 0"),
    "one of three": (["test-00000-of-00003", "test-00002-of-00003"], "2 shards of 3, without number 1"),
    "a gap": (["test/0000", "test/0002"], "2 shards of 3, without number 1"),
    "no split at all": (["mine-00000-of-00002"], "1 shard of 2, without number 1"),
}


@pytest.mark.parametrize(("names", "found"), MISSING.values(), ids=MISSING)
def test_missing_shards_are_refused(tmp_path, names, found):
    for number, name in enumerate(names):
        file = write(tmp_path / f"{name}.parquet", range(10 * number, 10 * number + 10))
    with pytest.raises(DataError, match=f"{found}, expected all; get the others too"):
        opened(tmp_path)
    if "-of-" in file.name:
        with pytest.raises(DataError, match=r"1 shard of \d, without number"):
            opened(file)


def test_one_of_several_numbered_files_is_refused(tmp_path):
    for number in range(2):
        file = write(tmp_path / "test" / f"000{number}.parquet", [number])
    with pytest.raises(DataError, match=r"0001.parquet is one of 2 files that are numbered, expected all; give their"):
        opened(file)
    assert seeds(tmp_path) == [0, 1]


def test_dates_and_years_are_no_numbers_of_shards(tmp_path):
    for number, name in enumerate(("2022", "2024", "20240131")):
        write(tmp_path / "test" / f"{name}.parquet", [number])
    assert seeds(tmp_path) == [0, 1, 2]


def test_a_huge_number_of_shards_takes_no_memory(tmp_path):
    write(tmp_path / "test-00000-of-9999999999.parquet", [0])
    with pytest.raises(DataError, match=r"1 shard of 9,999,999,999, without number 1, 2, 3 and 9,999,999,995 more"):
        opened(tmp_path)


def test_a_folder_called_by_a_split_is_that_split_and_said_to_be(tmp_path):
    write(tmp_path / "test" / "mine.parquet", range(10))
    assert seeds(tmp_path / "test") == list(range(10))
    note(opened(tmp_path / "test"), f"{tmp_path / 'test'} is called test, so all of its files are taken for the test")


def test_missing_shards_of_the_other_split_are_refused_too(tmp_path):
    write(tmp_path / "test-00000-of-00001.parquet", [1])
    write(tmp_path / "train-00000-of-00002.parquet", [2])
    with pytest.raises(DataError, match=r"train-00000-of-00002.parquet: 1 shard of 2, without number 1"):
        opened(tmp_path)


def test_a_shard_that_is_there_twice_is_refused(tmp_path):
    for name in ("test-00000-of-00002-aaa", "test-00000-of-00002-bbb", "test-00001-of-00002-aaa"):
        write(tmp_path / f"{name}.parquet", [len(name)])
    with pytest.raises(
        DataError, match=r"test-00000-of-00002-aaa.parquet, .*-bbb.parquet are the same shard, expected"
    ):
        opened(tmp_path)


@pytest.mark.parametrize("other", ["test", "test-00000-of-00002", "other-test-00000-of-00001"])
def test_two_ways_of_naming_one_split_are_refused(tmp_path, other):
    write(tmp_path / "test-00000-of-00001.parquet", [1])
    write(tmp_path / f"{other}.parquet", [2])
    with pytest.raises(DataError, match=r"are named for one split in different ways, expected shards of one name"):
        opened(tmp_path)


@pytest.mark.parametrize(("one", "other"), [("test", "test_copy"), ("train", "test"), ("a", "b")])
def test_the_same_file_twice_is_refused(tmp_path, one, other):
    write(tmp_path / f"{one}.parquet", range(10))
    shutil.copy(tmp_path / f"{one}.parquet", tmp_path / f"{other}.parquet")
    with pytest.raises(DataError, match=r".parquet has the same content as .*.parquet, expected each image once"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "names", [("a/test", "b/test"), ("a/train", "b/test"), ("a/one", "b/two"), ("test/0", "data/test")]
)
def test_several_data_sets_in_one_folder_are_refused(tmp_path, names):
    for number, name in enumerate(names):
        write(tmp_path / f"{name}.parquet", range(10 * number, 10 * number + 10))
    with pytest.raises(DataError, match=r"which may be several data sets, expected those of one; give one of these"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["train-test", "train/test-00000-of-00001", "validation/test"])
def test_a_file_called_by_two_splits_is_refused(tmp_path, name):
    write(tmp_path / f"{name}.parquet", range(10))
    with pytest.raises(DataError, match=r"is called by the splits \w+ and \w+, expected one; rename it or its folder"):
        opened(tmp_path)


@pytest.mark.parametrize("given", [".", "partial-train", "partial-train/0000.parquet"])
def test_the_first_part_of_a_converted_split_is_refused(tmp_path, given):
    write(tmp_path / "partial-train" / "0000.parquet", range(10))
    with pytest.raises(DataError, match=r"lies in a folder called partial-..., the first part of a split"):
        opened(tmp_path / given)


def test_class_names_in_another_order_are_refused(tmp_path):
    write(tmp_path / "train.parquet", [1], names=["cat", "dog"])
    write(tmp_path / "test.parquet", [2], names=["dog", "cat"])
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"the label 0 is 'cat' in .*train.parquet .* and 'dog' in .*test.parquet"):
            opened(tmp_path, split)


def test_more_class_names_are_refused(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", [1], names=["cat", "dog"])
    write(tmp_path / "train-00001-of-00002.parquet", [2], names=["cat", "dog", "eel"])
    with pytest.raises(
        DataError, match=r"the label 2 is no class in .* \(2 class names\) and 'eel' in .*-00001-of-00002"
    ):
        opened(tmp_path, "train")


def test_files_without_class_names_beside_others_are_said(tmp_path):
    write(tmp_path / "train.parquet", [1], names=["cat", "dog"])
    write(tmp_path / "test.parquet", [2])
    data = opened(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert f"as those of {tmp_path / 'train.parquet'}" in note(data, f"labels of {tmp_path / 'test.parquet'}, without")


@pytest.mark.parametrize("columns", [("img", "label"), ("image", "labels")])
def test_files_of_other_columns_are_refused(tmp_path, columns):
    write(tmp_path / "train.parquet", [1])
    write(tmp_path / "test.parquet", [2], columns=columns)
    with pytest.raises(
        DataError, match=r"train.parquet has the columns image and label, .*test.parquet .*, expected the"
    ):
        opened(tmp_path)


def test_two_columns_that_fit_are_refused(tmp_path):
    images = pa.array([{"bytes": png(1), "path": None}])
    pq.write_table(pa.table({"image": images, "label": [0], "labels": [1]}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"has the columns label and labels, which both fit, expected one of them"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "labels", [[0.0], [2.5], [float("nan")], [True], ["0"]], ids=["whole", "fraction", "nan", "bool", "text"]
)
def test_labels_that_are_no_integers_are_refused(tmp_path, labels):
    write(tmp_path / "test.parquet", [1], labels=labels)
    with pytest.raises(DataError, match=r"expected a column label or labels \(integer\)"):
        opened(tmp_path)


def test_a_label_beyond_64_bits_is_refused(tmp_path):
    write(tmp_path / "test.parquet", [1], labels=pa.array([2**64 - 1], pa.uint64()))
    with pytest.raises(DataError, match="has the label 18446744073709551615 in 'label', expected a class index"):
        opened(tmp_path)


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "test.parquet").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"test.parquet cannot be read"):
        opened(tmp_path)
