"""The table of everything that the three documents describe: complete, joined with the studies, and on its page."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.reproductions import studies
from holdfast.reproductions.items import CITED, PARTIAL, WHOLE, expected_ids, items, joined, markdown

ROOT = Path(__file__).parent.parent.parent
Rows = list[dict[str, str]]


def rows() -> Rows:
    text = resources.files("holdfast.reproductions").joinpath("items.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_page_is_what_the_table_and_the_studies_say() -> None:
    made = markdown(items(studies()))
    assert (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8") == made, (
        "docs/seeds.md is stale: python tools/seeds.py > docs/seeds.md"
    )


def test_all_items_are_there_each_once() -> None:
    found = [item.id for item in items(studies())]
    assert found == expected_ids()
    assert (len(found), found[0], found[36], found[37], found[-1]) == (93, "L1", "L37", "C38", "H93")


def test_nothing_is_missing_and_what_is_not_whole_has_a_reason() -> None:
    for item in items(studies()):
        assert item.status in (WHOLE, PARTIAL, CITED)
        assert item.section
        assert item.what
        assert (item.status == WHOLE) == (not item.reason), item.id
        assert item.status == CITED or item.studies or item.shown or item.status == PARTIAL, f"{item.id} is nowhere"
        assert item.status != WHOLE or item.studies or item.shown, f"{item.id} is whole and shown nowhere"


def test_every_page_that_shows_an_item_exists() -> None:
    for item in items(studies()):
        assert not item.shown or (ROOT / item.shown).is_file(), item.id


def test_an_item_lists_the_studies_that_name_it() -> None:
    found = {item.id: item for item in items(studies())}
    for study in studies():
        for each in study.items:
            assert study.name in found[each].studies
    assert "attack-dominance" in found["H80"].studies


def test_no_cell_ends_its_column() -> None:
    lines = [line for line in markdown(items(studies())).splitlines() if line.startswith("| ")]
    assert len(lines) == 93 + 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {6}


def without(found: Rows) -> Rows:
    return [row for row in found if row["id"] != "C50"]


def twice(found: Rows) -> Rows:
    return [*found, found[-1]]


def changed(**cells: str) -> Callable[[Rows], Rows]:
    return lambda found: [{**row, **cells} if row["id"] == "L11" else row for row in found]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "must have L1, L2 and so on, each once"),
        (twice, "must have L1, L2 and so on, each once"),
        (changed(studies="levine-mnits"), "L11 is shown by levine-mnits, but there is no such study"),
        (changed(status="missing"), "L11 is 'missing', expected one of whole, partial, cited"),
        (changed(status="partial"), "L11 is partial: what is missing"),
        (changed(reason="because"), "L11 is whole: what is missing"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(change: Callable[[Rows], Rows], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        joined(change(rows()), studies())


def test_a_study_that_shows_an_unknown_item_is_refused() -> None:
    first, *others = studies()
    with pytest.raises(UsageError, match=rf"the study {first.name} shows X1, L94; the documents|shows L94, X1"):
        joined(rows(), [replace(first, items=("L94", "X1")), *others])
