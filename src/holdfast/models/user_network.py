"""Networks that the user's own code makes, in this process and again in workers."""

from __future__ import annotations

import inspect
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, HoldfastError, UsageError, first_line
from holdfast.models.checkpoints import chosen
from holdfast.models.identity import model_code
from holdfast.models.layouts import read_sets
from holdfast.models.networks import FunctionNetwork, TensorFunction, at_rest, module_digest
from holdfast.models.source import Network
from holdfast.models.tensors import mismatches, put_in, shapes_of
from holdfast.spec import place, value_of
from holdfast.user_code import load_callable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Made(nn.Module):
    """A module of the user's own code. In another process that code makes it again, and then gets these weights.

    Args:
        network: the module.
        reference: what made it, `FILE.py:CALLABLE` or `PACKAGE.MODULE:CALLABLE`.
        arguments: given to the callable.
    """

    def __init__(self, network: nn.Module, reference: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self._reference = reference
        self._arguments = dict(arguments)

    def forward(self, x: Tensor) -> Any:
        """What the user's module returns."""
        return self.network(x)

    def __deepcopy__(self, memo: dict[int, Any]) -> Made:
        return Made(deepcopy(self.network, memo), self._reference, self._arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self._reference, self._arguments, self.network.state_dict())


def _made_again(reference: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Made:
    found, _ = load_callable(reference, "the model")
    network = found(**arguments)
    network.load_state_dict(dict(weights))
    return Made(at_rest(network), reference, arguments)


class Called(TensorFunction):
    """A function of the user's own code on batches. In another process that code makes it again.

    Args:
        function: from a tensor `(batch, *event)` to logits or votes.
        reference: what made it.
        arguments: given to what made it.
    """

    def __init__(self, function: Callable[[Any], Any], reference: str, arguments: Mapping[str, Any]) -> None:
        super().__init__(function)
        self.reference = reference
        self.arguments = dict(arguments)

    def __deepcopy__(self, memo: dict[int, Any]) -> Called:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _called_again, (self.reference, self.arguments)


def _called_again(reference: str, arguments: Mapping[str, Any]) -> Called:
    found, _ = load_callable(reference, "the model")
    return Called(found(**arguments), reference, arguments)


def made_by(reference: str, weights: str, options: Mapping[str, Any]) -> Network:
    """The network that the user's own code makes.

    Args:
        reference: `FILE.py:CALLABLE` or `PACKAGE.MODULE:CALLABLE`.
        weights: file of weights for it; empty for none.
        options: arguments of the callable; texts are read as numbers where they are some.

    Raises:
        UsageError: there is no such callable, it fails, or returns nothing that classifies.
        BundleError: the weights cannot be read, or do not fit.
    """
    found, module = load_callable(reference, "the model")
    home = module.__name__
    arguments = {key: value_of(value) if isinstance(value, str) else value for key, value in options.items()}
    made = found if isinstance(found, nn.Module) else _call(found, reference, arguments)
    if isinstance(made, nn.Module):
        return _module(made, reference, home, weights, arguments)
    if weights:
        raise UsageError(
            f"{reference} returns a {type(made).__name__}, and weights= are for a torch module: load them there"
        )
    if hasattr(made, "predict") and hasattr(made, "classes_"):
        from holdfast.models.sources.sklearn import fitted_network

        network = fitted_network(made, reference, {})
        return _with_code(network, home, "a classifier of scikit-learn that code makes: only its source is compared")
    if not callable(made):
        raise UsageError(
            f"{reference} returns a {type(made).__name__}; expected a torch module, a fitted classifier of "
            "scikit-learn, or a function from a batch of inputs to logits"
        )
    function = FunctionNetwork(Called(made, reference, arguments))
    note = f"{reference} makes a function: what it remembers or reads cannot be compared later, only its source"
    return _with_code(Network(function, {}), home, note)


def _call(found: Any, reference: str, arguments: Mapping[str, Any]) -> Any:
    _check_arguments(found, reference, arguments)
    try:
        return found(**arguments)
    except HoldfastError:
        raise
    except Exception as error:  # Whatever the user's code raises.
        raise UsageError(f"{reference} fails with {type(error).__name__}: {first_line(error)}") from error


def _check_arguments(found: Any, reference: str, arguments: Mapping[str, Any]) -> None:
    """Raise UsageError unless a callable takes these arguments; of one without a signature nothing is known."""
    try:
        signature = inspect.signature(found)
    except ValueError:
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(
            f"{reference} cannot be called with {', '.join(arguments) or 'no arguments'}: {error}. It is called once "
            "and returns the model; options behind commas are its arguments"
        ) from None


def _module(made: nn.Module, reference: str, home: str, weights: str, arguments: Mapping[str, Any]) -> Network:
    entries: dict[str, Any] = {}
    notes: list[str] = []
    if weights:
        file = place(weights)
        if not file.is_file():
            raise BundleError(f"there is no file of weights {weights}")
        _, tensors = chosen(read_sets(file), None, weights)
        faults = mismatches(shapes_of(made.state_dict()), shapes_of(tensors))
        if faults:
            raise BundleError(f"the weights in {weights} do not fit what {reference} makes: {'; '.join(faults)}")
        notes += put_in(made, tensors, weights)
        entries["weights"] = {"file": file.name, "sha256": sha256_of(file, BundleError)}
    made = at_rest(made)
    entries |= {"sha256": module_digest(made), "code": model_code(made, [home])}
    return Network(Made(made, reference, arguments), entries, notes=tuple(notes))


def _with_code(found: Network, home: str, note: str) -> Network:
    entries = {**found.entries, "code": {**found.entries.get("code", {}), **model_code(nn.Module(), [home])}}
    return Network(found.module, entries, classes=found.classes, class_names=found.class_names, notes=(note,))
