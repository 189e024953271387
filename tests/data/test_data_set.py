import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import DataSet, open_data, source, source_names
from holdfast.errors import DataError, UsageError


def small(values=None, labels=(0, 1, 1), names=("a", "b"), **settings):
    values = np.arange(3 * 2 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2, 2) * 10 if values is None else values
    return DataSet.in_memory(
        source="small", split="train", class_names=names, labels=np.array(labels), values=values, **settings
    )


def nothing(indices):
    raise AssertionError("not to be called")


def test_examples_are_float32_between_zero_and_one():
    data = small()
    example = data[2]
    assert (example.index, example.label) == (2, 1)
    assert example.x.dtype == np.float32
    assert example.x.shape == data.shape == (2, 2, 2)
    np.testing.assert_array_equal(example.x.ravel(), (np.arange(16, 24) * 10 / 255).astype(np.float32))
    assert (data.low, data.high) == (0.0, 1.0)
    assert [each.index for each in data] == [0, 1, 2]
    assert repr(data) == "DataSet('small', 'train', 3 examples of shape (2, 2, 2))"


def test_batch_takes_any_order_and_repeats():
    data = small()
    batch = data.batch([2, 0, 2])
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, np.stack([data[2].x, data[0].x, data[2].x]))
    assert data.batch([]).shape == (0, 2, 2, 2)
    assert data.batch(range(3)).shape == (3, 2, 2, 2)


def test_every_eight_bit_value_keeps_its_order_and_the_ends_are_exact():
    levels = np.arange(256, dtype=np.uint8).reshape(256, 1)
    x = small(levels, labels=[0] * 256).batch(range(256)).ravel()
    assert x[0] == 0.0
    assert x[255] == 1.0
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(np.rint(x * 255).astype(np.uint8), levels.ravel())


@pytest.mark.parametrize("index", [-1, 3, np.int64(7)])
def test_index_outside_the_split(index):
    with pytest.raises(UsageError, match=r"index -?\d is not in the train split of small: it has 3 examples, 0 to 2"):
        small()[index]


@pytest.mark.parametrize("indices", [[0.0, 1.0], [[0, 1]], np.array([True, False, True]), 1])
def test_indices_of_a_wrong_kind(indices):
    with pytest.raises(UsageError, match="indices are a sequence of integers, got"):
        small().batch(indices)


def test_channel_statistics_of_images():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (50, 3, 4, 4), dtype=np.uint8)
    data = small(values, labels=[0] * 50)
    mean, deviation = data.channel_statistics()
    x = values.astype(np.float64) / 255
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(deviation, x.std(axis=(0, 2, 3)), rtol=1e-6)
    assert all(type(number) is float for number in mean + deviation)


def test_channel_statistics_in_several_steps(monkeypatch):
    values = np.random.default_rng(2).integers(0, 256, (11, 3, 2, 2), dtype=np.uint8)
    data = small(values, labels=[0] * 11)
    whole = data.channel_statistics()
    monkeypatch.setattr("holdfast.data.base._VALUES_AT_ONCE", 40)
    assert data.channel_statistics() == whole


def test_channel_statistics_of_features_are_one_value():
    values = np.array([[0, 255], [255, 0], [0, 255]], dtype=np.uint8)
    assert small(values).channel_statistics() == ((0.5,), (0.5,))


def test_hash_depends_on_content_and_on_nothing_else():
    base = small()
    values = np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2) * 10
    assert base.sha256 == small(values.copy()).sha256
    assert base.sha256 == small(names=("x", "y")).sha256
    assert len(base.sha256) == 64
    changed = values.copy()
    changed[1, 1, 1, 1] += 1
    others = [
        small(changed),
        small(labels=(0, 0, 1)),
        small(values[[1, 0, 2]], labels=(1, 0, 1)),
        small(values.reshape(3, 8)),
        small(values[:2], labels=(0, 1)),
        small(values, peak=250),
    ]
    assert len({base.sha256, *(other.sha256 for other in others)}) == 1 + len(others)


def test_a_data_set_can_be_sent_to_another_process():
    data = small()
    copy = pickle.loads(pickle.dumps(data))
    assert copy.sha256 == data.sha256
    np.testing.assert_array_equal(copy.batch([1]), data.batch([1]))


def test_labels_cannot_be_changed():
    data = small()
    assert data.labels.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1


def test_values_of_a_wrong_type():
    with pytest.raises(DataError, match=r"small: values are float64, expected uint8; scale them to 0\.\.255 first"):
        small(np.zeros((3, 4)))


def test_values_and_labels_of_different_length():
    with pytest.raises(DataError, match="small: 3 inputs and 2 labels, expected as many of each"):
        small(labels=(0, 1))


def test_values_above_the_peak():
    with pytest.raises(DataError, match="small: the largest value is 230, expected at most 16; set peak"):
        small(peak=16)


def numbers(values, bounds=(-1.0, 1.0), **settings):
    return small(np.array(values, dtype=np.float32), labels=[0] * len(values), bounds=bounds, **settings)


def test_numbers_are_given_out_as_they_are():
    data = numbers([[-1.0, 0.25], [1.0, -0.125]])
    assert (data.low, data.high) == (-1.0, 1.0)
    assert data[0].x.dtype == np.float32
    assert data.batch([1, 0]).tolist() == [[1.0, -0.125], [-1.0, 0.25]]
    mean, deviation = data.channel_statistics()
    np.testing.assert_allclose(mean, 0.03125)
    np.testing.assert_allclose(deviation, np.std([-1.0, 0.25, 1.0, -0.125]))


def test_the_hash_of_numbers_is_of_their_bytes_and_range():
    data = numbers([[0.0, 1.0]])
    assert data.sha256 == numbers(np.asfortranarray([[0.0, 1.0]])).sha256
    # Manifests of runs hold this hash: it must never change.
    assert data.sha256 == "4c7a0760e3c0326f92484eb5b345e5b75cb4d4bec7b4c6f201ba293282d399dd"
    others = {numbers([[0.0, 0.5]]).sha256, numbers([[0.0, 1.0]], bounds=(0.0, 1.0)).sha256}
    assert len(others | {data.sha256}) == 3


@pytest.mark.parametrize("value", [-1.01, 1.01, np.nan, np.inf])
def test_numbers_out_of_range(value):
    with pytest.raises(DataError, match=r"small: values go from .* to .*, expected \[-1, 1\]; get the files again"):
        numbers([[0.5, value]])


def test_numbers_of_a_wrong_type():
    with pytest.raises(DataError, match="small: values are uint8, expected float32; convert them first"):
        small(np.zeros((3, 4), dtype=np.uint8), bounds=(0.0, 1.0))


def test_notes_are_kept_and_not_hashed():
    assert small(notes=["not as published"]).notes == ("not as published",)
    assert small().notes == ()
    assert small(notes=["not as published"]).sha256 == small().sha256


def test_no_examples():
    with pytest.raises(DataError, match=r"small: the train split has labels of shape \(0,\), expected \(len,\)"):
        small(np.zeros((0, 4), dtype=np.uint8), labels=())


@pytest.mark.parametrize("labels", [(0, 1, 2), (-1, 0, 1)])
def test_label_without_class_name(labels):
    expected = f"labels of the train split go from {min(labels)} to {max(labels)}, expected 0 to 1"
    with pytest.raises(DataError, match=expected):
        small(labels=labels)


@pytest.mark.parametrize("shape", [(2, 0), (0,), (1, 1, 1, 1, 1)])
def test_shape_of_no_form(shape):
    with pytest.raises(DataError, match=r"expected \(features,\), \(channels, time\), \(channels, height, width\) or "):
        small(np.zeros((3, *shape), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_shapes_with_channels_first(shape):
    values = np.random.default_rng(3).random((3, *shape)).astype(np.float32)
    data = small(values, bounds=(0.0, 1.0))
    assert data.shape == data[1].x.shape == shape
    axes = (0, *range(2, values.ndim)) if len(shape) > 1 else (0, 1)
    np.testing.assert_allclose(data.channel_statistics()[0], np.atleast_1d(values.mean(axis=axes)), rtol=1e-5)


def test_sources_are_found():
    known = "cifar10 csv digits fashion-mnist har hf imagenet images mnist npz parquet python svhn"
    assert source_names() == known.split()


def test_unknown_source():
    with pytest.raises(
        UsageError, match="unknown data source 'cifar'; known are cifar10, csv, digits, fashion-mnist, har, "
    ):
        open_data("cifar", None, "test", {})


def test_unknown_split():
    with pytest.raises(UsageError, match="unknown split 'dev' of digits; known are train, test"):
        open_data("digits", None, "dev", {})


def test_path_missing():
    with pytest.raises(UsageError, match="data source 'mnist' needs a path, got none; write mnist:DIR"):
        open_data("mnist", None, "test", {})


def test_path_where_none_is_taken(tmp_path):
    with pytest.raises(UsageError, match=r"'digits' comes with the package and takes no path, got '.*'; write digits"):
        open_data("digits", tmp_path, "test", {})


@pytest.mark.parametrize(
    ("name", "path", "known"),
    [("digits", None, "classes, split"), ("images", Path("anywhere"), "size, crop, mode, classes, split")],
)
def test_unknown_option(name, path, known):
    with pytest.raises(UsageError, match=f"data source '{name}' has no option 'colour'; it takes {known}"):
        open_data(name, path, "test", {"colour": "red"})


def test_a_name_is_given_once():
    with pytest.raises(TypeError, match="two data sources are named 'digits'"):
        source("digits")(nothing)


def test_data_does_not_import_torch():
    code = "import sys, holdfast.data as d; d.open_data('digits', None, 'test', {}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_part_is_each_so_and_so_many_th_example():
    data = small(labels=(0, 1, 0))
    part = data.part(2)
    assert (len(part), part.labels.tolist()) == (2, [0, 0])
    np.testing.assert_array_equal(part.batch([0, 1]), data.batch([0, 2]))
    expected = small(np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2)[::2] * 10, labels=(0, 0))
    assert part.sha256 == expected.sha256
    assert part.channel_statistics() == expected.channel_statistics()
    assert pickle.loads(pickle.dumps(part)).sha256 == part.sha256
    assert data.part(1) is data
    with pytest.raises(UsageError, match="from 1 on, got 0"):
        data.part(0)


def test_a_part_keeps_the_scale():
    data = small(peak=250)
    assert data.part(2).batch([0]).max() == np.float32(70 / 250)
    numbers = small(np.linspace(-2, 2, 24, dtype=np.float32).reshape(3, 2, 2, 2), bounds=(-2.0, 2.0))
    assert (numbers.part(2).low, numbers.part(2).high) == (-2.0, 2.0)
    np.testing.assert_array_equal(numbers.part(2)[1].x, numbers[2].x)
