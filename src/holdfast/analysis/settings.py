"""Everything that a manifest promised, as a table of names, values and what they mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis.accuracy import method_of, noise_of, theorem_of
from holdfast.store.run_manifest import BOUND, IMPORTED, estimator_of
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run_manifest import RunManifest
    from holdfast.store.subsets import Subset

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


def entries(manifest: RunManifest, there: Subset | None = None) -> list[Entry]:
    """Everything that the manifest promised before the first sample, in plain words.

    Args:
        manifest: of the run.
        there: what there is of its subset. The manifest of an imported log does not say which examples it is about.
    """
    data = manifest.data
    shape = " x ".join(str(size) for size in data.shape)
    return [
        Entry("Kind", manifest.kind, "imported: a log of another tool" if manifest.kind == IMPORTED else ""),
        Entry("Imported on", manifest.created, "UTC")
        if manifest.kind == IMPORTED
        else Entry("Promised on", manifest.created, "before the first sample (UTC)"),
        *_how(manifest),
        Entry("Data", f"{data.source}, {data.split} split, {_size(data)}"),
        Entry("Subset", data.subset() if there is None else there.words)
        if manifest.kind == IMPORTED
        else Entry("Subset", data.subset(), "fixed beforehand"),
        Entry("Hash of the data", data.sha256, "SHA-256 of all inputs and labels, in order"),
        *(_space_of_log(shape, data) if manifest.kind == IMPORTED else _space(shape, data)),
        Entry("Classes", f"{len(data.class_names)}: {', '.join(data.class_names)}"),
        *_flat("Model", manifest.model, "the classifier" if manifest.kind == BOUND else "the base classifier"),
        Entry("Precision", manifest.precision, "in which the classifier computes"),
        Entry("Device", manifest.device),
        *_flat("Version", manifest.versions, ""),
        Entry("Format of the run", str(manifest.format)),
    ]


def _space(shape: str, data: DataManifest) -> list[Entry]:
    return [
        Entry("Shape of an input", shape, "channels x height x width" if len(data.shape) == 3 else "features"),
        Entry("Range of an input", f"{data.low:g} to {data.high:g}", "input units; anything outside is refused"),
    ]


def _space_of_log(shape: str, data: DataManifest) -> list[Entry]:
    """What is taken for the input space of a log, which does not tell it."""
    known = Entry("Shape of an input", shape, "of that data set; the log does not tell it")
    return [
        known if data.shape_known else Entry("Shape of an input", "not known"),
        Entry("Range of an input", "not known", "nor what its units are: the log does not tell"),
    ]


def _size(data: DataManifest) -> str:
    size = data.split_size
    return "number of examples not known" if size is None else f"{size} examples"


def _how(manifest: RunManifest) -> list[Entry]:
    """Noise, theorem, samples and seed."""
    theorem, estimator = theorem_of(manifest), estimator_of(manifest)
    if manifest.kind == BOUND:
        return [
            Entry("Bound", method_of(manifest), "deterministic: nothing is sampled"),
            Entry("Source", theorem.cite),
            Entry("Norm", theorem.norm.value, theorem.norm.unit),
            Entry("alpha", "0", "no certificate is false by chance"),
        ]
    seed = "not known" if manifest.seed is None else str(manifest.seed)
    named = [Entry("Procedure", "as named at the import", "the log tells neither noise nor samples nor alpha")]
    return [
        *(named if manifest.kind == IMPORTED else []),
        Entry("Noise", str(noise_of(manifest)), "added in input units, before any normalization"),
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
