"""What the shipped JSON schemas and strict JSON exclude, judged by other code than Holdfast's: the oracle."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

_FOLDER = Path(__file__).parents[2] / "docs" / "formats"


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def excluded(raw: bytes, name: str) -> bool:
    """Whether a text is no strict JSON, or a document that its schema excludes."""
    try:
        document = json.loads(
            raw.decode(), object_pairs_hook=_once, parse_constant=_none, parse_float=_finite, parse_int=_few
        )
        json.dumps(document, ensure_ascii=False).encode()
        return not _validator(name).is_valid(document)
    except (ValueError, RecursionError):
        return True


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert_once = dict(pairs)
    if len(assert_once) != len(pairs):
        raise ValueError("twice")
    return assert_once


def _none(word: str) -> Any:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number


def _few(text: str) -> int:
    if len(text) > 400:
        raise ValueError("digits")
    return int(text)
