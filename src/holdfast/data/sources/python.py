"""The user's own code, which gives the data: a function in a file, or in a module that is installed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from holdfast.data.base import ALL, SPLITS, DataSet
from holdfast.data.given import held_out, of_arrays, of_items, of_splits, parse_peak, parse_range
from holdfast.data.source import source
from holdfast.errors import DataError, HoldfastError, UsageError, first_line
from holdfast.shortened import some
from holdfast.spec import value_of
from holdfast.user_code import load_callable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Options of the source itself; all others are the function's.
_OURS = ("range", "channels", "peak")


@source("python", path="FILE.py:FUNCTION", whole=True)
def python(path: Path, split: str, **options: str) -> DataSet:
    """What a function gives: arrays `(x, y)`, a map-style data set of torch, or a `holdfast.DataSet`.

    The function is called with the options as keyword arguments, numbers as numbers, and with `split` ("train" or
    "test") if it has a parameter of that name. Without, it may give `{"train": ..., "test": ...}`; else one example in
    five is for testing (`holdfast.data.splitting`). The code is run: give what you trust. What it gives is hashed, as
    all data are; it has to give the same each time.

    Args:
        path: `FILE.py:FUNCTION` or `PACKAGE.MODULE:FUNCTION`.
        split: "train", "test" or "all".
        options: `range` (LOW..HIGH), `channels` and `peak` as for the source `npz`, unless the function has parameters
            of these names; and those of the function.

    Raises:
        UsageError: there is no such function, or it does not take the options.
        DataError: it fails, or gives something else.
    """
    function, _ = load_callable(str(path), "the data")
    parameters = _parameters(function)
    takes_split = parameters is not None and "split" in parameters
    ours = {key: options.pop(key) for key in _OURS if key in options and key not in (parameters or {})}
    given = {key: value_of(value) for key, value in options.items()}
    _check(function, given, takes_split, str(path))
    if takes_split:
        wanted = SPLITS if split == ALL else (split,)
        parts = {
            each: _data_set(_called(function, {**given, "split": each}, path), each, path, ours) for each in wanted
        }
        return of_splits(parts, split, str(path))
    found = _called(function, given, path)
    if isinstance(found, dict):
        unknown = sorted(set(map(str, found)) - set(SPLITS))
        if unknown or not found:
            raise DataError(
                f"{path} gives a dictionary with {some(list(found)) or 'nothing'}, expected the splits train and test"
            )
        return of_splits({key: _data_set(each, key, path, ours) for key, each in found.items()}, split, str(path))
    data = _data_set(found, ALL, path, ours)
    # A data set of ours says itself which split it is.
    return data if data.split == split else held_out(data, split, str(path))


def _parameters(function: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(function).parameters
    except (ValueError, TypeError):
        # Of some functions written in C.
        return None


def _check(function: Any, given: Mapping[str, object], takes_split: bool, where: str) -> None:
    """Raise UsageError unless the function takes these options."""
    parameters = _parameters(function)
    if parameters is None:
        return
    try:
        inspect.signature(function).bind(**given, **({"split": "test"} if takes_split else {}))
    except TypeError as error:
        shown = ", ".join(str(each) for each in parameters.values()) or "nothing"
        raise UsageError(
            f"{where} takes ({shown}), and gets {', '.join(given) or 'no options'}: {first_line(error)}; write its "
            f"arguments behind the name, as in python:{where},key=value"
        ) from error


def _called(function: Any, given: Mapping[str, object], path: Path) -> Any:
    try:
        return function(**given)
    except HoldfastError:
        raise
    except Exception as error:  # The user's own code.
        place = _line_of(error)
        raise DataError(f"{path} fails with {type(error).__name__}: {first_line(error)}{place}; correct it") from error


def _line_of(error: Exception) -> str:
    frame, last = error.__traceback__, None
    while frame is not None:
        last, frame = frame, frame.tb_next
    return f" (line {last.tb_lineno} of {last.tb_frame.f_code.co_filename})" if last is not None else ""


def _data_set(found: Any, split: str, path: Path, options: Mapping[str, str]) -> DataSet:
    declared = parse_range(options.get("range", ""))
    channels, peak = options.get("channels", ""), parse_peak(options.get("peak", ""))
    if isinstance(found, DataSet):
        if options:
            raise UsageError(f"{path} gives a DataSet, which has its range already; leave out {some(list(options))}")
        return found
    if isinstance(found, (tuple, list)) and len(found) in (2, 3) and all(hasattr(each, "__len__") for each in found):
        names = found[2] if len(found) == 3 else None
        return of_arrays(
            found[0],
            found[1],
            source="python",
            split=split,
            class_names=names,
            bounds=declared,
            channels=channels,
            peak=peak,
        )
    if hasattr(found, "__getitem__") and hasattr(found, "__len__") and not isinstance(found, (str, bytes)):
        return of_items(found, source="python", split=split, bounds=declared, channels=channels, peak=peak)
    raise DataError(
        f"{path} gives an object of the type {type(found).__name__}, expected arrays (x, y), or (x, y, class_names), a "
        "data set of torch with a length, a holdfast.DataSet, or a dictionary of these by split"
    )
