"""The versions that results depend on: of this installation, and where they differ from those of a manifest."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.distribution import VERSION
from holdfast.execution.code import CODE

if TYPE_CHECKING:
    from collections.abc import Mapping


def installed_versions() -> dict[str, str]:
    """The versions of Holdfast and of the libraries that noise and votes come from."""
    return {
        "holdfast": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def differing_versions(there: Mapping[str, str], here: Mapping[str, str], where: str) -> list[str]:
    """Versions that differ between this installation and a run or an attack: likely reasons for other results."""
    return [
        f"the code that draws and counts is not that of the {where}"
        if name == CODE
        else f"{name} {there.get(name)} in the {where}, {here.get(name)} here"
        for name in dict.fromkeys([*there, *here])
        if there.get(name) != here.get(name)
    ]
