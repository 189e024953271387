"""Check a document against its schema, with messages that name the entry, its value and what was expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from holdfast.shortened import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")

# A step of msgspec's path to an entry, as in `$.data.shape[1]`.
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z_0-9]*)|\[([0-9]+|\.\.\.)\]")
_UNKNOWN = re.compile(r"(?s)Object contains unknown field `(.*)`")
_MISSING = re.compile(r"(?s)Object missing required field `(.*)`")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SIGNS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below", "of length of": "with a length of"}


def fitting(document: Any, kind: type[_T], within: str = "") -> _T:
    """Convert a document to an object of its schema. No value is converted or rounded, and no entry is ignored.

    Args:
        document: as parsed from JSON.
        kind: a class of `holdfast.formats`.
        within: for messages, the entry of a larger document that holds it.

    Raises:
        ValueError: the document does not fit; the message names the entry, its value and what was expected.
    """
    try:
        return msgspec.convert(document, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(document, str(error), within)) from None


def _explained(document: Any, message: str, within: str) -> str:
    what, _, place = message.rpartition(" - at `")
    if not place.endswith("`") or not what:
        what, place = message, "`"
    steps = _STEP.findall(place[:-1])
    where = within + "".join(f".{name}" if name else f"[{number}]" for name, number in steps)
    where = where.removeprefix(".")
    missing, unknown = _MISSING.fullmatch(what), _UNKNOWN.fullmatch(what)
    if missing:
        return f"the entry {_within(where, missing[1])} is missing"
    if unknown:
        return f"the entry {_within(where, unknown[1])} is unknown"
    if not where:
        return what if not what.startswith("Expected") else f"expected {_expected(what)}, found {_kind(document)}"
    found = _found(document, steps)
    if found is None or not what.startswith(("Expected", "Invalid")):
        return f"the entry {where}: {what}"
    if what.startswith("Invalid"):
        return f"the entry {where} is {found}, which is not one of its allowed values"
    return f"the entry {where} is {found}; expected {_expected(what)}"


def _within(where: str, name: str) -> str:
    return repr(f"{where}.{name}" if where else name)


def _expected(what: str) -> str:
    """What msgspec expected, in plain words."""
    expected = what.removeprefix("Expected ").partition(", got ")[0]
    expected = re.sub(r"`([a-z |]+)`", lambda kinds: _kinds(kinds[1]), expected)
    for sign, words in _SIGNS.items():
        expected = expected.replace(f" {sign} ", f" {words} ")
    return expected


def _kinds(text: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in text.split(" | "))


def _found(document: Any, steps: Sequence[tuple[str, str]]) -> str | None:
    """The value of an entry as JSON; None if msgspec does not say which one of several entries it is."""
    for name, number in steps:
        try:
            document = document[name] if name else document[int(number)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return as_json(document)


def _kind(value: object) -> str:
    return "an object" if isinstance(value, dict) else as_json(value)
