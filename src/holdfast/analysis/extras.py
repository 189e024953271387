"""Load optional packages where they are used, with an error that says how to install them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def load(module: str, purpose: str, extra: str = "report") -> ModuleType:
    """Import a module.

    Args:
        module: its name.
        purpose: what it is needed for, as the beginning of a sentence.
        extra: of Holdfast, that it comes with.

    Raises:
        MissingExtraError: its package is not installed.
    """
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error
