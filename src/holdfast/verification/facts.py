"""Compare manifest and labels with the data and the model themselves, without sampling.

The material comes as plain facts (`holdfast.execution.facts`): what a manifest would say of it, and the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.verification.manifest import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.verification.findings import Findings

# What data are; which of them were taken is a choice, and no property of theirs.
_PROPERTIES = ("source", "split", "sha256", "size", "shape", "low", "high", "class_names", "decoder", "sorted_by_class")
_UNKNOWN, _IMPORTED = "unknown", "imported"
# Of the model: what computes its logits is no part of the file.
_BACKEND, _CODE = "backend", "code"
# Of a backend.
_BACKEND_ENTRIES = frozenset({"name", "version", "quantization"})


@dataclass(frozen=True)
class DataFacts:
    """A split of a data set.

    Attributes:
        entries: its entries in a manifest.
        labels: labels of all its examples, in order.
    """

    entries: Mapping[str, Any]
    labels: Sequence[int]


@dataclass(frozen=True)
class ModelFacts:
    """A model.

    Attributes:
        entries: its entries in a manifest, without a backend.
        space: `shape`, `low`, `high` and `class_names` of its inputs, as in a manifest's data.
        takes: the shape of what the network takes.
        noisy: the shape of inputs under the noise of the manifest; that of inputs as they are where there is none.
        places: modules of its code by name, each with its file, for messages.
        backends: the precisions of each that is known, by name.
        holdfast: the version of this installation.
    """

    entries: Mapping[str, Any]
    space: Mapping[str, Any]
    takes: Sequence[int]
    noisy: Sequence[int]
    places: Mapping[str, str]
    backends: Mapping[str, Sequence[str]]
    holdfast: str


def check_data(
    entries: Mapping[str, Any], records: Mapping[int, Mapping[str, Any]], facts: DataFacts, result: Findings
) -> None:
    """Compare the manifest's entries about data, and every label, with the data.

    Args:
        entries: entries of the manifest; they have been read, so none is missing.
        records: by index.
        facts: facts of the data.
        result: takes the counts, failures and notes.
    """
    stored = entries["data"]
    named = entries.get("kind") == _IMPORTED and stored["sha256"] == _UNKNOWN
    (_check_named if named else _check_entries)(stored, facts.entries, result)
    if not named and stored["sha256"] != facts.entries["sha256"]:
        result.notes.append("labels were not compared, since these are not the data of the manifest")
        return
    for index in sorted(records):
        label = records[index]["label"]
        if index >= len(facts.labels):
            result.failures.append(f"example {index} is not in the data, which have {len(facts.labels)} examples")
        elif label != facts.labels[index]:
            result.failures.append(f"example {index}: label {label} is recorded, the data say {facts.labels[index]}")
        result.labels += 1
    result.data = True


def check_model(entries: Mapping[str, Any], facts: ModelFacts, result: Findings) -> None:
    """Compare the manifest's entries about its model, and about the inputs of the model, with the model.

    Args:
        entries: entries of the manifest.
        facts: facts of the model.
        result: takes failures and notes.
    """
    stored = entries["model"]
    for name in dict.fromkeys([*facts.entries, *stored]):
        if name == _BACKEND or (name == _CODE and name not in stored):
            continue
        if name == _CODE and name in facts.entries:
            _check_code(entries, facts, result)
        elif name not in stored:
            result.failures.append(f"model: the manifest does not say {name!a}, the model has {facts.entries[name]}")
        elif name not in facts.entries:
            result.failures.append(f"model: the manifest has the entry {name!a}, which no model has")
        elif _text(stored[name]) != _text(facts.entries[name]):
            result.failures.append(_differs(f"model: {name}", stored[name], facts.entries[name], "the model has"))
    if _CODE not in stored:
        result.notes.append(
            "the manifest does not name the model's code, as in older versions, so the code was not compared"
        )
    if "sha256" not in stored and _CODE in stored:
        result.notes.append(
            "the model is code without weights that could be compared, as a function is: what it remembers or reads "
            "may differ, and only its source was compared"
        )
    _check_backend(entries, facts, result)
    for name, value in facts.space.items():
        if _text(entries["data"][name]) != _text(value):
            result.failures.append(_differs(f"data: {name}", entries["data"][name], value, "the model takes"))
    if list(facts.takes) != list(facts.noisy):
        result.failures.append(
            f"noise: under {entries['noise']} inputs have the shape {list(facts.noisy)}, the model takes "
            f"{list(facts.takes)}"
        )
    elif entries["noise"] and _text(entries["noise"]) != _text(facts.entries.get("trained_for", entries["noise"])):
        result.notes.append(
            f"the model was trained for {_text(facts.entries['trained_for'])}, and the run has the noise "
            f"{_text(entries['noise'])}: that is allowed, and neither file decides it"
        )
    result.model = True


def _check_entries(stored: Mapping[str, Any], found: Mapping[str, Any], result: Findings) -> None:
    """Compare data whose content the manifest names by its hash."""
    for name in _PROPERTIES:
        if name not in stored or _text(stored[name]) == _text(found[name]):
            continue
        if name == "decoder" and _library(stored[name]) == _library(found[name]):
            result.notes.append(
                f"{stored[name]} decoded the images of the run, {found[name]} does here: the same files may give "
                "values that differ by one or two of 255"
            )
            continue
        result.failures.append(_differs(f"data: {name}", stored[name], found[name], "the data have"))
    if stored.get("regular") is not None:
        result.failures.append(
            f"data: regular is {stored['regular']!r} in the manifest, which only an imported log has"
        )


def _check_named(stored: Mapping[str, Any], found: Mapping[str, Any], result: Findings) -> None:
    """Compare the data of an imported log, which knows them at most by name."""
    if stored["source"] not in (_UNKNOWN, found["source"]):
        result.failures.append(_differs("data: source", stored["source"], found["source"], "the data have"))
    if stored["split"] != found["split"]:
        result.failures.append(_differs("data: split", stored["split"], found["split"], "the data have"))
    names = [str(label) for label in range(len(found["class_names"]))]
    if stored["class_names"] != names[: len(stored["class_names"])]:
        result.failures.append(_differs("data: class_names", stored["class_names"], names, "the data have those of"))
    if stored["source"] != _UNKNOWN and stored["size"] > found["size"]:
        result.failures.append(_differs("data: size", stored["size"], found["size"], "the data have"))
    if stored["shape"] not in ([1], found["shape"]):
        result.failures.append(_differs("data: shape", stored["shape"], found["shape"], "the data have"))
    result.notes.append(
        "an imported log has no hash of its data, so only labels, classes, source, split and shape were compared"
    )


def _check_code(entries: Mapping[str, Any], facts: ModelFacts, result: Findings) -> None:
    """Holdfast's own architectures may have been rewritten by a later version: there the votes decide."""
    there, here = entries["model"][_CODE], facts.entries[_CODE]
    if not isinstance(there, dict):
        result.failures.append(f"model: code is {there!r} in the manifest, expected digests by the names of modules")
        return
    others = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    if not others:
        return
    text = (
        f"the code of the model {facts.entries.get('architecture') or facts.entries.get('source')!r} is not that of "
        f"the run: {', '.join(facts.places.get(name, name) for name in others)} differ"
    )
    ours = all(name.partition(".")[0] == "holdfast" for name in others)
    if ours and entries["versions"].get("holdfast") != facts.holdfast:
        result.notes.append(f"{text}: another version of Holdfast made the run, so votes drawn again decide")
    else:
        result.failures.append(f"model: {text}. The same weights are another classifier then")


def _check_backend(entries: Mapping[str, Any], facts: ModelFacts, result: Findings) -> None:
    """Check that the backend is known and has the precision; whether it computes the same logits, votes decide."""
    stored = entries["model"].get(_BACKEND)
    if stored is None:
        return
    name = stored.get("name") if isinstance(stored, dict) else stored
    if not isinstance(name, str) or name not in facts.backends:
        result.failures.append(f"model: the backend is {name!a}, expected one of {', '.join(facts.backends)}")
    elif set(stored) - _BACKEND_ENTRIES:
        unknown = ", ".join(map(ascii, sorted(set(stored) - _BACKEND_ENTRIES)))
        result.failures.append(f"model: the backend has the unknown entries {unknown}")
    elif entries["noise"] and entries["precision"] not in facts.backends[name]:
        result.failures.append(
            f"precision: the backend {name} does not compute in {entries['precision']!r}, but in "
            f"{' and '.join(facts.backends[name])}"
        )


def _differs(what: str, stored: Any, found: Any, who: str) -> str:
    return f"{what} is {_text(stored)} in the manifest, {who} {_text(found)}"


def _text(value: Any) -> str:
    """A value as canonical JSON, numbers as they are written: 1.0 is not 1, and neither is true."""
    return canonical({"value": value})[len('{"value":') : -1]


def _library(decoder: Any) -> str:
    """The name of a library, without the version."""
    return str(decoder).rpartition(" ")[0]
