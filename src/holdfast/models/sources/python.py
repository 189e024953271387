"""Models of the user's own code, which runs on their explicit word."""

from __future__ import annotations

from typing import Any

from holdfast.models.source import Network, model_source
from holdfast.models.user_network import made_by


@model_source("python", path="FILE.py:CALLABLE")
def python(path: str, *, weights: str = "", **arguments: Any) -> Network:
    """What a callable of the user's returns: a torch module, a fitted classifier of scikit-learn, or a function.

    Args:
        path: `FILE.py:CALLABLE` or `PACKAGE.MODULE:CALLABLE`; a class is a callable, too.
        weights: file of weights that are then put into the module: safetensors, or a state dict that torch.save wrote.
        arguments: given to the callable, numbers as numbers.
    """
    return made_by(path, weights, arguments)
