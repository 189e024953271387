"""What one call of `gpu.py` is to do: the steps and their parts, where, and until when."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Networks of the table of speed; of a smoke run, these.
NETWORKS = ("digits-cnn", "mnist-cnn", "resnet20", "resnet110", "resnet50")
FEW_NETWORKS = ("digits-cnn", "mnist-cnn", "resnet20")
# Trainings and certifications, in the order in which minutes that are left are spent on them.
WORK = (
    "resnet50-throughput",
    "cifar10-partition",
    "cifar10-ablation",
    "cifar10-consistency-0.25",
    "cifar10-consistency-0.5",
    "cifar10-consistency-1.0",
)
FEW_WORK = ("digits-throughput", "digits-consistency", "digits-stopped", "absent")
# Steps in their order, with the largest share of the time left that each may take.
SHARES = {"tests": 0.3, "speed": 0.45, "votes": 0.2, "kill": 0.5, "work": 1.0}
# Of the time of its step, a part gets a share by its weight, which is 1 for all others.
_WEIGHTS = {"resnet110": 1.5, "resnet50": 2.0, "certify": 2.0, "noises": 0.3, "partition": 0.5}


def parts_of(step: str, smoke: bool) -> tuple[str, ...]:
    """The parts of a step, in their order."""
    return {
        "tests": ("pytest",),
        "speed": FEW_NETWORKS if smoke else NETWORKS,
        "votes": ("digits-cnn", "resnet20", "partition", "noises"),
        "kill": ("certify", "train"),
        "work": FEW_WORK if smoke else WORK,
    }[step]


def weight(part: str) -> float:
    """Of the time of its step, how much a part gets in comparison with others."""
    return _WEIGHTS.get(part, 1.0)


@dataclass(frozen=True)
class Plan:
    """A call.

    Attributes:
        device: "cuda", "cuda:N" or "cpu".
        smoke: whether all sizes are tiny.
        threads: processor threads.
        end: of the step at hand, by `time.monotonic()`, which all processes of a machine share.
        out: folder for what people read.
        state: folder for results and unfinished work, from which the next call goes on.
        data: specs of data sets by name.
        only: parts of the step "work" to do, in this order; empty for all.
        commit: of the checkout, where the caller names it.
    """

    device: str
    smoke: bool
    threads: int
    end: float
    out: str
    state: str
    data: dict[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    commit: str = ""

    @property
    def results(self) -> Path:
        """The file of all results."""
        return Path(self.state) / "gpu.json"

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def parts(self, step: str) -> tuple[str, ...]:
        """The parts of a step in this call."""
        known = parts_of(step, self.smoke)
        return self.only if step == "work" and self.only else known

    def text(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Plan:
        """From `text`."""
        given: dict[str, Any] = json.loads(text)
        return cls(**{**given, "only": tuple(given["only"])})


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    Attributes:
        found: its figures.
        status: "done", "failed", "stopped" (its time was up), "unfinished" (the next call goes on) or "skipped".
        reason: in words, unless it is done.
    """

    found: dict[str, Any] = field(default_factory=dict)
    status: str = "done"
    reason: str = ""
