"""Everything that a manifest promised, as a table of names, values and what they mean."""

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
    "cohen": "the top class gets all of alpha; every other class has at most the rest (the papers' bound)",
    "split": "the top class gets 0.9 alpha, and the other classes share 0.1 alpha for bounds of their own",
    "exact": "nothing is estimated: every realization of the noise was taken once",
}
_ORIGINS = {
    CHOSEN: "by whoever made the run, who may have tried others",
    ENTROPY: "of the operating system, as whoever made the run says",
    DERIVED: "from the promise and the nonce: nobody could choose it who did not know the nonce beforehand",
}


@dataclass(frozen=True)
class Entry:
    """One promise of a manifest: what it is called, its value, and what that means."""

    name: str
    value: str
    meaning: str = ""


def entries(run: CertifiedRun) -> list[Entry]:
    """Everything that the manifest promised before the first sample, in plain words."""
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
    """The manifest of a log tells neither the space of its inputs nor which examples it is about."""
    manifest, data = run.manifest, run.data
    return [
        Entry("Kind", manifest.kind, "imported: a log of another tool"),
        Entry("Imported on", manifest.created, "UTC"),
        Entry("Procedure", "as named at the import", "the log tells neither noise nor samples nor alpha"),
        *_procedure(run),
        _source(data),
        Entry("Subset", run.subset.words),
        _hash(data),
        Entry("Shape of an input", _shape(data), "of that data set; the log does not tell it")
        if data.shape_known
        else Entry("Shape of an input", "not known"),
        Entry("Range of an input", "not known", "nor what its units are: the log does not tell"),
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


_AXES = {1: "features", 2: "channels x time", 3: "channels x height x width"}
_ENTRIES: dict[type[CertifiedRun], Callable[[Any], list[Entry]]] = {
    VoteRun: _of_votes,
    ImportedRun: _of_log,
    BoundRun: _of_bound,
}


def _promised_on(manifest: RunManifest) -> Entry:
    return Entry("Promised on", manifest.created, "before the first sample (UTC)")


def _promised_data(data: DataManifest) -> list[Entry]:
    return [
        _source(data),
        Entry("Subset", data.subset(), "fixed beforehand"),
        _hash(data),
        Entry("Shape of an input", _shape(data), _AXES.get(len(data.shape), "channels first")),
        Entry("Range of an input", f"{data.low:g} to {data.high:g}", "input units; anything outside is refused"),
        _classes(data),
        *(Entry("Decided by the data source", note) for note in data.notes or ()),
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
    """Where it was computed, and by what."""
    return [
        Entry("Precision", manifest.precision, "in which the classifier computes"),
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
        Entry("Selection samples (n0)", f"{manifest.n0:,}", "of each input; they choose the class"),
        Entry("Realizations", f"{estimator.most_draws:,}", "of the noise, each taken once for each input")
        if estimator.exhaustive
        else Entry(
            "Estimation samples (n)", f"{estimator.most_draws:,}", "of each input, drawn apart; they bound its votes"
        ),
        Entry("Estimator", str(manifest.estimator["name"]), "when sampling stops"),
        Entry("Class bounds", estimator.method, _METHODS[estimator.method]),
        Entry("alpha", f"{estimator.alpha:g}", "probability that one certificate is false, at most"),
        Entry(
            "Joint alpha",
            "none" if manifest.joint_alpha is None else f"{manifest.joint_alpha:g}",
            "probability that any certificate of the run is false, at most; none: promised for each one only",
        ),
        Entry("Seed", seed, "of all noise; with it the run can be repeated"),
        *_origin(manifest),
        Entry("Block", f"{manifest.block:,}", "samples that one random generator draws"),
    ]


def _origin(manifest: RunManifest) -> list[Entry]:
    """Where the seed comes from."""
    if manifest.seed_origin is None:
        return []
    said = Entry("Origin of the seed", manifest.seed_origin, _ORIGINS[manifest.seed_origin])
    if manifest.nonce is None:
        return [said]
    return [
        said,
        Entry("Nonce", manifest.nonce, "of an auditor, named when the promise was known"),
        Entry("Digest of the promise", manifest.promise or "", "SHA-256 of the manifest before the nonce"),
    ]


def _flat(name: str, tree: Mapping[str, Any], meaning: str) -> list[Entry]:
    if not tree:
        return [Entry(name, "not known", meaning)]
    found = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found += _flat(f"{name}: {key}", value, meaning)
        else:
            found.append(
                Entry(
                    f"{name}: {key}", value if isinstance(value, str) else json.dumps(value, allow_nan=False), meaning
                )
            )
    return found
