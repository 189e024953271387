"""Adversarials as pictures: the inputs that an attack keeps for them, what is drawn, and where."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import attack_cases
import helpers
import numpy as np
import pytest
from test_attacked import attacked

from holdfast.analysis.attack_report import write_attack_report
from holdfast.analysis.changes import changes, drawn_change
from holdfast.analysis.report import write_report
from holdfast.attacks import PlainTarget
from holdfast.errors import RunError
from holdfast.execution.attack import attack_run
from holdfast.store.attack import KEPT, read_attack

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.store.attack import AttackRun

SIZE = 16
PIXELS = math.prod(helpers.SHAPE)


@pytest.fixture
def found(tmp_path: Path) -> AttackRun:
    """An attack that finds an adversarial for each of its inputs."""
    attack_cases.attack(tmp_path / "attack", attack_cases.attack_manifest(size=SIZE, budgets=(0.9,)))
    return read_attack(tmp_path / "attack")


def test_the_first_inputs_are_kept_exactly_and_no_more(found: AttackRun) -> None:
    kept = {record.index: found.original(record) for record in found.records}
    assert [index for index, values in kept.items() if values is not None] == list(range(KEPT))
    for example in helpers.examples(range(KEPT)):
        assert np.array_equal(kept[example.index], example.x)


def test_an_attack_that_goes_on_keeps_the_same_inputs(found: AttackRun, tmp_path: Path) -> None:
    again = tmp_path / "again"
    promised = attack_cases.attack_manifest(size=SIZE, budgets=(0.9,))
    attack_cases.attack(again, replace(promised, created=found.manifest.created))
    lines = (again / "records.jsonl").read_bytes().splitlines(keepends=True)
    (again / "records.jsonl").write_bytes(b"".join(lines[:3]))
    attack_cases.attack(again, promised)
    names = sorted(each.name for each in (again / "inputs").iterdir())
    assert names == sorted(each.name for each in (tmp_path / "attack" / "inputs").iterdir())


def test_what_is_drawn(found: AttackRun) -> None:
    first, *others = changes(found, 3)
    assert len(others) == 2
    record = found.records[0]
    original, adversarial = found.original(record), found.adversarial(record)
    assert original is not None
    assert adversarial is not None
    names = found.manifest.data.class_names
    assert first.captions[:2] == (f"class {names[record.label]}", f"class {names[record.answer or 0]}")
    assert first.captions[2] == f"Linf: {record.magnitude:.4g} input units"
    assert np.array_equal(first.pictures[0][..., 0], np.rint(original[0] * 255))
    assert np.array_equal(first.pictures[1][..., 0], np.rint(adversarial[0] * 255))
    change = adversarial[0] - original[0]
    expected = np.rint((0.5 + change / np.abs(change).max() / 2) * 255)
    assert np.abs(first.pictures[2][..., 0] - expected).max() <= 1
    assert len(changes(found, 100)) == KEPT


def test_a_change_is_scaled_by_its_largest_and_none_is_grey() -> None:
    before = np.full((3, 2, 2), 0.5, np.float32)
    after = before.copy()
    after[0, 0, 0], after[1, 1, 1] = 0.51, 0.495
    picture, largest = drawn_change(before, after)
    assert largest == pytest.approx(0.01)
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[1, 1].tolist() == [128, 64, 128]
    assert drawn_change(before, before)[1] == 0
    assert (drawn_change(before, before)[0] == 128).all()
    assert drawn_change(2 * before - 1, 2 * after - 1, -1.0, 1.0)[1] == pytest.approx(0.02)


def test_inputs_that_are_no_pictures_have_none(found: AttackRun) -> None:
    for shape in ((64,), (2, 4, 8), (64, 1, 1, 1)):
        data = replace(found.manifest.data, shape=shape)
        assert changes(replace(found, manifest=replace(found.manifest, data=data)), 3) == []


def test_features_are_not_kept(tmp_path: Path) -> None:
    promised = attack_cases.attack_manifest(size=2, budgets=(0.9,))
    flat = replace(promised, data=replace(promised.data, shape=(PIXELS,)))
    target = PlainTarget(attack_cases.score, helpers.CLASSES, (PIXELS,))
    inputs = (replace(each, x=each.x.ravel()) for each in helpers.examples(range(2)))
    attack_run(tmp_path / "flat", flat, target, lambda _: inputs)
    assert all(each.adversarial is not None for each in read_attack(tmp_path / "flat").records)
    assert not (tmp_path / "flat" / "inputs").exists()


@pytest.mark.parametrize("damage", ["torn", "longer", "nan"])
def test_a_damaged_input_is_named(found: AttackRun, damage: str) -> None:
    file = found.folder / "inputs" / "0.npy"
    raw = file.read_bytes()
    nan = np.float32(np.nan).tobytes()
    file.write_bytes({"torn": raw[:-1], "longer": raw + b"\0", "nan": raw[:-4] + nan}[damage])
    with pytest.raises(RunError, match=r"inputs/0\.npy .*Delete it to have the report without its picture"):
        changes(found, 1)


def test_attacks_of_earlier_versions_have_no_pictures(found: AttackRun) -> None:
    for file in (found.folder / "inputs").iterdir():
        file.unlink()
    assert changes(found, 3) == []
    (found.folder / "inputs").rmdir()
    assert changes(found, 3) == []


def test_the_report_of_an_attack_shows_them(tmp_path: Path) -> None:
    run, attack = attacked(tmp_path)
    out = tmp_path / "report.html"
    write_report([run], out, attacks=[attack])
    assert "first adversarials found" not in out.read_text(encoding="utf-8")
    with_input = next(each for each in attack.records if each.adversarial is not None and each.magnitude)
    (attack.folder / "inputs").mkdir()
    np.save(attack.folder / "inputs" / f"{with_input.index}.npy", np.full(attack.manifest.data.shape, 0.5, "<f4"))
    write_report([run], out, attacks=[attack])
    page = out.read_text(encoding="utf-8")
    alts = re.findall(rf'<img src="data:image/png;base64,[^"]+" alt="Input {with_input.index}, ([^"]+)">', page)
    assert [each.partition(",")[0] for each in alts] == ["unchanged", "adversarial", "change"]
    assert "grey where nothing changed" in page


def test_an_attack_that_lies_nowhere_has_no_pictures(found: AttackRun, tmp_path: Path) -> None:
    assert changes(replace(found, folder=tmp_path / "nowhere"), 3) == []


def test_an_attack_by_itself_has_a_report(found: AttackRun, tmp_path: Path) -> None:
    out = tmp_path / "attack.html"
    write_attack_report(found, out)
    page = out.read_text(encoding="utf-8")
    assert page.count("<img src=") == 3 * KEPT
    assert "<svg" in page
    assert "style=" not in page.partition("<figure>")[0], "which the policy would forbid"
    assert "An attack that finds nothing proves nothing" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert "Read this first" not in page
    write_attack_report(replace(found, records=found.records[:3]), out)
    assert "The attack attack is not finished: it has 3 of 16" in out.read_text(encoding="utf-8")
    flat = replace(found, folder=tmp_path / "nowhere")
    write_attack_report(flat, out)
    assert "There are no pictures" in out.read_text(encoding="utf-8")
