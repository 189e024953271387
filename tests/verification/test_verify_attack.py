"""An attack is verified from its files: what is right passes, and what was forged with fitting digests does not."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attack_cases import attack, attack_manifest, target
from helpers import CLASSES, SHAPE, examples
from verified_runs import forged_line

from holdfast.data.base import DataSet
from holdfast.execution.adversary import Certified
from holdfast.execution.attack import attacked_again
from holdfast.store.adversarials import FOUND
from holdfast.store.attack import read_attack
from holdfast.store.attack_manifest import FILE_NAME, Budgets, read_attack_manifest
from holdfast.store.data_manifest import DataManifest
from holdfast.store.folder import RECORDS
from holdfast.verification.attack import (
    AttackVerification,
    check_attack,
    check_certification,
    check_distances,
)
from holdfast.workflows.verify import Given
from holdfast.workflows.verify_attack import verify_attack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 12
CERTIFIED = "ab" * 32


def verified(folder: Path) -> AttackVerification:
    """Files and distances."""
    result = AttackVerification()
    material = check_attack(folder, result)
    if material is not None:
        known = sorted(material.records)
        check_distances(material, [(each.index, each.x.ravel().tolist()) for each in examples(known)], result)
    return result


def seal(folder: Path, number: int, **changes: Any) -> None:
    """Change a record, with the digest that a forger would compute."""
    lines = (folder / RECORDS).read_text().splitlines(keepends=True)
    entries = {**json.loads(lines[number]), **changes}
    lines[number] = forged_line(read_attack_manifest(folder).digest, entries)
    (folder / RECORDS).write_text("".join(lines))
    # What is forged is found without it.
    (folder / "results.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("name", "budgets"), [("pgd", (0.2,)), ("boundary", ()), ("pointwise", ())], ids=["Linf", "L2", "L0"]
)
def test_what_an_attack_wrote_passes(tmp_path: Path, name: str, budgets: tuple[float, ...]) -> None:
    attack(tmp_path / "a", attack_manifest(SIZE, name, budgets))
    found = read_attack(tmp_path / "a")
    held = sum(record.adversarial is not None for record in found.records)
    result = verified(found.folder)
    assert (result.failures, result.notes, result.missing) == ([], [], 0)
    assert result.results == json.loads((found.folder / "results.json").read_text())["results"]
    assert result.digest == found.manifest.digest
    assert (result.records, result.adversarials, result.distances) == (SIZE, held, held)
    assert held


def forge_values(change: Callable[[np.ndarray], object]) -> Callable[[Path, int], None]:
    """Change an adversarial, and have its record name the new hash."""

    def forge(folder: Path, number: int) -> None:
        path = folder / FOUND / f"{number}.npy"
        values = np.load(path)
        change(values)
        np.save(path, values)
        seal(folder, number, adversarial=hashlib.sha256(path.read_bytes()).hexdigest())

    return forge


def record(**changes: Any) -> Callable[[Path, int], None]:
    return lambda folder, number: seal(folder, number, **changes)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder, number: (folder / FOUND / f"{number}.npy").unlink(), "npy is missing, or is not a file"),
        (
            lambda folder, number: (folder / FOUND / f"{number}.npy").write_bytes(b"PK\x03\x04junk"),
            "is not a file of float32",
        ),
        (lambda folder, number: np.save(folder / FOUND / f"{number}.npy", np.zeros(SHAPE, np.complex64)), "not a file"),
        (
            lambda folder, number: np.save(folder / FOUND / f"{number}.npy", np.zeros(SHAPE, np.float32)),
            "the record names",
        ),
        (forge_values(lambda values: values.__setitem__((0, 0, 0), 1.5)), r"has values outside \[0, 1\]"),
        (forge_values(lambda values: values.__setitem__((0, 0, 0), np.nan)), r"has values outside \[0, 1\]"),
        (forge_values(lambda values: values.__setitem__(..., 1.0 - values)), "the adversarial is at Linf distance"),
        (record(magnitude=0.1), "the adversarial is at Linf distance .* 0.1 is recorded"),
        (record(magnitude=0.3), "exceeds all budgets that were tried"),
        (record(magnitude=0.3, budgets=[0.5]), "is at 0.3, beyond 0.2, the largest budget that the manifest promises"),
        (record(magnitude=0.3, budgets=[None]), "is at 0.3, beyond 0.2, the largest budget"),
        (record(magnitude=None), "the magnitude is None"),
        (record(kind="nothing"), "the entry kind is .nothing., which is not one of"),
        (record(adversarial=None), "there is an adversarial but none was found, or one was found but is missing"),
        (record(reference=None), "there is an adversarial but none was found"),
        (record(reference=None, adversarial=None), "not recorded as an abstention at 0"),
        (record(label=CLASSES), "label 4 is not one of 4 classes"),
        (record(index=99), "example 99 is not in the subset"),
        (record(index=0), "example 0 has a second record"),
        (record(failures=2), "2 of 1 answers failed"),
        (record(refused=5), "and no claim held"),
        (record(votes=[0, 0, 0, 7]), "7 votes, 1 answers have 1"),
        (record(repeats=3), "the answer of 3 is class"),
        (lambda folder, number: (folder / FILE_NAME).write_bytes(b"\xff"), "is not a valid JSON object"),
        (lambda folder, number: (folder / FILE_NAME).unlink(), "is not an attack: there is no attack.json"),
        (
            lambda folder, number: (folder / RECORDS).write_bytes(b"[]\n"),
            "line 1: a JSON object was expected, found list",
        ),
    ],
)
def test_what_is_damaged_or_forged_fails(tmp_path: Path, damage: Callable[[Path, int], object], complaint: str) -> None:
    attack(tmp_path / "a", attack_manifest(SIZE))
    records = read_attack(tmp_path / "a").records
    damage(tmp_path / "a", next(each.index for each in records if each.adversarial is not None and each.index > 0))
    result = verified(tmp_path / "a")
    assert len(result.failures) == 1
    assert re.search(complaint, result.failures[0]), result.failures


def test_budgets_in_certified_radii_are_those_of_each_example(tmp_path: Path) -> None:
    """Twice the radius is promised, and what is recorded beyond is found."""
    promised = replace(attack_manifest(SIZE, budgets=(1.0,)), budgets=Budgets((1.0, 2.0), relative=True))
    promised = replace(promised, certification=CERTIFIED)
    # In Linf, half of the lead changes the class.
    logits = {each.index: np.sort(each.x.ravel()[:CLASSES])[::-1] for each in examples(range(SIZE))}
    top = {each.index: int(each.x.ravel()[:CLASSES].argmax()) for each in examples(range(SIZE))}
    known = {index: Certified(top[index], float(0.4 * (two[0] - two[1]))) for index, two in logits.items()}
    attack(tmp_path / "a", promised, known)
    chosen = next(each for each in read_attack(tmp_path / "a").records if each.adversarial is not None)
    assert verified(tmp_path / "a").failures == []
    most = 2.0 * known[chosen.index].radius
    beyond = 1.01 * most
    seal(tmp_path / "a", chosen.index, magnitude=beyond, budgets=[beyond])
    (failure,) = verified(tmp_path / "a").failures
    assert f"is at {beyond!r}, beyond {most!r}, the largest budget that the manifest promises" in failure
    seal(tmp_path / "a", chosen.index, radius=None)
    (failure,) = verified(tmp_path / "a").failures
    assert "beyond 0.0, the largest budget" in failure


def test_another_label_than_that_of_the_data_fails(tmp_path: Path) -> None:
    data = made_up()
    attack(tmp_path / "a", attack_manifest(SIZE, data=DataManifest.of(data)))
    label = read_attack(tmp_path / "a").records[2].label
    seal(tmp_path / "a", 2, label=(label + 1) % CLASSES)
    result = verify_attack(tmp_path / "a", Given(data=lambda split: data), lambda found: target())
    assert result.failures == [f"example 2: label {(label + 1) % CLASSES} is recorded, the data say {label}"]
    assert (result.labels, result.distances > 0) == (SIZE, True)


def test_records_of_an_alarm_or_an_adversarial_that_was_taken_out(tmp_path: Path) -> None:
    """What lies beside the records of an attack gives them away; without it only another attack, or a digest, does."""
    data = made_up()
    attack(tmp_path / "a", attack_manifest(SIZE, data=DataManifest.of(data)))
    published = json.loads((tmp_path / "a" / "results.json").read_text())["results"]
    number = next(each.index for each in read_attack(tmp_path / "a").records if each.adversarial is not None)
    none = {
        "magnitude": None,
        "kind": None,
        "answer": None,
        "adversarial": None,
        "claims": 0,
        "failures": 0,
        "repeats": 0,
    }
    seal(tmp_path / "a", number, **none)
    (failure,) = verified(tmp_path / "a").failures
    assert failure == f"found/{number}.npy exists, but the record of example {number} names none"
    (tmp_path / "a" / FOUND / f"{number}.npy").unlink()
    assert verified(tmp_path / "a").failures == []
    found = verify_attack(tmp_path / "a", Given(data=lambda split: data), lambda attacked: target())
    assert (found.failures, found.level) == ([], "data")
    found = verify_attack(tmp_path / "a", Given(results=published), lambda attacked: target())
    assert "the digest of the results is" in found.failures[0]
    again = dict(attacked_again(read_attack(tmp_path / "a"), [number], target(), data))
    assert "adversarial is " in again[number]
    (tmp_path / "a" / "evidence").mkdir()
    (tmp_path / "a" / "evidence" / f"{number}.json").write_text("{}")
    (failure,) = verified(tmp_path / "a").failures
    assert failure == f"evidence/{number}.json exists, but the record of example {number} is not an alarm"


@pytest.mark.parametrize(
    ("digest", "norm", "change", "complaint"),
    [
        (CERTIFIED, "Linf", {}, None),
        ("cd" * 32, "Linf", {}, "the certification has the digest cdcd"),
        (CERTIFIED, "L2", {}, "the radii of the certification are L2"),
        (
            CERTIFIED,
            "Linf",
            {4: (0, 0.5)},
            "example 4: class 0 within None is recorded, certified is class 0 within 0.5",
        ),
        (
            CERTIFIED,
            "Linf",
            {4: (1, None)},
            "example 4: class 0 within None is recorded, certified is class 1 within None",
        ),
        (CERTIFIED, "Linf", {4: None}, "example 4 is not in the certification"),
    ],
)
def test_the_certificates_that_were_attacked_are_compared(
    tmp_path: Path, digest: str, norm: str, change: dict[int, Any], complaint: str | None
) -> None:
    attack(tmp_path / "a", attack_manifest(SIZE, certification=CERTIFIED), {i: Certified(0, None) for i in range(SIZE)})
    result = AttackVerification()
    material = check_attack(tmp_path / "a", result)
    assert material is not None
    certified = dict.fromkeys(range(SIZE), (0, None)) | change
    known = {index: each for index, each in certified.items() if each is not None}
    check_certification(material, digest, norm, known, result)
    assert [complaint in failure for failure in result.failures] == ([] if complaint is None else [True])


def test_records_of_an_attack_have_their_entries_and_no_others(tmp_path: Path) -> None:
    attack(tmp_path / "a", attack_manifest(SIZE))
    for changes in (
        {"robust": True},
        {"failures": 1.0},
        {"label": True},
        {"magnitude": -0.0},
        {"queries": {"scores": 0.5}},
    ):
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        seal(tmp_path / "b", 3, **changes)
        assert len(verified(tmp_path / "b").failures) == 1, changes
        shutil.rmtree(tmp_path / "b")


def test_missing_examples_and_contradictions_are_told(tmp_path: Path) -> None:
    attack(tmp_path / "a", attack_manifest(SIZE, certification=CERTIFIED), {i: Certified(0, None) for i in range(SIZE)})
    number = next(
        each.index
        for each in read_attack(tmp_path / "a").records
        if each.adversarial is not None and each.answer != each.reference
    )
    seal(tmp_path / "a", number, radius=0.5)
    assert verified(tmp_path / "a").notes == [f"these examples contradict their certificates: {number}"]
    lines = (tmp_path / "a" / RECORDS).read_text().splitlines(keepends=True)
    (tmp_path / "a" / RECORDS).write_text("".join(lines[: number + 1]))
    result = verified(tmp_path / "a")
    assert (result.missing, result.results) == (SIZE - number - 1, "")


def made_up() -> DataSet:
    """The examples as a data set of numbers."""
    whole = list(examples(range(SIZE)))
    values, labels = np.stack([each.x for each in whole]), np.array([each.label for each in whole])
    return DataSet.in_memory(
        source="made-up", split="test", class_names=tuple("abcd"), labels=labels, values=values, bounds=(0.0, 1.0)
    )


@pytest.mark.parametrize("certified", [False, True])
def test_an_example_that_is_attacked_again_has_its_record(tmp_path: Path, certified: bool) -> None:
    known = {index: Certified(index % CLASSES, None) for index in range(SIZE)} if certified else None
    promised = attack_manifest(SIZE, "nattack", (0.2,), certification=CERTIFIED if certified else None)
    attack(tmp_path / "a", promised, known)
    found = read_attack(tmp_path / "a")
    again = dict(attacked_again(found, [1, 4, 7], target(), made_up()))
    assert again == {1: "", 4: "", 7: ""}
    forged = replace(found.records[4], restarts=9)
    found = replace(found, records=(*found.records[:4], forged, *found.records[5:]))
    assert dict(attacked_again(found, [4], target(), made_up())) == {4: "restarts is 1, recorded 9"}
