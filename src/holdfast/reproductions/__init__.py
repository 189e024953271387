"""The published tables and figures that `holdfast reproduce` reproduces, one module each. All modules here are loaded.

A study declares which base classifiers are trained at a scale, which runs certify them, and how its page is made from
the finished runs and the published figures. The command line does the rest.
"""

from __future__ import annotations

import importlib
import pkgutil

from holdfast.reproductions.base import find_study, studies

__all__ = ["find_study", "studies"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
