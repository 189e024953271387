import json
import math
import sys

import pytest
from synthetic_runs import ABLATION, CIFAR10, GAUSSIAN, four, imported, manifest, many, write_run
from synthetic_runs import data as promise_data

from holdfast.analysis import charts, plots
from holdfast.analysis.accuracy import certified_accuracy
from holdfast.analysis.curves import curves
from holdfast.analysis.plots import write_plot
from holdfast.analysis.radii import default_radii
from holdfast.errors import MissingExtraError, RunError, StorageError, UsageError
from holdfast.types import Norm

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", sorted(STARTS))
def test_plots_are_whole_files_of_their_kind(tmp_path, suffix):
    out = tmp_path / "deep" / f"plot{suffix}"
    run = four(tmp_path / "run", source="cifar10", shape=(3, 32, 32), class_names=CIFAR10)
    write_plot([run, imported(tmp_path / "log")], out)
    assert out.read_bytes().startswith(STARTS[suffix])
    assert out.stat().st_size > 5000
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_an_ablation_plot_marks_the_published_median(tmp_path):
    run = four(tmp_path / "run", ABLATION, source="mnist", shape=(1, 28, 28))
    write_plot([run], tmp_path / "plot.svg")
    assert curves([run])[0].median() == (8.0, "Levine & Feizi 2020, Table 1")
    assert (tmp_path / "plot.svg").stat().st_size > 5000


def test_figures_for_imagenet_are_those_of_normalized_images(tmp_path):
    """Levine & Feizi 2020, footnote 1: the channels of ImageNet alone are normalized before they are doubled."""
    fill = [0.485, 0.456, 0.406, 0.229, 0.224, 0.225]
    noises = {"plain": {}, "normalized": {"null": "normalized", "fill": fill}}
    marks = {
        (name, source): curves(
            [four(tmp_path / f"{name}-{source}", {**ABLATION, **change, "k": k}, source=source, shape=shape)]
        )[0].median()
        for name, change in noises.items()
        for source, shape, k in (("imagenet", (3, 224, 224), 1000), ("cifar10", (3, 32, 32), 75))
    }
    assert marks["normalized", "imagenet"] == (16.0, "Levine & Feizi 2020, Table 6")
    assert marks["plain", "cifar10"] == (7.0, "Levine & Feizi 2020, Table 3")
    assert marks["plain", "imagenet"] is None
    assert marks["normalized", "cifar10"] is None


def test_what_cannot_be_plotted(tmp_path):
    gaussian, ablation = four(tmp_path / "a"), four(tmp_path / "b", ABLATION, shape=(1, 28, 28))
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf.*'plot\.jpg'"):
        write_plot([gaussian], tmp_path / "plot.jpg")
    with pytest.raises(UsageError, match="L0, L2"):
        write_plot([gaussian, ablation], tmp_path / "plot.png")
    with pytest.raises(UsageError, match="no run"):
        write_plot([], tmp_path / "plot.png")
    with pytest.raises(RunError, match="no records yet"):
        write_plot([write_run(tmp_path / "empty", manifest(promise_data(4)), [])], tmp_path / "plot.png")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        write_plot([four(tmp_path / "run")], tmp_path / "file" / "plot.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(StorageError, match="choose another place"):
        write_plot([four(tmp_path / "other")], tmp_path / "folder.svg")
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_names_of_runs_are_drawn_as_they_are(tmp_path, monkeypatch, suffix):
    """Not as formulas, and not left out of the legend for their first sign."""
    drawn = []
    read_all = plots._plain_texts
    monkeypatch.setattr(plots, "_plain_texts", lambda figure: drawn.append(read_all(figure)) or drawn[-1])
    names = ("_hidden", "$\\frac{x$", "a\u202eb\nc")
    write_plot([four(tmp_path / name) for name in names], tmp_path / f"plot{suffix}")
    for shown in (" _hidden: ", "$\\frac{x$: ", "a\\u202eb\\nc: "):
        assert shown in drawn[0]


def test_letters_that_no_font_has_are_said_once(tmp_path):
    with pytest.warns(RuntimeWarning) as said:
        write_plot([four(tmp_path / "\U00012000\U00012001")], tmp_path / "plot.png")
    assert [str(each.message).partition(":")[0] for each in said] == [
        "no font of this machine has \U00012000\U00012001"
    ]


@pytest.mark.parametrize("missing", ["matplotlib", "matplotlib.figure"])
def test_matplotlib_missing(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"'matplotlib'.*holdfast-robustness\[report\]"):
        write_plot([four(tmp_path / "run")], tmp_path / "plot.png")


def test_the_curve_is_the_step_function(tmp_path):
    run = many(tmp_path / "run", GAUSSIAN, count=60)
    results = run.results
    (curve,) = curves([run])
    for step, after in zip(curve.steps, curve.steps[1:], strict=False):
        assert step.radius == after.start
        for radius in (math.nextafter(step.start, 9.0), step.radius):
            assert certified_accuracy(results, radius, run.alpha) == step.accuracy
    assert curve.steps[-1].accuracy.value == 0.0
    assert curve.attainable == run.attainable
    for step in curve.steps:
        assert step.accuracy.lower <= step.accuracy.value <= step.accuracy.upper


def test_a_coarser_curve_is_nowhere_above_the_exact_one(tmp_path):
    run = many(tmp_path / "run", GAUSSIAN, count=60)
    results = run.results
    (curve,) = curves([run], most=10)
    assert len(curve.steps) <= 12
    for step in curve.steps[:-1]:
        assert certified_accuracy(results, step.radius, run.alpha).value >= step.accuracy.value


def test_pixels_are_whole_steps(tmp_path):
    run = four(tmp_path / "run", ABLATION, shape=(1, 28, 28))
    (curve,) = curves([run])
    results = run.results
    assert [step.start for step in curve.steps] == [float(rho) for rho in range(len(curve.steps))]
    for step in curve.steps:
        assert step.accuracy == certified_accuracy(results, step.start, run.alpha)
    assert curve.steps[-1].start == curve.attainable + 1
    assert curve.whole


def test_runs_of_the_same_name_stay_apart(tmp_path):
    runs = [four(tmp_path / side / "run") for side in ("a", "b", "c")]
    assert [curve.name for curve in curves(runs)] == ["run", "run (2)", "run (3)"]


def test_the_interactive_chart_names_numbers_and_no_address(tmp_path):
    spec = charts.chart(curves([imported(tmp_path / "log")]))
    text = json.dumps(spec)
    assert "http" not in text
    assert "step-after" in text
    assert "certified L2 radius (input units)" in text
    assert "0.250 input units" in text
    assert '"77.0%"' in text
    assert '"95% interval": "[14.5, 94.8]"' in text
    assert "<svg" in charts.picture(curves([imported(tmp_path / "again")]))


def test_the_chart_of_pixels_has_whole_ticks(tmp_path):
    run = four(tmp_path / "run", ABLATION, source="mnist", shape=(1, 28, 28))
    text = json.dumps(charts.chart(curves([run])))
    assert '"values": [0, 2, 4' in text
    assert "published median: Levine & Feizi 2020, Table 1" in text


def test_default_radii_stay_within_what_is_attainable():
    assert default_radii(Norm.L2, 0.95) == (0.0, 0.25, 0.5, 0.75)
    assert default_radii(Norm.L2, None) == (0.0,)
    assert default_radii(Norm.L2, 0.0) == (0.0,)
    assert default_radii(Norm.L0, 11.0) == (0.0, 1.0, 2.0, 4.0, 8.0)
    assert default_radii(Norm.L0, 0.0) == (0.0,)
    for attainable in (1e-4, 0.03, 0.457, 1.9, 3.8, 33.0, 1e4):
        radii = default_radii(Norm.L2, attainable)
        assert 2 <= len(radii) <= 9
        assert radii[-1] <= attainable
