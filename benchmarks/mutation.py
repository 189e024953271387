"""Changes the library in many small ways, one at a time, and prints the changes that no test notices.

python benchmarks/mutation.py [--only GROUP,...] [--sample N] [--seed S] [--out FILE]   a random sample of each group
python benchmarks/mutation.py --again FILE [--out FILE]                                 those of a file that survived

Not part of `make check` or CI: a mutant takes seconds, and there are thousands. For the survivors see
docs/measurements/mutation.md. Give it a processor core at low priority: `nice -n 10 python benchmarks/mutation.py`.

Each mutant runs in its own process, forked from one that has loaded torch and pytest. The changed module is compiled in
memory instead of the file, so no file changes; further processes of a test use the unchanged library. The first failing
test, or the time limit, kills a mutant. Only the tests of its module run (`GROUPS`), without those that take long
(`SLOW`): the whole suite may still kill a survivor.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import scipy.stats
import torch
from common.mutants import Mutant, mutants
from common.program import parsed, parser

ROOT = Path(__file__).resolve().parents[1]
SOURCE, TESTS = ROOT / "src" / "holdfast", ROOT / "tests"
# Seconds beyond three times what the tests take without a change.
PATIENCE = 20.0
# Bytes of address space: a mutant that asks for all memory is to fail by itself.
MEMORY = 16 * 2**30

# The changed modules and their tests; paths within `SOURCE` and `TESTS`.
_MARGINS = "guarantees/test_known_margins.py"
_MASKS = ("noises/test_ablation.py", "noises/test_partition.py")
_NOISES = ("noises/test_contract.py", "noises/test_moments.py", "noises/test_draws.py", _MARGINS)
_OTHER = ("noises/test_other_noises.py", *_NOISES)
_FOLDERS = ("store/test_resumed.py", "store/test_durable.py", "store/test_store.py", "store/test_seeds.py")
_LOOP = ("sampling/test_rng.py", "sampling/test_counts.py", "sampling/test_smoothed.py", "sampling/test_fresh.py")
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "stats": {
        "stats/betting.py": ("test_sequential.py",),
        "stats/binomial.py": ("stats/test_binomial.py", "test_estimators.py"),
        "stats/class_bounds.py": ("stats/test_class_bounds.py", "test_estimators.py"),
        "stats/datasets.py": ("stats/test_datasets.py", "analysis/test_accuracy.py"),
        "stats/rounding.py": ("stats/test_rounding.py", "noises/test_gaussian.py"),
    },
    "noises": {
        "noises/ablation.py": (*_MASKS, *_NOISES),
        "noises/base.py": (*_OTHER, "noises/test_partition.py"),
        "noises/blocks.py": ("noises/test_windows.py", *_NOISES),
        "noises/columns.py": ("noises/test_windows.py", *_NOISES),
        "noises/gaussian.py": ("noises/test_gaussian.py", *_NOISES),
        "noises/laplace.py": _OTHER,
        "noises/lattice_gaussian.py": ("noises/test_lattice_gaussian.py", *_NOISES),
        "noises/masking.py": (*_MASKS, *_NOISES),
        "noises/partition.py": (*_MASKS, *_NOISES),
        "noises/pixels.py": ("sampling/test_channel_layouts.py",),
        "noises/splitting.py": ("noises/test_splitting.py", *_NOISES),
        "noises/subsets.py": ("noises/test_subsets.py", *_NOISES),
        "noises/uniform.py": _OTHER,
        "noises/uniform_flip.py": _OTHER,
        "noises/windows.py": ("noises/test_windows.py", *_NOISES),
    },
    "estimators": {
        f"estimators/{name}.py": ("test_estimators.py", "test_sequential.py", "noises/test_partition.py")
        for name in ("answers", "base", "conclude", "eprocess", "exact", "fixed", "looks", "proved", "schedule")
    },
    "store": {
        "store/run.py": (*_FOLDERS, "store/test_numbers_read.py"),
        "store/folder.py": (*_FOLDERS, "execution/test_attack.py", "store/test_obstacles.py"),
        "store/digests.py": (*_FOLDERS, "verification/test_verify.py"),
        "store/manifest.py": (*_FOLDERS, "store/test_which_examples.py", "execution/test_attack.py"),
    },
    "sampling": {
        "sampling/counts.py": (
            *_LOOP,
            "sampling/test_batches.py",
            "sampling/test_memory.py",
            "sampling/test_steadiness.py",
        ),
        "sampling/rng.py": _LOOP,
        "noises/draws.py": ("noises/test_draws.py", *_LOOP),
    },
}
# Tests that take seconds or further processes, by parts of their names.
SLOW = (
    "at_most_alpha", "channels_last", "covers_the_median", "fail_more_often", "full_disk", "hardest_probability",
    "kills", "knows_the_nonce", "may_not_be_written", "no_change_within_an_exact", "process", "simulation", "workers",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A mutant with its group and module.

    Attributes:
        group: of `GROUPS`.
        path: of the module, within `SOURCE`.
        mutant: the change.
    """

    group: str
    path: str
    mutant: Mutant

    @property
    def module(self) -> str:
        return ".".join(["holdfast", *Path(self.path).with_suffix("").parts])


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the changed module instead of its file."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.case.module:
            return None
        return importlib.util.spec_from_file_location(name, SOURCE / self.case.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            code = compile(self.case.mutant.tree(), str(SOURCE / self.case.path), "exec")
        exec(code, module.__dict__)


class Failure:
    """A plugin of pytest that notes the first test that failed."""

    first = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid


def cases(group: str, sample: int | None, seed: int) -> list[Case]:
    """The mutants of a group, or a random sample of them."""
    every = [
        Case(group, path, mutant)
        for path in GROUPS[group]
        for mutant in mutants((SOURCE / path).read_text(encoding="utf-8"))
    ]
    if sample is None or sample >= len(every):
        return every
    chosen = sorted(random.Random(f"{seed} {group}").sample(range(len(every)), sample))
    return [every[number] for number in chosen]


def survivors(path: Path) -> list[Case]:
    """The surviving mutants of a file of results, as far as the source still has them."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        if result["outcome"] != "survived":
            continue
        source = (SOURCE / result["path"]).read_text(encoding="utf-8")
        same = [each for each in mutants(source) if (each.line, each.change) == (result["line"], result["change"])]
        found += [Case(result["group"], result["path"], mutant) for mutant in same[:1]]
    return found


def run_tests(case: Case | None, tests: Iterable[str], place: Path) -> str:
    """Run tests in this process: empty if all pass, otherwise the first that failed."""
    if case is not None:
        sys.meta_path.insert(0, Changed(case))
    plugin = Failure()
    slow = " and ".join(f"not {name}" for name in SLOW)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "--basetemp", str(place / "tests"), "-k", slow]
    arguments += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "--hypothesis-seed=0"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ended = pytest.main([*arguments, *(str(TESTS / test) for test in tests)], plugins=[plugin])
    return plugin.first if ended == 0 else plugin.first or f"pytest ended with {int(ended)}"


def forked(case: Case | None, tests: Iterable[str], limit: float) -> tuple[str, str, float]:
    """Run tests in a separate process.

    Returns:
        "survived", "killed" or "too slow"; what killed it; and the seconds that it took.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        child = os.fork()
        if child == 0:
            os.setsid()
            os.chdir(place)
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(place / "hypothesis")
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = 3
            try:
                (place / "by").write_text(run_tests(case, tests, place), encoding="utf-8")
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
            if time.monotonic() - start > limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return "too slow", f"more than {limit:.0f} s", limit
            time.sleep(0.02)
        took = time.monotonic() - start
        if ended[1] != 0:
            return "killed", f"the process ended with {os.waitstatus_to_exitcode(ended[1])}", took
        by = (place / "by").read_text(encoding="utf-8")
        return ("killed" if by else "survived"), by, took


def results(chosen: list[Case]) -> Iterator[dict[str, object]]:
    """The result of each mutant.

    Raises:
        SystemExit: the tests fail without a change.
    """
    unchanged: dict[tuple[str, ...], float] = {}
    for case in chosen:
        tests = GROUPS[case.group][case.path]
        if tests not in unchanged:
            outcome, by, unchanged[tests] = forked(None, tests, 3600.0)
            if outcome != "survived":
                raise SystemExit(f"the tests fail without a change: {by}")
        outcome, by, seconds = forked(case, tests, 3 * unchanged[tests] + PATIENCE)
        yield {
            "group": case.group,
            "path": case.path,
            "line": case.mutant.line,
            "change": case.mutant.change,
            "outcome": outcome,
            "by": by,
            "seconds": round(seconds, 1),
        }


def main() -> None:
    """Print survivors as they are found, and how many there were of each group."""
    options = parser(__doc__)
    options.add_argument("--only", default=",".join(GROUPS), help="groups, separated by commas")
    options.add_argument("--sample", type=int, help="mutants of each group; all by default")
    options.add_argument("--seed", type=int, default=0, help="of the sample")
    options.add_argument("--out", type=Path, help="a file to which each result is appended, as a line of JSON")
    options.add_argument("--again", type=Path, help="a file of such results: take its survivors")
    given = parsed(options)
    torch.set_num_threads(1)
    print(f"scipy {scipy.__version__}, torch {torch.__version__}, pytest {pytest.__version__}", flush=True)
    listed = survivors(given.again) if given.again else []
    for group in ["stats"] if given.smoke else given.only.split(","):
        chosen = [case for case in listed if case.group == group]
        if given.smoke:
            chosen = [case for case in cases(group, None, 0) if case.path == "stats/betting.py"][:1]
        elif not given.again:
            chosen = cases(group, given.sample, given.seed)
        tally: dict[str, int] = {}
        for result in results(chosen):
            outcome = str(result["outcome"])
            tally[outcome] = tally.get(outcome, 0) + 1
            if given.out:
                with given.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
            if outcome == "survived":
                print(f"{result['path']}:{result['line']}: {result['change']}", flush=True)
        print(f"{group}: {len(chosen)} mutants, {tally}", flush=True)


if __name__ == "__main__":
    main()
