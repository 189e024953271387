"""A copy of a base classifier, made before it is asked for the first time: it knows nothing of what came later.

A classifier that settles what it is by the first rows it sees, or keeps answers by a part of the input, says the same
whenever it is asked again. In another process it would say something else, and so does a copy. What no copy can be made
of, as of most handles to other libraries, is not compared.
"""

from __future__ import annotations

from copy import deepcopy
from types import BuiltinFunctionType, CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

# How deep networks are looked for, whose weights need not be copied, and among how many entries of a container.
_DEPTH, _ENTRIES = 4, 100
# torch's compiled modules and functions have one of these: a copy would be compiled anew.
_COMPILED = ("_torchdynamo_orig_callable", "_orig_mod")


def fresh_copy(function: Any) -> Any | None:
    """A copy that shares no state with `function` but the weights of networks; None where there is none to be had.

    State in global variables, in caches of `functools` and in other processes is shared all the same.
    """
    try:
        parts = list(_parts(function, _DEPTH))
        if any(hasattr(part, name) for part in parts for name in _COMPILED):
            return None
        # Large, and watched by asking again: whoever changes weights answers otherwise than before.
        shared = {id(each): each for part in parts if isinstance(part, nn.Module) for each in part.parameters()}
        made = _copied(function, dict[int, Any](shared))
    except Exception:
        # Locks, files and connections say so by exceptions of any kind.
        return None
    return None if made is function else made


def _copied(thing: Any, memo: dict[int, Any]) -> Any:
    """A deep copy; of a function the variables that it closes over, which `deepcopy` leaves as they are."""
    if not isinstance(thing, FunctionType) or not (thing.__closure__ or thing.__defaults__ or thing.__kwdefaults__):
        return deepcopy(thing, memo)
    if id(thing) in memo:
        return memo[id(thing)]
    cells = tuple(CellType() for _ in thing.__closure__ or ())
    made = FunctionType(thing.__code__, thing.__globals__, thing.__name__, None, cells)
    # Before its variables are copied, one of which may be the function itself.
    memo[id(thing)] = made
    made.__defaults__ = deepcopy(thing.__defaults__, memo)
    made.__kwdefaults__ = deepcopy(thing.__kwdefaults__, memo)
    for cell, old in zip(cells, thing.__closure__ or (), strict=True):
        cell.cell_contents = _copied(old.cell_contents, memo)
    return made


def _parts(thing: Any, depth: int) -> Iterator[Any]:
    """What a classifier is made of, as far as it is looked for."""
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
    """Whether a variable that a function closes over has been given a value."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
