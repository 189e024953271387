"""`holdfast verify` as people and scripts meet it: runs, exported logs, and votes drawn again."""

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program import CERTIFY, Call

from holdfast.runs.manifest import read_manifest
from holdfast.runs.store import RECORDS, RunStore, read_run

TRAIN = ("--noise", "gaussian:sigma=0.25", "--arch", "digits-mlp", "--quiet", "--learning-rate", 0.1)


@pytest.fixture(scope="module")
def certified(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model and a run of it, and the run's logs."""
    folder = tmp_path_factory.mktemp("verified")
    model, run = folder / "model.safetensors", folder / "run"
    model.write_bytes((models / "gaussian.safetensors").read_bytes())
    for arguments in (
        ("certify", "--model", model, "--out", run, *CERTIFY),
        ("export-log", run, "--out", folder / "log.tsv"),
        ("export-log", run, "--format", "jsonl", "--out", folder / "log.jsonl"),
    ):
        program = [sys.executable, "-c", "from holdfast.cli.main import main; main()"]
        subprocess.run([*program, *map(str, arguments)], check=True, capture_output=True)
    return folder


def forge(run: Path, position: int, **changes: Any) -> None:
    """Change a record and compute the digest that fits."""
    lines = (run / RECORDS).read_text().splitlines()
    entries = {**json.loads(lines[position]), **changes}
    del entries["digest"]
    text = f"{read_manifest(run).digest}\n{json.dumps(entries, sort_keys=True, separators=(',', ':'))}"
    lines[position] = json.dumps({**entries, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]})
    (run / RECORDS).write_text("\n".join(lines) + "\n")


def copy(certified: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("manifest.json", RECORDS):
        (folder / name).write_bytes((certified / "run" / name).read_bytes())
    return folder


def test_a_run_and_its_logs_are_verified(call: Call, certified: Path) -> None:
    digest = read_manifest(certified / "run").digest
    for log in ("log.tsv", "log.jsonl"):
        code, out, err = call("verify", certified / "run", "--log", certified / log, "--digest", digest, "--complete")
        assert (code, err) == (0, "")
        assert out.splitlines()[-1] == "OK"
        assert digest in out
        assert "12 records of 12 examples" in " ".join(out.split())
        assert "12 claims (class, radius, class bounds) recomputed from the votes" in out
        assert "12 lines of the log" in out
        assert f"  {digest}" in out.splitlines()
        assert any(line.startswith(f"{certified / 'run'}: manifest") for line in out.splitlines())


def test_json_for_machines(call: Call, certified: Path) -> None:
    code, out, _ = call("verify", certified / "run", "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == [
        *("run", "ok", "digest", "kind", "examples", "records", "missing", "claims_checked", "log_lines_checked"),
        *("replayed", "failures", "notes"),
    ]
    assert (document["ok"], document["claims_checked"], document["failures"]) == (True, 12, [])


@pytest.mark.parametrize("log", ["log.tsv", "log.jsonl"])
def test_every_digit_of_a_radius_in_a_log_is_checked(certified: Path, tmp_path: Path, log: str) -> None:
    """By the functions that the command calls, since there are many digits."""
    from holdfast.runs.verification.check import Verification, check_files
    from holdfast.runs.verification.exported import check_log
    from holdfast.workflows.verify import claims_of

    material, claims = check_files(certified / "run", Verification()), claims_of(certified / "run")
    assert material is not None
    lines = (certified / log).read_text().splitlines(keepends=True)
    chance, flipped = random.Random(3), 0
    for number, line in enumerate(lines):
        if log == "log.tsv":
            if number == 0:
                continue
            radius = line.split("\t")[3]
        else:
            radius = line.partition('"radius": ')[2].partition(",")[0]
        start = line.index(
            radius, line.index('"radius"') if log == "log.jsonl" else sum(map(len, line.split("\t")[:3]))
        )
        for place in range(start, start + len(radius)):
            if not line[place].isdigit():
                continue
            other = chance.choice([digit for digit in "0123456789" if digit != line[place]])
            changed = line[:place] + other + line[place + 1 :]
            (tmp_path / log).write_text("".join([*lines[:number], changed, *lines[number + 1 :]]))
            result = Verification()
            check_log(tmp_path / log, material, claims, result)
            (failure,) = result.failures
            assert ", the votes give" in failure
            flipped += 1
    assert flipped > 50


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        (0, "31", "example 31: is not in the run"),
        (0, "0", "comes a second time"),
        (1, "11", "label 11, the record has"),
        (2, "11", "predict 11, the votes give"),
        (4, "7", "correct 7, though label is"),
        (3, "far", "cannot be read"),
    ],
)
def test_other_columns_of_a_log(
    call: Call, certified: Path, tmp_path: Path, column: int, value: str, complaint: str
) -> None:
    lines = (certified / "log.tsv").read_text().splitlines()
    cells = lines[2].split("\t")
    cells[column] = value
    (tmp_path / "log.tsv").write_text("\n".join([*lines[:2], "\t".join(cells), *lines[3:]]) + "\n")
    code, out, err = call("verify", certified / "run", "--log", tmp_path / "log.tsv")
    assert code == 1
    assert complaint in err
    assert "FAILED" in out


def test_a_log_without_some_examples_or_columns(call: Call, certified: Path, tmp_path: Path) -> None:
    lines = (certified / "log.tsv").read_text().splitlines()
    (tmp_path / "short.tsv").write_text("\n".join(lines[:-2]) + "\n")
    assert "lacks 2 of the run's 12 examples" in call("verify", certified / "run", "--log", tmp_path / "short.tsv")[2]
    (tmp_path / "odd.tsv").write_text("a\tb\n1\t2\n")
    assert "has the columns a, b" in call("verify", certified / "run", "--log", tmp_path / "odd.tsv")[2]
    (tmp_path / "odd.jsonl").write_text('{"idx": 0,\n')
    assert "line 1 is not JSON" in call("verify", certified / "run", "--log", tmp_path / "odd.jsonl")[2]
    (tmp_path / "empty.tsv").write_text("")
    assert "is empty" in call("verify", certified / "run", "--log", tmp_path / "empty.tsv")[2]
    assert "there is no log" in call("verify", certified / "run", "--log", tmp_path / "none.tsv")[2]


def test_damage_is_a_failed_run_with_ten_lines_at_most(call: Call, certified: Path, tmp_path: Path) -> None:
    run = copy(certified, tmp_path / "run")
    lines = (run / RECORDS).read_text()
    (run / RECORDS).write_text(lines.replace('"label":', '"label":1'))
    code, out, err = call("verify", run)
    assert code == 1
    assert err.count("Error:") == 11
    assert "and 2 more" in err
    assert "FAILED: 12 checks" in out
    (run / RECORDS).write_text(lines)
    manifest = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(manifest.replace('"alpha": 0.01', '"alpha": 0.02'))
    code, out, err = call("verify", run, "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)
    assert "was changed after it was written" in json.loads(out)["failures"][0]
    code, _, err = call("verify", tmp_path)
    assert (code, "is not a run" in err) == (1, True)


def test_another_manifest_than_the_published_one(call: Call, certified: Path) -> None:
    code, _, err = call("verify", certified / "run", "--digest", "ab" * 32)
    assert (code, "expected was abab" in err) == (1, True)


def test_missing_examples_are_said_and_fail_where_asked(call: Call, certified: Path, tmp_path: Path) -> None:
    run = copy(certified, tmp_path / "run")
    (run / RECORDS).write_text("".join((run / RECORDS).read_text().splitlines(keepends=True)[:-3]))
    code, out, _ = call("verify", run)
    assert (code, "Note: 3 of 12 examples have no record." in out) == (0, True)
    code, _, err = call("verify", run, "--complete")
    assert (code, "3 of 12 examples have no record" in err) == (1, True)


def test_votes_are_drawn_again(call: Call, certified: Path, tmp_path: Path) -> None:
    model = certified / "model.safetensors"
    code, out, err = call("verify", certified / "run", "--replay", 5, "--model", model, "--batch-size", 64, "--quiet")
    assert (code, err) == (0, "")
    assert "drawn again from the seed: " in out
    run = copy(certified, tmp_path / "run")
    records = read_run(run).records
    for position, line in enumerate((run / RECORDS).read_text().splitlines()):
        votes = json.loads(line)["estimation"]
        first, second = votes.index(max(votes)), votes.index(min(votes))
        votes[first], votes[second] = votes[first] - 1, votes[second] + 1
        forge(run, position, estimation=votes)
    assert call("verify", run)[0] == 0, "the digests fit, and the claims follow from the forged votes"
    code, out, err = call("verify", run, "--replay", 2, "--model", model, "--json")
    document = json.loads(out)
    assert code == 1
    assert len(document["replayed"]) == len(document["failures"]) == 2
    assert "drawn again: estimation votes drawn again" in document["failures"][0]
    assert {record.index for record in records} >= set(document["replayed"])


def test_replays_need_what_the_run_was_made_with(call: Call, certified: Path, tmp_path: Path) -> None:
    run, model = certified / "run", certified / "model.safetensors"
    code, _, err = call("verify", run, "--replay", 1)
    assert (code, "it needs the run's --model" in err) == (2, True)
    other = tmp_path / "other.safetensors"
    train = (
        "train",
        "--noise",
        "gaussian:sigma=0.25",
        "--out",
        other,
        "--epochs",
        1,
        "--arch",
        "digits-mlp",
        "--quiet",
    )
    assert call(*train)[0] == 0
    code, _, err = call("verify", run, "--replay", 1, "--model", other)
    assert (code, "give the run's own model" in err) == (1, True)
    from dataclasses import replace

    manifest = read_run(run).manifest
    for changes, complaint in (
        ({"data": replace(manifest.data, sha256="0" * 64)}, "give the run's own data"),
        ({"device": "cuda"}, "use the device cuda"),
        ({"block": 32}, "blocks of 32 samples"),
    ):
        folder = tmp_path / complaint.split()[0]
        with RunStore(folder, replace(manifest, **changes)) as store:
            store.append(read_run(run).records)
        code, _, err = call("verify", folder, "--replay", 1, "--model", model)
        assert (code, complaint in err) == (1, True)


def test_another_version_is_named_as_a_likely_reason(call: Call, certified: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    run = read_run(certified / "run")
    manifest = replace(run.manifest, versions={**run.manifest.versions, "torch": "1.0"}, seed=6)
    with RunStore(tmp_path / "run", manifest) as store:
        store.append(run.records)
    code, out, _ = call("verify", tmp_path / "run", "--replay", 12, "--model", certified / "model.safetensors")
    assert code == 1
    assert "another version may be why counts differ: torch 1.0 in the run" in " ".join(out.split())


@pytest.mark.parametrize("change", ["cut", "more"])
def test_an_exported_log_has_one_field_a_column(call: Call, certified: Path, tmp_path: Path, change: str) -> None:
    text = (certified / "log.tsv").read_text()
    changed = (
        text[: text.rstrip().rindex("\t")] if change == "cut" else text.replace("\n", "\t9\n").replace("\t9", "", 1)
    )
    (tmp_path / "log.tsv").write_text(changed)
    code, _, err = call("verify", certified / "run", "--log", tmp_path / "log.tsv")
    line, fields = (13, 5) if change == "cut" else (2, 7)
    assert (code, f"line {line} has {fields} fields, the header has 6 columns" in " ".join(err.split())) == (1, True)


def test_imported_logs_stay_claims(call: Call, certified: Path, tmp_path: Path) -> None:
    options = ("--noise", "gaussian:sigma=0.25", "--n", 200, "--alpha", 0.01, "--out", tmp_path / "theirs")
    assert call("import-log", certified / "log.tsv", *options)[0] == 0
    assert call("export-log", tmp_path / "theirs", "--out", tmp_path / "log.tsv")[0] == 0
    code, out, _ = call("verify", tmp_path / "theirs", "--log", tmp_path / "log.tsv")
    assert code == 0
    assert "an imported log holds no votes" in out
    code, _, err = call("verify", tmp_path / "theirs", "--replay", 1, "--model", certified / "model.safetensors")
    assert (code, "has no seed" in err) == (1, True)
