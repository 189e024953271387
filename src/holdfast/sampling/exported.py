"""Base classifiers that are programs of `torch.export`."""

from __future__ import annotations

from typing import Any

from torch.export import ExportedProgram


def program_module(function: Any) -> Any:
    """The module that computes a program of `torch.export`, which cannot be called itself; others as they are."""
    return function.module() if isinstance(function, ExportedProgram) else function
