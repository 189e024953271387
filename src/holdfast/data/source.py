"""Where data sets come from: the table that finds a source by name, and what all of them share."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from holdfast.data.base import ALL, SPLITS
from holdfast.errors import DataError, UsageError
from holdfast.files import explained
from holdfast.registry import Registry
from holdfast.spec import Form, name_of, parse, place
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from holdfast.data.base import DataSet

# As many options as help texts spell out.
_FEW = 3
# Options that every source has, with what stands for their values in help texts.
COMMON = {"classes": "N|FILE", "split": ALL}
_COMMON_PATHS = ("classes",)


@dataclass(frozen=True)
class Source:
    """A source of data sets.

    Attributes:
        name: name of it.
        path: what its path is, in capitals; None for a source that takes no path.
        options: its options, each with what stands for its value in help texts.
        load: the function.
        whole: whether it gives the split "all" itself; else both of its splits are put together.
        open: whether it takes options of any name.
        paths: the options whose values are paths.
    """

    name: str
    path: str | None
    options: Mapping[str, str]
    load: Callable[..., DataSet]
    whole: bool = False
    open: bool = False
    paths: tuple[str, ...] = ()

    @property
    def spelling(self) -> str:
        """Name and path as in a spec."""
        return self.name if self.path is None else f"{self.name}:{self.path}"

    @property
    def usage(self) -> str:
        """Name, path and options as in a spec, for help texts; of many options that there are some."""
        if len(self.options) > _FEW:
            return f"{self.spelling}[,key=value]"
        given = [f"[,{key}={value}]" for key, value in self.options.items()]
        if self.path is None and given:
            given[0] = given[0].replace("[,", "[:", 1)
        return self.spelling + "".join(given)


SOURCES: Registry[Source] = Registry("data source", "holdfast.data.sources", "holdfast.data")

Loader = TypeVar("Loader", bound="Callable[..., DataSet]")


def source(
    name: str, *, path: str | None = None, whole: bool = False, paths: Sequence[str] = ()
) -> Callable[[Loader], Loader]:
    """Register a function `(path: Path | None, split: str, *, option: str = ...) -> DataSet` as a source.

    Its keyword-only parameters are the options of the source; their values are strings. Help texts show the default of
    an option, or its name in capitals where that is empty. With `**options` it takes options of any name. Those of
    `COMMON` belong to every source, unless it has an option of that name.

    Args:
        name: the name of the source on the command line and in manifests.
        path: what the path is, in capitals, as in "DIR"; None for a source that takes no path.
        whole: the function takes "all" for a split, too.
        paths: options whose values are paths, which may have slashes.
    """

    def register(function: Loader) -> Loader:
        parameters = inspect.signature(function).parameters.values()
        options = {
            each.name: str(each.default or each.name.upper()) for each in parameters if each.kind is each.KEYWORD_ONLY
        }
        anything = any(each.kind is each.VAR_KEYWORD for each in parameters)
        SOURCES.add(name, Source(name, path, options, function, whole, anything, tuple(paths)), function.__module__)
        return function

    return register


def source_names() -> list[str]:
    """The names of all sources, sorted."""
    return SOURCES.names()


def source_options(name: str) -> tuple[str, ...]:
    """The names of a source's options; none for a source that is not known."""
    found = SOURCES.get(name)
    return tuple(found.options) if found else ()


def data_from_spec(text: str, split: str, options: Mapping[str, object] | None = None) -> DataSet:
    """One split of the data set that a spec names, as in `images:DIR,size=64`, or a path alone, as in `x.npz`.

    Args:
        text: the spec or the path.
        split: "train", "test" or "all".
        options: further options, as strings or numbers.

    Raises:
        UsageError: not a spec, or not one of the sources; or what `open_data` raises.
        DataError: the data are missing, incomplete or corrupt.
        MissingExtraError: the source needs a package that is not installed.
    """
    from holdfast.data.kinds import with_source

    text = with_source(text)
    found = SOURCES.find_written(name_of(text))
    known = () if found.open else (*found.options, *COMMON)
    form = Form(path=found.path is not None and not found.open, options=known, texts=(*found.paths, *_COMMON_PATHS))
    spec = parse(text, form)
    given = {key: str(value) for key, value in (options or {}).items()}
    twice = sorted(set(given) & set(spec.options))
    if twice:
        raise UsageError(f"{twice[0]!r} is given twice: in {text!r} and as an argument; leave one of them out")
    return open_data(spec.name, None if spec.path is None else place(spec.path), split, {**spec.options, **given})


def open_data(name: str, path: Path | None, split: str, options: Mapping[str, str]) -> DataSet:
    """One split of a data set.

    Args:
        name: one of `source_names()`.
        path: the file or folder it lies in; None for a source that comes with the package.
        split: "train", "test", or "all" for both together.
        options: other options of the source, as strings, or of `COMMON`: `classes`, the number of classes or a file of
            their names; `split`, "all" or the split to take in the place of the one that is asked for.

    Raises:
        UsageError: an unknown source, split or option, a value the option cannot have, a path that is missing, or
            one that the source does not take.
        DataError: the data are missing, incomplete or corrupt.
        MissingExtraError: the source needs a package that is not installed.
    """
    from holdfast.data.classes import with_classes
    from holdfast.data.kinds import looks_otherwise

    found = SOURCES.find(name)
    rest = dict(options)
    common = {key: rest.pop(key) for key in COMMON if key in rest and key not in found.options}
    wanted = common.get("split", split)
    if wanted not in (*SPLITS, ALL):
        raise UsageError(f"unknown split {wanted!r} of {name}; known are {', '.join((*SPLITS, ALL))}")
    if found.path is None and path is not None:
        raise UsageError(f"data source {name!r} comes with the package and takes no path, got '{path}'; write {name}")
    if found.path is not None and path is None:
        raise UsageError(f"data source {name!r} needs a path, got none; write {found.spelling}")
    unknown = [] if found.open else sorted(set(rest) - set(found.options))
    if unknown:
        raise UsageError(
            f"data source {name!r} has no option {unknown[0]!r}; it takes {', '.join((*found.options, *COMMON))}"
        )
    try:
        data = _loaded(found, path, wanted, rest)
        if wanted != split:
            data = data.noted(f"split={wanted}: the {split} split that is asked for is {_of_split(wanted)}")
        data = with_classes(data, common.get("classes", ""))
        return data if path is None or found.open else data.placed(path)
    except OSError as error:
        reason, advice = explained(error)
        raise DataError(f"{visible(path)} cannot be read: {reason}. {advice}") from error
    except DataError as error:
        hint = looks_otherwise(name, path)
        if not hint:
            raise
        raise DataError(f"{error}. {hint}") from error


def _loaded(found: Source, path: Path | None, split: str, options: Mapping[str, str]) -> DataSet:
    if split != ALL or found.whole:
        return found.load(path, split, **options)
    train, test = (found.load(path, each, **options) for each in SPLITS)
    return train.joined(test)


def _of_split(split: str) -> str:
    if split == ALL:
        return "all of the data, those for training included: a model trained on some of them knows these"
    return f"the {split} split in its place"
