"""A copy of a base classifier, made before its first call, without any state of later calls.

A classifier that adapts to the first rows it sees, or caches answers by a part of the input, repeats itself whenever it
is asked again. In another process it would answer otherwise, and so does a copy. Classifiers that cannot be copied, as
most handles to other libraries, are not compared.
"""

from __future__ import annotations

from copy import deepcopy
from types import BuiltinFunctionType, CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

# How deep to search for networks, whose weights need not be copied, and the largest container to search.
_DEPTH, _ENTRIES = 4, 100
# Attributes of torch's compiled modules and functions: a copy would be compiled again.
_COMPILED = ("_torchdynamo_orig_callable", "_orig_mod")


def fresh_copy(function: Any) -> Any | None:
    """A copy that shares only the weights of networks with `function`; None if it cannot be copied.

    State in global variables, in `functools` caches and in other processes remains shared.
    """
    try:
        parts = list(_parts(function, _DEPTH))
        if any(hasattr(part, name) for part in parts for name in _COMPILED):
            return None
        # Weights are large, and a change of weights shows when rows are asked again.
        shared = {id(each): each for part in parts if isinstance(part, nn.Module) for each in part.parameters()}
        made = _copied(function, dict[int, Any](shared))
    except Exception:
        # Locks, files and connections refuse to be copied with exceptions of any kind.
        return None
    return None if made is function else made


def _copied(thing: Any, memo: dict[int, Any]) -> Any:
    """A deep copy; for a function also of the variables in its closure, which `deepcopy` does not copy."""
    if not isinstance(thing, FunctionType) or not (thing.__closure__ or thing.__defaults__ or thing.__kwdefaults__):
        return deepcopy(thing, memo)
    if id(thing) in memo:
        return memo[id(thing)]
    cells = tuple(CellType() for _ in thing.__closure__ or ())
    made = FunctionType(thing.__code__, thing.__globals__, thing.__name__, None, cells)
    # Before its variables are copied: one of them may be the function itself.
    memo[id(thing)] = made
    made.__defaults__ = deepcopy(thing.__defaults__, memo)
    made.__kwdefaults__ = deepcopy(thing.__kwdefaults__, memo)
    for cell, old in zip(cells, thing.__closure__ or (), strict=True):
        cell.cell_contents = _copied(old.cell_contents, memo)
    return made


def _parts(thing: Any, depth: int) -> Iterator[Any]:
    """The parts of a classifier, down to a depth."""
    yield thing
    if depth and not isinstance(thing, (nn.Module, type, BuiltinFunctionType)):
        for part in _inside(thing):
            yield from _parts(part, depth - 1)


def _inside(thing: Any) -> Iterator[Any]:
    if isinstance(thing, FunctionType):
        yield from (cell.cell_contents for cell in thing.__closure__ or () if _filled(cell))
    elif isinstance(thing, MethodType):
        yield thing.__self__
    elif isinstance(thing, (list, tuple)) and len(thing) <= _ENTRIES:
        yield from thing
    else:
        entries = thing if isinstance(thing, dict) else getattr(thing, "__dict__", None)
        if isinstance(entries, dict) and len(entries) <= _ENTRIES:
            yield from entries.values()


def _filled(cell: CellType) -> bool:
    """Whether a closure variable has a value."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
