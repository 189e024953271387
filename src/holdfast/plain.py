"""Convert numbers of other libraries to Python's own, which can be checked, used as keys and written to JSON."""

from __future__ import annotations

import sys
from dataclasses import fields
from fractions import Fraction
from functools import cache, wraps
from numbers import Integral, Real
from operator import index
from typing import Any, TypeVar, cast

AnyValue = TypeVar("AnyValue")

_OWN = frozenset({int, float, bool, str, bytes, type(None)})


def plain(value: AnyValue) -> AnyValue:
    """`value` with numpy's numbers, also in tuples and lists, as `int` and `float`; other values are unchanged.

    Bools, numpy's as well, stay bools, so that checks can refuse them.
    """
    kind = type(value)
    if kind in _OWN:
        return value
    if isinstance(value, (tuple, list)):
        if _OWN.issuperset(map(type, value)):
            return value
        parts = [plain(part) for part in value]
        same = all(new is old for new, old in zip(parts, value, strict=True))
        if same or kind not in (tuple, list):
            return value
        return cast("Any", parts if kind is list else tuple(parts))  # type: ignore[no-any-return]
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return cast("AnyValue", index(cast("Any", value)))
    if isinstance(value, Fraction) and abs(value) > sys.float_info.max:
        # Too large for a float; a check then refuses it.
        return value
    return cast("AnyValue", float(value)) if isinstance(value, Real) else value


def is_real(value: object) -> bool:
    """Whether `value` is a finite Python number, not a bool."""
    # Written so that NaN fails, and an int too large for a float raises no error.
    return type(value) in (int, float) and abs(cast("float", value)) <= sys.float_info.max


def is_count(value: object) -> bool:
    """Whether `value` is a Python int of at least 1, not a bool."""
    return type(value) is int and value >= 1


class Plain:
    """Base of dataclasses that accept numpy's numbers: they are made plain before `__post_init__` runs."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check = cls.__dict__.get("__post_init__")
        if check is None:
            return

        @wraps(check)
        def checked(self: Any) -> None:
            _make_plain(self)
            check(self)

        cls.__post_init__ = checked  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        _make_plain(self)


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(field.name for field in fields(kind))


def _make_plain(made: Any) -> None:
    for name in _names(made.__class__):
        value = getattr(made, name, None)
        new = plain(value)
        if new is not value:
            # The dataclass may be frozen.
            object.__setattr__(made, name, new)
