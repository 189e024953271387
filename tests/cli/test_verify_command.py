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

from holdfast.errors import DataError
from holdfast.store.run import RECORDS, RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import read_run_manifest
from holdfast.types import Counts

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
        program = [sys.executable, "-m", "holdfast"]
        subprocess.run([*program, *map(str, arguments)], check=True, capture_output=True)
    return folder


def forge(run: Path, position: int, **changes: Any) -> None:
    """Change a record and compute the digest that fits."""
    lines = (run / RECORDS).read_text().splitlines()
    entries = {**json.loads(lines[position]), **changes}
    del entries["digest"]
    text = f"{read_run_manifest(run).digest}\n{json.dumps(entries, sort_keys=True, separators=(',', ':'))}"
    lines[position] = json.dumps({**entries, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]})
    (run / RECORDS).write_text("\n".join(lines) + "\n")


def copy(certified: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("manifest.json", RECORDS):
        (folder / name).write_bytes((certified / "run" / name).read_bytes())
    return folder


def test_a_run_and_its_logs_are_verified(call: Call, certified: Path) -> None:
    digest = read_run_manifest(certified / "run").digest
    for log in ("log.tsv", "log.jsonl"):
        code, out, err = call(
            *("verify", certified / "run", "--log", certified / log),
            *("--digest", digest, "--results", read_run(certified / "run").results),
        )
        assert (code, err) == (0, "")
        assert "OK: the files agree with themselves." in out.splitlines()
        assert "Also agree: the published digest of the manifest, the published digest of the results." in out
        assert "- labels and data (--data)" in out.splitlines()
        assert "--digest" not in out
        assert "--results" not in out
        assert "12 records of 12 examples" in " ".join(out.split())
        assert "12 claims (class, radius, class bounds) recomputed from the votes" in out
        assert "12 lines of the log" in out
        assert f"  {digest}" in out.splitlines()
        assert out.startswith(f"{certified / 'run'} is a run of certificates from votes: 12 records of 12 examples\n")


def test_json_for_machines(call: Call, certified: Path) -> None:
    code, out, _ = call("verify", certified / "run", "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == [
        *("run", "kind", "ok", "exit_code", "level", "checked", "published", "digest", "promise", "nonce", "results"),
        *("examples", "records", "missing", "labels_checked", "replayed", "false_at_most"),
        *("unknown", "undecided", "failures", "notes"),
        *("not_checked", "claims_checked", "log_lines_checked"),
    ]
    assert (document["ok"], document["claims_checked"], document["failures"]) == (True, 12, [])
    assert (document["level"], document["checked"], document["published"]) == ("files", ["files"], [])


@pytest.mark.parametrize("log", ["log.tsv", "log.jsonl"])
def test_every_digit_of_a_radius_in_a_log_is_checked(certified: Path, tmp_path: Path, log: str) -> None:
    """By the functions that the command calls, since there are many digits."""
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run
    from holdfast.verification.exported import check_log
    from holdfast.verification.run import Verification, check_files
    from holdfast.workflows.verify import claims_of

    material, claims = check_files(certified / "run", Verification()), claims_of(analyze(read_run(certified / "run")))
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
            if log == "log.jsonl" and other == "0" and place == start + len(radius) - 1:
                # No number ends so that Holdfast writes.
                with pytest.raises(DataError, match="is not written as Holdfast writes it"):
                    check_log(tmp_path / log, material, claims, result)
                flipped += 1
                continue
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
        (3, "far", "radius far, the votes give"),
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
    assert "line 1 is not a line of a log" in call("verify", certified / "run", "--log", tmp_path / "odd.jsonl")[2]
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
    assert (code, "expected abab" in err) == (1, True)


def test_a_run_without_all_its_records_is_incomplete_everywhere(call: Call, certified: Path, tmp_path: Path) -> None:
    run = copy(certified, tmp_path / "run")
    (run / RECORDS).write_text("".join((run / RECORDS).read_text().splitlines(keepends=True)[:-3]))
    code, out, _ = call("verify", run)
    assert code == 3
    assert out.startswith(f"{run} is INCOMPLETE: 9 records of 12 examples")
    assert "INCOMPLETE: 3 of 12 examples have no record; otherwise the files agree with themselves." in out.splitlines()
    assert "results SHA-256" not in out
    code, out, _ = call("verify", run, "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["exit_code"], document["missing"]) == (3, False, 3, 3)
    code, _, err = call("verify", run, "--results", "ab" * 32)
    assert (code, "the results have no digest while records are missing" in err) == (1, True)
    said = "INCOMPLETE: run has 9 of 12 promised examples; the numbers are about these alone."
    assert call("table", run)[1].splitlines()[0] == said
    assert call("table", run, "--format", "markdown")[1].splitlines()[0] == f"**{said}**"
    assert call("table", run, "--format", "latex")[1].splitlines()[0] == f"% {said}"
    for style in ("--format=csv", "--json"):
        _, out, err = call("table", run, style)
        assert said in err
        assert said not in out
    assert json.loads(out)[0]["missing"] == 3
    assert call("report", run, "--out", tmp_path / "report.html")[0] == 0
    page = (tmp_path / "report.html").read_text()
    assert page.index(said) < page.index("<h1>")


def test_a_finished_run_prints_the_digests_that_verify_finds(call: Call, certified: Path, tmp_path: Path) -> None:
    run = copy(certified, tmp_path / "run")
    assert not (run / "results.json").exists()
    code, out, _ = call("certify", "--model", certified / "model.safetensors", "--out", run, *CERTIFY)
    assert code == 0
    found = read_run(certified / "run")
    wanted = ["manifest SHA-256:", f"  {found.manifest.digest}", "results SHA-256 (12 records):", f"  {found.results}"]
    assert out.splitlines()[-4:] == wanted
    assert call("verify", run)[1].splitlines()[1:5] == wanted
    assert (run / "results.json").read_bytes() == (certified / "run" / "results.json").read_bytes()
    lines = (run / RECORDS).read_text().splitlines(keepends=True)
    (run / RECORDS).write_text("".join(lines[:-1]))
    code, _, err = call("table", run)
    assert (code, "results.json does not fit the records" in err) == (1, True)
    code, _, err = call("verify", run)
    assert (code, "results.json has records = 12" in err) == (1, True)
    assert call("certify", "--model", certified / "model.safetensors", "--out", run, *CERTIFY)[0] == 0
    assert call("verify", run)[0] == 0, "what was lost is made again, and comes to the same digest"


def test_levels_have_words_and_exit_codes(call: Call, certified: Path) -> None:
    run, model = certified / "run", certified / "model.safetensors"
    everything = ("--data", "digits", "--model", model, "--replay", "all", "--quiet")
    for options, level, words in (
        ((), "files", "OK: the files agree with themselves."),
        (("--model", model), "files", "Also agree: the model."),
        (("--data", "digits"), "data", "OK: labels and data agree with the files."),
        (everything, "replay", "OK: all 12 records drawn again from seed, model and data."),
    ):
        code, out, _ = call("verify", run, *options)
        assert (code, words in out.splitlines()) == (0, True)
        assert json.loads(call("verify", run, *options, "--json")[1])["level"] == level
    for options, required, expected in (
        ((), "data", 4),
        (("--data", "digits"), "data", 0),
        (("--data", "digits"), "replay", 4),
        ((*everything[:-2], "50%"), "replay", 4),
        (everything, "replay", 0),
    ):
        code, out, _ = call("verify", run, *options, "--require", required)
        assert (code, f"NOT ENOUGH for --require {required}" in out) == (expected, expected == 4)
    code, out, _ = call("verify", run, *everything[:-2], "25%")
    assert (code, "With 99% confidence at most 8 of the 12 records (66.7%) are false." in out.splitlines()) == (0, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--batch-size", 7), "--batch-size would be ignored"),
        (("--engine", "processes:2"), "--engine would be ignored"),
        (("--threads", 2), "--threads would be ignored"),
        (("--device", "cpu"), "--device would be ignored"),
        (("--ray-address", "auto"), "--ray-address would be ignored"),
        (("--run", "runs/x"), "--run would be ignored"),
        (("--digest", "abc"), "--digest takes a SHA-256"),
        (("--results", "z" * 64), "--results takes a SHA-256"),
        (("--replay", 0), "expected at least one record"),
        (("--replay", "most"), "expected all, a share as in 10%, or a number as in 20"),
        (("--require", "everything"), "--require is one of claims, files, data, replay"),
        (("--complete",), "No such option"),
    ],
)
def test_an_option_that_nothing_would_follow_is_an_error(
    call: Call, certified: Path, options: tuple, complaint: str
) -> None:
    code, _, err = call("verify", certified / "run", *options)
    assert (code, complaint in err) == (2, True)


def test_data_and_models_that_are_given_are_opened(call: Call, certified: Path, tmp_path: Path) -> None:
    """They were passed over without --replay: `--data mnist:/nonexistent` said OK."""
    for option, what in (("--data", "mnist:/nonexistent"), ("--model", tmp_path / "none.safetensors")):
        code, out, err = call("verify", certified / "run", option, what)
        assert (code != 0, "OK" in out, bool(err)) == (True, False, True)
    code, _, err = call("verify", certified / "run", "--data", "digits", "--model", certified / "model.safetensors")
    assert (code, err) == (0, "")


def test_a_wrong_label_is_found_by_the_data_alone(call: Call, certified: Path, tmp_path: Path) -> None:
    run = copy(certified, tmp_path / "run")
    record = json.loads((run / RECORDS).read_text().splitlines()[4])
    forge(run, 4, label=(record["label"] + 1) % 10)
    assert call("verify", run)[0] == 0, "the files agree with themselves"
    code, out, err = call("verify", run, "--data", "digits")
    assert code == 1
    assert (
        f"example {record['index']}: label {(record['label'] + 1) % 10} is recorded, the data say {record['label']}"
        in err
    )
    assert "OK" not in out


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
    assert (code, "it needs --model and --data" in err) == (2, True)
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
    assert (code, "Error: model: sha256 is" in err) == (1, True)
    from dataclasses import replace

    manifest = read_run(run).manifest
    folder = tmp_path / "data"
    with RunStore(folder, replace(manifest, data=replace(manifest.data, sha256="0" * 64))) as store:
        store.append(read_run(run).records)
    code, _, err = call("verify", folder, "--replay", 1, "--model", model)
    assert (code, "data: sha256 is" in err) == (1, True)


def test_noise_of_an_older_version_cannot_be_drawn_again_which_is_no_failure(
    call: Call, certified: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    run, folder = read_run(certified / "run"), tmp_path / "older"
    with RunStore(folder, replace(run.manifest, block=64)) as store:
        store.append(run.records)
    assert call("verify", folder)[0] == 0
    command = ("verify", folder, "--replay", 1, "--model", certified / "model.safetensors")
    code, out, err = call(*command)
    assert (code, err) == (4, "")
    assert "UNDECIDED: nothing was drawn again; " in " ".join(out.split())
    assert "An older version of Holdfast drew this noise" in " ".join(out.split())
    document = json.loads(call(*command, "--json")[1])
    assert document["undecided"].startswith("an older version of Holdfast drew this noise")
    assert (document["failures"], document["replayed"], document["level"]) == ([], [], "data")


def test_a_run_of_another_device_is_drawn_again_and_near_ties_are_said_apart(
    call: Call, certified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from holdfast.execution import replay

    run = read_run(certified / "run")
    other, folder, forged = replace(run.manifest, device="cuda"), tmp_path / "other", tmp_path / "forged"
    first, *rest = run.records
    assert isinstance(first, VoteRecord)
    votes = list(first.estimation.votes)
    top = votes.index(max(votes))
    votes[top], votes[top - 1] = votes[top] - 1, votes[top - 1] + 1
    moved = replace(first, estimation=Counts(tuple(votes)))
    for where, records in ((folder, run.records), (forged, [moved, *rest])):
        with RunStore(where, other) as store:
            store.append(records)
    given = ("--replay", "all", "--model", certified / "model.safetensors")
    code, out, _ = call("verify", folder, *given)
    assert (code, "OK: all 12 records drawn again" in out) == (0, True)
    assert "Note: the run was drawn on cuda, and drawn again on cpu." in " ".join(out.split())
    # No copy of this input is a near tie.
    code, out, err = call("verify", forged, *given)
    assert (code, f"example {first.index}, drawn again: estimation votes" in " ".join(err.split())) == (1, True)
    monkeypatch.setattr(replay, "_FURTHER", 1e9)
    code, out, _ = call("verify", forged, *given)
    printed = " ".join(out.split())
    total = first.selection.total + first.estimation.total
    assert code == 4
    assert "UNDECIDED: not every record that was drawn again agrees" in printed
    assert f"example {first.index}, 1 of {total} votes differ, {total} of the noisy copies are near ties." in printed
    document = json.loads(call("verify", forged, *given, "--json")[1])
    assert document["undecided"].startswith("1 of the 12 records that were drawn again differ")
    assert (document["failures"], len(document["replayed"])) == ([], 11)
    # On its own device, a difference is a difference.
    with RunStore(tmp_path / "own", run.manifest) as store:
        store.append([moved, *rest])
    assert call("verify", tmp_path / "own", *given)[0] == 1


def test_another_version_is_named_as_a_likely_reason(call: Call, certified: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    run = read_run(certified / "run")
    manifest = replace(run.manifest, versions={**run.manifest.versions, "torch": "1.0"}, seed=6)
    with RunStore(tmp_path / "run", manifest) as store:
        store.append(run.records)
    code, out, _ = call("verify", tmp_path / "run", "--replay", 12, "--model", certified / "model.safetensors")
    assert code == 1
    assert "counts may differ because versions do: torch 1.0 in the run" in " ".join(out.split())


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
    assert code == 4
    assert "is an imported log, which is not a certificate from votes" in out.splitlines()[0]
    assert "CLAIMS ONLY: the files agree with themselves, and nothing supports the radii." in out.splitlines()
    assert "an imported log holds no votes" in out
    code, out, _ = call("verify", tmp_path / "theirs", "--data", "digits", "--require", "claims")
    assert (code, "12 labels compared with the data" in out) == (0, True)
    again = ("--replay", 1, "--model", certified / "model.safetensors", "--data", "digits")
    code, _, err = call("verify", tmp_path / "theirs", *again)
    assert (code, "Error: model: " in err) == (1, True)
