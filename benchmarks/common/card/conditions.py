"""Under which conditions a figure was measured: card, driver, versions, date, commit and clocks."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from common.program import machine

if TYPE_CHECKING:
    from common.card.plan import Plan

ROOT = Path(__file__).parents[3]
# What nvidia-smi is asked for, by the name under which it is kept.
_QUESTIONS = {
    "driver": "driver_version",
    "sm_clock_mhz": "clocks.sm",
    "most_sm_clock_mhz": "clocks.max.sm",
    "memory_clock_mhz": "clocks.mem",
    "power_w": "power.draw",
    "temperature_c": "temperature.gpu",
}
_PATIENCE = 10.0


def conditions(plan: Plan) -> dict[str, Any]:
    """All conditions that hold at this moment."""
    found = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": plan.commit or _commit(),
        "source_sha256": _source(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": machine(),
        "device": plan.device,
    }
    if torch.device(plan.device).type != "cuda":
        return {**found, "card": "none"}
    card = torch.cuda.get_device_properties(plan.device)
    return {
        **found,
        "card": card.name,
        "capability": f"{card.major}.{card.minor}",
        "memory_gib": round(card.total_memory / 2**30, 1),
        "multiprocessors": card.multi_processor_count,
        "cuda": str(torch.version.cuda),
        "cudnn": _cudnn(),
        **clocks(plan.device),
    }


def clocks(device: str) -> dict[str, str]:
    """Clocks, power and driver of the card just now, as nvidia-smi says; empty where it does not."""
    program = shutil.which("nvidia-smi")
    if torch.device(device).type != "cuda" or program is None:
        return {}
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    asked = [program, f"--query-gpu={','.join(_QUESTIONS.values())}", "--format=csv,noheader,nounits"]
    # By its number where the name is not understood; that is right unless CUDA_VISIBLE_DEVICES hides others.
    for which in ([f"GPU-{uuid}"] if uuid is not None else []) + [str(torch.device(device).index or 0)]:
        try:
            done = subprocess.run([*asked, "-i", which], capture_output=True, text=True, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            return {}
        found = parsed_clocks(done.stdout) if done.returncode == 0 else {}
        if found:
            return found
    return {}


def parsed_clocks(said: str) -> dict[str, str]:
    """The first line that nvidia-smi printed; values that it does not know are left out."""
    values = [value.strip() for value in (said.splitlines() or [""])[0].split(",")]
    if len(values) != len(_QUESTIONS):
        return {}
    return {name: value for name, value in zip(_QUESTIONS, values, strict=True) if value and value[0] not in "[N"}


def _cudnn() -> int | None:
    library: Any = torch.backends.cudnn
    version: int | None = library.version()
    return version


@cache
def _commit() -> str:
    """The commit of the checkout, and whether files have changed since."""
    try:
        head, changes = (
            subprocess.run(["git", "-C", str(ROOT), *what], capture_output=True, text=True, check=True).stdout.strip()
            for what in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no git repository"
    return f"{head} with changes" if changes else head


@cache
def _source() -> str:
    """SHA-256 of the package's source, for where there is no git."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src").rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
