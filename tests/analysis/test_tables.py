import csv
import io
import json
from dataclasses import replace

import pytest
from scipy.stats import beta, norm
from synthetic_runs import ABLATION, four, imported

from holdfast.analysis import formats, tables
from holdfast.analysis.published import figure
from holdfast.analysis.summaries import summarize
from holdfast.stats.datasets import Proportion
from holdfast.types import Norm

KEYS = {
    "run", "noise", "norm", "examples", "subset", "n", "mean_draws", "alpha", "accuracy", "abstention_rate",
    "average_certified_radius", "median_certified_radius", "p_A", "certified_accuracy", "condition", "claimed",
    "seed_origin", "chosen", "missing", "digest", "results",
}  # fmt: skip


def by_hand(hits):
    """The radius of Cohen et al. for n = 1000, alpha = 0.001, sigma = 0.25, straight from the formula."""
    return 0.25 * norm.ppf(beta.ppf(0.001, hits, 1001 - hits))


@pytest.fixture
def summary(tmp_path):
    return summarize(four(tmp_path / "four"), [0.0, 0.25, 0.5])


def test_json_has_the_numbers_computed_by_hand(summary):
    (row,) = tables.as_json([summary])
    assert set(row) == KEYS
    assert json.loads(json.dumps(row)) == row
    assert (row["run"], row["noise"], row["norm"], row["n"], row["alpha"]) == (
        "four",
        "gaussian:sigma=0.25",
        "L2",
        1000,
        0.001,
    )
    assert row["examples"] == 4
    assert (row["accuracy"], row["abstention_rate"]) == (0.75, 0.0)
    assert row["certified_accuracy"]["0.0"]["value"] == 0.5
    assert row["average_certified_radius"] == pytest.approx((by_hand(1000) + by_hand(900)) / 4, rel=1e-9)
    assert row["median_certified_radius"] == pytest.approx(by_hand(900), rel=1e-9)
    assert list(row["certified_accuracy"]) == ["0.0", "0.25", "0.5"]
    at = row["certified_accuracy"]["0.5"]
    assert at["value"] == 0.25
    # One of four: Clopper-Pearson, then alpha taken off the lower end.
    assert at["lower"] == pytest.approx((beta.ppf(0.025, 1, 4) - 0.001) / 0.999, rel=1e-6)
    assert at["upper"] == pytest.approx(beta.ppf(0.975, 2, 3), rel=1e-6)


def test_rows_show_shares_with_intervals_and_radii_rounded_down(summary):
    header, rows = tables.table_rows([summary])
    row = dict(zip(header, rows[0], strict=True))
    assert by_hand(900) > 0.2785
    assert row["Median radius"] == "0.278"
    assert row["ACR"] == "0.223"
    assert row["Abstains"] == "0.0% [0.0, 60.3]"
    assert row["Accuracy"].startswith("75.0%")
    assert row["r = 0.5"] == "25.0% [0.5, 80.6]"
    # Votes for the true class: 1000, 900, 0 (another class leads) and 500: a tenth has a bound of 0, half that of 900.
    assert (
        row["p_A 10/50/90%"] == f"0.000/{beta.ppf(0.001, 900, 101):.3f}/{int(1000 * beta.ppf(0.001, 1000, 1)) / 1000}"
    )
    assert "Subset" not in row


def test_different_subsets_are_shown_in_each_row_and_missing_radii_are_empty(tmp_path):
    summaries = [summarize(four(tmp_path / "a"), [0.25]), summarize(imported(tmp_path / "b"), [0.5])]
    header, rows = tables.table_rows(summaries)
    column = header.index("Subset")
    assert [row[column] for row in rows] == [
        "all 4 test examples of digits",
        "5 of 100 test examples of cifar10, every 20th",
    ]
    assert [row[header.index("r = 0.5")] for row in rows] == ["", "20.0% [0.4, 71.7]"]
    assert "Subset:" not in tables.caption(summaries)


def test_a_median_that_does_not_exist_is_not_available(tmp_path):
    run = four(tmp_path / "four", ABLATION, shape=(1, 28, 28))
    summary = summarize(run, [0.0])
    assert summary.median_certified_radius is not None
    assert formats.radius(Norm.L0, None) == "N/A"
    (row,) = tables.as_json([summary])
    assert row["norm"] == "L0"
    header, rows = tables.table_rows([summary])
    assert rows[0][header.index("Median radius")].isdigit()


def test_markdown_is_a_table_of_80_columns(summary):
    text = tables.markdown([summary, summary])
    table, caption = text.split("\n\n")
    lines = table.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert set(lines[1]) == {"|", "-"}
    assert max(map(len, text.splitlines())) <= 80
    assert "all 4 test examples of digits" in caption.replace("\n", " ")


def test_many_runs_are_rows_and_few_are_columns(summary):
    few, many = tables.markdown([summary]).splitlines()[0], tables.markdown([summary] * 12).splitlines()[0]
    assert few.split() == ["|", "Run", "|", "four", "|"]
    assert "Median radius" in many


def test_a_bar_in_a_name_does_not_end_a_cell(tmp_path):
    summary = summarize(four(tmp_path / "a|b"), [0.0])
    assert "a\\|b" in tables.markdown([summary])


def test_latex_is_booktabs_and_escaped(tmp_path):
    text = tables.latex([summarize(four(tmp_path / "run_1&2"), [0.0, 0.25])])
    for part in ("\\toprule", "\\midrule", "\\bottomrule", "run\\_1\\&2", "50.0\\%", "booktabs"):
        assert part in text
    body = text.split("\\toprule")[1].split("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len({line.replace("\\&", "").count("&") for line in rows}) == 1


def test_csv_has_the_ends_of_intervals_apart_and_always_the_subset(summary):
    (row,) = csv.DictReader(io.StringIO(tables.csv_text([summary])))
    assert row["Subset"] == "all 4 test examples of digits"
    assert [row[f"r = 0.5 {part}"] for part in ("[%]", "lower", "upper")] == ["25.0", "0.5", "80.6"]
    assert row["Median radius"] == "0.278"


def test_only_a_share_of_one_shows_as_100_percent():
    assert formats.percent(1.0) == "100.0"
    assert formats.percent(0.9999) == "99.9"
    assert formats.percent(0.748) == "74.8"
    assert formats.interval(Proportion(1.0, 0.99, 1.0)) == "[99.0, 100.0]"
    assert formats.interval(Proportion(0.0, 0.0, 0.0101)) == "[0.0, 1.1]"


def test_radii_are_spelt_with_their_unit():
    assert formats.with_unit(Norm.L0, "1") == "1 pixel"
    assert formats.with_unit(Norm.L0, "8") == "8 pixels"
    assert formats.threshold(0.25) == "0.25"
    assert formats.threshold(4) == "4"
    assert formats.radius(Norm.L0, 8.0) == "8"
    assert formats.mean_radius(Norm.L0, 8.999) == "8.99"


def test_published_figures_are_spelt_with_their_unit():
    share = figure("Levine", "Table 1", "classification accuracy", "MNIST", k=45, null="multichannel")
    large = figure("Levine", "Eq. 20", "mutual information")
    assert share.text == "96.72%"
    assert replace(share, unit="fraction", value=0.12).text == "12%"
    assert large.text == "116,168"
    assert replace(share, value=None).text == "N/A"
