"""The store of an attack: kills, torn lines, other promises, damage; and the alarm with its evidence."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from attack_cases import attack, attack_manifest, score, target
from helpers import CLASSES, SHAPE, examples
from torch import Tensor, nn

from holdfast.attacks import PlainTarget, SmoothedTarget, attack_from_dict
from holdfast.errors import AlarmError, InputError, RunError, RunLockedError, UsageError
from holdfast.execution.adversary import Certified
from holdfast.execution.attack import EVIDENCE, attack_run
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.store.adversarials import FOUND, hashed
from holdfast.store.attack import AttackRecord, AttackStore, read_attack
from holdfast.store.attack_manifest import FILE_NAME, AttackManifest, Budgets
from holdfast.store.folder import RECORDS, SESSIONS
from holdfast.types import Example

if TYPE_CHECKING:
    from collections.abc import Callable

KILLS = 6


def slow_score(x: Tensor) -> Tensor:
    time.sleep(0.0005)
    return score(x)


def work(folder: Path, promised: AttackManifest) -> None:
    """What the killed processes do."""
    torch.set_num_threads(1)
    attack_run(folder, promised, PlainTarget(slow_score, CLASSES, SHAPE), examples)


def test_records_hold_what_the_adversarials_show(tmp_path: Path) -> None:
    attack(tmp_path / "run", attack_manifest())
    found = read_attack(tmp_path / "run")
    assert [record.index for record in found.records] == list(range(12))
    assert found.missing == 0
    assert len(found.sessions) == 1
    for record, example in zip(found.records, examples(range(12)), strict=True):
        logits = score(torch.from_numpy(example.x).unsqueeze(0))[0]
        assert record.reference == int(logits.argmax())
        top, second = logits.topk(2).values.tolist()
        # PGD with .2 in Linf moves both classes: it wins if and only if they are less than .4 apart.
        assert (record.magnitude is not None) == (top - second < 0.4)
        adversarial = found.adversarial(record)
        if adversarial is None:
            assert record.kind is None
            continue
        assert record.kind == "misclassified"
        assert record.answer == int(score(torch.from_numpy(adversarial).unsqueeze(0)).argmax()) != record.reference
        assert record.magnitude == float(np.abs(adversarial.astype(np.float64) - example.x).max()) <= 0.2
        assert record.queries["gradients"] == 40
        assert (record.repeats, record.failures, record.votes, record.restarts) == (1, 1, None, 1)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_kills_change_no_record(tmp_path: Path) -> None:
    promised = attack_manifest(size=60)
    attack(tmp_path / "uninterrupted", promised)
    expected = read_attack(tmp_path / "uninterrupted")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "foolbox", "holdfast.execution.attack", "attack_cases"])
    chance, folder, within = random.Random(4), tmp_path / "killed", 0
    for _ in range(KILLS):
        process = context.Process(target=work, args=(folder, promised))
        before = size_of(folder / RECORDS)
        process.start()
        while process.is_alive() and size_of(folder / RECORDS) == before:
            time.sleep(0.005)
        process.join(chance.uniform(0.0, 0.2))
        within += process.is_alive()
        process.kill()
        process.join()
    assert within >= KILLS - 2, "most kills must hit a working process"
    assert len(read_attack(folder).records) > 0
    attack(folder, promised)
    resumed = read_attack(folder)
    assert resumed.records == expected.records
    assert all(
        np.array_equal(resumed.adversarial(each), expected.adversarial(each))
        for each in expected.records
        if each.adversarial
    )


def test_a_torn_line_costs_one_example(tmp_path: Path) -> None:
    promised, folder = attack_manifest(), tmp_path / "run"
    attack(folder, promised)
    expected, whole = read_attack(folder).records, (folder / RECORDS).read_bytes()
    (folder / RECORDS).write_bytes(whole[:-30])
    with pytest.raises(RunError, match=r"results\.json does not fit the records"):
        read_attack(folder)
    (folder / "results.json").unlink()
    assert len(read_attack(folder).records) == 11
    attack(folder, promised)
    assert (folder / RECORDS).read_bytes() == whole
    assert read_attack(folder).records == expected
    assert len((folder / SESSIONS).read_text().splitlines()) == 2


def test_another_promise_is_refused_with_the_difference(tmp_path: Path) -> None:
    attack(tmp_path / "run", attack_manifest())
    with pytest.raises(RunError, match="restarts: the run has 1, this call has 2"):
        attack(tmp_path / "run", attack_manifest(restarts=2))
    with pytest.raises(RunError, match=r"budgets\.values"):
        attack(tmp_path / "run", attack_manifest(budgets=(0.3,)))


def test_two_processes_do_not_work_on_one_attack(tmp_path: Path) -> None:
    with AttackStore(tmp_path / "run", attack_manifest()), pytest.raises(RunLockedError, match="another process"):
        attack(tmp_path / "run", attack_manifest())


def changed(folder: Path, old: str, new: str) -> None:
    path = folder / RECORDS
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: changed(folder, '"label":0', '"label":1'), "line 1 is not a record .its digest is"),
        (
            lambda folder: (folder / RECORDS).write_bytes(2 * (folder / RECORDS).read_bytes()),
            "records example 0 a second time",
        ),
        (
            lambda folder: (folder / FILE_NAME).write_text((folder / FILE_NAME).read_text().replace("0.2", "0.3")),
            "was changed after it was written",
        ),
        (lambda folder: (folder / FILE_NAME).write_text("{"), "not a valid JSON object"),
        (lambda folder: (folder / FILE_NAME).write_text("[]"), "a JSON object was expected, found list"),
        (
            lambda folder: (folder / FILE_NAME).write_bytes(b"\xff{}"),
            "not a valid JSON object .*is not UTF-8 .*byte 0xff",
        ),
        (
            lambda folder: (folder / FILE_NAME).write_text('{"format": 99}'),
            "has format 99; this version of Holdfast reads format 1",
        ),
        (lambda folder: (folder / FILE_NAME).unlink(), "is not an attack: there is no attack.json"),
    ],
)
def test_damage_is_found(tmp_path: Path, damage, message: str) -> None:
    attack(tmp_path / "run", attack_manifest())
    damage(tmp_path / "run")
    with pytest.raises(RunError, match=message):
        read_attack(tmp_path / "run")


def forged_header(claimed: bytes) -> Callable[[Path], object]:
    """A change to the header of a .npy file that leaves its length."""

    def forge(path: Path) -> None:
        raw = path.read_bytes()
        start = raw.index(b"(1,")
        path.write_bytes(raw[:start] + claimed + raw[start + len(claimed) :])

    return forge


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: np.save(path, np.zeros(SHAPE, dtype=np.float32)), "does not have the hash that its record names"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), r"it has 20 bytes, and float32 values .* take 272"),
        (lambda path: path.write_bytes(b"PK\x03\x04junk"), "it has 8 bytes"),
        (lambda path: np.save(path, np.zeros(SHAPE, dtype=np.complex64)), "it has 416 bytes"),
        (lambda path: np.save(path, np.zeros(36, dtype=np.float32)), "expected a .npy file of float32 values of shape"),
        (
            lambda path: np.save(path, np.zeros(SHAPE, dtype=np.int32)),
            "expected a .npy file of float32 values of shape",
        ),
        (forged_header(b"(99999999999,"), "expected a .npy file of float32 values of shape"),
        (forged_header(b"((((((((("), "expected a .npy file of float32 values of shape"),
        (lambda path: path.unlink(), r"npy is missing\. Restore it from a copy"),
    ],
)
def test_a_changed_adversarial_is_found_wherever_the_attack_is_read(tmp_path: Path, damage, message: str) -> None:
    folder = tmp_path / "run"
    attack(folder, attack_manifest())
    found = read_attack(folder)
    record = next(record for record in found.records if record.adversarial)
    damage(folder / FOUND / f"{record.index}.npy")
    for read in (lambda: found.adversarial(record), lambda: read_attack(folder)):
        with pytest.raises(RunError, match=message):
            read()
    with pytest.raises(RunError, match=f"delete the record of example {record.index}"):
        attack(folder, attack_manifest())


def truth(size: int) -> dict[int, Certified]:
    """Certificates that hold: half the lead of the top class, in Linf."""
    known = {}
    for example in examples(range(size)):
        top, second = score(torch.from_numpy(example.x).unsqueeze(0))[0].topk(2).values.tolist()
        label = int(score(torch.from_numpy(example.x).unsqueeze(0)).argmax())
        known[example.index] = Certified(label, (top - second) / 2 * 0.999)
    return known


def test_true_certificates_raise_no_alarm_and_the_budgets_follow_them(tmp_path: Path) -> None:
    promised = attack_manifest(budgets=(1.0, 1.5), certification="ab" * 32)
    promised = replace(promised, budgets=Budgets((1.0, 1.5), relative=True))
    attack(tmp_path / "run", promised, truth(12))
    for record in read_attack(tmp_path / "run").records:
        assert record.budgets == (record.radius, 1.5 * record.radius)
        assert not record.alarm
        assert record.radius < record.magnitude <= 1.5 * record.radius


def test_an_adversarial_inside_a_certificate_is_an_alarm_that_saves_the_evidence(tmp_path: Path) -> None:
    """A false certificate: of example 3, twice as large as it may be."""
    folder, known = tmp_path / "run", truth(12)
    known[3] = Certified(known[3].reference, 2 * known[3].radius)
    promised = replace(attack_manifest(certification="ab" * 32), budgets=Budgets((1.0,), relative=True))
    with pytest.raises(AlarmError, match=r"ALARM: example 3 is certified as class . within Linf radius .* is class"):
        attack(folder, promised, known)
    # It stopped there, and the record is on the disk.
    stopped = read_attack(folder).records
    assert [record.index for record in stopped] == [0, 1, 2, 3]
    assert [record.alarm for record in stopped] == [False, False, False, True]
    told = json.loads((folder / EVIDENCE / "3.json").read_text())
    assert told["record"]["index"] == 3
    assert told["attack"]["seed"] == 9
    with np.load(folder / EVIDENCE / "3.npz") as arrays:
        x, adversarial = arrays["x"], arrays["adversarial"]
    assert hashed(adversarial) == told["record"]["adversarial"]
    assert float(np.abs(adversarial - x).max()) <= known[3].radius
    assert int(score(torch.from_numpy(adversarial).unsqueeze(0)).argmax()) != known[3].reference
    # The same command goes on.
    attack(folder, promised, known)
    assert len(read_attack(folder).records) == 12


def test_an_abstention_inside_a_certificate_is_told_and_is_no_alarm() -> None:
    record = AttackRecord(
        index=0, label=1, reference=1, radius=2.0, budgets=(2.0,), magnitude=1.0, kind="abstains", answer=1, claims=1,
        refused=0, repeats=50, failures=50, votes=None, restarts=1, queries={}, adversarial="ab"
    )  # fmt: skip
    assert not record.alarm
    assert replace(record, kind="misclassified", answer=0).alarm
    assert not replace(record, kind="misclassified", answer=0, magnitude=2.1).alarm
    assert not replace(record, kind="misclassified", answer=0, radius=None).alarm


def toward_zero(z: Tensor) -> Tensor:
    """Logits of two classes from one value: class 1 above .5."""
    return torch.cat([0.5 - z, z - 0.5], dim=1)


class TowardZero(nn.Module):
    """The same, for gradients."""

    def forward(self, z: Tensor) -> Tensor:
        return 10 * toward_zero(z)


def smoothed(n: int = 100, module: nn.Module | None = None) -> SmoothedTarget:
    voting = VotingClassifier(toward_zero, 2)
    return SmoothedTarget(voting, Gaussian(0.25), (1,), n, 0.05, module=module, batch_size=256)


def ones(values: list[float]) -> list[Example]:
    return [Example(index, np.array([value], dtype=np.float32), 1) for index, value in enumerate(values)]


def one_value(values: list[float], **changes: object) -> AttackManifest:
    promised = attack_manifest(size=len(values), **changes)
    data = replace(promised.data, shape=(1,), class_names=("a", "b"))
    noise = {"noise": Gaussian(0.25).to_dict(), "n": 100, "alpha": 0.05, "search_alpha": 0.5, "soft_samples": 4}
    return replace(promised, data=data, **noise)


def test_a_smoothed_classifier_is_attacked_verified_and_repeated_exactly(tmp_path: Path) -> None:
    values = [0.9, 0.1, 0.5, 1.0]
    promised = one_value(values, attack="deepfool", budgets=())
    promised = replace(promised, attack=attack_from_dict({"name": "deepfool", "overshoot": 0.2}).to_dict(), restarts=2)
    for name in ("first", "second"):
        victim = smoothed(module=TowardZero().eval())
        attack_run(tmp_path / name, promised, victim, lambda indices: (ones(values)[each] for each in indices))
    first, second = (read_attack(tmp_path / name).records for name in ("first", "second"))
    assert first == second
    clear, wrong, silent, edge = first
    assert (clear.reference, wrong.reference, edge.reference) == (1, 0, 1)
    assert (silent.reference, silent.magnitude, silent.kind, silent.claims) == (None, 0.0, "abstains", 0)
    for record in (clear, wrong, edge):
        assert record.magnitude is not None
        assert record.claims >= 1
        assert record.failures > 25
        assert record.votes is not None
        assert record.votes.total == 50 * 100
        assert record.queries["samples"] > 5000
    assert abs(clear.magnitude - 0.4) < 0.2


def test_a_claim_that_fresh_noise_refuses_does_not_count(tmp_path: Path) -> None:
    """Random search on an input of which fixed noise says now this, now that: claims are many, and none holds."""
    values = [0.56] * 60
    promised = one_value(values, attack="pgd", budgets=(1e-4,))
    promised = replace(promised, attack=attack_from_dict({"name": "nattack", "steps": 1, "population": 8}).to_dict())
    certified = {index: Certified(1, None) for index in range(60)}
    attack_run(
        tmp_path / "run", promised, smoothed(), lambda indices: (ones(values)[each] for each in indices), certified
    )
    records = read_attack(tmp_path / "run").records
    assert sum(record.refused for record in records) >= 3
    assert all(record.refused == record.claims for record in records if record.magnitude is None)
    assert sum(record.magnitude is None for record in records) >= 50
    # After each refusal the search goes on, and has to succeed more clearly.
    assert all(record.restarts == 1 + min(3, record.refused) for record in records if record.magnitude is None)


class Scripted:
    """In the place of an attack's `run`: finds these values one after the other, whatever it is asked for."""

    def __init__(self, *values: float | None) -> None:
        self.values = list(values)
        self.budgets: list[float] = []
        self.wants_another_class: list[bool] = []

    def __call__(self, target: SmoothedTarget, x: Tensor, label: int, budget: float, **_: object) -> Tensor | None:
        self.budgets.append(budget)
        self.wants_another_class.append(not target.abstention_counts)
        value = self.values.pop(0)
        return None if value is None else torch.tensor([value])


# What is at .35 is class 0, what is at .5 an abstention; both lie within a certificate of .6 of class 1 at .9.
ABSTENTION, OTHER = 0.5, 0.35


@pytest.mark.parametrize(
    ("name", "found", "restarts"),
    [
        ("boundary", (OTHER,), 2),
        ("boundary", (ABSTENTION, OTHER), 2),
        ("boundary", (ABSTENTION, OTHER), 1),
        ("boundary", (ABSTENTION, None, ABSTENTION, OTHER), 3),
        ("nattack", (ABSTENTION, OTHER), 1),
        ("nattack", (None, ABSTENTION, OTHER), 2),
    ],
)
def test_an_abstention_within_the_radius_does_not_hide_that_a_certificate_is_false(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, found: tuple[float | None, ...], restarts: int
) -> None:
    script, made = Scripted(*found), attack_from_dict({"name": name})
    monkeypatch.setattr(type(made), "run", lambda self, *args, **kwargs: script(*args, **kwargs))
    promised = replace(one_value([0.9], budgets=(), certification="ab" * 32), attack=made.to_dict(), restarts=restarts)
    promised = replace(promised, norm=made.measure.value)
    if not made.minimizes:
        promised = replace(promised, budgets=Budgets((1.0, 2.0), relative=True))
    with pytest.raises(AlarmError, match=r"ALARM: example 0 is certified as class b .* is class a"):
        attack_run(tmp_path / "run", promised, smoothed(), lambda indices: ones([0.9]), {0: Certified(1, 0.6)})
    (record,) = read_attack(tmp_path / "run").records
    assert (record.kind, record.answer, record.alarm) == ("misclassified", 0, True)
    assert not script.values
    # After an abstention there, another class is looked for.
    told = found.index(ABSTENTION) + 1 if ABSTENTION in found else 1
    assert all(script.wants_another_class[told:])


def test_an_abstention_within_the_radius_counts_where_nothing_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to three further runs look for another class; a larger budget than the radius is not tried after that."""
    script, made = Scripted(*[ABSTENTION] * 4), attack_from_dict({"name": "nattack"})
    monkeypatch.setattr(type(made), "run", lambda self, *args, **kwargs: script(*args, **kwargs))
    promised = replace(one_value([0.9], certification="ab" * 32), attack=made.to_dict(), norm=made.measure.value)
    promised = replace(promised, budgets=Budgets((1.0, 2.0), relative=True))
    attack_run(tmp_path / "run", promised, smoothed(), lambda indices: ones([0.9]), {0: Certified(1, 0.6)})
    (record,) = read_attack(tmp_path / "run").records
    assert (record.kind, record.alarm, record.claims, record.restarts) == ("abstains", False, 4, 4)
    assert record.magnitude == pytest.approx(0.9 - ABSTENTION)
    assert script.budgets == [0.6] * 4


def test_a_third_class_within_the_radius_is_an_alarm_though_another_one_was_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def three(z: Tensor) -> Tensor:
        return torch.cat([toward_zero(z), torch.full_like(z, -9.0)], dim=1)

    script, made = Scripted(OTHER), attack_from_dict({"name": "boundary"})
    monkeypatch.setattr(type(made), "run", lambda self, *args, **kwargs: script(*args, **kwargs))
    promised = replace(one_value([0.9], budgets=(), certification="ab" * 32), attack=made.to_dict(), wanted=2)
    promised = replace(promised, data=replace(promised.data, class_names=("a", "b", "c")), norm=made.measure.value)
    victim = SmoothedTarget(VotingClassifier(three, 3), Gaussian(0.25), (1,), 100, 0.05, batch_size=256)
    with pytest.raises(AlarmError, match="ALARM: example 0 is certified as class b"):
        attack_run(tmp_path / "run", promised, victim, lambda indices: ones([0.9]), {0: Certified(1, 0.6)})
    (record,) = read_attack(tmp_path / "run").records
    assert (record.answer, record.alarm, record.refused, record.failures) == (0, True, 0, 0)


def test_a_pixel_attack_whose_budgets_grow_too_large_says_so_before_it_begins(tmp_path: Path) -> None:
    """Twice a certified radius of 15 pixels is more than the attack can search for."""
    promised = attack_manifest(attack="one-pixel", budgets=(1.0,), certification="ab" * 32)
    promised = replace(promised, budgets=Budgets((1.0, 2.0), relative=True))
    known = {index: Certified(0, 15.0 if index == 7 else 3.0) for index in range(12)}
    with pytest.raises(UsageError, match="up to 20 pixels, got a budget of 30"):
        attack(tmp_path / "run", promised, known)
    with pytest.raises(UsageError, match="budgets in certified radii need a certification"):
        attack(tmp_path / "run", promised)
    assert not (tmp_path / "run").exists()


def test_a_model_that_always_abstains_has_nothing_to_attack(tmp_path: Path) -> None:
    values = [0.5] * 3
    promised = one_value(values, attack="pointwise", budgets=())
    attack_run(tmp_path / "run", promised, smoothed(), lambda indices: (ones(values)[each] for each in indices))
    for record in read_attack(tmp_path / "run").records:
        assert (record.reference, record.kind, record.restarts) == (None, "abstains", 0)


def test_a_target_class_is_kept_to(tmp_path: Path) -> None:
    attack(tmp_path / "next", attack_manifest(wanted="next", budgets=(1.0,)))
    for record in read_attack(tmp_path / "next").records:
        assert record.answer == (record.reference + 1) % CLASSES
    attack(tmp_path / "two", attack_manifest(wanted=2, budgets=(1.0,)))
    for record in read_attack(tmp_path / "two").records:
        assert (record.answer, record.restarts) == ((None, 0) if record.reference == 2 else (2, 1))


def test_what_cannot_be_attacked_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="searches within a budget"):
        attack(tmp_path / "run", attack_manifest(budgets=()))
    with pytest.raises(UsageError, match="whole number of pixels"):
        attack(tmp_path / "run", attack_manifest(attack="pointwise", budgets=(1.5,)))
    with pytest.raises(UsageError, match="repeats cannot verify"):
        attack_run(tmp_path / "run", one_value([0.9], attack="pointwise", budgets=(), repeats=5), smoothed(), ones)
    with pytest.raises(UsageError, match="needs gradients"):
        attack_run(tmp_path / "run", one_value([0.9]), smoothed(), ones)
    assert not (tmp_path / "run").exists()


def test_an_input_that_is_not_finite_is_named(tmp_path: Path) -> None:
    def broken(indices: object) -> list[Example]:
        return [Example(0, np.full(SHAPE, math.nan, dtype=np.float32), 0)]

    with pytest.raises(InputError, match="example 0 has 36 values that are NaN or infinite"):
        attack_run(tmp_path / "run", attack_manifest(size=1), target(), broken)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Budgets((0.0,)), "budgets are finite numbers above 0, got 0: within 0"),
        (lambda: Budgets((2.0, 1.0)), "in increasing order"),
        (lambda: Budgets((), relative=True), "need factors, as in 1x"),
    ],
)
def test_budgets_that_cannot_be_right_are_refused(made, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made()


def test_budgets_of_an_example() -> None:
    assert Budgets().of(None) == (math.inf,)
    assert Budgets((1.0, 2.0)).of(None) == (1.0, 2.0)
    assert Budgets((1.0, 2.0), relative=True).of(0.5) == (0.5, 1.0)
    assert Budgets((1.0,), relative=True).of(0.0) == ()
    assert Budgets((1.0,), relative=True).of(None) == ()
