"""Deterministic bounds, one file each. Every module here is loaded, so that a manifest can name any of them."""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
