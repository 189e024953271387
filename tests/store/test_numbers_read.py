"""Numbers in files: whole ones are whole, finite ones are finite, and none makes a list of its own length."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from helpers import manifest

from holdfast.errors import RunError
from holdfast.formats.strict import json_object
from holdfast.store.digests import manifest_digest, record_digest
from holdfast.store.folder import RECORDS, line
from holdfast.store.run import ClaimRecord, RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Counts
from holdfast.verification.run import Verification, check_files

if TYPE_CHECKING:
    from pathlib import Path

VOTES = {"index": 0, "label": 0, "selection": [30, 0, 0, 0], "estimation": [300, 0, 0, 0]}
CLAIM = {"index": 0, "label": 0, "predicted": 1, "radius": 0.5, "seconds": 2.0}


def imported() -> RunManifest:
    return replace(manifest(), kind="imported", seed=None, seed_origin=None, model={})


def read_with(folder: Path, promised: RunManifest, entries: dict[str, Any]) -> None:
    """Read a run with one record, whose digest fits."""
    with RunStore(folder, promised):
        pass
    promise = json.loads((folder / "manifest.json").read_text())["digest"]
    (folder / RECORDS).write_text(json.dumps({**entries, "digest": record_digest(promise, entries)}) + "\n")
    read_run(folder)


@pytest.mark.parametrize("wrong", [0.5, 0.0, True, "0", -1, None])
@pytest.mark.parametrize("name", ["index", "label"])
def test_whole_numbers_in_records_are_never_cut(tmp_path: Path, name: str, wrong: object) -> None:
    for number, (promised, entries) in enumerate(((manifest(), VOTES), (imported(), CLAIM))):
        read_with(tmp_path / str(number), promised, entries)
        with pytest.raises(RunError, match=rf"line 1 is not a record \(.*{name}"):
            read_with(tmp_path / f"wrong{number}", promised, {**entries, name: wrong})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": 10**9}, "label is 1000000000; expected a whole number of at most 99999"),
        ({"predicted": 10**9}, "predicted is 1000000000; expected a whole number of at most 99999"),
        ({"predicted": 1.5}, "the entry predicted is 1.5; expected a whole number or null"),
        ({"radius": -0.5}, "the entry radius is -0.5; expected a number of at least 0"),
        ({"radius": "0.5"}, "radius is .*; expected a number"),
        ({"radius": True}, "radius is true; expected a number"),
        ({"seconds": -1}, "seconds is -1; expected a number of at least 0"),
    ],
)
def test_claims_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_with(tmp_path / "run", imported(), {**CLAIM, **changes})


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_word_for_is_neither_written_nor_read(tmp_path: Path, word: str) -> None:
    with pytest.raises(ValueError, match=f"{word} is not a number"):
        json_object(f'{{"seconds": {word}}}')
    number = float(word.replace("Infinity", "inf"))
    for write in (lambda: line(seconds=number), lambda: manifest_digest({"alpha": number})):
        with pytest.raises(ValueError, match="JSON"):
            write()
    with RunStore(tmp_path / "run", imported()) as store, pytest.raises(ValueError, match="JSON"):
        store.append([ClaimRecord(0, 0, 0, 0.5, number)])
    assert (tmp_path / "run" / RECORDS).read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("size", value) for value in (0, -3, 2.5, True, "12", 10**12, None)),
        *(("every", value) for value in (0, 1.0, "1")),
        *(("limit", value) for value in (-1, 1.5, "3")),
        *(("shape", value) for value in ([1, 0, 6], [1.5], ["6"])),
        ("class_names", ["a", 1]),
        *(("low", value) for value in ("0", None, True)),
    ],
)
def test_a_subset_that_cannot_be_is_refused(name: str, wrong: object) -> None:
    entries = json.loads(manifest().to_json())
    entries["data"][name] = wrong
    entries["digest"] = manifest_digest(entries)
    with pytest.raises(RunError, match=rf"the entry data\.{name}(\[.\])? is .*; expected "):
        RunManifest.from_json(json.dumps(entries), "here")


@pytest.mark.parametrize("name", ["n0", "seed", "block"])
@pytest.mark.parametrize("wrong", [2.5, -1, True, "7"])
def test_a_manifest_with_numbers_that_cannot_be_is_refused(name: str, wrong: object) -> None:
    entries = {**json.loads(manifest().to_json()), name: wrong}
    entries["digest"] = manifest_digest(entries)
    with pytest.raises(RunError, match=f"the entry {name} is .*; expected a whole number"):
        RunManifest.from_json(json.dumps(entries), "here")


def test_a_large_split_makes_no_list_of_its_length(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", manifest(size=2_000_000)) as store:
        store.append([VoteRecord(7, 0, Counts((30, 0, 0, 0)), Counts((300, 0, 0, 0)))])
    tracemalloc.start()
    found = read_run(tmp_path / "run")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.records) == 1
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guarantee": "levine"}, "has no guarantee 'levine'"),
        ({"joint_alpha": 0.5}, r"joint_alpha = 0\.5, and alpha times the number of examples is 0\.12"),
        ({"estimator": {"name": "exact", "n": 16}}, "takes 16 realizations of .* which has None"),
        ({"estimator": {"name": "guess"}}, "unknown estimator 'guess'"),
    ],
)
def test_a_promise_that_cannot_be_is_refused_by_both_readers(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    other = replace(manifest(), **changes)
    (tmp_path / "manifest.json").write_text(other.to_json())
    with pytest.raises(RunError, match=message):
        read_run(tmp_path)
    result = Verification()
    check_files(tmp_path, result)
    assert result.failures or result.unknown, "a name that only verify does not know is no failure"


def test_a_bet_stops_where_it_looks(tmp_path: Path) -> None:
    bet = {"name": "eprocess", "n": 300, "alpha": 0.01, "radius": 0.1}
    promised = replace(manifest(), estimator=bet)
    with pytest.raises(RunError, match="the estimator does not stop at 61 votes"):
        read_with(tmp_path / "run", promised, {**VOTES, "estimation": [61, 0, 0, 0]})
    read_with(tmp_path / "fine", promised, {**VOTES, "estimation": [60, 0, 0, 0]})
