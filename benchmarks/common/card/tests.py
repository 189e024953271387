"""The first step: the tests that need a card, which are skipped where there is none."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.card.children import started, waited
from common.card.each_test import VARIABLE
from common.card.plan import Outcome
from common.card.results import last_lines

if TYPE_CHECKING:
    from common.card.plan import Plan

ROOT = Path(__file__).parents[3]
# Where such tests run (tests/shared/on_cuda.py); on a processor in a smoke run.
_WHERE = "HOLDFAST_CUDA_TESTS_ON"
# Files that have any; the smoke run saves the time to collect all others.
_MARK = "from on_cuda import"


def files() -> list[str]:
    """The test files that have CUDA tests."""
    found = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path) for path in found if _MARK in path.read_text(encoding="utf-8")]


def run_tests(plan: Plan, name: str, end: float) -> Outcome:
    """All tests with the marker `cuda`, until the time is up."""
    with tempfile.TemporaryDirectory() as folder:
        lines, log = Path(folder) / "tests.jsonl", Path(folder) / "log"
        environment = {**os.environ, VARIABLE: str(lines), _WHERE: plan.device}
        command = [sys.executable, "-m", "pytest", "-m", "cuda", "-p", "common.card.each_test"]
        command += ["-p", "no:cacheprovider", "--basetemp", f"{folder}/temp", "--rootdir", str(ROOT), *files()]
        with log.open("w", encoding="utf-8") as output:
            code = waited(started(command, output, environment), end)
        said = log.read_text(encoding="utf-8", errors="replace")
        found = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()] if lines.exists() else []
    return judged(found, code, said)


def judged(lines: list[dict[str, Any]], code: int | None, said: str) -> Outcome:
    """What the lines of the plugin, the exit code (None: the time was up) and the output mean."""
    tests = [line for line in lines if "test" in line]
    collected = sum(line.get("collected", 0) for line in lines)
    counts = {kind: sum(each["outcome"] == kind for each in tests) for kind in ("passed", "failed", "skipped")}
    found = {**counts, "collected": collected, "tests": tests}
    if counts["failed"]:
        return Outcome(found, "failed", f"{counts['failed']} of {collected} tests failed")
    if code is None:
        return Outcome(found, "stopped", f"the time was up after {len(tests)} of {collected} tests")
    if code or not counts["passed"]:
        return Outcome(found, "failed", f"pytest ended with {code}: {last_lines(said)}")
    return Outcome(found)
