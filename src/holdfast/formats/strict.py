"""JSON read strictly: one text for one content, so that two readers cannot take the same bytes for different things."""

from __future__ import annotations

import json
from typing import Any

# Bytes of a document: a manifest, the header of a bundle or of a checkpoint.
MOST_DOCUMENT = 2**24
# Bytes of one line of records, sessions or a log.
MOST_LINE = 2**24
# Bytes of a file of lines.
MOST_LINES = 2**32
# Objects and lists within each other.
MOST_DEPTH = 64


def json_object(text: bytes | str, most: int = MOST_DOCUMENT) -> dict[str, Any]:
    """The JSON object that a text is.

    Args:
        text: as it lies in a file; bytes are UTF-8.
        most: bytes, or characters, that it may have.

    Raises:
        ValueError: too long, not UTF-8, no JSON (NaN and infinity are none), JSON of another kind, an entry that comes
            twice, a number that is written otherwise than Holdfast writes it, half of a character, or nested too
            deeply.
    """
    return _object(text, most, _OURS)


def foreign_object(text: bytes | str, most: int = MOST_DOCUMENT) -> dict[str, Any]:
    """The JSON object that another program wrote: as `json_object`, but its numbers are written as they please."""
    return _object(text, most, _THEIRS)


def _object(text: bytes | str, most: int, decoder: json.JSONDecoder) -> dict[str, Any]:
    if len(text) > most:
        raise ValueError(f"it has {len(text):,} bytes, and {most:,} are the most that are read")
    written = text if isinstance(text, str) else _decoded(text)
    try:
        # No whole number is written so, and Python reads it as 0.
        found = (_NO_MINUS_ZERO if "-0" in written and decoder is _OURS else decoder).decode(written)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        # Python's own limit, in its own words.
        if str(error).startswith("Exceeds the limit"):
            raise ValueError("a number in it has more digits than any that Holdfast reads") from None
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
    """Raise ValueError where something is nested too deeply, or a text has half of a character."""
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
    """A number with a point or an exponent, as Holdfast alone writes it: no two texts stand for one number."""
    value = float(text)
    if repr(value) != text:
        written = repr(value) if value - value == 0.0 else "no finite number"
        raise ValueError(f"the number {text[:40]} is written as Holdfast never does; read as float64 it is {written}")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"the number {text[:40]} is beyond all finite ones of float64")
    return value


def _whole(text: str) -> int:
    if text == "-0":
        raise ValueError("the number -0 is written as Holdfast never does; it is 0")
    return int(text)


def _no_word(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


# Made once: `json.loads` would make a decoder for each call.
_OURS = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_shortest, parse_constant=_no_word)
_NO_MINUS_ZERO = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_shortest, parse_int=_whole, parse_constant=_no_word
)
_THEIRS = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_word)
