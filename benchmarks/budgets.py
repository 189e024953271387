"""Cost of small files that ask for too much: processor time, memory, and the answer.

python benchmarks/budgets.py [--only WORDS] [--source FOLDER] [--markdown]

Each is a command line in its own process, with limits on memory and time. Time and memory are those beyond a similar
honest command: importing torch alone takes two seconds and 300 MB.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from common.bombs import BASES, BOMBS, Bomb
from common.program import machine, parsed, parser

# A process that reaches these limits is ended and has failed.
_SECONDS, _BYTES = 10, 6 * 2**30
_PROGRAM = "import torch; torch.set_num_threads(1); from holdfast.__main__ import main; main()"
_WIDE = 110
# The limits that every command must keep.
MOST_SECONDS, MOST_BYTES = 2.0, 500 * 10**6


@dataclass(frozen=True)
class Cost:
    """What a command took, and how it ended."""

    seconds: float
    memory: int
    code: int
    answer: str


def cost(make: Callable[[Path], list[str]], source: str | None = None) -> tuple[Cost, int]:
    """Run the command that a bomb makes; returns its cost and the bytes on disk of its files."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-budgets-"))
    try:
        arguments = _made(make, folder)
        size = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
        return _run(arguments, folder, source), size
    finally:
        shutil.rmtree(folder)


def _made(make: Callable[[Path], list[str]], folder: Path) -> list[str]:
    """The arguments that a bomb makes, in a separate process, whose cost would otherwise count for its children."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    process = context.Process(target=lambda: sender.send([str(part) for part in make(folder)]))
    process.start()
    sender.close()
    try:
        arguments: list[str] = receiver.recv()
    finally:
        process.join()
    return arguments


def _run(arguments: list[str], folder: Path, source: str | None) -> Cost:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "4000"}
    if source is not None:
        environment["PYTHONPATH"] = source
    output = folder.with_suffix(".output")
    try:
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, preexec_fn=limited, start_new_session=True,
            )  # fmt: skip
            usage = _waited(process)
        lines = output.read_text(errors="replace").strip().splitlines()
    finally:
        output.unlink(missing_ok=True)
    code = os.waitstatus_to_exitcode(usage[0])
    seconds = usage[1].ru_utime + usage[1].ru_stime
    return Cost(seconds, usage[1].ru_maxrss * 1024, code, _answer(code, lines, seconds))


def _waited(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    """Wait for a process; end one that neither ends nor computes after a minute."""
    import signal
    import time

    end = time.monotonic() + 3 * _SECONDS
    while True:
        found, status, usage = os.wait4(process.pid, os.WNOHANG)
        if found:
            process.returncode = 0
            return status, usage
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.02)


def _answer(code: int, lines: list[str], seconds: float) -> str:
    if code < 0:
        return f"ended by signal {-code}" + (" (no end in sight)" if seconds > _SECONDS - 1 or code == -9 else "")
    if any("Traceback" in line for line in lines):
        return f"TRACEBACK: {lines[-1]}"
    errors = [line for line in lines if line.startswith("Error:")]
    return (errors or [line for line in lines if "not OK" in line or "wrong" in line] or lines or ["nothing"])[0]


def main() -> None:
    """Print a line for each bomb."""
    options = parser(__doc__)
    options.add_argument("--only", default="", help="only those whose names contain these words")
    options.add_argument("--source", help="the folder of the package to run; by default the installed one")
    options.add_argument("--markdown", action="store_true", help="a table for a page")
    given = parsed(options)
    chosen = [
        (family, bomb) for family, bombs in BOMBS.items() for bomb in bombs if given.only in f"{family} {bomb.name}"
    ]
    if given.smoke:
        chosen = chosen[:1]
    base = cache(lambda name: cost(BASES[name], given.source)[0])
    print(machine(), flush=True)
    failed = 0
    if given.markdown:
        print("\n| what | bytes | seconds | MB | answer |\n|---|---|---|---|---|")
    for family, bomb in chosen:
        failed += _line(family, bomb, base, given.source, given.markdown)
    print(
        f"\n{len(chosen)} tried; {failed} took more than {MOST_SECONDS:g} s or {MOST_BYTES / 1e6:g} MB, or ended "
        "without an answer"
    )


def _line(family: str, bomb: Bomb, base: Callable[[str], Cost], source: str | None, markdown: bool) -> bool:
    spent, size = cost(bomb.make, source)
    honest = base(bomb.base)
    seconds, memory = max(0.0, spent.seconds - honest.seconds), max(0, spent.memory - honest.memory)
    failed = seconds > MOST_SECONDS or memory > MOST_BYTES or spent.code < 0 or spent.answer.startswith("TRACEBACK")
    answer = spent.answer if len(spent.answer) <= _WIDE else spent.answer[: _WIDE - 3] + "..."
    mark = "FAILED " if failed else ""
    cells = (f"{family}: {bomb.name}", f"{size:,}", f"{seconds:.1f}", f"{memory / 1e6:.0f}", f"{mark}{answer}")
    print(f"| {' | '.join(each.replace('|', '/') for each in cells)} |" if markdown else "\t".join(cells), flush=True)
    return failed


if __name__ == "__main__":
    main()
