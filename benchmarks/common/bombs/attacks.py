"""Attacks whose digests fit, and whose numbers ask for more than any machine has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common.bombs.runs import DATA, TABLE, VERIFY, sealed

_ATTACK: dict[str, Any] = {
    "attack": {"name": "pgd", "norm": "l2", "steps": 10, "step_size": None, "random_start": True}, "norm": "L2",
    "budgets": {"values": [0.5], "relative": False}, "wanted": None, "restarts": 1, "repeats": 1, "confidence": 0.99,
    "noise": None, "n": 0, "alpha": 0, "search_alpha": 0, "soft_samples": 8, "data": DATA, "model": {"sha256": "1" * 64},
    "certification": None, "seed": 1, "precision": "float32", "device": "cpu", "versions": {"holdfast": "0.1.0"},
    "created": "2026-01-01T00:00:00+00:00", "format": 1,
}  # fmt: skip
_FOUND: dict[str, Any] = {
    "index": 0, "label": 0, "reference": 0, "radius": None, "budgets": [0.5], "magnitude": 0.25,
    "kind": "misclassified", "answer": 1, "claims": 1, "refused": 0, "repeats": 1, "failures": 1, "votes": None,
    "restarts": 1, "queries": {}, "adversarial": "0" * 64,
}  # fmt: skip


def attack(
    folder: Path, command: Sequence[str], manifest: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None, record: Mapping[str, Any] | None = None, found: int = 272,
) -> list[str]:  # fmt: skip
    """An attack with these entries, whose digests fit, with a file for its adversarial of so many bytes."""
    path = folder / "run"
    (path / "found").mkdir(parents=True)
    document, digest = sealed({**_ATTACK, "data": {**DATA, **(data or {})}, **(manifest or {})}, 64)
    (path / "attack.json").write_text(document)
    (path / "records.jsonl").write_text(sealed({**_FOUND, **(record or {})}, 16, f"{digest}\n")[0])
    (path / "found" / "0.npy").write_bytes(b"")
    os.truncate(path / "found" / "0.npy", found)
    return [part if part != "RUN" else str(path) for part in command]


ATTACKS = tuple(
    (f"an attack: {what}; {command[0]}", partial(attack, command=command, **given))
    for what, commands, given in (
        ("10^9 restarts and repeats", (TABLE, VERIFY), {"manifest": {"restarts": 10**9, "repeats": 10**9}}),
        ("10^5 budgets", (TABLE, VERIFY), {"manifest": {"budgets": {"values": [1 + n / 10**6 for n in range(10**5)], "relative": False}}}),
        ("a split of 10^30", (TABLE, VERIFY), {"data": {"size": 10**30}}),
        ("values up to 1e300", (TABLE, VERIFY), {"data": {"high": 1e300}}),
        ("10^6 x 10^6 pixels", (TABLE, VERIFY), {"data": {"shape": [1, 10**6, 10**6]}}),
        ("a terabyte of an adversarial", (TABLE, VERIFY), {"found": 2**40}),
        ("an index of 0.5 in a split of 10^10", (VERIFY,), {"data": {"size": 10**10}, "record": {"index": "@0.5@"}}),
        ("a magnitude of 1e-100000000", (VERIFY,), {"record": {"magnitude": "@1e-100000000@"}}),
    )
    for command in commands
)  # fmt: skip
