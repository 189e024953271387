"""Architectures of base classifiers, one file a family. Every module here is loaded."""

from __future__ import annotations

import importlib
import pkgutil

from holdfast.models.architectures.base import architecture, architecture_names, build

__all__ = ["architecture", "architecture_names", "build"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
