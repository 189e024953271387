"""Runs and attacks as strangers send them: an answer or an error of ours; both readers of one mind; no more than the
shipped schemas allow."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs
from made_runs import Made, attack, runs
from mutations import changed, damaged, manifest_digest, record_digest, results_digest, written
from schema import excluded

from holdfast.__main__ import main
from holdfast.analysis.runs import analyze
from holdfast.analysis.summaries import summarize
from holdfast.attacks import Target
from holdfast.errors import HoldfastError
from holdfast.store.attack import AttackRun, read_attack
from holdfast.store.run import read_run
from holdfast.verification.attack import AttackVerification, check_attack
from holdfast.verification.run import Verification, check_files
from holdfast.workflows.logs import log_lines
from holdfast.workflows.verify import Given, verify_run
from holdfast.workflows.verify_attack import verify_attack

# What `verify` says of claims that no reader of them can refuse: they are another tool's.
_OF_CLAIMS = ("claims are larger than n =", "claims are not whole numbers of pixels")


@st.composite
def folders(draw: st.DrawFn, name: str, made: Made, others: list[Made]) -> dict[str, bytes]:
    """The files of a folder in which something was changed; digests fit mostly, as a forger would make them."""
    manifest, records, sessions = made.manifest, made.records, made.sessions
    strangers = [
        *(each.manifest for each in others), *(each.records[0] for each in others), *sessions, manifest["data"],
    ]  # fmt: skip
    what = draw(st.sampled_from(["manifest", "manifest", "record", "record", "records", "session", "bytes", "file"]))
    if what == "manifest":
        manifest = draw(changed(manifest, strangers))
    if what == "record":
        number = draw(st.integers(0, len(records) - 1))
        records = [*records[:number], draw(changed(records[number], strangers)), *records[number + 1 :]]
    if what == "records":
        records = draw(st.lists(st.sampled_from([*records, *draw(st.sampled_from(others)).records]), max_size=5))
    if what == "session":
        sessions = [draw(changed(sessions[0], strangers))]
    text = written(manifest)
    if draw(st.integers(0, 7)):
        text = _with_digest(text, manifest, manifest_digest(text))
    promised = _digest_in(text)
    lines = []
    for record in records:
        line = written(record)
        if draw(st.integers(0, 7)):
            line = _with_digest(line, record, record_digest(promised, line))
        lines.append(line + "\n")
    files = {
        name: text.encode(errors="surrogatepass"),
        "records.jsonl": "".join(lines).encode(errors="surrogatepass"),
        "sessions.jsonl": "".join(written(each) + "\n" for each in sessions).encode(errors="surrogatepass"),
        **made.files,
    }
    if draw(st.integers(0, 3)) == 0:
        results = {"manifest": promised, "records": len(lines), "results": results_digest(promised, lines)}
        told = draw(changed(results, strangers)) if draw(st.booleans()) else results
        files["results.json"] = written(told).encode(errors="surrogatepass")
    if what in ("bytes", "file"):
        chosen = draw(st.sampled_from([*files] if what == "bytes" else [*made.files, "records.jsonl"]))
        files[chosen] = draw(damaged(files[chosen]))
    return files


def _with_digest(text: str, document: Any, digest: str) -> str:
    """A document with another digest, if it has one."""
    if isinstance(document, dict) and isinstance(document.get("digest"), str):
        return written({**document, "digest": digest})
    return text


def _digest_in(text: str) -> str:
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        return str(json.loads(text).get("digest"))
    return "0" * 64


def _no_target(attack: AttackRun) -> Target:
    raise AssertionError("no classifier is asked where no model is given")


def _lay(files: dict[str, bytes], folder: Path) -> None:
    for name, raw in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(raw)


def _whole_lines(raw: bytes) -> list[bytes]:
    return raw.split(b"\n")[:-1]


def fault_of_run(files: dict[str, bytes]) -> str | None:
    """What is wrong with how a run is read; None if nothing is."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _lay(files, folder)
        read = answered(lambda: read_run(folder))
        result = Verification()
        answered(lambda: check_files(folder, result))
        whole = answered(lambda: verify_run(folder, Given()))
        refused = isinstance(read, HoldfastError)
        told = [str(whole)] if isinstance(whole, HoldfastError) else whole.failures
        if refused and not told:
            return f"verify passes what read_run refuses: {read}"
        if not refused:
            said = [text for text in told if not any(words in text for words in _OF_CLAIMS)]
            if said or result.failures:
                return f"read_run passes what verify refuses: {said or result.failures}"
            # What tables, reports and exports are made of.
            run = analyze(read)
            answered(lambda: (summarize(run, [0.0, 0.25]), log_lines(run)))
            kind = read.manifest.kind
            if excluded(files["manifest.json"], "run-manifest"):
                return "a manifest that its schema excludes is read"
            if any(excluded(line, f"{kind}-record") for line in _whole_lines(files["records.jsonl"])):
                return "a record that its schema excludes is read"
            if any(excluded(line, "session") for line in _whole_lines(files["sessions.jsonl"])):
                return "a session that its schema excludes is read"
            if excluded(files.get("results.json", b""), "results") and "results.json" in files:
                return "results that their schema excludes are read"
    return None


def fault_of_attack(files: dict[str, bytes]) -> str | None:
    """What is wrong with how an attack is read; None if nothing is."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _lay(files, folder)
        read = answered(lambda: read_attack(folder))
        result = AttackVerification()
        answered(lambda: check_attack(folder, result))
        whole = answered(lambda: verify_attack(folder, Given(), _no_target))
        told = [str(whole)] if isinstance(whole, HoldfastError) else whole.failures
        if isinstance(read, HoldfastError):
            # Of sessions no result depends, and verify does not look at them.
            return None if told or "sessions.jsonl" in str(read) else f"verify passes what read_attack refuses: {read}"
        if told:
            return f"read_attack passes what verify refuses: {told}"
        if excluded(files["attack.json"], "attack-manifest"):
            return "a manifest that its schema excludes is read"
        if any(excluded(line, "attack-record") for line in _whole_lines(files["records.jsonl"])):
            return "a record that its schema excludes is read"
        if excluded(files.get("results.json", b""), "results") and "results.json" in files:
            return "results that their schema excludes are read"
    return None


_RUNS = st.sampled_from(sorted(runs())).flatmap(
    lambda name: folders("manifest.json", runs()[name], [*runs().values(), attack()])
)


def test_what_is_not_changed_is_read() -> None:
    for made in runs().values():
        assert fault_of_run(_files(made, "manifest.json")) is None
    assert fault_of_attack(_files(attack(), "attack.json")) is None


def _files(made: Made, name: str) -> dict[str, bytes]:
    def lines(documents: list[dict[str, Any]]) -> bytes:
        return "".join(written(each) + "\n" for each in documents).encode()

    files = {"records.jsonl": lines(made.records), "sessions.jsonl": lines(made.sessions), **made.files}
    with tempfile.TemporaryDirectory() as place:
        _lay({name: written(made.manifest).encode(), **files}, Path(place))
        found = answered(lambda: (read_attack if name == "attack.json" else read_run)(Path(place)))
    assert not isinstance(found, HoldfastError), str(found)
    return {name: written(made.manifest).encode(), **files}


@inputs(0.3)
@given(_RUNS)
def test_runs(files: dict[str, bytes]) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        assert fault_of_run(files) is None


@inputs(0.08)
@given(folders("attack.json", attack(), [*runs().values()]))
def test_attacks(files: dict[str, bytes]) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        assert fault_of_attack(files) is None


_COMMANDS = (["table"], ["info"], ["export-log"], ["verify"])


def fault_of_commands(files: dict[str, bytes]) -> str | None:
    """What is wrong with what the commands make of a run; None if nothing is."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _lay(files, folder)
        refused = isinstance(answered(lambda: read_run(folder)), HoldfastError)
        for command in _COMMANDS:
            code, said = _called([*command, place])
            if "Traceback" in said or (refused and not code):
                return f"{command[0]} ends with {code} where a run {'cannot' if refused else 'can'} be read: {said}"
    return None


def _called(arguments: list[str]) -> tuple[int, str]:
    """Exit code and words of a command."""
    said, before, code = io.StringIO(), sys.argv, 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        sys.argv = ["holdfast", *arguments]
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        finally:
            sys.argv = before
    return code, said.getvalue()


@inputs(0.02)
@given(_RUNS)
def test_commands(files: dict[str, bytes]) -> None:
    assert fault_of_commands(files) is None
