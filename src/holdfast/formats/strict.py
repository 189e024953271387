"""Strict JSON: each content has one text, so that two readers cannot read the same bytes differently."""

from __future__ import annotations

import json
from typing import Any

# Most bytes of a document: a manifest, or the header of a bundle or checkpoint.
MOST_DOCUMENT = 2**24
# Most bytes of one line of records, sessions or a log.
MOST_LINE = 2**24
# Most bytes of a file of lines.
MOST_LINES = 2**32
# Deepest nesting of objects and lists.
MOST_DEPTH = 64


def json_object(text: bytes | str, most: int = MOST_DOCUMENT) -> dict[str, Any]:
    """Parse a text that is a JSON object.

    Args:
        text: the content of a file; bytes are UTF-8.
        most: most bytes, or characters, that it may have.

    Raises:
        ValueError: it is too long, not UTF-8, not JSON (which has no NaN and no infinity), or not an object; or it has
            a repeated entry, a number not written as Holdfast writes it, half of a character, or too deep nesting.
    """
    return _object(text, most, _OURS)


def foreign_object(text: bytes | str, most: int = MOST_DOCUMENT) -> dict[str, Any]:
    """Parse a JSON object of another program: as `json_object`, but numbers may be written in any form."""
    return _object(text, most, _THEIRS)


def _object(text: bytes | str, most: int, decoder: json.JSONDecoder) -> dict[str, Any]:
    if len(text) > most:
        raise ValueError(f"it has {len(text):,} bytes; at most {most:,} are read")
    written = text if isinstance(text, str) else _decoded(text)
    try:
        # Whole numbers are never written as -0, which Python reads as 0.
        found = (_NO_MINUS_ZERO if "-0" in written and decoder is _OURS else decoder).decode(written)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        # The message of Python's own limit.
        if str(error).startswith("Exceeds the limit"):
            raise ValueError("a number in it has more digits than Holdfast reads") from None
        raise
    if not isinstance(found, dict):
        raise ValueError(f"a JSON object was expected, found {type(found).__name__}")
    if "\\u" in written or written.count("[") + written.count("{") > MOST_DEPTH:
        _check_inside(found)
    return found


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 ({error.reason}, byte {text[error.start]:#04x})") from None


def _check_inside(found: dict[str, Any]) -> None:
    """Raise ValueError if the nesting is too deep or a text has half of a character."""
    open_values: list[tuple[Any, int]] = [(found, 1)]
    while open_values:
        value, depth = open_values.pop()
        if isinstance(value, str):
            if not value.isascii():
                _check_text(value)
        elif isinstance(value, (dict, list)):
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
            parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            open_values.extend((part, depth + 1) for part in parts if isinstance(part, (str, dict, list)))


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a text in it has half of a character (a lone surrogate): {text[:70]!a}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in entries if names.count(key) > 1)
        raise ValueError(f"the entry {twice!a} comes twice")
    return entries


def _shortest(text: str) -> float:
    """A number with a point or an exponent, in Holdfast's spelling only, so that each number has one text."""
    value = float(text)
    if repr(value) != text:
        written = repr(value) if value - value == 0.0 else "no finite number"
        raise ValueError(f"the number {text[:40]} is not written as Holdfast writes it; as float64 it is {written}")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"the number {text[:40]} is too large for float64")
    return value


def _whole(text: str) -> int:
    if text == "-0":
        raise ValueError("the number -0 is not written as Holdfast writes it; it is 0")
    return int(text)


def _no_word(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


# Made once, since `json.loads` would make a decoder in each call.
_OURS = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_shortest, parse_constant=_no_word)
_NO_MINUS_ZERO = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_shortest, parse_int=_whole, parse_constant=_no_word
)
_THEIRS = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_word)
