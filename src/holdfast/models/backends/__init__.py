"""Backends: ways to compute the logits of one and the same network, one file each, which `base` finds by name."""

from __future__ import annotations

from holdfast.models.backends.base import (
    PRECISIONS,
    TORCH,
    Backend,
    Calibration,
    Job,
    backend_names,
    check_precision,
    find,
    having,
    kind_of,
    prepare,
    usable,
)

__all__ = [
    "PRECISIONS",
    "TORCH",
    "Backend",
    "Calibration",
    "Job",
    "backend_names",
    "check_precision",
    "find",
    "having",
    "kind_of",
    "prepare",
    "usable",
]
