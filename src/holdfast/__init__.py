"""Holdfast: certified robustness of classifiers by randomized smoothing.

The public names stand in `__init__.pyi`, for type checkers and for this module alike. Each is imported when it is first
used: `import holdfast` does not import torch. What is not named there is internal.
"""

from importlib import import_module as _import_module


def _homes() -> dict[str, tuple[str, str]]:
    """For each public name the module that it comes from, and its name there.

    Each line of the stub that begins with "from" has one name: `from MODULE import NAME as PUBLIC`.
    """
    with open(f"{__file__.removesuffix('c')}i", encoding="utf-8") as stub:  # noqa: PTH123
        lines = [line.split() for line in stub if line.startswith("from ")]
    return {public: (module, name) for _, module, _, name, _, public in lines}


_HOMES = _homes()
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}; public are {', '.join(__all__)}")
    module, there = _HOMES[name]
    try:
        home = _import_module(module)
    except ImportError as error:
        raise ImportError(
            f"holdfast.{name} could not be loaded, since a package that it needs failed to ({error}). Install that "
            "package afresh, or give the process more memory where a library could not be mapped (`ulimit -v`)",
            name=error.name,
            path=error.path,
        ) from error
    return getattr(home, there)


def __dir__() -> list[str]:
    return __all__
