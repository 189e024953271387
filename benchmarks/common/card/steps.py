"""The parts of a step, one after another in this process, each fenced and recorded; see `gpu.py`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import torch

from common.card.children import end_with_parent
from common.card.conditions import clocks, conditions
from common.card.killed import kill_and_go_on
from common.card.plan import Outcome, Plan, weight
from common.card.results import Results, trace
from common.card.speed import network_speed
from common.card.tests import run_tests
from common.card.votes import same_votes
from common.card.work import further_work
from common.timed import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS: dict[str, Callable[[Plan, str, float], Outcome]] = {
    "tests": run_tests,
    "speed": network_speed,
    "votes": same_votes,
    "kill": kill_and_go_on,
    "work": further_work,
}
# Seconds without which no part begins, and how much earlier than its process's end a part should end by itself.
_LEAST, _EARLIER = 3.0, 2.0
# Exit code of a process whose card no longer answers: another process does the remaining parts.
BROKEN = 75


def do_step(plan: Plan, step: str, tried: list[str]) -> None:
    """All parts of a step but those that were tried; each gets its share of the time, of further work all of it.

    Ends the process where an error has left the card unusable for it.
    """
    end_with_parent()
    torch.set_num_threads(plan.threads)
    results = Results(plan)
    left = [part for part in plan.parts(step) if part not in tried and not _is_finished(results, step, part)]
    for number, part in enumerate(left):
        if plan.left() < _LEAST:
            break
        share = 1.0 if step == "work" else weight(part) / sum(map(weight, left[number:]))
        end = time.monotonic() + share * (plan.left() - _EARLIER)
        if not _do_part(plan, results, step, part, end):
            # Without what Python does at an end, which may wait for the card.
            sys.stdout.flush()
            os._exit(BROKEN)


def _is_finished(results: Results, step: str, part: str) -> bool:
    """Only further work goes on from call to call; figures are measured again."""
    return step == "work" and results.parts.get(f"{step}/{part}", {}).get("status") == "done"


def _do_part(plan: Plan, results: Results, step: str, part: str, end: float) -> bool:
    """Do a part and record it; whether the card still answers."""
    key = f"{step}/{part}"
    results.begin(key)
    print(f"{key}: at most {end - time.monotonic():.0f} s", flush=True)
    about: dict[str, Any] = {}
    start = time.monotonic()
    try:
        about["conditions"] = conditions(plan)
        outcome = _STEPS[step](plan, part, end)
        about["clocks_at_the_end"] = clocks(plan.device)
    except Exception as error:
        outcome = Outcome({}, "failed", trace(error))
    results.record(key, outcome, seconds=round(time.monotonic() - start, 2), **about)
    print(f"{key}: {outcome.status} {outcome.reason}".rstrip(), flush=True)
    return outcome.status != "failed" or _answers(plan)


def _answers(plan: Plan) -> bool:
    try:
        wait_for(plan.device)
        torch.ones(1, device=plan.device).sum().item()
    except Exception:
        return False
    return True
