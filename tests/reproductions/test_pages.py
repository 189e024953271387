"""Numbers as readers see them."""

import pytest

from holdfast.analysis.published import figure
from holdfast.reproductions.pages import Group, Measured, Row, Table
from holdfast.stats.datasets import Proportion


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Measured.share(Proportion(0.9421, 0.9169, 0.9612)), "94.2% [91.6, 96.2]"),
        (Measured(0.5, "share"), "50.0%"),
        (Measured(7.0, "pixels", 6.0, 8.0, True), "7 [6, 8]"),
        (Measured(0.0, "pixels", None, 1.0, True), "0 [N/A, 1]"),
        (Measured(None, "pixels"), "N/A"),
        (Measured(3.81149, "radius"), "3.8114"),
        (Measured(-1.26, "points", -2.04, 0.5, True), "-1.3 [-2.0, +0.5]"),
        (Measured(14521.0, "", digits=0), "14,521"),
    ],
)
def test_numbers(number: Measured, text: str) -> None:
    assert number.text == text


def test_differences_are_in_the_unit_of_the_figure() -> None:
    accuracy = figure("Levine", "Table 1", "classification accuracy", k=45)
    median = figure("Levine", "Table 1", "median certified robustness", k=45)
    none = figure("Levine", "Table 1", "median certified robustness", k=5)
    fraction = figure("Cohen", "Table 4", "abstain", n=100)
    assert Row("", accuracy, (Measured(0.942, "share"),)).difference == "-2.5"
    assert Row("", median, (Measured(9.0, "pixels"),)).difference == "+1"
    assert Row("", median, (Measured(None, "pixels"),)).difference == "-"
    assert Row("", none, (Measured(0.0, "pixels"),)).difference == "-"
    assert Row("", fraction, (Measured(0.15, "share"),)).difference == "+3.0"
    assert Row("", None, (Measured(0.15, "share"),)).difference == "-"
    assert (Row("", none, ()).printed, Row("", fraction, ()).printed, Row("", None, ()).printed) == ("N/A", "12%", "-")


def test_a_table_leaves_out_what_it_does_not_compare() -> None:
    row = Row("r = 1", None, (Measured(1.0, "pixels"), None))
    bare = Table("", ("one", "two"), (), published=False)
    assert (bare.header, bare.cells(row)) == (["", "one", "two"], ["r = 1", "1", "-"])
    median = figure("Levine", "Table 1", "median certified robustness", k=45)
    known = Row("r = 2", median, (Measured(9.0, "pixels"), None))
    whole = Table("", ("one", "two"), (Group("", "", (row, known)),))
    assert whole.header == ["", "published", "one", "diff", "two"]
    assert whole.cells(row) == ["r = 1", "-", "1", "-", "-"]
    assert whole.cells(known) == ["r = 2", "8", "9", "+1", "-"]
    # Columns that would be empty.
    assert Table("", ("one", "two"), (Group("", "", (row,)),)).header == ["", "one", "two"]
    nothing = Row("r = 2", median, (Measured(None, "pixels"), None))
    assert Table("", ("one", "two"), (Group("", "", (nothing,)),)).header == ["", "published", "one", "two"]
