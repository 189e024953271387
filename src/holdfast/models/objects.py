"""Models that are objects of the user's program: torch modules, fitted classifiers of scikit-learn, functions."""

from __future__ import annotations

import hashlib
import pickle
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from holdfast.errors import ClassifierError, UsageError
from holdfast.models.identity import model_code
from holdfast.models.networks import FunctionNetwork, TensorFunction, module_digest
from holdfast.models.source import Network, model_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.models.model import Model


def model_of(found: object, device: torch.device | None, options: Mapping[str, Any]) -> Model:
    """The model that an object is.

    Args:
        found: a torch module in eval mode, a fitted classifier of scikit-learn, or a function.
        device: where its weights go; the processor by default.
        options: what it does not say; see `holdfast.models.source.SHARED`.

    Raises:
        UsageError: it is none of these, or an option cannot be.
        ClassifierError: a module in training mode.
    """
    name = f"the {type(found).__name__}"
    exported = isinstance(found, ExportedProgram | fx.GraphModule)
    if isinstance(found, ExportedProgram):
        found = found.module()
    if isinstance(found, nn.Module):
        # A module that torch.export made has its mode in its operations, and its flags say nothing.
        if not exported and any(getattr(part, "training", False) for part in found.modules()):
            raise ClassifierError(
                f"{name} is in training mode, where a vote depends on the batch: call .eval() on it first"
            )
        # The caller may go on training it, and on another device.
        with torch.no_grad():
            found = deepcopy(found)
        entries = {"sha256": module_digest(found), "code": model_code(found)}
        return model_from(Network(found, entries), name, device, options)
    if hasattr(found, "predict") and hasattr(found, "classes_"):
        from holdfast.models.sources.sklearn import fitted_network

        return model_from(fitted_network(found, name, _state_of(found)), name, device, options)
    if not callable(found):
        raise UsageError(
            f"a model is a file, a spec, a torch module, a fitted classifier of scikit-learn, or a function; got {name}"
        )
    home = getattr(found, "__module__", None) or type(found).__module__
    note = (
        f"{name} is a function of your program: what it remembers or reads cannot be compared later, only its source. "
        "For certificates that others can replay, put the model into a file"
    )
    entries = {"code": model_code(nn.Module(), [home])}
    return model_from(Network(FunctionNetwork(TensorFunction(found)), entries, notes=(note,)), name, device, options)


def _state_of(classifier: object) -> dict[str, Any]:
    """The digest of a fitted classifier's state, as pickle writes it: it is the same for the same object."""
    try:
        content = pickle.dumps(classifier, protocol=4)
    except Exception:  # Classes of the user's own may not be picklable; then the code alone is compared.
        return {}
    return {"sha256": hashlib.sha256(content).hexdigest()}
