"""Which data sets a study takes."""

import pytest

from holdfast.cli.specs import open_data_spec
from holdfast.errors import UsageError
from holdfast.reproductions import find_study


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
    with pytest.raises(UsageError, match=rf"{name} is about .* inputs of shape \(1, 8, 8\) in \[0, 1\] and 10 classes"):
        find_study(name).kind_of(open_data_spec("digits", "test"))
