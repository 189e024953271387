"""Backends: ways to compute the logits of one and the same network, one file each. Every module here is loaded."""

from __future__ import annotations

import importlib
import pkgutil

from holdfast.models.backends.base import (
    PRECISIONS,
    Backend,
    Calibration,
    Job,
    backend_names,
    check_precision,
    having,
    prepare,
    usable,
)

__all__ = [
    "PRECISIONS",
    "Backend",
    "Calibration",
    "Job",
    "backend_names",
    "check_precision",
    "having",
    "prepare",
    "usable",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
