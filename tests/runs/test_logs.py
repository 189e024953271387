"""The field's log format: published logs in, ours out, and what is wrong with a log."""

from pathlib import Path

import pytest

from holdfast.errors import DataError
from holdfast.runs.logs import read_log

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


def log(tmp_path: Path, text: str) -> Path:
    (tmp_path / "log.tsv").write_text(text)
    return tmp_path / "log.tsv"


def test_lines_are_claims_and_minus_one_is_an_abstention(tmp_path: Path) -> None:
    read = read_log(log(tmp_path, HEADER + "20\t7\t-1\t0.0\t0\t15.6\n0\t3\t3\t0.378\t1\t0:00:15.5\n"))
    first, second = read.claims
    assert (first.index, first.predicted, first.radius, first.seconds) == (0, 3, 0.378, 15.5)
    assert (second.index, second.predicted) == (20, None)
    assert read.largest == pytest.approx(0.3775)
    assert read.disagreements == 0


def test_a_cumulative_correct_column_is_noticed_and_not_used(tmp_path: Path) -> None:
    """In some tools `correct` counts up; a boolean `&` on it would take its lowest bit."""
    read = read_log(log(tmp_path, HEADER + "0\t3\t3\t0.4\t1\t1\n1\t2\t2\t0.4\t2\t1\n2\t2\t1\t0.4\t2\t1\n"))
    assert read.disagreements == 2
    assert [claim.predicted == claim.label for claim in read.claims] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("idx\tlabel\n0\t1\n", "has the columns idx, label; a log has idx, label, predict"),
        ("idx,label,predict,radius\n", "tab-separated"),
        (HEADER, "a header and no lines"),
        (HEADER + "0\t3\t3\tnan\t1\t1\n", "line 2: .*finite number"),
        (HEADER + "0\t3\t3\t-0.1\t1\t1\n", "line 2: .*finite number"),
        (HEADER + "0\t3\t-2\t0.1\t1\t1\n", "line 2"),
        (HEADER + "0\t3\tcat\t0.1\t1\t1\n", "line 2 cannot be read"),
        (HEADER + "0\t3\t3\t0.1\t1\t1\n0\t3\t3\t0.1\t1\t1\n", "an index twice"),
        (HEADER + "0\t3\n", "line 2 cannot be read"),
    ],
)
def test_logs_that_cannot_be_right_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(log(tmp_path, text))


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no log .*none\.tsv"):
        read_log(tmp_path / "none.tsv")
