"""Imported logs on the command line: what is refused, and that radii are told as claims wherever they stand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from holdfast.store.run import ClaimRecord, RunStore, read_run

if TYPE_CHECKING:
    from pathlib import Path

    from program import Call

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
CLAIMED = "adii as claimed by the tool that wrote the log, not derived here from votes"
ABLATION = ("--noise", "ablation:k=45", "--n", 1000, "--alpha", 0.001)


def flat(text: str) -> str:
    return " ".join(text.split())


def put(tmp_path: Path, text: str) -> Path:
    (tmp_path / "log.tsv").write_text(HEADER + text)
    return tmp_path / "log.tsv"


@pytest.fixture
def published(call: Call, data_folder: Path, tmp_path: Path) -> Path:
    """A published log whose radii exceed what its alpha allows: `verify` fails on 77 claims."""
    log = data_folder / "cohen-logs" / "cifar10_resnet110_sigma_0.25.tsv"
    options = ("--noise", "gaussian:sigma=0.25", "--n", 100_000, "--alpha", 0.001, "--data-name", "cifar10")
    assert call("import-log", log, *options, "--out", tmp_path / "theirs")[0] == 0
    return tmp_path / "theirs"


def test_every_table_of_an_imported_run_says_that_its_radii_are_claims(call: Call, published: Path) -> None:
    assert "77 claims are larger" in call("verify", published)[2]
    beyond = "77 of 500 are larger than n and alpha allow: 0.952 input units at most"
    for style in ("text", "markdown", "latex", "csv"):
        text = flat(call("table", published, "--format", style)[1])
        assert CLAIMED in text, style
        assert beyond in text, style
    (row,) = csv.DictReader(StringIO(call("table", published, "--format", "csv")[1]))
    assert row["Claims"] == f"r{CLAIMED}; {beyond}"
    (document,) = json.loads(call("table", published, "--json")[1])
    assert document["claimed"] == f"r{CLAIMED}; {beyond}"


def test_reports_and_curves_of_imported_runs_say_it_at_the_numbers(call: Call, published: Path, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    page, curve = tmp_path / "r.html", tmp_path / "curve.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert call("report", published, "--out", page, "--plot", curve)[0] == 0
    text = page.read_text(encoding="utf-8")
    caption = text[text.index("<figcaption>") : text.index("</figcaption>")]
    below = text[text.index("</table>") :]
    assert CLAIMED in caption
    assert CLAIMED in below[: below.index("<h3>")]
    assert CLAIMED in curve.read_text(encoding="utf-8")
    assert "every value lies between" not in text
    assert "the log states neither noise nor samples nor alpha" in text
    assert "not known" in text[text.index("Range of an input") :][:200]


def test_an_export_of_an_imported_run_says_whose_claims_they_are(call: Call, published: Path, tmp_path: Path) -> None:
    for style in ("tsv", "jsonl"):
        code, _, err = call("export-log", published, "--format", style, "--out", tmp_path / "log")
        assert (code, CLAIMED in flat(err)) == (0, True)


def test_own_runs_are_no_claims_and_the_imported_one_is_named(
    call: Call, models: Path, published: Path, tmp_path: Path
) -> None:
    quick = ("--n", 100, "--n0", 20, "--alpha", 0.01, "--seed", 5, "--quiet", "--limit", 3)
    assert call("certify", "--model", models / "gaussian.safetensors", "--out", tmp_path / "ours", *quick)[0] == 0
    text = flat(call("table", tmp_path / "ours")[1])
    assert CLAIMED not in text
    assert json.loads(call("table", tmp_path / "ours", "--json")[1])[0]["claimed"] is None
    text = flat(call("table", tmp_path / "ours", published)[1])
    assert f"theirs: r{CLAIMED}" in text
    assert f"ours: r{CLAIMED}" not in text
    rows = list(csv.DictReader(StringIO(call("table", tmp_path / "ours", published, "--format", "csv")[1])))
    assert [bool(row["Claims"]) for row in rows] == [False, True]
    call("report", tmp_path / "ours", published, "--out", tmp_path / "r.html")
    assert f"<strong>theirs: r{CLAIMED}" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert CLAIMED not in call("export-log", tmp_path / "ours")[2]


def test_a_cut_log_is_not_imported(call: Call, tmp_path: Path) -> None:
    log = put(tmp_path, "0\t3\t3\t0.5\t1\t3.0\n1\t3\t3\t1.2")
    options = ("--noise", "gaussian:sigma=1", "--n", 1000, "--alpha", 0.001, "--out", tmp_path / "run")
    code, _, err = call("import-log", log, *options)
    assert (code, "line 3 has 4 fields, the header has 6 columns; the file may be cut off there" in flat(err)) == (
        1,
        True,
    )
    assert not (tmp_path / "run").exists()


def test_a_log_without_a_newline_at_its_end_is_warned_of(call: Call, tmp_path: Path) -> None:
    log = put(tmp_path, "0\t3\t3\t0.5\t1\t3.0\n1\t3\t3\t1.25\t1\t0:00:0")
    options = ("--noise", "gaussian:sigma=1", "--n", 1000, "--alpha", 0.001, "--out", tmp_path / "run")
    code, _, err = call("import-log", log, *options)
    assert code == 0
    assert "the last line of log.tsv has no newline at its end: its time may be cut off and was not taken" in flat(err)
    assert [record.seconds for record in read_run(tmp_path / "run").records if isinstance(record, ClaimRecord)] == [
        3,
        None,
    ]


def test_another_log_does_not_pass_for_what_was_imported_before(call: Call, tmp_path: Path) -> None:
    options = ("--noise", "gaussian:sigma=1", "--n", 1000, "--alpha", 0.001, "--out", tmp_path / "run")
    for _ in range(2):
        assert call("import-log", put(tmp_path, "0\t3\t3\t0.5\t1\t3\n1\t3\t3\t0.5\t1\t3\n"), *options)[0] == 0
    code, _, err = call("import-log", put(tmp_path, "0\t3\t3\t0.5\t1\t3\n1\t3\t3\t1.5\t1\t3\n"), *options)
    assert (code, "other claims than the log for 1 examples, the first of index 1" in flat(err)) == (1, True)


def test_a_log_is_not_mixed_with_another(call: Call, tmp_path: Path) -> None:
    """Of the same settings, size and number of examples, about others: the folder would hold those of both."""
    options = ("--noise", "gaussian:sigma=1", "--n", 1000, "--alpha", 0.001, "--out", tmp_path / "run")
    for indices, expected in (((0, 1, 5), 0), ((0, 2, 5), 1)):
        log = put(tmp_path, "".join(f"{index}\t3\t3\t0.5\t1\t3\n" for index in indices))
        code, _, err = call("import-log", log, *options)
        assert code == expected
    assert "other claims than the log for 1 examples, the first of index 1" in flat(err)


@pytest.mark.parametrize("noise", ["ablation:k=45", "uniform-flip:kappa=0.8", "partition:k=45"])
def test_a_part_of_a_pixel_is_refused(call: Call, tmp_path: Path, noise: str) -> None:
    log = put(tmp_path, "0\t3\t3\t1\t1\t3\n1\t3\t3\t1.7\t1\t3\n")
    options = ("--n", 1000, "--alpha", 0.001, "--data-name", "mnist", "--out", tmp_path / "run")
    code, _, err = call("import-log", log, "--noise", noise, *options)
    assert (code, "line 3 has the radius 1.7; a radius in L0 is a whole number of pixels" in flat(err)) == (1, True)


def test_whole_pixels_that_can_be_are_verified_and_tabled(call: Call, tmp_path: Path) -> None:
    """The largest radius under these settings is 11 pixels: 11 is not 10.5, and 12 is too much."""
    options = (*ABLATION, "--data-name", "mnist", "--out")
    code, _, err = call(
        "import-log", put(tmp_path, "0\t3\t3\t11\t1\t3\n1\t3\t3\t1.0\t1\t3\n"), *options, tmp_path / "run"
    )
    assert (code, err) == (0, "")
    assert call("verify", tmp_path / "run", "--require", "claims")[0] == 0
    assert "larger" not in flat(call("table", tmp_path / "run")[1])
    code, _, err = call("import-log", put(tmp_path, "0\t3\t3\t12\t1\t3\n"), *options, tmp_path / "more")
    assert "the largest radius in the log is 12 or more" in flat(err)
    code, _, err = call("verify", tmp_path / "more")
    assert (code, "1 claims are larger than n = 1000 and alpha = 0.001 allow (11); the largest is 12" in flat(err)) == (
        1,
        True,
    )


def test_parts_of_pixels_in_an_older_run_are_named_by_verify(call: Call, tmp_path: Path) -> None:
    """They were "larger than n and alpha allow (11)", 0.5 among them, and so were whole ones."""
    options = (*ABLATION, "--data-name", "mnist", "--out", tmp_path / "run")
    assert call("import-log", put(tmp_path, "0\t3\t3\t1\t1\t3\n1\t3\t3\t2\t1\t3\n"), *options)[0] == 0
    run = read_run(tmp_path / "run")
    with RunStore(tmp_path / "older", run.manifest) as store:
        store.append([run.records[0], replace(run.records[1], radius=0.5)])  # type: ignore[call-arg]
    code, _, err = call("verify", tmp_path / "older")
    assert code == 1
    assert "1 claims are not whole numbers of pixels, as radii in L0 are; the first is 0.5, of example 1" in flat(err)
    assert "larger" not in err


def test_what_depends_on_an_unknown_number_of_pixels_is_not_judged(call: Call, tmp_path: Path) -> None:
    """Inputs were taken to have one pixel: "allow 0 pixels at most", and `verify` failed."""
    code, _, err = call("import-log", put(tmp_path, "0\t3\t3\t9\t1\t3\n"), *ABLATION, "--out", tmp_path / "run")
    assert code == 0
    assert "depends on the number of pixels of an input, which is not known: it was not checked" in flat(err)
    code, out, _ = call("verify", tmp_path / "run", "--require", "claims")
    assert code == 0
    assert "Whether n and alpha allow radii as large depends on the number of pixels of an input" in flat(out)
    text = flat(call("table", tmp_path / "run")[1])
    assert "whether n and alpha allow them depends on the shape of an input, which is not known" in text
    assert "r = 8" in text
    call("report", tmp_path / "run", "--out", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "nothing can be certified" not in page
    assert "The largest radius that n and alpha allow depends on the number of pixels" in page
