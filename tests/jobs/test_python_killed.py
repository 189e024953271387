"""A Python process is killed while it certifies; the same call goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from on_cuda import BOTH

import holdfast as hf
from holdfast.store.run import read_run

MODEL = Path(__file__).parents[1] / "stored" / "models" / "gaussian.safetensors"
SETTINGS = {"every": 12, "n": 2_000, "n0": 20, "alpha": 0.01, "seed": 5}
CALL = f"""
import sys, time
import holdfast as hf
def slowly(progress):
    time.sleep(0.05)
engine = hf.LocalEngine(sys.argv[2], batch_size=200)
hf.certify({str(MODEL)!r}, "digits", out=sys.argv[1], engine=engine, progress=slowly, **{SETTINGS!r})
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("device", BOTH)
def test_a_process_that_is_stopped_loses_no_finished_record(device: str, how: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    records = folder / "records.jsonl"
    process = subprocess.Popen([sys.executable, "-c", CALL, str(folder), device], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and not (records.is_file() and records.stat().st_size):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
    finally:
        os.kill(process.pid, how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    before = read_run(folder).records
    assert 0 < len(before) < 30
    engine = hf.LocalEngine(device)
    found = hf.certify(MODEL, "digits", out=folder, engine=engine, progress=False, **SETTINGS)
    assert {record.index: record for record in before}.items() <= {r.index: r for r in found.run.records}.items()
    whole = hf.certify(MODEL, "digits", engine=engine, progress=False, **SETTINGS)
    assert found.results == whole.results
