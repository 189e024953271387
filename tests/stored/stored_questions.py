"""What is asked about the stored runs, by public commands, and how answers are reduced to what must not change.

Numbers, digests, labels, truth values and exit codes are kept. Sentences for people may be reworded at any time: see
`PROSE`, `SENTENCES` and `COUNTED`.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from holdfast.__main__ import main
from holdfast.analysis.attacks import summarize_attack
from holdfast.store.attack import AttackRun, read_attack
from holdfast.store.run import Run, read_run

NONCE = "00112233445566778899aabbccddeeff"
# Entries that are a sentence, or null where there is nothing to say: only which of the two is kept.
PROSE = {"subset", "condition", "claimed", "caution"}
# Lists of sentences that are left out.
SENTENCES = {"notes", "not_checked"}
# Lists of sentences of which their number is kept.
COUNTED = {"failures"}
# Entries whose keys are sentences: the values are kept, in order.
WORDED = {"unattacked"}
# Paths of which the last part is kept.
PATHS = {"run", "attack"}
# A copy of the manifest, which other tests compare.
COPIES = {"manifest"}
# Entries that answers have had since then: left out where they are null.
SINCE = {"unknown", "undecided"}
# Figures that answers have had since then, which have tests of their own.
ADDED = {"mean_magnitude", "mean_left_out", "p_A"}
# Votes of other bounds or theorems than the run promised: runs that have them.
COHEN = {"gaussian", "laplace", "ablation", "uniform-flip", "looks"}
OTHER_THEOREMS = {"gaussian": ("lecuyer", "li", "cohen_linf"), "uniform": ("overlap_linf",)}


def case_names(folder: Path) -> list[str]:
    """The names of the stored runs and attacks."""
    return sorted(each.name for each in (folder / "runs").iterdir())


def is_attack(folder: Path, name: str) -> bool:
    """Whether a stored folder is an attack."""
    return (folder / "runs" / name / "attack.json").is_file()


def read_stored(folder: Path, name: str) -> Run | AttackRun:
    """A stored run or attack, as the library reads it."""
    return (read_attack if is_attack(folder, name) else read_run)(folder / "runs" / name)


def entries(folder: Path, name: str) -> dict[str, Any]:
    """The manifest of a run or attack as it lies there."""
    file = "attack.json" if is_attack(folder, name) else "manifest.json"
    found: dict[str, Any] = json.loads((folder / "runs" / name / file).read_text())
    return found


def model_of(folder: Path, name: str) -> Path | None:
    """The bundle that a run is about; None for an imported log."""
    architecture = entries(folder, name)["model"].get("architecture")
    if architecture is None:
        return None
    trained_for = entries(folder, name)["model"].get("trained_for")
    return folder / "models" / f"{'plain' if trained_for is None else trained_for['name']}.safetensors"


def run_program(*arguments: object) -> tuple[int, str]:
    """Exit code and standard output of the program in this process, called with these arguments."""
    out, code, before = io.StringIO(), 0, sys.argv
    sys.argv = ["holdfast", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        sys.argv = before
    return code, out.getvalue()


def questions(folder: Path, name: str) -> dict[str, tuple[object, ...]]:
    """The commands about a stored folder, by names that do not depend on where it lies."""
    run, model, data = folder / "runs" / name, model_of(folder, name), ("--data", "digits")
    of_model = () if model is None else ("--model", model)
    asked: dict[str, tuple[object, ...]] = {
        "verify": ("verify", run, "--json"),
        "verify with data": ("verify", run, *data, "--require", "data", "--json"),
        "verify with another digest": ("verify", run, "--digest", "0" * 64, "--json"),
    }
    if model is not None:
        asked["verify with data and model"] = ("verify", run, *data, *of_model, "--json")
    if is_attack(folder, name):
        promised = entries(folder, name)["certification"]
        found = [each for each in case_names(folder) if entries(folder, each)["digest"] == promised]
        if found:
            asked["verify with the run"] = ("verify", run, "--run", folder / "runs" / found[0], *data, "--json")
        return asked
    asked |= {
        "info": ("info", run, "--json"),
        "table": ("table", run, "--json"),
        "table at radii": ("table", run, "--radii", "0,0.01,0.1,.25,.5,1,2", "--json"),
        "table in CSV": ("table", run, "--format", "csv"),
        "log": ("export-log", run),
        "log in JSON lines": ("export-log", run, "--format", "jsonl"),
    }
    if name in COHEN:
        asked["table with cohen bounds"] = ("table", run, "--bounds", "cohen", "--json")
    for theorem in OTHER_THEOREMS.get(name, ()):
        asked[f"table with {theorem}"] = ("table", run, "--theorem", theorem, "--json")
    if name == "derived":
        promise = entries(folder, name)["promise"]
        published = ("verify", run, "--digest", promise, "--json")
        asked["verify with the promise and the nonce"] = (*published, "--nonce", NONCE)
        asked["verify with another nonce"] = (*published, "--nonce", "ff" * 16)
    return asked


def ask_all(folder: Path, name: str) -> dict[str, Any]:
    """The reduced answers to all questions about a stored folder."""
    answers = {key: _answer(key, *run_program(*command)) for key, command in questions(folder, name).items()}
    return answers if not is_attack(folder, name) else {**answers, "summary": _summary(folder, name)}


def _summary(folder: Path, name: str) -> Any:
    """What an attack found, in figures. No command prints it without going on with the attack."""
    found = read_stored(folder, name)
    assert isinstance(found, AttackRun)
    # As JSON, in which a tuple is a list.
    return json.loads(json.dumps(reduced(asdict(summarize_attack(found)))))


def _answer(key: str, code: int, out: str) -> Any:
    if key == "table in CSV":
        return {"exit": code, "output": numbers_of_csv(out)}
    if key.startswith("log"):
        return {"exit": code, "output": out.splitlines()}
    return {"exit": code, "output": reduced(json.loads(out)) if out else None}


def numbers_of_csv(text: str) -> list[list[str]]:
    """The cells of each line below the header that are numbers, as they are written, but for those of `ADDED`."""
    lines = list(csv.reader(io.StringIO(text)))
    known = [not title.startswith(tuple(ADDED)) for line in lines[:1] for title in line]
    return [[cell for cell, old in zip(line, known, strict=True) if old and _is_number(cell)] for line in lines[1:]]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def reduced(document: Any) -> Any:
    """A document without what is written for people; see the names at the top."""
    if isinstance(document, list | tuple):
        return [reduced(each) for each in document]
    if not isinstance(document, dict):
        return document
    kept = {key: value for key, value in document.items() if not (key in SINCE and value is None)}
    return {key: _entry(key, value) for key, value in kept.items() if key not in SENTENCES | COPIES | ADDED}


def _entry(key: str, value: Any) -> Any:
    if key in PROSE:
        return None if value is None else "..."
    if key in COUNTED:
        return len(value)
    if key in WORDED:
        return sorted(value.values())
    if key in PATHS and isinstance(value, str):
        return Path(value).name
    return reduced(value)
