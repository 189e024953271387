"""JSON is read strictly: one text for one content, within limits."""

from __future__ import annotations

import json

import pytest

from holdfast.formats import strict
from holdfast.formats.checking import fitting
from holdfast.formats.records import BoundLine, VoteLine
from holdfast.formats.strict import foreign_object, json_object

RECORD = {"index": 1, "label": 0, "selection": [3, 0], "estimation": [9, 1], "digest": "0" * 16}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"a":1}', "the entry 'a' comes twice"),
        ('{"b":{"a":1,"c":2,"a":3}}', "the entry 'a' comes twice"),
        ('{"a":NaN}', "NaN is not a number"),
        ('{"a":-Infinity}', "-Infinity is not a number"),
        ('{"a":1e400}', "the number 1e400 .* it is no finite number"),
        ('{"a":0.50}', r"the number 0\.50 .* it is 0\.5"),
        ('{"a":1E5}', r"the number 1E5 .* it is 100000\.0"),
        ('{"a":-0}', "the number -0 is not written as Holdfast writes it"),
        ('{"a":0.3000000000000000000001}', r"it is 0\.3"),
        ('{"a":' + "1" * 5000 + "}", "more digits than Holdfast"),
        ('{"a":"\\ud800"}', "half of a character"),
        ('{"\\udfff":1}', "half of a character"),
        ("\ufeff{}", "BOM|Expecting value"),
        ("[]", "a JSON object was expected, found list"),
        ('{"a":1} {}', "Extra data"),
        ("{'a':1}", "double quotes"),
        ('{"a":"\n"}', "control character"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested too deeply"),
        ('{"a":' + "[" * 100_000, "nested too deeply"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_strict_json(text: str, message: str) -> None:
    for given in (text, text.encode(errors="surrogatepass")):
        with pytest.raises(ValueError, match=message):
            json_object(given)


def test_bytes_that_are_no_utf_8() -> None:
    with pytest.raises(ValueError, match=r"it is not UTF-8 .*byte 0xff"):
        json_object(b'{"a":"\xff"}')
    with pytest.raises(ValueError, match="it is not UTF-8"):
        json_object(b'{"a":"\xed\xa0\x80"}')


def test_what_is_too_long_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="it has 12 bytes; at most 11 are read"):
        json_object(b'{"a": 12345}', 11)


@pytest.mark.parametrize(
    "entries",
    [
        {"a": -0.0, "b": 1e-05, "c": 1e300, "d": -1, "e": "-0"},
        {"é\u202e\x1b": "\U0001f600"},
        {"a": [[[{}]]], "b": None},
    ],
)
def test_what_python_writes_comes_back(entries: dict[str, object]) -> None:
    for ascii_only in (True, False):
        assert json_object(json.dumps(entries, ensure_ascii=ascii_only)) == entries


def test_others_write_numbers_as_they_please() -> None:
    assert foreign_object('{"a":1E5,"b":0.50,"c":-0}') == {"a": 1e5, "b": 0.5, "c": 0}
    with pytest.raises(ValueError, match="too large for float64"):
        foreign_object('{"a":1e999}')


def test_64_levels_are_read() -> None:
    assert strict.MOST_DEPTH == 64
    assert json_object('{"a":' * 64 + "1" + "}" * 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": True}, "the entry index is true; expected a whole number"),
        ({"index": 1.0}, r"the entry index is 1\.0; expected a whole number"),
        ({"label": -1}, "the entry label is -1; expected a whole number of at least 0"),
        ({"selection": [3, 0.5]}, r"the entry selection\[1\] is 0\.5; expected a whole number"),
        ({"selection": []}, r"the entry selection is \[\]; expected a list with a length of at least 1"),
        ({"estimation": None}, "the entry estimation is null; expected a list"),
        ({"digest": "0" * 15 + "\n"}, "the entry digest is .*matching"),
        ({"extra`": 1}, "the entry 'extra`' is unknown"),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_found(change: dict[str, object], message: str) -> None:
    assert fitting(RECORD, VoteLine).index == 1
    with pytest.raises(ValueError, match=message):
        fitting({**RECORD, **change}, VoteLine)


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(ValueError, match="the entry 'answer' is missing"):
        fitting({"index": 1, "label": 0, "radius": 1, "digest": "0" * 16}, BoundLine)
    with pytest.raises(ValueError, match="expected an object, found 3"):
        fitting(3, BoundLine)
