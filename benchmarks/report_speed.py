"""Processor time of `holdfast table` and `holdfast report`, as whole commands, on a run with made-up votes.

10 classes, n = 100,000, bounds "split", votes that are almost all distinct. With --against, both checkouts take turns
on the same run, so that other programs on the machine slow both alike.

python benchmarks/report_speed.py [EXAMPLES] [--against CHECKOUT] [--rounds N]    (default 10,000 and 5)
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common.made_run import write_run
from common.program import machine, parsed, parser

_HERE = Path(__file__).parents[1]
_PROGRAM = "from holdfast.cli.main import main; main()"


def seconds(checkout: Path, *arguments: str) -> float:
    """Processor time, of the user and of the system, of one command of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print the medians."""
    options = parser(__doc__)
    options.add_argument("examples", nargs="?", type=int, default=10_000)
    options.add_argument("--against", type=Path, help="another checkout of Holdfast")
    options.add_argument("--rounds", type=int, default=5)
    given = parsed(options)
    examples, rounds = (50, 1) if given.smoke else (given.examples, given.rounds)
    checkouts = {"here": _HERE, **({} if given.against is None else {"there": given.against.resolve()})}
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        run, page = Path(temporary) / "run", Path(temporary) / "report.html"
        write_run(run, examples)
        commands = {"table": ("table", str(run)), "report": ("report", str(run), "--out", str(page))}
        times: dict[tuple[str, str], list[float]] = {(name, which): [] for name in commands for which in checkouts}
        for _ in range(rounds):
            for name, arguments in commands.items():
                for which, checkout in checkouts.items():
                    times[name, which].append(seconds(checkout, *arguments))
    print(f"{examples:,} records, processor seconds, median of {rounds}:")
    for name in commands:
        medians = {which: statistics.median(times[name, which]) for which in checkouts}
        figures = ", ".join(f"{which} {median:.2f}" for which, median in medians.items())
        ratio = f" ({medians['there'] / medians['here']:.2f} times faster here)" if "there" in medians else ""
        print(f"{name}: {figures}{ratio}")


if __name__ == "__main__":
    main()
