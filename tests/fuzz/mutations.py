"""Documents changed as a stranger would: entries of another kind, missing, twice, nested, long; and bytes at random.

A document is a tree of dicts, lists and scalars; a `Token` in it is written as it is, so that also what JSON has no
word for can be written.
"""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st


class Token(str):
    """Text that stands in a document as it is."""


class Twice:
    """An entry that is written twice, under one key."""

    def __init__(self, first: Any, second: Any) -> None:
        self.both = (first, second)


_DEEP = 3000
ODD = [
    None, True, False, 0, 1, -1, 2, 3.0, 3.7, 0.5, -0.5, 1e-300, 1e300, 2**31, 2**53 + 1, 2**63, 2**64, 10**10, 10**12,
    10**15, "",
    "0", "1.5", "x", "a\nb", "\x1b[31m", "\u202e", "=1+1", "é", "x" * 300, "x" * 200_000, [], {}, [0], [0.5, None],
    [[]], {"name": "x"}, {"a": {"b": []}}, [0] * 4, [1, 2, 3, 4], list(range(300)), "gaussian", "unknown", "next", "L2",
    Token("NaN"), Token("Infinity"), Token("-Infinity"), Token("1e400"), Token("-1e400"), Token("1e-400"), Token("-0"),
    Token("-0.0"), Token("1E5"), Token("0.10"), Token("1" * 400), Token("1" * 5000), Token("0." + "3" * 5000),
    Token("1e-100000000"), Token("1e100000000"), Token('"\\ud800"'), Token('"\\u0000"'),
    Token("[" * _DEEP + "]" * _DEEP), Token("[" * 70 + "]" * 70), Token('{"a":' * _DEEP + "1" + "}" * _DEEP),
    1.0000001, 0.999999, 1e-99, 5e-324, 10**9, Token("'x'"), Token("undefined"), Token(""),
    Token("01"), Token("+1"), Token(".5"), Token("0x10"), Token("1_000"), Token("/* */ 1"), Token('"\x01"'),
]  # fmt: skip


def written(value: Any) -> str:
    """A document as text."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, dict):
        entries = []
        for key, entry in value.items():
            both = entry.both if isinstance(entry, Twice) else (entry,)
            entries += [f"{json.dumps(key)}:{written(each)}" for each in both]
        return "{" + ",".join(entries) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value.both[1] if isinstance(value, Twice) else value)


def parsed(text: str | bytes) -> Any:
    """What a lenient reader takes a text for; ValueError where it cannot."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all entries of a document."""
    found = []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        found += [(*path, key), *places(part, (*path, key))]
    return found


@st.composite
def changed(draw: st.DrawFn, document: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """A document with one to three entries changed.

    Args:
        draw: of hypothesis.
        document: to change.
        others: whose entries may come into its own's places.
    """
    made = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        known = places(made)
        if not known:
            break
        # Entries at the top are as many as votes in a list.
        short = [path for path in known if len(path) == 1 or isinstance(path[-1], str)]
        *way, last = draw(st.sampled_from(draw(st.sampled_from([known, short]))))
        parent = made
        for key in way:
            parent = parent[key]
        how = draw(st.sampled_from(["odd", "odd", "odd", "near", "delete", "twice", "add", "rename", "swap", "grow"]))
        old = parent[last]
        if isinstance(old, Twice):
            continue
        if how == "odd":
            parent[last] = _odd(draw)
        elif how == "near":
            parent[last] = _near(draw, old)
        elif how == "delete":
            del parent[last]
        elif how == "twice" and isinstance(parent, dict):
            parent[last] = Twice(_odd(draw), old) if draw(st.booleans()) else Twice(old, old)
        elif how == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["extra", "", "digest ", "Kind", "ké", "x" * 5000, "nan"]))] = old
        elif how == "rename" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["x", str(last).upper(), f"{last} "]))] = parent.pop(last)
        elif how == "swap":
            other = draw(st.sampled_from(others))
            parent[last] = json.loads(json.dumps(other.get(last, other) if isinstance(last, str) else other))
        elif how == "grow" and isinstance(old, list):
            parent[last] = old * draw(st.sampled_from([0, 2, 3, 50]))
    return made


def _odd(draw: st.DrawFn) -> Any:
    """A copy, since the next change may be within it."""
    return deepcopy(draw(st.sampled_from(ODD)))


def _near(draw: st.DrawFn, old: Any) -> Any:
    """Of the same kind, and not the same."""
    if isinstance(old, bool) or old is None:
        return draw(st.sampled_from([True, False, None, 0]))
    if isinstance(old, int):
        return draw(st.sampled_from([old + 1, old - 1, -old, old * 10, float(old), str(old), old + 2**63]))
    if isinstance(old, float):
        return draw(st.sampled_from([old * 2, -old, old * 1e-9, old * 1e9, 1.0 - old, int(old), str(old)]))
    if isinstance(old, str):
        return draw(st.sampled_from([old[:-1], old + "\n", old.upper(), "0" * len(old), [old], old * 2]))
    return [old]


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes with a few changed, cut, doubled, or with others among them."""
    how = draw(st.sampled_from(["flip", "flip", "cut", "insert", "join", "noise"]))
    place = draw(st.integers(0, max(0, len(raw) - 1)))
    if how == "flip" and raw:
        return raw[:place] + bytes([raw[place] ^ (1 << draw(st.integers(0, 7)))]) + raw[place + 1 :]
    if how == "cut":
        return raw[:place]
    if how == "join":
        return raw + raw[place:]
    if how == "noise":
        return draw(st.binary(max_size=200))
    some = [
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\x0b",
        b'"',
        b"\t",
        b" ",
        b"{",
    ]
    return raw[:place] + draw(st.sampled_from(some)) + raw[place:]


def manifest_digest(text: str) -> str:
    """What a forger would take for the digest of a manifest."""
    return hashlib.sha256(_canonical(text).encode()).hexdigest()


def record_digest(promised: str, text: str) -> str:
    """What a forger would take for the digest of a record."""
    return hashlib.sha256(f"{promised}\n{_canonical(text)}".encode()).hexdigest()[:16]


def results_digest(promised: str, lines: list[str]) -> str:
    """What a forger would take for the digest of the results."""
    try:
        ordered = sorted(lines, key=lambda line: parsed(line)["index"])
    except (ValueError, TypeError, KeyError):
        ordered = lines
    return hashlib.sha256("".join(f"{each}\n" for each in [promised, *map(_canonical, ordered)]).encode()).hexdigest()


def _canonical(text: str) -> str:
    try:
        entries = parsed(text)
        rest = {key: value for key, value in entries.items() if key != "digest"}
        return json.dumps(rest, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError, AttributeError):
        return text
