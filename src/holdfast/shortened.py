"""Shorten lists and values in messages, with a count or mark for what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3
_MOST_CHARACTERS = 70


def some(names: Sequence[object], number: int | None = None, most: int = _NAMED, between: str = ", ") -> str:
    """`a, b, c and 7 more`: the first `most` of the names; `number` is their total, by default `len(names)`."""
    number = len(names) if number is None else number
    shown = [str(name) for name in names[:most]]
    return between.join(shown) + (f" and {number - len(shown):,} more" if number > len(shown) else "")


def as_json(value: object) -> str:
    """A value as JSON, cut if it is long."""
    text = json.dumps(value, allow_nan=False)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
