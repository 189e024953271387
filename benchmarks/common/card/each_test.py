"""A plugin of pytest: each test's outcome as a line of JSON at once, for a run that may be ended at any time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# Names the file; set by whoever starts pytest.
VARIABLE = "HOLDFAST_EACH_TEST"
_LONGEST = 4000


def pytest_collection_finish(session: Any) -> None:
    _write({"collected": len(session.items)})


def pytest_collectreport(report: Any) -> None:
    if report.failed:
        _write({"test": report.nodeid, "outcome": "failed", "seconds": 0.0, "words": str(report.longrepr)[-_LONGEST:]})


def pytest_runtest_logreport(report: Any) -> None:
    # Of a set-up or a tear-down, only that it failed or skipped the test.
    if report.when == "call" or report.outcome != "passed":
        words = "" if report.outcome == "passed" else str(report.longrepr)[-_LONGEST:]
        _write({"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 2), "words": words})


def _write(line: dict[str, Any]) -> None:
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
