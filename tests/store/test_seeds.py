"""Where a seed comes from: what the promise before its nonce pins, and what of it two paths find out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attack_cases import attack, attack_manifest
from helpers import CLASSES, examples, manifest, run, vote
from verified_runs import made, promised, rule

import holdfast as hf
from holdfast.errors import RunError, UsageError
from holdfast.store import attack_manifest as attack_manifests
from holdfast.store.attack import AttackStore
from holdfast.store.attack_manifest import read_attack_manifest
from holdfast.store.digests import manifest_digest
from holdfast.store.manifest import Manifest, differences
from holdfast.store.run import RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import FILE_NAME, RunManifest, read_run_manifest
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY, Seed, checked_nonce, derived_seed
from holdfast.verification.attack import AttackVerification, check_attack
from holdfast.verification.findings import Findings
from holdfast.verification.run import Verification, check_files
from holdfast.verification.seed import expect_nonce, seed_from

NONCE = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2


def awaiting(**changes: Any) -> RunManifest:
    """A promise whose seed is still to be derived."""
    return manifest(**{"seed": Seed.awaited(), **changes})


def sampled(folder: Path, nonce: str = NONCE) -> RunManifest:
    """A small run with a derived seed, and made-up votes."""
    before = promised("cohen", rule("fixed", "cohen"), 3, seed=None, seed_origin=DERIVED)
    made(folder, before.with_nonce(nonce))
    return before


def checked(folder: Path) -> Verification:
    result = Verification()
    check_files(folder, result)
    return result


def rewritten(folder: Path, name: str = FILE_NAME, **changes: Any) -> None:
    """Change entries of a manifest as a forger does, with a new digest; None takes one out."""
    path = folder / name
    entries = {**json.loads(path.read_text()), **changes}
    entries = {key: value for key, value in entries.items() if key not in changes or value is not None}
    path.write_text(json.dumps({**entries, "digest": manifest_digest(entries)}), encoding="utf-8")
    (folder / "records.jsonl").write_bytes(b"")


def test_the_derivation_is_the_documented_one_in_both_paths() -> None:
    """`printf 'holdfast seed 1\\n%s\\n%s\\n' PROMISE NONCE | sha256sum | cut -c1-16` gave 6d350b20aabf04df."""
    digest = "455639420e201f509aa5a785cd7af95fc45dda3c85334eac2fec8d88c825863b"
    assert derived_seed(digest, NONCE) == seed_from(digest, NONCE) == 0x6D350B20AABF04DF >> 1
    spread = {derived_seed(f"{number:064x}", nonce) for number in range(200) for nonce in (NONCE, OTHER)}
    assert len(spread) == 400
    assert all(0 <= seed < 2**63 for seed in spread)
    assert abs(float(np.mean([seed / 2**63 for seed in spread])) - 0.5) < 0.09


@pytest.mark.parametrize(
    "nonce", ["", "0" * 31, "0" * 30, "g" * 32, "0" * 33, "0" * 130, "0x" + "0" * 30, f"{NONCE}\n"]
)
def test_what_is_no_nonce_is_refused(nonce: str) -> None:
    with pytest.raises(UsageError, match="a nonce is 32 to 128 hexadecimal digits"):
        checked_nonce(nonce)
    assert checked_nonce(NONCE.upper()) == NONCE


def test_a_seed_that_is_given_was_chosen_and_one_that_is_drawn_says_so() -> None:
    assert manifest(seed=3).seed_origin == CHOSEN
    assert manifest(seed=Seed(3, ENTROPY)).entries()["seed_origin"] == ENTROPY
    assert differences(manifest(seed=3), manifest(seed=Seed(3, ENTROPY))) == [], "no result depends on it"
    assert differences(manifest(seed=3), manifest(seed=4)) == ["seed: the run has 3, this call has 4"]


def test_older_manifests_keep_their_digest(tmp_path: Path) -> None:
    """They say nothing of the seed: nothing is added to them, and null is not the same as nothing."""
    for older, read, name in (
        (replace(manifest(), seed_origin=None), RunManifest.from_json, FILE_NAME),
        (attack_manifest(), attack_manifests.AttackManifest.from_json, attack_manifests.FILE_NAME),
    ):
        text = older.to_json()
        assert not {"seed_origin", "nonce", "promise"} & set(json.loads(text))
        found: Manifest = read(text, name)
        assert (found.to_json(), found.digest, found.seed_origin) == (text, older.digest, None)
        null = {**json.loads(text), "nonce": None}
        with pytest.raises(RunError, match="nonce"):
            read(json.dumps({**null, "digest": manifest_digest(null)}), name)


def test_a_promise_is_completed_once_and_for_all(tmp_path: Path) -> None:
    folder, promise = tmp_path / "run", awaiting()
    RunStore(folder, promise).close()
    assert read_run_manifest(folder).awaits_nonce
    with pytest.raises(RunError, match="must get it first"):
        run(folder, promise)
    completed = promise.with_nonce(NONCE)
    run(folder, completed)
    stored = read_run_manifest(folder)
    assert (stored.seed, stored.nonce) == (derived_seed(promise.digest, NONCE), NONCE)
    assert (stored.promise, stored.created) == (promise.digest, promise.created)
    assert read_run(folder).missing == 0
    with pytest.raises(RunError, match="seed: the run has"):
        run(folder, promise.with_nonce(OTHER))
    run(folder, completed)
    assert checked(folder).failures == []


def test_whoever_knows_the_nonce_can_change_nothing_of_the_promise(tmp_path: Path) -> None:
    """Not even its time: then sixty promises would give sixty seeds."""
    folder = tmp_path / "run"
    RunStore(folder, awaiting(created="2026-01-01T00:00:00+00:00")).close()
    for second in range(60):
        other = awaiting(created=f"2026-01-01T00:00:{second:02}+00:00", n0=31)
        with pytest.raises(RunError, match="started with other settings"):
            run(folder, other.with_nonce(NONCE))
        ground = awaiting(created=f"2026-01-02T00:00:{second:02}+00:00").with_nonce(NONCE)
        with pytest.raises(RunError, match="seed: the run has null"):
            run(folder, ground)
    assert read_run_manifest(folder).awaits_nonce


@pytest.mark.parametrize(
    "changes",
    [
        {"created": "2026-01-01T00:00:01+00:00"},
        {"n0": 51},
        {"joint_alpha": 0.003},
        {"seed": 5},
        {"nonce": OTHER},
        {"promise": "0" * 64},
        {"nonce": NONCE[:-1]},
        {"nonce": NONCE.replace("a", "A")},
        {"nonce": None, "promise": None},
        {"seed": None},
        {"seed_origin": "entropy"},
        {"seed_origin": "luck"},
        {"seed_origin": None},
    ],
)
def test_a_run_that_does_not_fit_its_promise_is_refused_by_both_paths(tmp_path: Path, changes: dict[str, Any]) -> None:
    sampled(tmp_path / "run")
    assert checked(tmp_path / "run").failures == []
    rewritten(tmp_path / "run", **changes)
    with pytest.raises(RunError):
        read_run_manifest(tmp_path / "run")
    assert checked(tmp_path / "run").failures


def test_a_derived_seed_of_an_attack_is_checked_too(tmp_path: Path) -> None:
    folder, before = tmp_path / "attack", attack_manifest(2, seed=None, seed_origin=DERIVED)
    AttackStore(folder, before).close()
    with pytest.raises(RunError, match="awaits the nonce"):
        attack(folder, before)
    attack(folder, before.with_nonce(NONCE))
    assert read_attack_manifest(folder).promise == before.digest
    result = AttackVerification()
    check_attack(folder, result)
    assert (result.failures, result.promise, result.nonce) == ([], before.digest, NONCE)
    rewritten(folder, attack_manifests.FILE_NAME, restarts=2)
    with pytest.raises(RunError, match="not the digest of the other entries before the nonce"):
        read_attack_manifest(folder)
    result = AttackVerification()
    check_attack(folder, result)
    assert any("before its nonce, the manifest names" in each for each in result.failures), result.failures


def test_the_best_of_sixty_seeds_does_not_fit_promise_and_nonce(tmp_path: Path) -> None:
    """The digest from before the nonce and the nonce pin the run: another seed needs another of the two."""
    before, folder = sampled(tmp_path / "run"), tmp_path / "run"
    pinned = checked(folder)
    pinned.expect(before.digest)
    expect_nonce(pinned, NONCE.upper())
    assert pinned.failures == []
    for number in range(60):
        rewritten(folder, seed=number)
        assert any(f"the manifest has {number}" in each for each in checked(folder).failures)
    with_other_nonce = tmp_path / "other"
    sampled(with_other_nonce, OTHER)
    result = checked(with_other_nonce)
    result.expect(before.digest)
    assert result.failures == [], "the digest alone leaves the nonce open, which a note says"
    expect_nonce(result, None)
    assert any(f"the nonce {OTHER}" in each for each in result.notes)
    expect_nonce(result, NONCE)
    assert result.failures == [f"the seed is derived from the nonce {OTHER}, expected {NONCE}"]


def test_a_nonce_is_expected_where_none_was_used() -> None:
    result = Findings(digest="0" * 64)
    expect_nonce(result, NONCE)
    assert result.failures == [f"the seed is derived from no nonce, expected {NONCE}"]
    assert expect_nonce(Findings(), NONCE) is None


def test_notes_say_what_files_do_not_show(tmp_path: Path) -> None:
    for origin, words in ((CHOSEN, "the seed was chosen"), (ENTROPY, "is the word of whoever made"), (None, None)):
        made(tmp_path / str(origin), promised("cohen", rule("fixed", "cohen"), 3, seed_origin=origin))
        notes = checked(tmp_path / str(origin)).notes
        assert [words in each for each in notes if words] == ([True] if words else [])
    RunStore(tmp_path / "promise", awaiting()).close()
    result = checked(tmp_path / "promise")
    assert result.failures == []
    assert "the promise awaits the nonce that its seed is derived from" in result.notes


def test_indices_reproduce_the_records_of_a_run(tmp_path: Path) -> None:
    """Noise of a run is a function of its seed and of the numbers of its examples, as it always was."""
    folder, promise = tmp_path / "run", manifest(every=2)
    run(folder, promise)
    rows = list(examples(promise.data.indices()))
    smoothed = hf.SmoothedClassifier(vote, hf.Gaussian(0.5), CLASSES, batch_size=77)
    found = smoothed.certify(
        np.stack([row.x for row in rows]), n0=30, n=300, alpha=0.01, seed=9, indices=[row.index for row in rows]
    )
    expected = [
        VoteRecord(row.index, row.label, each.selection, each.estimation) for row, each in zip(rows, found, strict=True)
    ]
    assert list(read_run(folder).records) == expected
