"""Names of classes, as a file has them: the same for data and for models."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from holdfast.budgets import content_of
from holdfast.errors import DataError, UsageError
from holdfast.formats.strict import foreign_object
from holdfast.spec import place
from holdfast.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# No manifest has more.
MOST_CLASSES = 100_000
_MOST_BYTES = 2**26


def numbered(count: int) -> tuple[str, ...]:
    """Numbers for names."""
    return tuple(str(label) for label in range(count))


def names_in(path: str) -> tuple[str, ...]:
    """The names in a file: one on each line, or a JSON list, or an object of names by label.

    Raises:
        UsageError: there is no such file.
        DataError: it cannot be read, or has no names.
    """
    file = place(path)
    if not file.is_file():
        what = f"{path} is a folder" if file.is_dir() else f"no file {path}"
        raise UsageError(f"classes is a number of classes, or a file with one name a line; {what}")
    try:
        text = text_of(content_of(file, DataError, _MOST_BYTES), file)
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror or error}); check its permissions") from error
    names = _of_json(text, path) if text.lstrip()[:1] in ("[", "{") else [line.strip() for line in text.splitlines()]
    while names and not names[-1]:
        names.pop()
    blank = next((number for number, name in enumerate(names) if not name), None)
    if not names or blank is not None:
        raise DataError(
            f"{path} has {'no names' if not names else f'no name in line {blank + 1}' if blank is not None else ''}, "
            "expected one name a line, in the order of the labels"
        )
    if len(names) > MOST_CLASSES:
        raise DataError(f"{path} has {len(names):,} names, expected {MOST_CLASSES:,} at most")
    return _told_apart(names)


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names that stand for several classes, as two of ImageNet's do, get their labels behind them."""
    count = Counter(names)
    return tuple(f"{name} ({label})" if count[name] > 1 else name for label, name in enumerate(names))


def _of_json(text: str, path: str) -> list[str]:
    """A list of names, or names by label, as in `{"0": "tench"}` or `{"0": ["n01440764", "tench"]}`, of which the "
    "first counts."""
    try:
        found = foreign_object(f'{{"names": {text}}}'.encode())["names"]
        if isinstance(found, dict):
            found = [found[str(label)] for label in range(len(found))]
        first: Sequence[object] = [name[0] if isinstance(name, list) and name else name for name in found]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} begins as JSON and cannot be read ({error!r}); expected a list of names, or an object of names "
            'by label, as in {"0": "cat", "1": "dog"}'
        ) from error
    wrong = next((name for name in first if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(f"{path} has {wrong!r} for a name, expected a text for each class")
    return [str(name) for name in first]
