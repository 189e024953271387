"""What is shortened in messages: what is left out is counted or marked, and nothing is said where all is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3
_MOST_CHARACTERS = 70


def some(names: Sequence[object], number: int | None = None, most: int = _NAMED, between: str = ", ") -> str:
    """`a, b, c and 7 more`: the first `most` of the names, of which there are `number`, or as many as are given."""
    number = len(names) if number is None else number
    shown = [str(name) for name in names[:most]]
    return between.join(shown) + (f" and {number - len(shown):,} more" if number > len(shown) else "")


def as_json(value: object) -> str:
    """A value of a file as JSON, cut where it is long."""
    text = json.dumps(value, allow_nan=False)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
