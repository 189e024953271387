"""Where models come from: the table that finds a source by name or by the kind of a file, and what all of them share.

A source reads a network. What lies around it is the same for all: normalization, layout, how its output is read.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from holdfast.class_names import MOST_CLASSES, names_in
from holdfast.errors import BundleError, UsageError
from holdfast.files import explained
from holdfast.models.identity import model_code
from holdfast.models.mistaken import EXPORTED, TORCHSCRIPT, mistaken
from holdfast.models.model import Model
from holdfast.models.networks import LOGIT, PROBABILITY, ChannelsLast, FixedBatch, Reader, Wrapped, at_rest, is_torch
from holdfast.models.normalization import Normalization
from holdfast.registry import Registry
from holdfast.spec import Form, Slashed, Spec, name_of, parse, place, value_of
from holdfast.stand_ins import ENOUGH, refuse_stand_in
from holdfast.visible import visible

# Options that every source has but bundles, which say all of this themselves.
SHARED = ("mean", "std", "range", "classes", "shape", "layout", "output")
_FIRST, _LAST = "channels-first", "channels-last"


@dataclass(frozen=True, eq=False)
class Network:
    """A network as its source has it.

    Attributes:
        module: from what it takes to what it returns.
        entries: what it is, for a manifest.
        takes: shape of one input, in its own layout; None where any may be right.
        batch: the size of its batches; None for any.
        classes: how many it knows; None where it does not say.
        class_names: their names; None where it has none.
        mean: that its preprocessor subtracts from inputs in 0..1; None where it does not say.
        std: that it then divides by.
        notes: what the source decided.
    """

    module: nn.Module
    entries: dict[str, Any]
    takes: tuple[int, ...] | None = None
    batch: int | None = None
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class ModelSource:
    """A way in which models come.

    Attributes:
        name: of it.
        path: what follows the name, in capitals.
        suffixes: of files that are such models.
        options: its own options, each with what stands for its value in help texts.
        free: whether it takes options of any name.
        load: the function.
    """

    name: str
    path: str
    suffixes: tuple[str, ...]
    options: Mapping[str, str]
    free: bool
    load: Callable[..., Network | Model]

    @property
    def usage(self) -> str:
        """As in a spec, for help texts."""
        start = self.path if self.suffixes else f"{self.name}:{self.path}"
        return start + "".join(f"[,{key}={value}]" for key, value in self.options.items())


MODEL_SOURCES: Registry[ModelSource] = Registry("model source", "holdfast.models.sources", "holdfast.models")

Loader = TypeVar("Loader", bound="Callable[..., Network | Model]")


def model_source(name: str, *, path: str, suffixes: Sequence[str] = ()) -> Callable[[Loader], Loader]:
    """Register a function `(path: str, *, option: str = ...) -> Network` as a source of models.

    Its keyword-only parameters are the options of the source, as text; with `**arguments` it takes options of any name.

    Args:
        name: on the command line and in manifests.
        path: what follows the name, in capitals, as in "FILE.onnx".
        suffixes: of files whose path alone names such a model.
    """

    def register(function: Loader) -> Loader:
        parameters = inspect.signature(function).parameters.values()
        options = {
            each.name: str(each.default or each.name.upper()) for each in parameters if each.kind is each.KEYWORD_ONLY
        }
        free = any(each.kind is each.VAR_KEYWORD for each in parameters)
        found = ModelSource(name, path, tuple(suffixes), options, free, function)
        MODEL_SOURCES.add(name, found, function.__module__)
        return function

    return register


def open_model(
    text: str | Path,
    device: torch.device | None = None,
    options: Mapping[str, Any] | None = None,
    denoiser: str | None = None,
) -> Model:
    """The model that a spec or a path names, in eval mode and float32.

    Args:
        text: a path, or `NAME:PATH`, each with options behind commas: `net.onnx,mean=.5,std=.25`.
        device: where its weights go; the processor by default.
        options: further options, from Python: numbers, lists of numbers, texts.
        denoiser: spec of a model that returns inputs without their noise, which stands in front of the other.

    Raises:
        UsageError: no such source, no such option, or a value that an option cannot have.
        BundleError: the file is missing, corrupt, or of a kind that no source reads.
        MissingExtraError: a package is not installed.
    """
    if denoiser is not None:
        return open_model(text, device, options).behind(open_model(denoiser, device))
    source, spec, name = _asked(str(text))
    given = {**spec.options, **{key: _written(key, value) for key, value in (options or {}).items()}}
    shared = {key: given.pop(key) for key in SHARED if key in given and key not in source.options}
    unknown = sorted(key for key in given if key not in source.options)
    if unknown and not source.free:
        takes = ", ".join([*source.options, *(SHARED if source.name != "bundle" else ())]) or "none"
        raise UsageError(f"a model of the source {source.name!r} has no option {unknown[0]!r}; it takes {takes}")
    assert spec.path is not None
    try:
        # Whatever its name says that it is; sources that read other files, too, look at those.
        if source.path.startswith("FILE") and (file := place(spec.path)).is_file():
            with file.open("rb") as opened:
                refuse_stand_in(opened.read(ENOUGH), spec.path, BundleError)
        found = source.load(spec.path, **given)
    except OSError as error:
        reason, advice = explained(error)
        raise BundleError(f"{visible(spec.path)} cannot be read: {reason}. {advice}") from error
    if isinstance(found, Model):
        if shared:
            within = "leave it out" if source.name == "bundle" else "put it into quotes with the model that it is about"
            raise UsageError(f"{name} says by itself what {next(iter(shared))!r} would: {within}")
        return found if device is None else found.on(device)
    if unknown or source.options.keys() & given.keys():
        found.entries.setdefault("arguments", {key: str(value) for key, value in given.items() if key != "weights"})
    return _model(name, source.name, found, _Shared.of(shared, found), device)


def model_from(
    found: Network, name: str, device: torch.device | None = None, options: Mapping[str, Any] | None = None
) -> Model:
    """The model that a network of this process is, in eval mode and float32.

    Args:
        found: the network.
        name: how messages name it.
        device: where its weights go; the processor by default.
        options: those of `SHARED`.

    Raises:
        UsageError: no such option, or a value that an option cannot have.
    """
    given = {key: _written(key, value) for key, value in (options or {}).items()}
    unknown = sorted(given.keys() - set(SHARED))
    if unknown:
        raise UsageError(f"a model has no option {unknown[0]!r}; it takes {', '.join(SHARED)}")
    return _model(name, "object", found, _Shared.of(given, found), device)


def _asked(text: str) -> tuple[ModelSource, Spec, str]:
    """The source of a model, its spec, and how messages name it.

    Raises:
        UsageError, BundleError: see `open_model`.
    """
    start = name_of(text)
    if start != text and text[len(start)] == ":" and start in MODEL_SOURCES.names():
        source = MODEL_SOURCES.find_written(start)
        known = (*source.options, *SHARED)
        spec = parse(text, Form(path=not source.free, options=known, texts=("weights", "classes")))
        if spec.path is None:
            raise UsageError(f"a model of the source {start!r} needs a path; write {source.usage}")
        return source, spec, f"{start}:{spec.path}"
    options = {key for each in MODEL_SOURCES.all().values() for key in each.options}
    spec = parse(f"file:{text}", Form(path=True, options=(*sorted(options), *SHARED), texts=("weights", "classes")))
    if not spec.path:
        raise UsageError(f"{text!r} names no model; write {usages()}")
    return _by_kind(spec.path), spec, spec.path


def usages() -> str:
    """How models are named, for messages and help texts."""
    return ", ".join(each.usage for each in MODEL_SOURCES.all().values())


def _by_kind(text: str) -> ModelSource:
    """The source of a file or folder, by its name and its first bytes."""
    path = place(text)
    try:
        if path.is_dir():
            if (path / "config.json").is_file():
                return MODEL_SOURCES.find("hf")
            raise BundleError(
                f"{text} is a folder without config.json, so not a model of transformers; write {usages()}"
            )
        if not path.exists():
            beginning = text.partition(":")[0]
            hint = f" Nor is there a source {beginning!r}." if ":" in text else ""
            raise BundleError(f"there is no model file {text}.{hint} A model is one of: {usages()}")
        for source in MODEL_SOURCES.all().values():
            if path.suffix.lower() in source.suffixes:
                return source
        instead = mistaken(path)
        for found, name in ((TORCHSCRIPT, "torchscript"), (EXPORTED, "exported")):
            if instead == found:
                return MODEL_SOURCES.find(name)
    except OSError as error:
        reason, advice = explained(error)
        raise BundleError(f"{visible(text)} cannot be read: {reason}. {advice}") from error
    but = f", but {instead.what}: {instead.remedy}" if instead else ""
    if path.suffix.lower() in (".pt", ".pth", ".th", ".ckpt", ".bin", ".pkl"):
        raise BundleError(
            f"{text} holds weights at most, and no network that could be run{but}. Give the network with them: "
            f"python:FILE.py:CALLABLE,weights={text}; or, for an architecture of Holdfast, `holdfast import-weights`"
        )
    if path.suffix == ".py":
        raise BundleError(f"{text} is Python code: name what makes the model in it, python:{text}:CALLABLE")
    raise BundleError(f"{text} is not a model that can be read by its name{but}. A model is one of: {usages()}")


def _written(key: str, value: Any) -> Any:
    """An option from Python as its text would be read; objects of other kinds are for the user's own code."""
    if isinstance(value, bool):
        return str(value).lower()
    if key in SHARED and isinstance(value, Sequence) and not isinstance(value, str):
        return "/".join(str(float(each)) if key != "shape" else str(each) for each in value)
    return str(value) if isinstance(value, int | float | os.PathLike) else value


@dataclass(frozen=True)
class _Shared:
    """The options that every source has."""

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    value_range: tuple[float, float] | None
    class_names: tuple[str, ...] | None
    classes: int | None
    shape: tuple[int, ...] | None
    last: bool
    single: str | None

    @classmethod
    def of(cls, given: Mapping[str, Any], found: Network) -> _Shared:
        """What was written, or what the source says.

        Raises:
            UsageError: a value that an option cannot have.
        """
        mean, std = _numbers("mean", given), _numbers("std", given)
        if (mean is None) != (std is None):
            raise UsageError("mean and std belong together, got one of them; give both or neither")
        if std is not None and (min(std) <= 0 or len(mean or ()) != len(std)):
            raise UsageError(f"std has one number above 0 for each one of mean, got mean={mean} and std={std}")
        span = _numbers("range", given)
        if span is not None and (len(span) != 2 or not span[0] < span[1]):
            raise UsageError(
                f"range is the smallest and the largest value of an input, as in 0/1; got {given['range']!r}"
            )
        names, count = _classes(given.get("classes"))
        shape = _numbers("shape", given)
        if shape is not None and any(size != int(size) or size < 1 for size in shape):
            raise UsageError(f"shape has whole numbers from 1 on, as in 3/224/224; got {given['shape']!r}")
        layout, single = given.get("layout", _FIRST), given.get("output")
        if layout not in (_FIRST, _LAST):
            raise UsageError(f"layout is {_FIRST} or {_LAST}, got {layout!r}")
        if single not in (None, LOGIT, PROBABILITY):
            raise UsageError(
                f"output is {LOGIT} or {PROBABILITY}, how one number for two classes is read; got {single!r}"
            )
        return cls(
            mean if mean is not None else found.mean,
            std if std is not None else found.std,
            None if span is None else (span[0], span[1]),
            names,
            count,
            None if shape is None else tuple(int(size) for size in shape),
            layout == _LAST,
            single,
        )


def _model(name: str, source: str, found: Network, shared: _Shared, device: torch.device | None) -> Model:
    """The network between normalization and reader, with what is known of it."""
    takes = found.takes
    if takes is not None and shared.last:
        takes = (takes[-1], *takes[:-1])
    if shared.shape is not None and takes not in (None, shared.shape):
        raise UsageError(f"{name} takes inputs of shape {takes} (channels first), and shape= says {shared.shape}")
    takes = shared.shape or takes
    dimensions = 3 if takes is None else len(takes)
    channels = len(shared.mean or ())
    if takes is not None and channels > 1 and channels != takes[0]:
        raise UsageError(f"mean has {channels} numbers, and {name} takes inputs of shape {takes}: one for each channel")
    # One number serves inputs of any shape.
    normalization = Normalization(shared.mean, shared.std, dimensions if channels != 1 else 1)
    before = nn.Sequential(normalization, *([ChannelsLast()] if shared.last else []))
    network = at_rest(found.module)
    if found.batch is not None:
        network = FixedBatch(network, found.batch)
    module = Wrapped(before, network, Reader(shared.single))
    if is_torch(module):
        module = module.to(device or torch.device("cpu"), torch.float32)
    settings = {
        "layout": _LAST if shared.last else None,
        "output": shared.single if shared.single == PROBABILITY else None,
    }
    return Model(
        name=name,
        module=module,
        entries={
            "source": source,
            **found.entries,
            "code": {**model_code(module), **found.entries.get("code", {})},
            **{key: value for key, value in settings.items() if value is not None},
            "normalization": {"mean": shared.mean, "std": shared.std},
        },
        takes=takes,
        class_names=shared.class_names or found.class_names,
        num_classes=shared.classes or found.classes,
        value_range=shared.value_range,
        notes=found.notes,
    )


def _numbers(key: str, given: Mapping[str, Any]) -> tuple[float, ...] | None:
    """One number or several, of an option."""
    if key not in given:
        return None
    value: Any = value_of(given[key]) if isinstance(given[key], str) else given[key]
    found = tuple(value) if isinstance(value, Slashed) else (value,)
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in found):
        raise UsageError(
            f"{key} is a number, or several with slashes between them, as in .485/.456/.406; got {given[key]!r}"
        )
    return tuple(float(each) for each in found)


def _classes(text: str | None) -> tuple[tuple[str, ...] | None, int | None]:
    """Names from a file with one on each line, or a number of classes."""
    if text is None:
        return None, None
    if text.isdecimal():
        if not 2 <= int(text) <= MOST_CLASSES:
            raise UsageError(f"classes is a number from 2 to {MOST_CLASSES:,}, or a file of names; got {text}")
        return None, int(text)
    names = names_in(text)
    if len(names) < 2:
        raise UsageError(f"{text} has {len(names)} name, expected two or more")
    return names, len(names)
