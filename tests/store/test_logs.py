"""The field's log format: published logs in, ours out, and what is wrong with a log."""

import codecs
import io
from pathlib import Path

import pytest

from holdfast.errors import DataError
from holdfast.store.logs import LogLine, read_log, write_jsonl
from holdfast.types import Norm

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
        (HEADER + "0\t3\n", "line 2 has 2 fields, the header has 6 columns"),
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
        (HEADER + "0\t3\t3\t0.1\t1\t1\t9\n", "line 2 has 7 fields, the header has 6 columns: "),
        (HEADER.replace("time", "idx") + "0\t3\t3\t0.1\t1\t1\n", "once each"),
        (HEADER + '0\t3\t3\t"0.1\t1\t1\n1\t3\t3\t0.1\t1\t1\n', "line 2 cannot be read"),
    ],
)
def test_logs_that_cannot_be_right_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_log(log(tmp_path, text))


NEXT = "1\t3\t3\t1.25\t1\t0:00:15.4"


@pytest.mark.parametrize("kept", range(1, NEXT.rindex("\t") + 1))
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_log_that_is_cut_within_a_line_is_refused(tmp_path: Path, kept: int, end: str) -> None:
    text = HEADER + "0\t3\t3\t0.5\t1\t3.0\n" + NEXT[:kept] + end
    with pytest.raises(DataError, match=r"line 3 has \d fields, the header has 6 columns; the file may be cut off"):
        read_log(log(tmp_path, text))


@pytest.mark.parametrize(
    "line", ["1\t3\t3\t0.5\t1", "1\t3\t3\t0.5\t1\t2\t", "1\t3\t\t3\t0.5\t1\t2", "\t", "1 3 3 0.5 1 2"]
)
def test_every_line_has_one_field_a_column(tmp_path: Path, line: str) -> None:
    text = HEADER + "0\t3\t3\t0.5\t1\t3.0\n" + line + "\n2\t3\t3\t0.5\t1\t3.0\n"
    with pytest.raises(DataError, match=r"line 3 has \d fields, the header has 6 columns"):
        read_log(log(tmp_path, text))


@pytest.mark.parametrize("last", ["0:00:15.4", "0:00:1", "0:00:0", "1", ""])
def test_the_time_of_a_last_line_without_a_newline_is_not_taken(tmp_path: Path, last: str) -> None:
    read = read_log(log(tmp_path, HEADER + "0\t3\t3\t0.5\t1\t3.0\n1\t3\t3\t1.25\t1\t" + last))
    assert (read.open_end, [claim.seconds for claim in read.claims]) == ("time", [3.0, None])
    assert read.claims[1].radius == 1.25
    assert read_log(log(tmp_path, HEADER + "0\t3\t3\t0.5\t1\t3.0\n")).open_end is None


def test_a_time_that_can_only_be_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2 cannot be read .*time is in seconds .*found '0:00:'"):
        read_log(log(tmp_path, HEADER + "0\t3\t3\t0.5\t1\t0:00:"))


@pytest.mark.parametrize("column", ["idx", "label", "predict", "radius"])
def test_what_matters_is_no_last_field_without_a_newline(tmp_path: Path, column: str) -> None:
    """1.25e-05 may be cut to 1.25, and class 12 to class 1."""
    names = [name for name in ("idx", "label", "predict", "radius") if name != column] + [column]
    text = "\t".join(names) + "\n0\t0\t0\t1"
    with pytest.raises(DataError, match=rf"line 2, the last one, has no newline at its end: its {column} '1' may be"):
        read_log(log(tmp_path, text))
    assert read_log(log(tmp_path, text + "\n")).open_end is None


@pytest.mark.parametrize("fields", ['"0\t3\t3\t0.5\t1\t"1', '0\t3\t3\t0.5\t"1\t1', '0\t3\t3\t0.5\t1\t1"'])
def test_quotation_marks_hide_no_line(tmp_path: Path, fields: str) -> None:
    text = HEADER.replace("time", "note") + fields + '\n1\t3\t3\t0.25\t1\t"\n'
    if fields.startswith('"'):
        with pytest.raises(DataError, match=r"line 2 cannot be read .*idx is a whole number"):
            read_log(log(tmp_path, text))
        return
    assert [claim.index for claim in read_log(log(tmp_path, text)).claims] == [0, 1]


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("column", range(6))
def test_rows_that_go_in_come_out(tmp_path: Path, sign: str, column: int) -> None:
    """What ends a line in an editor ends none here: it is an error, wherever it stands."""
    fields = ["0", "3", "3", "0.5", "1", "1"]
    fields[column] += sign
    (tmp_path / "log.tsv").write_bytes((HEADER + "\t".join(fields) + "\n1\t3\t3\t0.5\t1\t1\n").encode())
    with pytest.raises(DataError, match="line 2 has a character within it that ends lines elsewhere"):
        read_log(tmp_path / "log.tsv")


@pytest.mark.parametrize("other", ["", "\t", "a comment", "#"])
def test_columns_of_other_names_are_left_alone(tmp_path: Path, other: str) -> None:
    """A table that pandas wrote with its row numbers has a first column without a name."""
    name = other.strip()
    text = f"{name}\t" + HEADER + "7\t0\t3\t3\t0.5\t1\t3.0\n"
    assert read_log(log(tmp_path, text)).claims[0].radius == 0.5


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    text = HEADER + "0.0\t2.0\t2.\t0.5\t1.0\t1\n2e1\t2.000000000000000000e+00\t-1.0\t0\tFalse\t1\n"
    read = read_log(log(tmp_path, text))
    assert [(claim.index, claim.label, claim.predicted) for claim in read.claims] == [(0, 2, 2), (20, 2, None)]
    assert all(type(claim.label) is int for claim in read.claims)
    assert read.disagreements == 0


@pytest.mark.parametrize("radius", ["0.5", "1.7", "1e-1", "30.000001"])
def test_a_part_of_a_pixel_is_no_radius(tmp_path: Path, radius: str) -> None:
    text = HEADER + "0\t3\t3\t4\t1\t1\n1\t3\t3\t" + radius + "\t1\t1\n"
    with pytest.raises(DataError, match=rf"line 3 has the radius {radius}; a radius in L0 is a whole number of pixels"):
        read_log(log(tmp_path, text), Norm.L0)
    assert read_log(log(tmp_path, text), Norm.L2).claims[1].radius == float(radius)


def test_whole_pixels_are_not_rounded(tmp_path: Path) -> None:
    read = read_log(log(tmp_path, HEADER + "0\t3\t3\t4.0\t1\t1\n1\t3\t3\t11\t1\t1\n"), Norm.L0)
    assert read.largest == 11.0


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
