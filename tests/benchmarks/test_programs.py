"""Every benchmark and every example still runs: as a program, with the smallest sizes, as `--smoke` makes them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "examples").glob("*.py")])
# Seconds; a program that takes longer hangs, however busy the machine is.
PATIENCE = 900

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(ROOT / "benchmarks")
    program = importlib.import_module("common.program")
    timed = importlib.import_module("common.timed")
    ceiling = importlib.import_module("common.ceiling")


def smoke_run(path: Path, folder: Path) -> None:
    """Run a program with --smoke in a folder of its own; fail if it fails, or does not say that it knows the option."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(path), "--smoke"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{path.name} --smoke ended with {done.returncode}: {done.stderr[-2000:]}"
    assert program.SMOKE in done.stdout, f"{path.name} has no --smoke (see common/program.py)"
    assert len(done.stdout.splitlines()) > 1, f"{path.name} --smoke printed nothing"
    assert not list(folder.iterdir()), f"{path.name} --smoke leaves files behind"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_benchmark_and_example_runs(path: Path, tmp_path: Path) -> None:
    smoke_run(path, tmp_path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('figures')", "has no --smoke"),
        ("import argparse; argparse.ArgumentParser().parse_args()", "ended with 2"),
        ("from holdfast.models.bundle import Moved", "ended with 1"),
    ],
)
def test_a_program_without_a_smoke_run_is_found_out(code: str, message: str, tmp_path: Path) -> None:
    path, folder = tmp_path / "new.py", tmp_path / "empty"
    path.write_text(code, encoding="utf-8")
    folder.mkdir()
    with pytest.raises(AssertionError, match=message):
        smoke_run(path, folder)


def test_what_only_a_smoke_run_does_without_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = program.parser("words")
    options.add_argument("model", nargs="?")
    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit):
        program.parsed(options, "model")
    assert "got no MODEL; --smoke makes its own" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["program", "--smoke"])
    assert program.parsed(options, "model").smoke
    assert capsys.readouterr().out == f"{program.SMOKE}\n"


def test_the_machine_line_names_processor_and_instruction_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: avx2 avx512f amx_bf16 sse\n", encoding="utf-8"
    )
    monkeypatch.setattr(program, "_CPUINFO", cpuinfo)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    line = program.machine()
    assert line.startswith("Some CPU, ")
    assert f"torch computes with {torch.backends.cpu.get_cpu_capability()}" in line
    assert "the processor has avx512f amx_bf16;" in line
    assert f"torch {torch.__version__}"[:9] in line
    assert line.endswith("; ONEDNN_MAX_CPU_ISA=AVX2")
    monkeypatch.setattr(program, "_CPUINFO", tmp_path / "none")
    assert "unknown instruction sets" in program.machine()


class Clocked:
    """A network that takes a known time by a clock of its own: for each call, and for each input in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call: float, each: float, hiccup: float = 0.0) -> None:
        self.now, self.call, self.each, self.hiccup = 0.0, call, each, hiccup
        self.inputs: list[int] = []
        monkeypatch.setattr(timed, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def __call__(self, noisy: torch.Tensor) -> None:
        self.inputs.append(len(noisy))
        late = self.hiccup if len(self.inputs) == 3 else 0.0
        self.now += self.call + self.each * len(noisy) + late


@pytest.mark.parametrize(
    ("call", "each", "found"),
    [
        (0.001, 0.05, 20.0),  # long batches: foreseen from a few inputs
        (0.0, 0.0011, 1000 / 1.1),  # short ones: measured
        (0.0, 0.0009, None),
        (0.05, 0.0, None),  # of a fixed size inside: a few inputs take as long as all
        (0.0, 0.0001, None),
    ],
)
def test_a_network_ten_times_slower_than_the_loop_is_found_out(
    call: float, each: float, found: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Clocked(monkeypatch, call, each)
    assert timed.found_slow(network, torch.zeros(64, 1), 10_000.0) == (found and pytest.approx(found))


def test_a_network_that_takes_minutes_is_found_out_after_a_few_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Clocked(monkeypatch, 0.0, 10.0)
    assert timed.found_slow(network, torch.zeros(64, 1), 10.0) == pytest.approx(0.1)
    assert sum(network.inputs) <= 6


def test_a_hiccup_of_the_machine_is_no_slow_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Clocked(monkeypatch, 0.0, 0.0001, hiccup=0.5)
    assert timed.found_slow(network, torch.zeros(64, 1), 10_000.0) is None


def test_products_are_as_large_as_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no arithmetic for a precision, a product takes a hundred times as long."""
    now = [0.0]
    rates = {"float32": 1e11, "bfloat16": 1e9}

    def product(precision: str, size: int, device: object):
        def multiply() -> None:
            now[0] += 2 * size**3 / rates[precision]

        return multiply

    monkeypatch.setattr(ceiling, "_product", product)
    monkeypatch.setattr(ceiling, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    made = ceiling.Ceiling(("float32", "bfloat16"))
    assert made.sizes == {"float32": 2048, "bfloat16": 512}
    assert made.measure() == pytest.approx(rates)
