"""Base classifiers that show how far a theorem could go: just beyond its radius they change the smoothed answer.

One module for each kind of construction; all modules here are loaded. Derivations: docs/guarantees.md, "Tightness".
"""

from __future__ import annotations

import importlib
import pkgutil

from holdfast.worst_cases.base import Enclosed, WorstCase, find_worst_case, known_worst_cases, worst_case

__all__ = ["Enclosed", "WorstCase", "find_worst_case", "known_worst_cases", "worst_case"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
