"""Digests of code that comments, docstrings and layout do not change.

A module's code includes its own source, that of its parent packages, which run before it, and that of the modules that
it imports, at the top or within functions, from the same package or the user's own files. An installed package of
others is identified by its version. Computing a digest imports nothing.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from holdfast.compiled_code import described, modules_named

# Every manifest has their versions.
_RECORDED = ("torch", "numpy")
_OURS = "holdfast"
_INSTALLED = ("site-packages", "dist-packages")
# Fields of syntax nodes that are redundant or do not affect meaning.
_IDLE = ("ctx", "kind", "type_comment", "type_ignores")
_VERSION = "version "
# A script: its classes go to other processes by value, since those have another main script.
MAIN = "__main__"


def code_of(seeds: Iterable[str], ours: tuple[str, ...], *, packages: bool = True) -> dict[str, str]:
    """The digests of the seeds and of all modules that they import from their own package or the user's own files.

    Args:
        seeds: names of modules, wherever they are, except torch, numpy and the standard library.
        ours: the modules of Holdfast to include; a name includes all modules below it.
        packages: whether to include installed packages of others.

    Returns:
        Name -> SHA-256 of a module, or version of an installed package; sorted by name.
    """
    given = [name for name in seeds if not _known_by_version(name)]
    own = {_top(name) for name in given} - {_OURS}
    found: dict[str, str] = {}
    others: set[str] = set()
    waiting = list(given)
    while waiting:
        name = waiting.pop()
        if name in found or _known_by_version(name):
            continue
        if _top(name) == _OURS:
            if not any(name == each or name.startswith(f"{each}.") for each in ours):
                continue
        elif _top(name) not in own and _is_installed(name):
            others.add(_top(name))
            continue
        if not _is_bare_folder(name):
            found[name] = digest_here(name)
        waiting += [each for each in _imports(name) if _spec(each) is not None]
        if _is_installed(name):
            # Its parent packages run, too, but often import everything: many files, none of them the user's.
            others.add(_top(name))
        else:
            waiting += _packages_of(name)
    if packages:
        found |= {name: version_of(name) for name in others if name not in found}
    return dict(sorted(found.items()))


def code_again(known: Mapping[str, str]) -> dict[str, str]:
    """The digests, in this process, of the modules and packages that `code_of` found elsewhere."""
    return {name: version_of(name) if is_version(digest) else digest_here(name) for name, digest in known.items()}


def is_version(digest: str) -> bool:
    """Whether it is the version of an installed package instead of a digest."""
    return digest.startswith(_VERSION)


def together(code: Mapping[str, str]) -> str:
    """One short digest of several digests."""
    lines = "\n".join(f"{name} {digest}" for name, digest in sorted(code.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def digest_here(name: str) -> str:
    """The SHA-256 of a module's code in this process."""
    tree = _tree(name)
    if tree is not None:
        return hashlib.sha256(_canonical(tree).encode()).hexdigest()
    file = _file(name)
    if file is not None:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    module = sys.modules.get(name)
    if module is None:
        return "not there"
    # Typed into a notebook, or made by a program.
    lines, not_compared = described(module)
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return f"{digest}, not compared: {', '.join(not_compared)}" if not_compared else digest


def place(name: str) -> str:
    """The name of a module with its file, for messages."""
    file = _file(name)
    return f"{name} ({file})" if file is not None else name


@cache
def version_of(package: str) -> str:
    """The version of an installed package, as it stands for its code."""
    for distribution in packages_distributions().get(package, []):
        try:
            return _VERSION + version(distribution)
        except PackageNotFoundError:
            continue
    return f"{_VERSION}unknown"


def _known_by_version(name: str) -> bool:
    """Whether a version in the manifest identifies the module: that of torch, numpy or Python."""
    return name != MAIN and (_top(name) in _RECORDED or _is_standard(_top(name)))


def _is_standard(top: str) -> bool:
    """Whether a module is in the standard library, and not a user's file with the same name."""
    if top not in sys.stdlib_module_names:
        return False
    file = _file(top)
    # Built-in modules have no file.
    return file is None or (not _lies_with_packages(file) and any(map(file.is_relative_to, _standard_folders())))


@cache
def _standard_folders() -> tuple[Path, ...]:
    named = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")} | {str(Path(sysconfig.__file__).parent)}
    return tuple(folder for each in named for folder in {Path(each), Path(each).resolve()})


def _packages_of(name: str) -> list[str]:
    """The parent packages of a module."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _is_installed(name: str) -> bool:
    file = _file(name) or _file(_top(name))
    return file is not None and _lies_with_packages(file)


def _lies_with_packages(file: Path) -> bool:
    return any(part in _INSTALLED for part in file.parts)


def _is_bare_folder(name: str) -> bool:
    """Whether it is a package without an `__init__` file."""
    spec = _spec(name)
    return spec is not None and spec.origin is None and spec.submodule_search_locations is not None


def _top(name: str) -> str:
    return name.partition(".")[0]


def _spec(name: str) -> ModuleSpec | None:
    """The spec of a module, found without importing it or its parents."""
    loaded = sys.modules.get(name)
    spec: ModuleSpec | None = getattr(loaded, "__spec__", None)
    if spec is not None:
        return spec
    if loaded is not None:
        return ModuleSpec(name, None, origin=getattr(loaded, "__file__", None))
    parent, path = name.rpartition(".")[0], None
    if parent:
        above = _spec(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        path = list(above.submodule_search_locations)
    return PathFinder.find_spec(name, path)


def _file(name: str) -> Path | None:
    spec = _spec(name)
    file = None if spec is None or spec.origin is None else Path(spec.origin)
    return file if file is not None and file.is_file() else None


def _tree(name: str) -> ast.Module | None:
    """The syntax tree of a module; None without its source."""
    file, spec = _file(name), _spec(name)
    if file is not None and file.suffix == ".py":
        state = file.stat()
        return _parsed(file, state.st_mtime_ns, state.st_size)
    # Modules in archives have a loader with the source.
    loader = None if spec is None else spec.loader
    source = loader.get_source(name) if isinstance(loader, InspectLoader) else None
    return None if source is None else _run(ast.parse(source))


@lru_cache(maxsize=512)
def _parsed(file: Path, modified: int, size: int) -> ast.Module | None:
    """The syntax tree of a file; None if it is broken. Time and size in the cache key detect changes."""
    try:
        return _run(ast.parse(file.read_bytes()))
    except (SyntaxError, ValueError):
        return None


def _run(tree: ast.Module) -> ast.Module:
    """The tree without code that only type checkers read."""

    class Trimmed(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> Any:
            self.generic_visit(node)
            test = node.test
            named = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
            return node.orelse or None if named == "TYPE_CHECKING" else node

    trimmed: ast.Module = Trimmed().visit(tree)
    return trimmed


def _imports(name: str) -> Iterator[str]:
    """The names in a module's import statements, at any depth; some may not be modules."""
    tree, spec = _tree(name), _spec(name)
    module = sys.modules.get(name)
    if tree is None and module is not None and _file(name) is None:
        yield from modules_named(module)
    package = name if spec is not None and spec.submodule_search_locations is not None else name.rpartition(".")[0]
    for node in () if tree is None else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _canonical(part: object) -> str:
    """A syntax tree as text that is the same in all versions of Python, without docstrings."""
    if isinstance(part, list):
        return f"[{','.join(map(_canonical, part))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    fields = []
    for name in part._fields:
        value = getattr(part, name, None)
        if name == "body" and isinstance(value, list):
            value = _without_docstring(part, value)
        # Leave out empty fields: newer versions of Python have more of them.
        if name not in _IDLE and value is not None and value != []:
            fields.append(f"{name}={_canonical(value)}")
    return f"{type(part).__name__}({','.join(fields)})"


def _without_docstring(owner: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    if not isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return body
    first = body[0].value if body and isinstance(body[0], ast.Expr) else None
    return body[1:] if isinstance(first, ast.Constant) and isinstance(first.value, str) else body
