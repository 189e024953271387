"""All that is to be measured on a CUDA card, in one command that keeps to its minutes.

In this order: the CUDA tests; the engine against the plain loop for five networks in every precision; votes on
processor and card for the same noise; kill -9 and going on; then trainings and certifications that go on from call to
call. Each step runs in a process of its own, which is ended in time; an error in one part is recorded, and the next
part follows. DIR/gpu.json and DIR/gpu.md are written after each part. A later call goes on from --state.

python benchmarks/gpu.py --minutes 9 --out DIR [--state DIR] [--pack] [--steps NAME,...] [--data cifar10=SPEC]
    [--work NAME,...] [--device cuda] [--commit TEXT]
python benchmarks/gpu.py --smoke [--device cpu]: every line of it in two minutes, on a processor
python benchmarks/gpu.py --page: docs/measurements/gpu.md, from docs/measurements/gpu.json
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

from common.card import lacks, packed
from common.card.children import started, waited
from common.card.page import page_of
from common.card.plan import SHARES, Outcome, Plan
from common.card.results import Results, last_lines
from common.program import parsed, parser

ROOT = Path(__file__).parents[1]
# Kept of all minutes for the last results, and for packing the state.
_LAST, _PACKING = 3.0, 5.0
# Of a smoke run, which has no other limit: steps have shares of it, on a busy machine too.
_SMOKE_MINUTES = 60.0


def options() -> argparse.Namespace:
    """The options of the command line."""
    made = parser(__doc__)
    made.add_argument("--out", type=Path, metavar="DIR", help="folder of gpu.json, gpu.md and the log")
    made.add_argument("--minutes", type=float, default=9.0, help="for everything, from the start of the program on")
    made.add_argument("--state", type=Path, metavar="DIR", help="results and work of earlier calls; default: DIR/state")
    made.add_argument("--pack", action="store_true", help="also write the state as few files into --out")
    made.add_argument("--steps", default=",".join(SHARES), help=f"some of {', '.join(SHARES)}")
    made.add_argument("--work", default="", metavar="NAME,...", help="which trainings and certifications, in order")
    made.add_argument("--data", action="append", default=[], metavar="NAME=SPEC", help="a data set for them")
    made.add_argument("--device", default="", help="cuda or cuda:N; cpu only with --smoke")
    made.add_argument("--threads", type=int, help="processor threads; default: 8 at most")
    made.add_argument("--commit", default="", help="of the checkout, where there is no git")
    made.add_argument("--page", action="store_true", help="print the page for docs/ and end")
    made.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    return checked(made)


def checked(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The options, or an error of the command line."""
    if {"--child", "--page"} & set(sys.argv[1:]):
        return made.parse_args()
    given = parsed(made, "out")
    unknown = sorted(set(given.steps.split(",")) - set(SHARES))
    if unknown:
        made.error(f"there is no step {unknown[0]!r}, only {', '.join(SHARES)}")
    wrong = [each for each in given.data if not all(each.partition("="))]
    if wrong:
        made.error(f"--data takes NAME=SPEC, as in cifar10=cifar10:DIR; got {wrong[0]!r}")
    given.device = given.device or ("cpu" if given.smoke else "cuda")
    if given.device == "cpu" and not given.smoke:
        made.error("on a processor there is only --smoke: benchmarks/speed.py and overhead.py measure it")
    return given


def main() -> None:
    """Do what the command line says."""
    begun = time.monotonic()
    given = options()
    if given.page:
        sys.stdout.write(page_of(ROOT / "docs" / "measurements" / "gpu.json"))
    elif given.child:
        from common.card.steps import do_step

        plan, step, *tried = given.child
        do_step(Plan.of(plan), step, tried)
    elif given.smoke and given.out is None:
        with tempfile.TemporaryDirectory() as folder:
            given.out = Path(folder)
            sys.exit(call(given, begun))
    else:
        sys.exit(call(given, begun))


def call(given: argparse.Namespace, begun: float) -> int:
    """All steps; 0 if no part failed."""
    # So that children are ended, too, by what ends this process, as far as it can be caught.
    signal.signal(signal.SIGTERM, _end)
    minutes = max(given.minutes, _SMOKE_MINUTES) if given.smoke else given.minutes
    end = begun + 60 * minutes - _LAST - (_PACKING if given.pack else 0.0)
    out = given.out.resolve()
    state = (given.state or out / "state").resolve()
    out.mkdir(parents=True, exist_ok=True)
    packed.unpack(state, state)
    threads = given.threads or (1 if given.smoke else min(8, os.cpu_count() or 1))
    plan = Plan(
        device=given.device,
        smoke=given.smoke,
        threads=threads,
        end=end,
        out=str(out),
        state=str(state),
        data=dict(each.split("=", 1) for each in given.data),
        only=tuple(filter(None, given.work.split(","))),
        commit=given.commit,
    )
    lacking = lacks.missing()
    print("\n".join(lacks.words(lacking) or ["nothing is missing"]), flush=True)
    Results(plan).begin_call(minutes=minutes, steps=given.steps, lacks=lacking, arguments=sys.argv[1:])
    for step in (each for each in SHARES if each in given.steps.split(",")):
        left = end - time.monotonic()
        do(replace(plan, end=time.monotonic() + SHARES[step] * left), step)
    if given.pack:
        print(f"state packed into {len(packed.pack(state, out))} files", flush=True)
    return shown(plan, given.steps.split(","), begun)


def do(plan: Plan, step: str) -> None:
    """A step, in a process after the other until each of its parts was tried or the time is up."""
    log = Path(plan.out) / "log"
    while plan.left() > 0:
        tried = Results(plan).of_this_call(step)
        before = log.stat().st_size if log.exists() else 0
        with log.open("a", encoding="utf-8") as output:
            code = waited(started([*child(plan, step), *tried], output, environment()), plan.end)
        said = log.read_bytes()[before:].decode("utf-8", errors="replace")
        print("\n".join(line for line in said.splitlines() if line.startswith(f"{step}/")), flush=True)
        ended(plan, step, code, said)
        if code == 0 or len(Results(plan).of_this_call(step)) == len(tried):
            return


def child(plan: Plan, step: str) -> list[str]:
    """The command of a process that does a step, to which the parts are added that were tried."""
    return [sys.executable, str(Path(__file__).resolve()), "--child", plan.text(), step]


def ended(plan: Plan, step: str, code: int | None, said: str) -> None:
    """Record what a process was doing when it ended other than by itself."""
    results = Results(plan)
    at = results.all.get("at", "")
    if code is None:
        outcome = Outcome({}, "stopped", "the time of the step was up")
    else:
        outcome = Outcome({}, "failed", f"its process ended with {code}: {last_lines(said)}")
    if at.startswith(f"{step}/"):
        results.record(at, outcome)
    elif code and not results.of_this_call(step):
        # It never began: an import failed, say.
        results.record(f"{step}/{plan.parts(step)[0]}", outcome)


def environment() -> dict[str, str]:
    """For children: this checkout, and nothing that is written beside its files."""
    paths = [str(ROOT / "src"), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def shown(plan: Plan, steps: list[str], begun: float) -> int:
    """Print the outcome of each part; 0 if none failed."""
    results, failed = Results(plan), 0
    print(f"after {time.monotonic() - begun:.0f} s:")
    for step in steps:
        found = results.of_this_call(step)
        for part in plan.parts(step):
            each = found.get(part, {"status": "not reached in this call"})
            failed += each["status"] == "failed"
            reason = (each.get("reason") or "").splitlines()
            print(f"  {step}/{part}: {each['status']}{f' ({reason[-1]})' if reason else ''}")
    print(f"results: {plan.out}/gpu.json and gpu.md", flush=True)
    return 1 if failed else 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
