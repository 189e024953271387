"""A run as an object: its table, frames, plot and report are those of the command line; its folder stays or goes."""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path

import pytest

import holdfast as hf
from holdfast.__main__ import main

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "stored" / "models" / "gaussian.safetensors"
RUN, ATTACK = ROOT / "stored" / "runs" / "gaussian", ROOT / "stored" / "runs" / "attack-smoothed"
SETTINGS = {"every": 60, "n": 100, "n0": 20, "alpha": 0.01, "seed": 5, "progress": False}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What the program prints on stdout."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
        main()
        return capsys.readouterr().out

    return call


@pytest.fixture(scope="module")
def run() -> hf.CertifiedRun:
    return hf.load_run(RUN)


def test_a_run_without_a_folder_lies_in_one_that_goes_with_it() -> None:
    run = hf.certify(MODEL, "digits", **SETTINGS)
    folder = run.folder
    assert (folder / "records.jsonl").is_file()
    assert f"'{folder}': 6 examples, gaussian:sigma=0.25, L2, alpha=0.01; a temporary folder, " in repr(run)
    few = run.among({0, 60})
    del run
    gc.collect()
    assert folder.is_dir(), "a part of a run holds its folder, too"
    del few
    gc.collect()
    assert not folder.exists()


def test_a_run_that_is_saved_stays_and_can_be_resumed_and_verified(tmp_path: Path) -> None:
    run = hf.certify(MODEL, "digits", **SETTINGS)
    saved = run.save(tmp_path / "kept")
    assert saved.results == run.results
    assert saved.owner is None
    assert "temporary" not in repr(saved)
    del run
    gc.collect()
    again = hf.certify(MODEL, "digits", out=tmp_path / "kept", **SETTINGS)
    assert again.results == saved.results == hf.load_run(tmp_path / "kept").results
    assert hf.verify(saved, replay="all", model=MODEL, data="digits", progress=False).level == "replay"
    with pytest.raises(hf.StorageError, match="is there already; expected a new place, or an empty folder"):
        saved.save(tmp_path / "kept")


def test_an_attack_is_saved_with_its_adversarials(tmp_path: Path) -> None:
    saved = hf.load_run(ATTACK).save(tmp_path / "attack")
    assert saved.adversarials.keys() == hf.load_run(ATTACK).adversarials.keys()
    assert hf.verify(saved).ok
    assert not (tmp_path / "attack" / "lock").exists()


def test_what_lies_in_a_run_as_a_link_is_not_copied(tmp_path: Path) -> None:
    hf.load_run(RUN).save(tmp_path / "run")
    (tmp_path / "secret").write_text("of another folder")
    (tmp_path / "run" / "notes").symlink_to(tmp_path / "secret")
    with pytest.raises(hf.RunError, match="notes is a symbolic link; expected a file"):
        hf.load_run(tmp_path / "run").save(tmp_path / "copy")


@pytest.mark.parametrize("radii", [None, [0.5, 0, 0.25]])
def test_a_table_prints_what_the_command_prints(run: hf.CertifiedRun, program, radii) -> None:
    options = [] if radii is None else ["--radii", "0,.25,.5"]
    table = run.table() if radii is None else run.table(radii=radii)
    assert f"{table}\n" == program("table", RUN, *options)
    assert table.to_dict() == json.loads(program("table", RUN, *options, "--json"))
    for style, text in (("markdown", table.to_markdown()), ("latex", table.to_latex()), ("csv", table.to_csv())):
        assert text == program("table", RUN, *options, "--format", style)


def test_a_table_has_its_cells_and_numbers_as_data(run: hf.CertifiedRun) -> None:
    table = run.table(radii=[0, 0.25])
    assert table.columns[:3] == ["Run", "Noise", "Norm"]
    (cells,) = table.rows
    assert dict(zip(table.columns, cells, strict=True))["Noise"] == "gaussian:sigma=0.25"
    pytest.importorskip("pandas")
    frame = table.to_dataframe()
    assert frame["radius"].tolist() == [0.0, 0.25]
    certified = table.to_dict()[0]["certified_accuracy"]
    assert frame["certified_accuracy"].tolist() == [certified["0.0"]["value"], certified["0.25"]["value"]]
    assert (frame["lower"] <= frame["certified_accuracy"]).all()
    for wrong in ([-0.1], [float("nan")], [], ["a"], [True]):
        with pytest.raises(hf.UsageError, match="radii are finite numbers from 0 on, as in"):
            run.table(radii=wrong)


def test_a_frame_has_a_row_for_each_record(run: hf.CertifiedRun) -> None:
    pandas = pytest.importorskip("pandas")
    frame = run.to_dataframe()
    assert list(frame) == ["index", "label", "predicted", "radius", "p_lower", "p_upper", "n", "correct"]
    for row, result in zip(frame.itertuples(), run.results, strict=True):
        assert (row.index, row.label, row.radius, row.correct) == (
            result.index,
            result.label,
            result.radius,
            result.correct,
        )
        assert pandas.isna(row.predicted) if result.predicted is None else row.predicted == result.predicted
        assert row.p_lower == result.certificate.bounds.p_lower
        assert row.n == result.certificate.estimation.total
    # The share of a table is that of the frame.
    assert (frame["correct"] & (frame["radius"] >= 0.25)).mean() == run.table([0.25]).to_dict()[0][
        "certified_accuracy"
    ]["0.25"]["value"]
    bounded = hf.load_run(ROOT / "stored" / "runs" / "bound-lipschitz").to_dataframe()
    assert (bounded["n"] == 0).all()
    claimed = hf.load_run(ROOT / "stored" / "runs" / "imported").to_dataframe()
    assert claimed["p_lower"].isna().all()
    assert claimed["n"].isna().all()


def test_without_pandas_a_frame_says_what_to_install(run: hf.CertifiedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(hf.MissingExtraError, match=r"needs the package 'pandas'.*holdfast-robustness\[pandas\]"):
        run.to_dataframe()
    with pytest.raises(hf.MissingExtraError, match=r"\[pandas\]"):
        run.table().to_dataframe()


def test_a_plot_shows_certified_accuracy_and_its_band(run: hf.CertifiedRun) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    axes = run.plot()
    xs, ys = (list(values) for values in axes.lines[0].get_data())
    for radius, entry in run.table([0, 0.1, 0.25]).to_dict()[0]["certified_accuracy"].items():
        # A step stands for radii above its start, up to its end.
        reached = max(place for place, start in enumerate(xs) if start < float(radius) or start == 0.0)
        assert ys[reached] == pytest.approx(entry["value"])
    assert axes.collections, "the band"
    other = hf.load_run(ROOT / "stored" / "runs" / "gaussian-cohen")
    assert other.plot(axes) is axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sum("gaussian:sigma=0.25" in label for label in labels) == 2
    assert labels.count("largest radius n and alpha allow") == 1
    assert len({line.get_color() for line in axes.lines if ":" in str(line.get_label())}) == 2
    pyplot.close("all")


def test_a_report_is_that_of_the_command(run: hf.CertifiedRun, program, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    made = run.report(tmp_path / "python.html", radii=[0, 0.25], attacks=[])
    program("report", RUN, "--out", tmp_path / "command.html", "--radii", "0,.25")
    pages = [
        re.sub(r"\d\d \w+ \d{4}, \d\d:\d\d UTC", "", path.read_text(encoding="utf-8"))
        for path in (made, tmp_path / "command.html")
    ]
    assert pages[0] == pages[1]


def test_load_run_tells_runs_and_attacks_apart(tmp_path: Path) -> None:
    assert isinstance(hf.load_run(RUN), hf.CertifiedRun)
    found = hf.load_run(str(ATTACK))
    assert isinstance(found, hf.AttackResult)
    assert len(found.records) == found.to_dict()["examples"]
    with pytest.raises(hf.RunError, match="is not a run"):
        hf.load_run(tmp_path)


def test_what_notebooks_show_is_escaped(tmp_path: Path) -> None:
    place = tmp_path / "<img src=x onerror=alert(1)>"
    run = hf.load_run(RUN).save(place)
    attack = hf.load_run(ATTACK).save(tmp_path / "<b>attack")
    for shown in (run, run.table(), hf.verify(run), attack, hf.verify(attack), run.results[0].certificate):
        page = shown._repr_html_()
        assert page.startswith("<")
        assert "<img" not in page
        assert "<b>" not in page
    assert "&lt;img" in run._repr_html_()


def test_objects_say_what_they_are_in_a_line(run: hf.CertifiedRun) -> None:
    model, data = hf.load_model(MODEL), hf.load_data("digits")
    smoothed = hf.SmoothedClassifier(model, hf.Gaussian(0.25))
    certificate, prediction = (
        call(data.batch([0]), n=100, alpha=0.01, seed=1)[0] for call in (smoothed.certify, smoothed.predict)
    )
    for thing in (
        run,
        run.table(),
        model,
        data,
        smoothed,
        certificate,
        prediction,
        hf.verify(RUN),
        hf.load_run(ATTACK),
    ):
        assert len(repr(thing)) < 200 + len(str(ROOT))
        assert "\n" not in repr(thing)
    assert repr(smoothed) == "<SmoothedClassifier: gaussian:sigma=0.25, 10 classes, inputs in [0, 1], cohen (L2)>"
    assert re.fullmatch(r"<Certificate: label=0, radius=0\.\d{5,6} \(L2\), n=100, alpha=0\.01>", repr(certificate))


def test_a_radius_is_shown_rounded_down() -> None:
    none = hf.Counts((0, 0))
    found = hf.Certificate(1, 0.12345678, hf.Norm.L2, 0.1, none, none, hf.ClassBounds(1, 0.65432199, 0.34567801))
    assert "radius=0.123456 (L2)" in repr(found)
    assert "p_lower=0.654321, p_upper=0.345679" in found._repr_html_()
