"""The run store: what is promised stays promised, what is recorded stays recorded."""

import errno
import fcntl
import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import SHARED, manifest, run
from verified_runs import seal

from holdfast.errors import RunError, RunLockedError, StorageError, UsageError
from holdfast.estimators import Exact, RunOff
from holdfast.noises.partition import Partition
from holdfast.store.digests import manifest_digest
from holdfast.store.manifest import differences
from holdfast.store.run import RECORDS, SESSIONS, RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import FILE_NAME, RunManifest, checked_estimator, read_run_manifest
from holdfast.store.subsets import ordinal
from holdfast.types import Counts


def record(index: int) -> VoteRecord:
    return VoteRecord(index, index % 4, Counts((30, 0, 0, 0)), Counts((290, 10, 0, 0)))


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", manifest()) as store:
        store.append([record(3), record(1)])
        store.append([record(2)])
    found = read_run(tmp_path / "run")
    assert found.records == (record(1), record(2), record(3))
    assert found.manifest == replace(manifest(), created=found.manifest.created)
    assert found.missing == 9


def test_the_manifest_is_on_the_disk_before_any_record(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run", manifest())
    assert read_run_manifest(tmp_path / "run").seed == 9
    assert (tmp_path / "run" / RECORDS).read_bytes() == b""
    assert not (tmp_path / "run" / (FILE_NAME + ".tmp")).exists()
    store.close()


def test_a_record_is_small(tmp_path: Path) -> None:
    ten = VoteRecord(9999, 9, Counts((0,) * 9 + (100,)), Counts((11111,) * 8 + (10000, 1112)))
    assert len(ten.to_line("0" * 64)) <= 157 + 28


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_record_is_dropped_and_does_not_damage_the_next(tmp_path: Path, cut: int) -> None:
    """The next append would glue onto the torn line and lose two records."""
    folder = tmp_path / "run"
    with RunStore(folder, manifest()) as store:
        store.append([record(0), record(1)])
    file = folder / RECORDS
    file.write_bytes(file.read_bytes()[:-cut])
    assert read_run(folder).records == (record(0),)
    with RunStore(folder, manifest()) as store:
        assert store.done == {0}
        store.append([record(1), record(2)])
    assert read_run(folder).records == (record(0), record(1), record(2))


def test_every_possible_tear_resumes_to_the_same_records(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    run(whole, manifest(size=4))
    content = (whole / RECORDS).read_bytes()
    expected = read_run(whole).records
    for length in range(0, len(content), 23):
        folder = tmp_path / f"torn-{length}"
        folder.mkdir()
        (folder / FILE_NAME).write_bytes((whole / FILE_NAME).read_bytes())
        (folder / RECORDS).write_bytes(content[:length])
        run(folder, manifest(size=4))
        assert read_run(folder).records == expected


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"noise": {"name": "gaussian", "sigma": 0.25}}, "noise.sigma: the run has 0.5, this call has 0.25"),
        (
            {"estimator": {"name": "fixed", "n": 300, "alpha": 0.05, "method": "split"}},
            "estimator.alpha: the run has 0.01",
        ),
        ({"model": {"sha256": "2" * 64}}, "model.sha256"),
        ({"data": replace(manifest().data, sha256="3" * 64)}, "data.sha256"),
        ({"data": replace(manifest().data, every=2)}, "data.every: the run has 1, this call has 2"),
        ({"seed": 10}, "seed: the run has 9, this call has 10"),
        ({"n0": 31}, "n0"),
        ({"precision": "bfloat16"}, "precision"),
        ({"device": "cuda"}, "device"),
        ({"versions": {"torch": "0"}}, "versions.torch"),
    ],
)
def test_another_promise_is_refused_with_the_difference(tmp_path: Path, change: dict, shown: str) -> None:
    """Resume is by content and not by name: another checkpoint, alpha or sigma never gets another run's records."""
    run(tmp_path / "run", manifest(size=2))
    before = (tmp_path / "run" / RECORDS).read_bytes()
    with pytest.raises(RunError, match="was started with other settings") as caught:
        run(tmp_path / "run", replace(manifest(size=2), **change))
    assert shown in str(caught.value)
    assert (tmp_path / "run" / RECORDS).read_bytes() == before


def test_the_time_of_the_promise_is_not_part_of_it(tmp_path: Path) -> None:
    assert differences(manifest(), replace(manifest(), created="another day")) == []


def test_a_second_process_is_refused_and_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    code = f"""
        import sys, time
        sys.path.insert(0, {SHARED!r})
        from pathlib import Path
        from helpers import manifest
        from holdfast.store.run import RunStore
        store = RunStore(Path({str(tmp_path / "run")!r}), manifest())
        print("open", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(RunLockedError, match=rf"another process \(process {other.pid}\) is working on"):
            RunStore(tmp_path / "run", manifest())
        other.send_signal(signal.SIGKILL)
    RunStore(tmp_path / "run", manifest()).close()


def test_a_full_disk_is_a_clear_error_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    """A real partial write: the process may not write files beyond a size that ends within a record."""
    code = f"""
        import resource, signal, sys
        sys.path[:0] = [{SHARED!r}, {str(Path(__file__).parent)!r}]
        from pathlib import Path
        from helpers import manifest, run
        from holdfast.errors import StorageError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        folder = Path({str(tmp_path / "run")!r})
        run(folder, manifest(size=2))
        size = (folder / "records.jsonl").stat().st_size
        from holdfast.store.run import RunStore
        from test_store import record
        store = RunStore(folder, manifest(size=2))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, resource.RLIM_INFINITY))
        try:
            store.append([record(5)])
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "there is no space left" in done.stdout
    assert "Every record written before is valid" in done.stdout
    assert not (tmp_path / "run" / RECORDS).read_bytes().endswith(b"\n"), "the write was not partial"
    assert len(read_run(tmp_path / "run").records) == 2
    run(tmp_path / "run", manifest(size=2))
    assert (tmp_path / "run" / RECORDS).read_bytes().endswith(b"\n")


def test_a_device_without_space_is_a_clear_error(tmp_path: Path) -> None:
    with RunStore(tmp_path / "run", manifest(size=3)) as store, Path("/dev/full").open("ab", buffering=0) as full:
        store._file.close()
        store._file = full
        with pytest.raises(StorageError, match=r"there is no space left for it\. Every record written before is valid"):
            store.append([record(0)])


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"is a file; expected a folder"):
        RunStore(tmp_path / "file", manifest())
    with pytest.raises(StorageError, match="could not be written"):
        RunStore(tmp_path / "file" / "below", manifest())


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match=r"not empty and not a run: it holds thesis\.tex"):
        RunStore(tmp_path, manifest())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]


def test_a_second_run_into_the_same_folder_destroys_nothing(tmp_path: Path) -> None:
    """Output opened with 'w' would destroy a partial run."""
    run(tmp_path / "run", manifest(size=5))
    before = (tmp_path / "run" / RECORDS).read_bytes()
    run(tmp_path / "run", manifest(size=5))
    assert (tmp_path / "run" / RECORDS).read_bytes() == before


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"index":0,"label":0,"selection":[30,0,0,0]}', "'estimation'"),
        ('{"index":0,"label":0,"selection":[29,0,0,0],"estimation":[300,0,0,0]}', "expected 30 selection votes"),
        ('{"index":0,"label":0,"selection":[30,0,0,0],"estimation":[299,0,0,0]}', "fewer than the estimator asks for"),
        ('{"index":0,"label":0,"selection":[30,0,0,0],"estimation":[301,0,0,0]}', "does not stop at 301 votes"),
        ('{"index":0,"label":0,"selection":[30,0,0],"estimation":[300,0,0]}', "expected votes for 4 classes"),
        ('{"index":0,"label":7,"selection":[30,0,0,0],"estimation":[300,0,0,0]}', "label 7 is not one of"),
        ('{"index":0,"label":0,"selection":[30,0,0,0],"estimation":[300.0,0,0,0]}', "expected a whole number"),
        ('{"index":99,"label":0,"selection":[30,0,0,0],"estimation":[300,0,0,0]}', "not in the run's subset"),
        ('{"index":1,"label":1,"selection":[30,0,0,0],"estimation":[300,0,0,0]}', "a second time"),
    ],
)
def test_a_changed_record_is_an_error_that_names_the_line(tmp_path: Path, line: str, why: str) -> None:
    folder = tmp_path / "run"
    with RunStore(folder, manifest()) as store:
        store.append([record(1)])
    with (folder / RECORDS).open("a") as file:
        file.write(seal(folder, json.loads(line)))
    with pytest.raises(RunError, match=r"records\.jsonl, line 2") as caught:
        read_run(folder)
    assert why in str(caught.value)


# Too deep for Python's reader; and what that reads, and the writer, which digests are taken by, does not write.
DEEP = 100_000 * '{"a":'
DEEPER_TO_WRITE = [(depth * '{"a":' + "1" + depth * "}").encode() for depth in range(900, 1000, 3)]

LINES = [b"not json", b"[]", b"5", b"null", b"{}", b'{"digest":"a"}', b"\xff", b'{"a":"\xff"}', DEEP.encode()]


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: bytes) -> None:
    folder = tmp_path / "run"
    run(folder, manifest(size=1))
    whole = (folder / RECORDS).read_bytes()
    (folder / RECORDS).write_bytes(whole + line + b"\n")
    with pytest.raises(RunError, match=r"records\.jsonl, line 2 is not a record \(.*delete it"):
        read_run(folder)


def test_deep_lines_are_named_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, manifest(size=1))
    for line in DEEPER_TO_WRITE:
        (folder / RECORDS).write_bytes(line + b"\n")
        with pytest.raises(RunError, match=r"line 1 is not a record"):
            read_run(folder)


SESSION = {"examples": 1, "samples": 2, "seconds": 0.5, "settings": {}}


@pytest.mark.parametrize(
    "line",
    [
        *(b"x", b"\xff", b"[]", b'{"a":1}', DEEP.encode()),
        *(json.dumps({**SESSION, "more": 1}).encode(), json.dumps({**SESSION, "seconds": "long"}).encode()),
        *(json.dumps({**SESSION, "examples": -1}).encode(), json.dumps({**SESSION, "settings": None}).encode()),
    ],
)
def test_a_line_that_is_no_session_is_named(tmp_path: Path, line: bytes) -> None:
    folder = tmp_path / "run"
    run(folder, manifest(size=2))
    with (folder / SESSIONS).open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(RunError, match=r"sessions\.jsonl, line 2 is not a session \(.*No result depends on this file"):
        read_run(folder)


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: there is no manifest\.json"):
        read_run(tmp_path)
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(RunError, match="not a valid JSON object"):
        read_run(tmp_path)
    (tmp_path / FILE_NAME).write_text('{"format": 99}')
    with pytest.raises(RunError, match="has format 99; this version of Holdfast reads format 2"):
        read_run(tmp_path)
    (tmp_path / FILE_NAME).write_text("[]")
    with pytest.raises(RunError, match="a JSON object was expected, found list"):
        read_run(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"\xff{}")
    with pytest.raises(RunError, match=r"it is not UTF-8 .*byte 0xff.* has to be made again"):
        read_run(tmp_path)
    (tmp_path / FILE_NAME).write_text(DEEP)
    with pytest.raises(RunError, match="nested too deeply"):
        read_run(tmp_path)
    document = json.loads(manifest().to_json())
    del document["seed"]
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(RunError, match="was changed after it was written: its digest is"):
        read_run(tmp_path)
    document["digest"] = manifest_digest(document)
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(RunError, match="the entry 'seed' is missing"):
        read_run(tmp_path)
    document = json.loads(manifest().to_json())
    del document["data"]["shape"]
    document["digest"] = manifest_digest(document)
    (tmp_path / FILE_NAME).write_text(json.dumps(document))
    with pytest.raises(RunError, match=r"the entry 'data\.shape' is missing"):
        read_run(tmp_path)


def test_manifests_survive_json() -> None:
    written = manifest()
    assert RunManifest.from_json(written.to_json(), "here") == written


def test_a_closed_run_takes_no_records(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run", manifest())
    store.close()
    store.close()
    with pytest.raises(RunError, match="is closed"):
        store.append([record(0)])


def test_the_subset_is_fixed_and_in_plain_words() -> None:
    """`--max` tested after `--skip` never stops with skip=20, max=510: the subset is a range, made once."""
    data = replace(manifest(size=1000).data, every=20, limit=26)
    assert list(data.indices()) == list(range(0, 520, 20))
    assert data.subset() == "26 of 1000 test examples of made-up, every 20th, the first 26"
    assert manifest(size=1000).data.subset() == "all 1000 test examples of made-up"
    assert [ordinal(i) for i in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th")
    ]


def test_sessions_are_logged_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    run(tmp_path / "run", manifest(size=3))
    (session,) = read_run(tmp_path / "run").sessions
    assert (session.examples, session.samples) == (3, 3 * 330)
    with (tmp_path / "run" / SESSIONS).open("a") as file:
        file.write('{"examples": 1, "sam')
    assert len(read_run(tmp_path / "run").sessions) == 1
    (tmp_path / "run" / RECORDS).unlink()
    run(tmp_path / "run", manifest(size=3))
    assert len(read_run(tmp_path / "run").sessions) == 2


def test_a_path_that_no_run_can_have_is_named_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, reason in (
        (tmp_path / ("x" * 300), "too long"),
        (tmp_path / "file" / "run", "a file, not a folder"),
    ):
        with pytest.raises(StorageError, match=reason) as caught:
            RunStore(folder, manifest())
        assert "Make room" not in str(caught.value)


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match="its file system cannot lock files"):
        RunStore(tmp_path / "run", manifest())


def test_a_complete_run_that_lost_a_record_is_read_only_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(folder, manifest(size=3))
    results = read_run(folder).results
    assert results is not None
    whole = (folder / RECORDS).read_bytes()
    (folder / RECORDS).write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    with pytest.raises(RunError, match=r"results\.json does not fit the records"):
        read_run(folder)
    going_on = read_run(folder, to_go_on=True)
    assert (len(going_on.records), going_on.results) == (2, None)
    # With as many records as were promised, but others, there is nothing to go on with.
    first, second, last = whole.splitlines(keepends=True)
    entries = json.loads(last)
    other = seal(folder, {**entries, "estimation": entries["estimation"][::-1]})
    (folder / RECORDS).write_bytes(first + second + other.encode())
    for to_go_on in (False, True):
        with pytest.raises(RunError, match=r"results\.json does not fit the records"):
            read_run(folder, to_go_on)
    (folder / RECORDS).write_bytes(whole)
    assert read_run(folder, to_go_on=True).results == read_run(folder).results == results


@pytest.mark.parametrize(("blocks", "fits"), [(9, True), (8, False), (10, False)])
def test_an_estimator_that_takes_all_realizations_promises_as_many_as_there_are(blocks: int, fits: bool) -> None:
    """36 pixels in blocks of 4 are 9 blocks."""
    exact = manifest(noise=Partition(4).to_dict(), guarantee="partition", estimator=Exact(blocks).to_dict(), n0=0)
    if fits:
        assert checked_estimator(exact) == Exact(9)
        return
    with pytest.raises(UsageError, match=f"takes {blocks} realizations of partition:k=4.*which has 9 for inputs"):
        checked_estimator(exact)


@pytest.mark.parametrize("ranked", [True, False])
def test_estimator_and_noise_decide_alike(ranked: bool) -> None:
    noise, rule = Partition(4, decision="runoff" if ranked else "majority"), Exact(9) if ranked else RunOff(9)
    promised = manifest(noise=noise.to_dict(), guarantee="partition", estimator=rule.to_dict(), n0=0)
    with pytest.raises(UsageError, match=f"the estimator {rule.name} does not decide as partition:k=4.* says"):
        checked_estimator(promised)
