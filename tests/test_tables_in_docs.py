"""The tables of variants in the docs have the variants that are registered, and specs that are understood."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.attacks import attack_classes
from holdfast.bounds import bound_classes
from holdfast.data.source import SOURCES, source_names
from holdfast.models.architectures.base import ARCHITECTURES
from holdfast.noises.base import find_guarantee, guarantees_of, noise_names
from holdfast.spec import name_of
from holdfast.training.recipes import recipe_names
from holdfast.workflows.specs import parse_attack, parse_bound, parse_noise, parse_recipe

ROOT = Path(__file__).parent.parent


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the tables of a page that have a cell `head` in their first row."""
    found: list[list[str]] = []
    within = False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            within = False
        elif within:
            found.append(cells)
        elif head in cells:
            within = True
    return [cells for cells in found if not set(cells[0]) <= {"-"}]


def specs(page: str, head: str, column: int = 0) -> list[str]:
    """The first code of each row in a column."""
    return [found[1] for cells in rows(page, head) if (found := re.match(r"`([^`]+)`", cells[column]))]


# What a table has for values that a reader chooses.
def filled(spec: str) -> str:
    return re.sub("=[ECR](?=,|$)", "=0.1", spec).replace("=FILE", "=m.safetensors")


TABLES: dict[str, tuple[list[str], list[str], Callable[[str], Any]]] = {
    "noises": (specs("docs/how-to/noise.md", "guarantee", 1), noise_names(), parse_noise),
    "attacks": (specs("docs/how-to/attacks.md", "norms"), list(attack_classes()), parse_attack),
    "bounds": (specs("docs/bounds.md", "norms"), list(bound_classes()), parse_bound),
    "recipes": (specs("docs/how-to/training.md", "what a step minimizes"), recipe_names(), parse_recipe),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_has_each_variant_and_its_specs_are_understood(kind: str) -> None:
    shown, known, parse = TABLES[kind]
    assert {name_of(spec) for spec in shown} == set(known)
    for spec in shown:
        assert parse(filled(spec)).name == name_of(spec)


def test_sources() -> None:
    shown = specs("docs/formats.md", "what lies at the path")
    assert {name_of(spec) for spec in shown} | {"digits"} == set(source_names())
    for spec in shown:
        options = set(re.findall(r"(\w+)=", spec))
        assert options <= set(SOURCES.find(name_of(spec)).options), spec


def test_architectures() -> None:
    known = ARCHITECTURES.all()
    shown = {
        cells[0].strip("`"): re.findall(r"`(\w+)(?:=([^`]*))?`", cells[1])
        for cells in rows("docs/specs.md", "architecture")
    }
    expected = {
        name: [(key, "" if each.default is each.empty else str(each.default)) for key, each in found.arguments.items()]
        for name, found in known.items()
    }
    assert shown == expected


def test_norms_of_attacks_and_bounds() -> None:
    for page, kinds in (("docs/how-to/attacks.md", attack_classes()), ("docs/bounds.md", bound_classes())):
        column = 1 if "attacks" in page else 2
        for cells in rows(page, "norms"):
            found = re.match(r"`([^`]+)`", cells[0])
            assert found
            norms = {norm.value for norm in kinds[name_of(found[1])].norms}  # type: ignore[attr-defined]
            assert set(cells[column].split(", ")) == norms, found[1]


def test_norms_of_noises() -> None:
    """Each norm that the docs promise for a noise is that of one of its theorems."""
    for cells in rows("docs/how-to/noise.md", "guarantee"):
        found = re.match(r"`([^`]+)`(?:, `--theorem (\w+)`)?", cells[1])
        assert found
        noise = parse_noise(found[1])
        norms = {theorem.norm.value for theorem in guarantees_of(noise)}
        named = set(re.findall(r"L(?:inf|\d)|patch\b", cells[0]))
        assert named <= norms
        assert find_guarantee(noise, found[2]).norm.value in named
