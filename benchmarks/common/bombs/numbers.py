"""Numbers on the command line that ask for more than any machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.bombs.bundles import bundle


def _with(*more: str) -> Callable[[Path], list[str]]:
    return lambda folder: [*bundle(folder), *more]


_PLAN = ("plan", "--data", "digits")
NUMBERS = (
    ("--threads 100000", _with("--threads", "100000")),
    ("--engine processes:100000", _with("--engine", "processes:100000")),
    ("--engine processes:2 --threads 100000", _with("--engine", "processes:2", "--threads", "100000")),
    ("--batch-size of 10^12", _with("--batch-size", "1000000000000")),
    ("--batch-size of 10^12, n = 10^9", _with("--batch-size", "1000000000000", "--n", "1000000000")),
    ("--n of 10^18", _with("--n", str(10**18))),
    ("--n0 of 10^18", _with("--n0", str(10**18))),
    ("--alpha 1e-300", _with("--alpha", "1e-300")),
    ("plan: n = 10^18", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=0.5", "--n", str(10**18)]),
    ("plan: alpha = 1e-300", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=0.5", "--alpha", "1e-300"]),
    ("plan: kappa = 0.9999", lambda folder: [*_PLAN, "--noise", "uniform-flip:kappa=0.9999,levels=17"]),
    ("plan: sigma = 1e400", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=1e400"]),
    ("plan: sigma = 1e-100000000", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=1e-100000000"]),
    ("plan: sigma of 10^7 digits / 3", lambda folder: [*_PLAN, "--noise", "gaussian:sigma=" + "1" * 10**5 + "/3"]),
    ("predict: alpha = 1e-300", lambda folder: ["predict", "--model", bundle(folder)[2], "--data", "digits", "--n", "100", "--limit", "1", "--alpha", "1e-300"]),
)  # fmt: skip
