"""All settings in a manifest, as a table of names, values and meanings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis.runs import BoundRun, ImportedRun, VoteRun
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run_manifest import RunManifest

_METHODS = {
    "cohen": "as in the papers: the top class uses all of alpha; any other class has at most the remaining probability",
    "split": "the top class uses 0.9 alpha; the other classes share 0.1 alpha for bounds of their own",
    "exact": "nothing is estimated: every realization of the noise was taken once",
}
_ORIGINS = {
    CHOSEN: "given by whoever made the run, who may have tried others",
    ENTROPY: "drawn by the operating system, as whoever made the run says",
    DERIVED: "computed from the promise and the nonce: nobody could choose it without knowing the nonce beforehand",
}


@dataclass(frozen=True)
class Entry:
    """One setting in a manifest: its name, its value, and what that means."""

    name: str
    value: str
    meaning: str = ""


def entries(run: CertifiedRun) -> list[Entry]:
    """All settings in the manifest of a run, in plain words."""
    return _ENTRIES[type(run)](run)


def _of_votes(run: VoteRun) -> list[Entry]:
    manifest = run.manifest
    return [
        Entry("Kind", manifest.kind),
        _promised_on(manifest),
        *_procedure(run),
        *_promised_data(run.data),
        *_flat("Model", manifest.model, "the base classifier"),
        *_place(manifest),
    ]


def _of_log(run: ImportedRun) -> list[Entry]:
    """The settings of an imported log, whose manifest gives neither the range of its inputs nor a list of examples."""
    manifest, data = run.manifest, run.data
    return [
        Entry("Kind", manifest.kind, "a log written by another tool"),
        Entry("Imported on", manifest.created, "UTC"),
        Entry("Procedure", "as given at the import", "the log states neither noise nor samples nor alpha"),
        *_procedure(run),
        _source(data),
        Entry("Subset", run.subset.words),
        _hash(data),
        Entry("Shape of an input", _shape(data), "of that data set; the log does not state it")
        if data.shape_known
        else Entry("Shape of an input", "not known"),
        Entry("Range of an input", "not known", "the log states neither the range nor its units"),
        _classes(data),
        *_flat("Model", manifest.model, "the base classifier"),
        *_place(manifest),
    ]


def _of_bound(run: BoundRun) -> list[Entry]:
    manifest = run.manifest
    return [
        Entry("Kind", manifest.kind),
        _promised_on(manifest),
        Entry("Bound", run.method, "deterministic: nothing is sampled"),
        Entry("Source", run.theorem.cite),
        Entry("Norm", run.norm.value, run.norm.unit),
        Entry("alpha", "0", "no certificate is false by chance"),
        *_promised_data(run.data),
        *_flat("Model", manifest.model, "the classifier"),
        *_place(manifest),
    ]


_ENTRIES: dict[type[CertifiedRun], Callable[[Any], list[Entry]]] = {
    VoteRun: _of_votes,
    ImportedRun: _of_log,
    BoundRun: _of_bound,
}


def _promised_on(manifest: RunManifest) -> Entry:
    return Entry("Promised on", manifest.created, "UTC, before the first sample")


def _promised_data(data: DataManifest) -> list[Entry]:
    return [
        _source(data),
        Entry("Subset", data.subset(), "fixed beforehand"),
        _hash(data),
        Entry("Shape of an input", _shape(data), "channels x height x width" if len(data.shape) == 3 else "features"),
        Entry("Range of an input", f"{data.low:g} to {data.high:g}", "in input units; values outside are refused"),
        _classes(data),
    ]


def _source(data: DataManifest) -> Entry:
    size = "number of examples not known" if data.split_size is None else f"{data.split_size} examples"
    return Entry("Data", f"{data.source}, {data.split} split, {size}")


def _hash(data: DataManifest) -> Entry:
    return Entry("Hash of the data", data.sha256, "SHA-256 of all inputs and labels, in order")


def _shape(data: DataManifest) -> str:
    return " x ".join(str(size) for size in data.shape)


def _classes(data: DataManifest) -> Entry:
    return Entry("Classes", f"{len(data.class_names)}: {', '.join(data.class_names)}")


def _place(manifest: RunManifest) -> list[Entry]:
    """Where and with what the run was computed."""
    return [
        Entry("Precision", manifest.precision, "of the classifier's computations"),
        Entry("Device", manifest.device),
        *_flat("Version", manifest.versions, ""),
        Entry("Format of the run", str(manifest.format)),
    ]


def _procedure(run: VoteRun | ImportedRun) -> list[Entry]:
    """Noise, theorem, samples and seed."""
    manifest, theorem, estimator = run.manifest, run.theorem, run.estimator
    seed = "not known" if manifest.seed is None else str(manifest.seed)
    return [
        Entry("Noise", str(run.noise), "added in input units, before any normalization"),
        Entry("Guarantee", theorem.name, theorem.cite),
        Entry("Selection samples (n0)", f"{manifest.n0:,}", "per input; they choose the class"),
        Entry("Realizations", f"{estimator.most_draws:,}", "of the noise, each used once per input")
        if estimator.exhaustive
        else Entry(
            "Estimation samples (n)", f"{estimator.most_draws:,}", "per input, drawn separately; they bound its votes"
        ),
        Entry("Estimator", str(manifest.estimator["name"]), "decides when sampling stops"),
        Entry("Class bounds", estimator.method, _METHODS[estimator.method]),
        Entry("alpha", f"{estimator.alpha:g}", "upper bound on the probability that a given certificate is false"),
        Entry(
            "Joint alpha",
            "none" if manifest.joint_alpha is None else f"{manifest.joint_alpha:g}",
            "upper bound on the probability that any certificate of the run is false; none: alpha is per certificate",
        ),
        Entry("Seed", seed, "of all noise; the run can be repeated with it"),
        *_origin(manifest),
        Entry("Block", f"{manifest.block:,}", "samples drawn by one random generator"),
    ]


def _origin(manifest: RunManifest) -> list[Entry]:
    """Where the seed comes from, if recorded."""
    if manifest.seed_origin is None:
        return []
    origin = Entry("Origin of the seed", manifest.seed_origin, _ORIGINS[manifest.seed_origin])
    if manifest.nonce is None:
        return [origin]
    return [
        origin,
        Entry("Nonce", manifest.nonce, "an auditor's, named after the promise was known"),
        Entry("Digest of the promise", manifest.promise or "", "SHA-256 of the manifest before the nonce"),
    ]


def _flat(name: str, tree: Mapping[str, Any], meaning: str) -> list[Entry]:
    if not tree:
        return [Entry(name, "not known", meaning)]
    rows = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            rows += _flat(f"{name}: {key}", value, meaning)
        else:
            text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
            rows.append(Entry(f"{name}: {key}", text, meaning))
    return rows
