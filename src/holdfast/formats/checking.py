"""A document against its schema; what does not fit is told in plain words, with the entry and what it holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from holdfast.shortened import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")

# Where msgspec is in a document, as in `$.data.shape[1]`.
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
    """A document as an object of its schema; nothing is converted, cut or rounded, and no entry left over.

    Args:
        document: as parsed from JSON.
        kind: a class of `holdfast.formats`.
        within: the entry of a larger document that it is, for messages.

    Raises:
        ValueError: it does not fit; says which entry is what, and what was expected.
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
        return f"there is an entry {_within(where, unknown[1])}, which is unknown"
    if not where:
        return what if not what.startswith("Expected") else f"{_expected(what)} was expected, found {_kind(document)}"
    found = _found(document, steps)
    if found is None or not what.startswith(("Expected", "Invalid")):
        return f"the entry {where}: {what}"
    if what.startswith("Invalid"):
        return f"the entry {where} is {found}, which is none of the values that it may have"
    return f"the entry {where} is {found}; expected is {_expected(what)}"


def _within(where: str, name: str) -> str:
    return repr(f"{where}.{name}" if where else name)


def _expected(what: str) -> str:
    """msgspec's own words for what it wants, in plain ones."""
    expected = what.removeprefix("Expected ").partition(", got ")[0]
    expected = re.sub(r"`([a-z |]+)`", lambda kinds: _kinds(kinds[1]), expected)
    for sign, words in _SIGNS.items():
        expected = expected.replace(f" {sign} ", f" {words} ")
    return expected


def _kinds(text: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in text.split(" | "))


def _found(document: Any, steps: Sequence[tuple[str, str]]) -> str | None:
    """What an entry holds, as JSON; None where msgspec does not say which one of several it is."""
    for name, number in steps:
        try:
            document = document[name] if name else document[int(number)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return as_json(document)


def _kind(value: object) -> str:
    return "an object" if isinstance(value, dict) else as_json(value)
