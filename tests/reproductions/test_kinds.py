"""Which data sets a study takes."""

import numpy as np
import pytest

from holdfast.data.base import DataSet
from holdfast.errors import UsageError
from holdfast.reproductions import find_study
from holdfast.workflows.specs import open_data_spec


@pytest.mark.parametrize(
    ("name", "spec", "kind"),
    [
        ("levine-mnist", "mnist:{}/mnist", "mnist"),
        ("levine-lee", "mnist:{}/mnist,levels=2", "mnist"),
        ("cohen-cifar10", "parquet:{}/cifar10", "cifar10"),
        ("cohen-predict", "parquet:{}/cifar10", "cifar10"),
        ("cohen-predict", "parquet:{}/imagenet-sample,size=224", "imagenet"),
    ],
)
def test_real_data_are_recognized(data_folder, name, spec, kind):
    assert find_study(name).kind_of(open_data_spec(spec.format(data_folder), "test")) == kind


@pytest.mark.parametrize("name", ["levine-mnist", "cohen-imagenet", "cohen-train-noise"])
def test_other_data_are_refused(name):
    with pytest.raises(
        UsageError, match=rf"{name} needs .* 'digits', with inputs of shape \(1, 8, 8\) in \[0, 1\] and 10 classes"
    ):
        find_study(name).kind_of(open_data_spec("digits", "test"))


def made(source, shape, classes, bounds=None):
    """Two examples that say they are of this source."""
    kind = np.uint8 if bounds is None else np.float32
    names = [f"class {label}" for label in range(classes)]
    values = np.zeros((2, *shape), dtype=kind)
    return DataSet.in_memory(
        source=source, split="test", class_names=names, labels=np.arange(2), values=values, bounds=bounds
    )


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("szegedy-transfer", made("mnist", (1, 28, 28), 10), "mnist"),
        ("levine-lee", made("mnist-binary", (1, 28, 28), 10), "mnist"),
        ("wong-kolter", made("mnist", (1, 28, 28), 10), "mnist"),
        ("wong-kolter", made("fashion-mnist", (1, 28, 28), 10), "fashion-mnist"),
        ("wong-kolter", made("svhn", (3, 32, 32), 10), "svhn"),
        ("cohen-lipschitz", made("svhn", (3, 32, 32), 10), "svhn"),
        ("cohen-lipschitz", made("mnist", (1, 28, 28), 10), "mnist"),
        ("wong-kolter", made("har", (561,), 6, (-1.0, 1.0)), "har"),
        ("athalye", made("cifar10", (3, 32, 32), 10), "cifar10"),
        ("athalye", made("parquet", (3, 32, 32), 10), "cifar10"),
        ("cohen-predict", made("images", (3, 224, 224), 20), "imagenet"),
        ("cohen-predict", made("imagenet", (3, 64, 64), 1000), "imagenet"),
    ],
)
def test_a_source_gives_its_kind(name, data, kind):
    assert find_study(name).kind_of(data) == kind


@pytest.mark.parametrize(
    ("name", "source", "shape"),
    [
        ("szegedy-transfer", "fashion-mnist", (1, 28, 28)),
        ("levine-mnist", "parquet", (1, 28, 28)),
        ("cohen-cifar10", "svhn", (3, 32, 32)),
        ("athalye", "svhn", (3, 32, 32)),
        ("cohen-imagenet", "cifar10", (3, 64, 64)),
    ],
)
def test_another_source_of_the_same_shape_is_refused(name, source, shape):
    with pytest.raises(
        UsageError, match=f"{name} needs .*; the data given are from the source '{source}', with inputs"
    ):
        find_study(name).kind_of(made(source, shape, 10))
