"""Holdfast: certified robustness of classifiers by randomized smoothing.

The public names are listed in `__init__.pyi`, for type checkers and for this module. Each is imported on first use, so
`import holdfast` does not import torch. Everything else is internal.
"""

from importlib import import_module as _import_module


def _public_names() -> dict[str, tuple[str, str]]:
    """Public name -> its module, and its name in that module.

    Each line of the stub that begins with "from" has one name: `from MODULE import NAME as PUBLIC`.
    """
    with open(f"{__file__.removesuffix('c')}i", encoding="utf-8") as stub:  # noqa: PTH123
        lines = [line.split() for line in stub if line.startswith("from ")]
    return {public: (module, name) for _, module, _, name, _, public in lines}


_PUBLIC = _public_names()
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}; its public names are {', '.join(__all__)}")
    module_name, attribute = _PUBLIC[name]
    try:
        module = _import_module(module_name)
    except ImportError as error:
        raise ImportError(
            f"holdfast.{name} could not be loaded, since a package that it needs failed to load ({error}). Reinstall "
            "that package, or give the process more memory if a library could not be mapped (`ulimit -v`)",
            name=error.name,
            path=error.path,
        ) from error
    return getattr(module, attribute)


def __dir__() -> list[str]:
    return __all__
