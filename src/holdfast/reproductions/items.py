"""The 93 things that the three documents describe, and where each is shown: `docs/seeds.md` is made from them.

What is true of an item stands in items.csv; studies name their items themselves (`Study.items`).
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.reproductions.base import Study

# The letter of an item -> its document, and the numbers of its items.
DOCUMENTS = {
    "L": (
        "Levine & Feizi 2020, *Robustness Certificates for Sparse Adversarial Attacks by Randomized Ablation*",
        1,
        37,
    ),
    "C": ("Cohen, Rosenfeld & Kolter 2019, *Certified Adversarial Robustness via Randomized Smoothing*", 38, 71),
    "H": ("Hajri 2021, *Adversarial examples and stability of neural networks* (lecture)", 72, 93),
}
WHOLE, PARTIAL, CITED = "whole", "partial", "cited"
STATUSES = (WHOLE, PARTIAL, CITED)


@dataclass(frozen=True)
class Item:
    """One thing that a document describes.

    Attributes:
        id: letter of the document and number, as in "L11".
        section: of the document.
        what: it is.
        shown: a page of the documentation about it; empty for none.
        studies: names of the studies that show it.
        status: "whole", "partial", or "cited" for what the document only names.
        reason: what is missing, and what it would take; empty if nothing is.
    """

    id: str
    section: str
    what: str
    shown: str
    studies: tuple[str, ...]
    status: str
    reason: str


def expected_ids() -> list[str]:
    """The ids of all items, in order."""
    return [f"{letter}{number}" for letter, (_, first, last) in DOCUMENTS.items() for number in range(first, last + 1)]


def items(studies: Iterable[Study]) -> list[Item]:
    """All items, each with the studies that name it besides those of the table.

    Raises:
        UsageError: the table and the studies do not fit: an item is missing, unknown, or has no reason; a study is.
    """
    text = resources.files("holdfast.reproductions").joinpath("items.csv").read_text(encoding="utf-8")
    return joined(csv.DictReader(text.splitlines()), studies)


def joined(rows: Iterable[dict[str, str]], studies: Iterable[Study]) -> list[Item]:
    """Items from the rows of the table, joined with the studies; see `items`."""
    known = {study.name: study for study in studies}
    found = [
        Item(**{**row, "studies": tuple(row["studies"].split())})  # type: ignore[arg-type]
        for row in rows
    ]
    if [item.id for item in found] != expected_ids():
        raise UsageError(f"the table of items must have {', '.join(expected_ids()[:2])} and so on, each once, in order")
    for item in found:
        _check(item, known)
    named = {study.name: set(study.items) for study in known.values()}
    for name, ids in named.items():
        unknown = sorted(ids - {item.id for item in found})
        if unknown:
            raise UsageError(f"the study {name} shows {', '.join(unknown)}; the documents have no such items")
    return [
        Item(
            **{
                **vars(item),
                "studies": tuple(sorted({*item.studies, *(name for name, ids in named.items() if item.id in ids)})),
            }
        )
        for item in found
    ]


def _check(item: Item, known: dict[str, Study]) -> None:
    missing = [name for name in item.studies if name not in known]
    if missing:
        raise UsageError(f"{item.id} is shown by {', '.join(missing)}, but there is no such study")
    if item.status not in STATUSES:
        raise UsageError(f"{item.id} is {item.status!r}, expected one of {', '.join(STATUSES)}")
    if bool(item.reason) == (item.status == WHOLE):
        raise UsageError(f"{item.id} is {item.status}: what is missing and what it would take must be said then only")


def markdown(found: Sequence[Item]) -> str:
    """The page `docs/seeds.md`."""
    counts = Counter(item.status for item in found)
    lines = [
        "# What the three documents describe",
        "",
        f"Holdfast grew from three documents. They describe the following {len(found)} things: {counts[WHOLE]} are "
        f"here as a whole, {counts[PARTIAL]} in part, with what is missing and what it would take, and {counts[CITED]} "
        "are only named by their document. `holdfast reproduce NAME` makes a study, and `holdfast reproduce --all` all "
        "of them ([how](how-to/reproductions.md)); [Measured](measurements/reproductions.md) has their results.",
        "",
        "`python tools/seeds.py > docs/seeds.md` makes this page from `src/holdfast/reproductions/items.csv` and the "
        "items that each study names; a test compares it.",
        "",
    ]
    for letter, (document, _, _) in DOCUMENTS.items():
        lines += [f"## {document}", "", "| item | section | what | status | where |", "|---|---|---|---|---|"]
        lines += [_row(item) for item in found if item.id.startswith(letter)]
        lines.append("")
    return "\n".join(lines)


def _row(item: Item) -> str:
    status = f"{item.status}: {item.reason}" if item.reason else item.status
    where = [f"`reproduce {name}`" for name in item.studies]
    if item.shown:
        inside = item.shown.removeprefix("docs/")
        where.append(f"[{inside}]({inside})")
    return f"| {item.id} | {item.section} | {item.what} | {status} | {', '.join(where) or '-'} |"
