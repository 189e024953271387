"""The field's log format: published logs in, ours out, and what is wrong with a log."""

import codecs
import io
from pathlib import Path

import pytest

from holdfast.errors import DataError
from holdfast.runs.logs import LogLine, read_log, write_jsonl

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
        (HEADER + "0\t3\t3\t0.1\t1\tnan\n", "line 2 .*time is in seconds from 0 on"),
        (HEADER + "0\t3\t3\t0.1\t1\t-inf\n", "line 2 .*time is in seconds from 0 on"),
        (HEADER + "0\t3\t3\t0.1\t1\t0:inf:3\n", "line 2 .*time is in seconds from 0 on"),
        (HEADER + "0\t3\t3\t0.1\t1\t-1\n", "line 2 .*time is in seconds from 0 on"),
        (HEADER + "0\t3\t3\tinf\t1\t1\n", "line 2: .*finite number"),
        (HEADER + "0\t3\t3\t1e999\t1\t1\n", "line 2: .*finite number"),
        (HEADER + "0\t3\t3\t1_0\t1\t1\n", "radius is a number, found '1_0'"),
        (HEADER + "0\t2.5\t3\t0.1\t1\t1\n", "label is a whole number, found '2.5'"),
        (HEADER + "1_0\t3\t3\t0.1\t1\t1\n", "idx is a whole number, found '1_0'"),
        (HEADER + "1000000000000\t3\t3\t0.1\t1\t1\n", "line 2"),
        (HEADER + "\n\n0\t1000000000\t3\t0.1\t1\t1\n", "line 4: classes are numbers from 0 to 99,999"),
        (HEADER + "0\t3\t1000000000\t0.1\t1\t1\n", "line 2: classes are numbers from 0 to 99,999"),
        (HEADER + "0\t3\t3\t0.1\t1\t1\t9\n", "line 2 has more fields than the header"),
        (HEADER.replace("time", "idx") + "0\t3\t3\t0.1\t1\t1\n", "once each"),
        (HEADER + '0\t3\t3\t"0.1\t1\t1\n1\t3\t3\t0.1\t1\t1\n', "line 2 cannot be read"),
    ],
)
def test_logs_that_cannot_be_right_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(log(tmp_path, text))


def test_twice_the_same_index_names_both_lines(tmp_path: Path) -> None:
    text = HEADER + "".join(f"{index}\t3\t3\t0.1\t1\t1\n" for index in (4, 2, 4))
    with pytest.raises(DataError, match="an index twice: 4, in lines 2 and 4"):
        read_log(log(tmp_path, text))


LINES = HEADER + "0\t3\t3\t0.378\t1\t0:00:15.5\r\n\n1\t2\t-1\t0\t0\t\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_marked_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    (tmp_path / "log.tsv").write_bytes(mark + LINES.encode(encoding))
    first, second = read_log(tmp_path / "log.tsv").claims
    assert (first.radius, first.seconds, second.predicted, second.seconds) == (0.378, 15.5, None, None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (LINES.encode("utf-16-le"), "zero bytes: .* UTF-16 without a byte-order mark"),
        (LINES.encode("utf-16-be"), "zero bytes: .* UTF-16 without a byte-order mark"),
        ((HEADER + "0\t3\t3\t0.1\t1\t1\n1\t3\tcaf\xe9\t0.1\t1\t1\n").encode("latin-1"), "line 3 is not UTF-8 .*0xe9"),
        (codecs.BOM_UTF16_LE + b"i", "line 1 is not UTF-16"),
    ],
)
def test_other_encodings_are_refused_with_the_reason(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "log.tsv").write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        read_log(tmp_path / "log.tsv")
    assert "Write the log as UTF-8" in str(caught.value)


@pytest.mark.parametrize(("radius", "least"), [("1e-05", 5e-06), ("0.25", 0.245), ("2.5e1", 24.5), ("0e999", 0.0)])
def test_what_a_printed_radius_means_at_least(tmp_path: Path, radius: str, least: float) -> None:
    read = read_log(log(tmp_path, HEADER + f"0\t3\t3\t{radius}\t1\t1\n"))
    assert read.largest == pytest.approx(least, abs=1e-12)


def test_json_lines_never_hold_what_json_has_no_word_for() -> None:
    line = LogLine(0, 3, 3, "nan", 1, "")
    with pytest.raises(ValueError, match="JSON"):
        write_jsonl([line], io.StringIO())


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no log .*none\.tsv"):
        read_log(tmp_path / "none.tsv")
