"""The JSON file of all results; written whole after each part, so that a kill loses at most the part at hand."""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.card.page import page

if TYPE_CHECKING:
    from common.card.plan import Outcome, Plan

FORMAT = 1
# Lines of a traceback or a log that are kept: the last ones say what happened.
_LINES = 40


class Results:
    """Results of this and of earlier calls, by "STEP/PART".

    Args:
        plan: says where the file is; without one there, or with one of a smoke run where this is none, or the other
            way round, the results are new.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.all = _read(plan.results) if plan.results.is_file() else {}
        if self.all.get("format") != FORMAT or self.all.get("smoke") != plan.smoke:
            self.all = {"format": FORMAT, "smoke": plan.smoke, "calls": [], "parts": {}}

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What is known of each part."""
        found: dict[str, dict[str, Any]] = self.all["parts"]
        return found

    def begin_call(self, **about: Any) -> None:
        """A new call begins."""
        self.all["calls"].append(about)
        self.all.pop("at", None)
        self.write()

    def begin(self, key: str) -> None:
        """A part begins: should its process die, this says what it was doing."""
        self.all["at"] = key
        self.write()

    def record(self, key: str, outcome: Outcome, **about: Any) -> None:
        """A part has ended. What an earlier call measured is kept where this one has no figures."""
        self.all.pop("at", None)
        self.all["call"] = len(self.all["calls"])
        new = {**asdict(outcome), **about, "call": len(self.all["calls"])}
        before = self.parts.get(key, {})
        if not outcome.found and before.get("found"):
            before["later"] = {**new, "found": {}}
        else:
            self.parts[key] = new
        self.write()

    def of_this_call(self, step: str) -> dict[str, dict[str, Any]]:
        """The latest about each part of a step in this call, by the name of the part."""
        now = len(self.all["calls"])
        latest = {key: each.get("later", each) for key, each in self.parts.items()}
        return {
            key.partition("/")[2]: each
            for key, each in latest.items()
            if key.startswith(f"{step}/") and each["call"] == now
        }

    def write(self) -> None:
        """Write the file, its copy, and the page, each completely or not at all."""
        text = json.dumps(self.all, indent=1, allow_nan=False, default=str)
        out = Path(self._plan.out)
        for path, content in (
            (self._plan.results, text),
            (out / "gpu.json", text),
            (out / "gpu.md", self._page()),
        ):
            _replace(path, content)

    def _page(self) -> str:
        try:
            return page(self.all)
        except Exception as error:
            # Figures of another release, say: the results themselves are kept.
            return f"No page could be made of gpu.json:\n\n```\n{trace(error)}\n```\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(content, encoding="utf-8")
    beside.replace(path)


def last_lines(text: str) -> str:
    """The end of a log."""
    return "\n".join(text.rstrip().splitlines()[-_LINES:])


def trace(error: BaseException) -> str:
    """The end of the traceback of an exception."""
    return last_lines("".join(traceback.format_exception(error)))
