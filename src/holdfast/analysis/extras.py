"""Load optional packages where they are used, with an error that says how to install them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def load(module: str, purpose: str) -> ModuleType:
    """Import a module.

    Raises:
        MissingExtraError: its package is not installed.
    """
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(package, "report", purpose) from error
