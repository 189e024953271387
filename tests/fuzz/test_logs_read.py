"""Logs as strangers send them: every row comes in or an error names it, and none of an exported log is passed over."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs
from made_runs import Made, attack, runs
from mutations import changed, damaged, written
from schema import excluded

from holdfast.analysis.runs import analyze
from holdfast.errors import HoldfastError
from holdfast.store.logs import read_log, write_jsonl, write_tsv
from holdfast.store.run import read_run
from holdfast.types import Norm
from holdfast.workflows.logs import log_lines
from holdfast.workflows.verify import Given, verify_run

_HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
_ROWS = [
    "0\t3\t3\t0.5\t1\t1.5", "7\t1\t1\t0.25\t1\t0:00:01", "14\t2\t-1\t0.0\t0\t", "21\t0\t0\t1e-05\t1\t1 day, 0:00:01",
    "28\t9.0\t4\t.5\t0\t2", "35\t3\t3\t7\t1\t1",
]  # fmt: skip
_FIELDS = [
    "", " ", "1", "-1", "1.5", "1e400", "1e-400", "1e-100000000", "1e999999999", "nan", "inf", "-0", "-0.0", "1_0",
    "\u0663", '"', '"1', '1"', "'1'", "1\x0b", "1\x0c", "1\x1c", "1\x85", "1\u2028", "1\u2029", "1\xa0", "\ufeff1",
    "1\r", "1\x00", "1,5", "0x1", "True", "false", "1:05", "0:00:61", "9" * 30, "9" * 5000, "1" + "0" * 5000 + ".0",
    "x" * 100_000, "1 ", " 1", "1\t", "\t", "é", "\x1b[31m", "=1", "1\n2",
]  # fmt: skip
_ENDS = ["\n", "\n", "\n", "\n", "\r\n", "\r", "\n\n", "\n \n", "\x0b", "\x0c", "\x85", "\u2028", ""]
_HEADERS = [
    _HEADER, _HEADER, _HEADER, _HEADER, "idx\tlabel\tpredict\tradius", "\ufeff" + _HEADER, _HEADER + "\tidx",
    _HEADER + "\textra", _HEADER.upper(), _HEADER.replace("\t", ","), '"' + _HEADER + '"',
    "radius\tidx\tpredict\tlabel",
    _HEADER + " ", "",
]  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A log in the field's TSV, with a few fields, ends of lines, or bytes changed."""
    rows = [row.split("\t") for row in draw(st.lists(st.sampled_from(_ROWS), max_size=8))]
    for _ in range(draw(st.integers(0, 2)) if rows else 0):
        row = draw(st.sampled_from(rows))
        place = draw(st.integers(0, len(row) - 1))
        row[place] = draw(st.sampled_from(_FIELDS))
    text = draw(st.sampled_from(_HEADERS)) + draw(st.sampled_from(_ENDS[:6]))
    text += "".join("\t".join(row) + draw(st.sampled_from(_ENDS)) for row in rows)
    raw = text.encode(draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32"])), "surrogatepass")
    return draw(damaged(raw)) if draw(st.integers(0, 3)) == 0 else raw


def _rows_seen(raw: bytes) -> int:
    """How many lines somebody sees who looks at the file in an editor, after the header; blank ones are none."""
    for mark, name in ((b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return len([line for line in raw.decode(name).splitlines()[1:] if line.strip(" ")])
    return len([line for line in raw.decode("utf-8-sig").splitlines()[1:] if line.strip(" ")])


def fault_of_table(raw: bytes) -> str | None:
    """What is wrong with how a log is read; None if nothing is."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "log.tsv"
        path.write_bytes(raw)
        for norm in (Norm.L2, Norm.L0):
            read = answered(lambda norm=norm: read_log(path, norm))  # type: ignore[misc]
            if not isinstance(read, HoldfastError) and len(read.claims) != _rows_seen(raw):
                return f"{_rows_seen(raw)} rows went in, {len(read.claims)} came out"
    return None


@inputs(0.1)
@given(st.one_of(tables(), tables(), tables(), st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_tables(raw: bytes) -> None:
    assert fault_of_table(raw) is None


def _exported(name: str, write: Any) -> tuple[Made, bytes]:
    """A run and its log as `export-log` writes it."""
    made = runs()[name]
    with tempfile.TemporaryDirectory() as place:
        _lay(made, Path(place))
        told = io.StringIO()
        write(log_lines(analyze(read_run(Path(place)))), told)
    return made, told.getvalue().encode()


def _lay(made: Made, folder: Path) -> None:
    (folder / "manifest.json").write_text(written(made.manifest))
    (folder / "records.jsonl").write_text("".join(written(each) + "\n" for each in made.records))
    (folder / "sessions.jsonl").write_text("".join(written(each) + "\n" for each in made.sessions))


@st.composite
def exported(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """Name of a run, its log as exported, and that log with something changed."""
    name = draw(st.sampled_from(["fixed", "looks", "exact", "bound", "imported"]))
    kind = draw(st.sampled_from([write_tsv, write_jsonl]))
    made, raw = _exported(name, kind)
    lines = raw.decode().splitlines()
    place = draw(st.integers(1 if kind is write_tsv else 0, len(lines) - 1))
    how = draw(st.sampled_from(["bytes", "entry", "entry", "entry", "drop", "twice"]))
    if how == "bytes":
        return name, raw, draw(damaged(raw))
    if how == "drop":
        del lines[place]
    elif how == "twice":
        lines.insert(place, lines[place])
    elif kind is write_tsv:
        row = lines[place].split("\t")
        row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(_FIELDS))
        lines[place] = "\t".join(row)
    else:
        lines[place] = written(draw(changed(json.loads(lines[place]), [*made.records, attack().records[0]])))
    return name, raw, ("\n".join(lines) + "\n").encode(errors="surrogatepass")


def fault_of_exported(case: tuple[str, bytes, bytes]) -> str | None:
    """What is wrong with how a changed log is compared with its run; None if nothing is."""
    name, raw, other = case
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(place)
        _lay(runs()[name], folder)
        (folder / "log").write_bytes(other)
        found = answered(lambda: verify_run(folder, Given(), log=folder / "log"))
        if isinstance(found, HoldfastError) or found.failures:
            return None
    lines = other.removeprefix(b"\xef\xbb\xbf").splitlines()
    if lines[0].startswith(b"{"):
        return "a line that its schema excludes passes" if any(excluded(line, "log-line") for line in lines) else None
    # What passes says the same of every example; times and further columns are another matter.
    said, known = ([line.split(b"\t")[:5] for line in text.splitlines()] for text in (b"\n".join(lines), raw))
    return None if sorted(map(_values, said)) == sorted(map(_values, known)) else "a changed log passes"


def _values(fields: list[bytes]) -> list[str]:
    """Fields as numbers where they are some: 1 and 1.0 are one radius."""
    told = []
    for field in fields:
        try:
            told.append(str(float(field) + 0.0))
        except ValueError:
            told.append(field.decode(errors="replace"))
    return told


@inputs(0.05)
@given(exported())
def test_exported_logs(case: tuple[str, bytes, bytes]) -> None:
    assert fault_of_exported(case) is None
