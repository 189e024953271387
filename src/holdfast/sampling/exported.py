"""Base classifiers given as `torch.export` programs."""

from __future__ import annotations

from typing import Any

from torch.export import ExportedProgram


def program_module(function: Any) -> Any:
    """The module of a `torch.export` program, which cannot be called itself; anything else unchanged."""
    return function.module() if isinstance(function, ExportedProgram) else function
