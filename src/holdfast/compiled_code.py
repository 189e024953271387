"""Describe modules without source: classes and functions typed into a notebook, or made by a program.

Only their compiled code is available, which differs between versions of Python, and the values that they name, as far
as these are plain data.
"""

from __future__ import annotations

import math
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA = (bool, int, float, complex, str, bytes, type(None), type(...))
# Attributes of a class that its author did not write. Generated methods are compared.
_OF_CLASSES = ("__module__", "__doc__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__slots__")


def described(module: ModuleType) -> tuple[list[str], list[str]]:
    """The code of a module and the values it uses, as sorted lines; and the sorted names of values not comparable.

    Code is that of functions and methods. The values are defaults, enclosed values, attributes of classes, and the
    globals that the code names.
    """
    lines, not_comparable = [], set()
    for name, value in _used(module):
        if isinstance(value, FunctionType):
            lines.append(f"{name} {_code(value.__code__)}")
        elif (text := _data(value)) is not None:
            lines.append(f"{name} = {text}")
        else:
            not_comparable.add(name)
    return sorted(lines), sorted(not_comparable)


def modules_named(module: ModuleType) -> Iterator[str]:
    """The names of modules that a module's functions refer to, as in `nn` and `nn.Linear`."""
    for value in _globals_named(module).values():
        if isinstance(value, ModuleType):
            yield value.__name__
        elif isinstance(value, (type, FunctionType)) and value.__module__:
            yield value.__module__


def _used(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Functions and the values that they use, each with its location; those of other modules are left to them."""
    for name, value in _own(module):
        if isinstance(value, type):
            yield f"{name}(...)", tuple(base.__qualname__ for base in value.__mro__)
            for inner, part in vars(value).items():
                yield from _parts(f"{name}.{inner}", inner, part)
        else:
            yield from _function(name, value)
    for name, value in _globals_named(module).items():
        if not isinstance(value, (ModuleType, type, FunctionType)):
            yield name, value


def _own(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Functions and classes defined in the module itself."""
    for name, value in vars(module).items():
        if isinstance(value, (type, FunctionType)) and value.__module__ == module.__name__:
            yield name, value


def _parts(place: str, name: str, part: Any) -> Iterator[tuple[str, object]]:
    """The functions and values of a class attribute."""
    if isinstance(part, property):
        for accessor in (part.fget, part.fset, part.fdel):
            if isinstance(accessor, FunctionType):
                yield from _function(f"{place}.{accessor.__name__}", accessor)
        return
    function = getattr(part, "__func__", part)
    if isinstance(function, FunctionType):
        yield from _function(place, function)
    elif isinstance(part, type):
        for inner, value in vars(part).items():
            yield from _parts(f"{place}.{inner}", inner, value)
    elif name not in _OF_CLASSES and (_data(part) is not None or not name.startswith("_")):
        yield place, part


def _function(place: str, function: FunctionType) -> Iterator[tuple[str, object]]:
    yield place, function
    yield f"{place} defaults", (function.__defaults__, function.__kwdefaults__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # Not filled yet.
            continue
        if not isinstance(value, (type, ModuleType)):
            yield f"{place}:{name}", value


def _globals_named(module: ModuleType) -> dict[str, object]:
    """The globals that the code of a module names, by name."""
    known = vars(module)
    names = {
        name for _, value in _own(module) for code in _codes(value) for name in code.co_names if not _is_dunder(name)
    }
    return {name: known[name] for name in sorted(names) if name in known}


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _codes(value: Any) -> Iterator[CodeType]:
    """All code objects in a function or class, including nested functions."""
    if isinstance(value, type):
        parts = [part for name, inner in vars(value).items() for _, part in _parts("", name, inner)]
    else:
        parts = [part for _, part in _function("", value)]
    for part in parts:
        if isinstance(part, FunctionType):
            waiting = [part.__code__]
            while waiting:
                code = waiting.pop()
                yield code
                waiting += [each for each in code.co_consts if isinstance(each, CodeType)]


def _code(code: CodeType) -> str:
    constants = [_constant(each) for each in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _code(value)
    # The order of a set of strings differs from process to process.
    return f"frozenset({sorted(map(repr, value))})" if isinstance(value, frozenset) else repr(value)


def _data(value: object) -> str | None:
    """Plain data as text that is the same in every process; None for other values."""
    kind = type(value)
    if kind in _DATA:
        return repr(value) if not (isinstance(value, float) and math.isnan(value)) else "nan"
    if kind in (list, tuple):
        parts = [_data(each) for each in value]  # type: ignore[attr-defined]
        return None if None in parts else f"{kind.__name__}{parts}"
    if kind in (set, frozenset):
        parts = [_data(each) for each in value]  # type: ignore[attr-defined]
        return None if None in parts else f"{kind.__name__}{sorted(map(str, parts))}"
    if kind is dict:
        return _data([item for pair in value.items() for item in pair])  # type: ignore[attr-defined]
    return None
