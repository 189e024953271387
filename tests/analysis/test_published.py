from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import ABLATION, CIFAR10, GAUSSIAN, data, imported, manifest

from holdfast.analysis.published import at_radius, comparable, curve, figure
from holdfast.analysis.runs import CertifiedRun, analyze
from holdfast.store.logs import read_log
from holdfast.store.run import Run
from holdfast.store.run_manifest import RunManifest

CIFAR = data(10000, source="parquet", shape=(3, 32, 32), class_names=CIFAR10)
MNIST = data(10000, source="mnist", shape=(1, 28, 28))


def of(promise: RunManifest) -> CertifiedRun:
    """A run without records."""
    return analyze(Run(Path("run"), promise, (), ()))


def test_cohen_at_sigma_025_on_cifar10():
    figures = comparable(of(manifest(CIFAR, GAUSSIAN)))
    assert [(figure.radius, figure.share) for figure in figures[:4]] == [
        (0.0, 0.77),
        (0.25, 0.61),
        (0.5, 0.42),
        (0.75, 0.25),
    ]
    assert {figure.share for figure in figures[4:]} == {0.0}
    assert figures[0].cite == "Cohen, Rosenfeld & Kolter 2019, Table 3"


def test_levine_at_k_45_on_mnist_once_although_printed_twice():
    figures = comparable(of(manifest(MNIST, ABLATION)))
    assert [(figure.metric, figure.value) for figure in figures] == [
        ("classification accuracy", 96.72),
        ("abstained", 0.45),
        ("median certified robustness", 8.0),
    ]
    assert figures[0].table == "Table 1"
    assert {figure.param for figure in figures} == {"k=45;null=multichannel;N0=1000;N=10000;alpha=0.05"}
    assert figures[0].share == pytest.approx(0.9672)
    assert figures[2].share is None
    assert figures[2].radius is None


def test_the_encoding_of_null_counts():
    mean = {"name": "ablation", "k": 45, "null": "mean", "fill": [0.13]}
    assert [figure.value for figure in comparable(of(manifest(MNIST, mean)))] == [96.27, 0.43, 7.0]


def test_a_median_that_the_paper_prints_as_not_available():
    (*_, median) = comparable(of(manifest(MNIST, {**ABLATION, "k": 5})))
    assert (median.metric, median.value, median.share) == ("median certified robustness", None, None)


def test_imagenet_and_imported_logs(tmp_path):
    promise = data(50000, source="imagenet", shape=(3, 224, 224))
    assert [figure.share for figure in comparable(of(manifest(promise, {"name": "gaussian", "sigma": 0.5})))][:4] == [
        0.57,
        0.46,
        0.37,
        0.29,
    ]
    bare = replace(imported(tmp_path / "log").manifest, data=data(10000, source="cifar10", shape=(1,)))
    assert len(comparable(of(bare))) == 7


@pytest.mark.parametrize(
    ("promise", "noise"),
    [
        (data(899), GAUSSIAN),
        (replace(CIFAR, split="train"), GAUSSIAN),
        (replace(CIFAR, high=255.0), GAUSSIAN),
        (replace(MNIST, shape=(1, 14, 14)), ABLATION),
        (CIFAR, {"name": "gaussian", "sigma": 0.3}),
        (MNIST, {**ABLATION, "k": 46}),
        (MNIST, GAUSSIAN),
    ],
)
def test_nothing_to_compare_with(promise, noise):
    assert comparable(of(manifest(promise, noise))) == []


def test_other_noises_have_no_published_figures():
    assert comparable(of(manifest(MNIST, {"name": "laplace", "b": 0.1}, guarantee="dwork"))) == []


@pytest.mark.parametrize(
    ("wanted", "settings", "value"),
    [
        (("Levine", "Table 1", "classification accuracy"), {"k": 100}, 98.75),
        (("Levine", "Table 3", "median certified robustness"), {"k": 75}, 7.0),
        (("Levine", "Table 4", "test accuracy on ablated images"), {"k": 75}, 74.08),
        (("Levine", "Table 5", "training accuracy on ablated images"), {"k": 25}, 83.89),
        (("Levine", "Table 6", "median certified robustness"), {"k": 1000}, 16.0),
        (("Levine", "Table 7", "median certified robustness", "MNIST"), {"method": "Lee et al. 2019"}, 4.0),
        (("Levine", "Table 8", "abstained", "CIFAR-10"), {"k": 75, "null": "mean"}, 1.05),
        (("Levine", "Eq. 21", "mutual information"), {}, 50590.4),
        (("Levine", "Results", "mean adversarial attack magnitude", "MNIST"), {}, 8.5),
        (("Levine", "Results", "mean adversarial attack magnitude", "CIFAR-10"), {}, 5.9),
        (("Levine", "Table 3", "classification accuracy without noise"), {}, 93.02),
        (("Levine", "Table 6", "classification accuracy without noise"), {}, 76.15),
        (("Levine", "Results", "median certified robustness among certified images"), {"k": 500}, 63.0),
        (("Levine", "Results", "median certified robustness among certified images"), {"k": 1000}, 33.0),
        (("Levine", "Results", "median certified robustness among certified images"), {"k": 2000}, 16.0),
        (("Levine", "Results", "certified for the correct class"), {"k": 1000}, 61.0),
        (("Cohen", "Table 1", "best sigma"), {"radius": 2}, 0.5),
        (("Cohen", "Table 1", "certified accuracy"), {"radius": 1.0}, 37.0),
        (("Cohen", "Table 1", "standard accuracy"), {"radius": 3.0}, 44.0),
        (("Hajri", "Table 1 of Cohen et al. 2019", "standard accuracy"), {"radius": 0.5}, 67.0),
        (("Cohen", "Sec. 4", "seconds per image", "ImageNet"), {"method": "Predict"}, 0.15),
        (("Cohen", "Sec. 4", "seconds per image", "CIFAR-10"), {"method": "Certify"}, 15.0),
        (("Cohen", "Table 2", at_radius(3.0)), {"sigma": 1.0}, 0.12),
        (("Cohen", "Table 3", at_radius(0.25)), {"sigma": 0.12}, 0.6),
        (("Cohen", "Table 4", "abstain"), {"n": 1000}, 0.04),
    ],
)
def test_single_figures_by_their_setting(wanted, settings, value):
    assert figure(*wanted, **settings).value == value


def test_a_figure_that_is_not_printed_and_one_that_is_not_alone():
    with pytest.raises(KeyError, match="0 figures of Levine, Table 1"):
        figure("Levine", "Table 1", "abstained", k=7)
    with pytest.raises(KeyError, match="20 figures"):
        figure("Levine", "Table 1", "abstained")


@pytest.mark.parametrize("sigma", ["0.25", "0.50"])
def test_the_curves_are_those_of_the_published_logs(data_folder, sigma):
    claims = read_log(data_folder / "cohen-logs" / f"cifar10_resnet110_sigma_{sigma}.tsv").claims
    points = curve(float(sigma))
    assert len(points) >= 20
    for point in points:
        hits = sum(each.predicted == each.label and each.radius >= point.radius for each in claims)
        assert point.share == pytest.approx(hits / len(claims), abs=1e-9)


def test_no_log_was_published_for_other_sigmas():
    assert curve(0.12) == []
