"""The user's own functions and classes, loaded on their explicit word: `FILE.py:NAME` or `PACKAGE.MODULE:NAME`.

Loading runs the file or module. It then is an ordinary module of Python, found by its name: what is defined in it can
be sent to worker processes, which import it by the same name, and `holdfast.code_digest` reads its source.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, UsageError, first_line
from holdfast.shortened import some
from holdfast.spec import place
from holdfast.stand_ins import refuse_stand_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

# The bytes of each file that was run, by its path: what it would do now is something else if they have changed.
_RUN: dict[Path, bytes] = {}


def load_callable(spec_path: str, what: str) -> tuple[Callable[..., Any], ModuleType]:
    """A function or class of the user's, and the module that it lies in.

    The module of a file is named as the file, without `.py`, and the folder of the file is put first on Python's search
    path, as `python FILE.py` does: its siblings can be imported, and worker processes find the module by its name. For
    `PACKAGE.MODULE` the current folder is searched too, last.

    Args:
        spec_path: `FILE.py:NAME` or `PACKAGE.MODULE:NAME`; NAME may have dots, as in `Data.load`.
        what: what it is wanted for, for messages, as in "the data".

    Raises:
        UsageError: it is not written so, there is no such file, module or name, running it fails, it cannot be called,
            the file has the name of another module, or it has changed since this process ran it.
    """
    where, _, name = spec_path.rpartition(":")
    if not where or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(
            f"{what} from your own code {_written()}; got {spec_path!r}. Write the name of the function behind a colon"
        )
    if where.endswith(".py") or "/" in where or place(where).is_file():
        module = _module_of_file(place(where), what)
    else:
        module = _module_of_name(where, what)
    return _callable_in(module, name, where, what), module


def _written() -> str:
    return "is written FILE.py:NAME or PACKAGE.MODULE:NAME"


def _module_of_file(file: Path, what: str) -> ModuleType:
    if file.is_dir():
        raise UsageError(f"{what}: {file} is a folder, expected a Python file; {what} {_written()}")
    if not file.is_file():
        beside = [f"{each.name}" for each in sorted(file.parent.glob("*.py"))] if file.parent.is_dir() else []
        found = f"the folder has {some(beside)}" if beside else "nor another Python file in that folder"
        raise UsageError(f"{what}: no file {file}; {found}. Check the path: {what} {_written()}")
    whole = file.resolve()
    if whole.suffix != ".py" or "." in whole.stem:
        raise UsageError(
            f"{what}: {file} is called {whole.name}, expected NAME.py without further dots, since Python finds a "
            "module by the name of its file; rename it"
        )
    content = whole.read_bytes()
    refuse_stand_in(content, file, UsageError)
    if _RUN.get(whole, content) != content:
        raise UsageError(
            f"{what}: {file} has changed since this process ran it, and what was made of it is that of the old file; "
            "start Python again"
        )
    _search_first(whole)
    module = _imported(whole.stem, str(file), what)
    _RUN[whole] = content
    return module


def _search_first(file: Path) -> None:
    """Put the folder of a file first on the search path.

    Raises:
        UsageError: the name of the file is that of another module, so that worker processes would find that one.
    """
    folder = str(file.parent)
    before = list(sys.path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    loaded = sys.modules.get(file.stem)
    try:
        spec = importlib.util.find_spec(file.stem) if loaded is None else None
    except (ImportError, ValueError):
        spec = None
    origin = getattr(loaded, "__file__", None) or (spec.origin if spec is not None else None)
    if origin is None or not Path(origin).is_file() or not Path(origin).samefile(file):
        sys.path[:] = before
        other = f" ({origin})" if origin else ""
        raise UsageError(
            f"{file} has the name of another module of Python, {file.stem}{other}; worker processes would take the "
            f"one for the other: rename the file, to my_{file.stem}.py say"
        )


def _module_of_name(name: str, what: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{what}: {name!r} is no file and cannot be the name of a module; {what} {_written()}")
    # Programs that are installed do not search the folder that they are called in, which `python -m` does.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    return _imported(name, name, what)


def _imported(name: str, shown: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except HoldfastError:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise UsageError(
                f"{what}: no module {missing!r}, looked for in the current folder and in Python's own; install it, or "
                f"give the path of its file: {what} {_written()}"
            ) from error
        raise UsageError(
            f"{what}: {shown} imports {missing!r}, which is not there{_line_in(error, name)}; install it"
        ) from error
    except (Exception, SystemExit) as error:
        advice = "correct the file, and see that importing it does no more than define things"
        if "relative import" in str(error):
            advice = "it belongs to a package: write PACKAGE.MODULE:NAME"
        raise UsageError(
            f"{what}: running {shown} fails with {type(error).__name__}: "
            f"{_first_line(error)}{_line_in(error, name)}; {advice}"
        ) from error


def _first_line(error: BaseException) -> str:
    return first_line(error) if isinstance(error, Exception) else str(error)


def _line_in(error: BaseException, name: str) -> str:
    """Where in the user's code it went wrong: the innermost line that is not of the import system."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" (line {error.lineno} of {error.filename})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if frame.filename != __file__]
    return f" (line {own[-1].lineno} of {own[-1].filename})" if own else ""


def _callable_in(module: ModuleType, name: str, where: str, what: str) -> Callable[..., Any]:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{what}: {where} has no {name!r}; {_offered(module, name)}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(
            f"{what}: {name!r} in {where} is of the type {type(found).__name__}, expected a function or a class; "
            f"{_offered(module, name)}"
        )
    called: Callable[..., Any] = found
    return called


def _offered(module: ModuleType, name: str) -> str:
    """The functions and classes that a module defines itself, those of a similar name first."""
    own = [
        key
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    if not own:
        return "it defines no functions and no classes: add one"
    close = get_close_matches(name, own)
    return f"it defines {some([*close, *(key for key in own if key not in close)])}: name one of them"
