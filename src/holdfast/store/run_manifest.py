"""The manifest of a run, written before its first sample: everything that its certificates depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from holdfast.errors import RunError, UsageError
from holdfast.estimators import Estimator, Proved, check_samples, estimator_from_dict, scale_of
from holdfast.formats.manifests import RunDocument
from holdfast.noises.base import find_guarantee, noise_from_dict
from holdfast.store.data_manifest import DataManifest
from holdfast.store.manifest import Manifest, read_manifest, stored_manifest

if TYPE_CHECKING:
    from holdfast.folders import Folder, Where
    from holdfast.noises.base import Guarantee, Noise
    from holdfast.types import ClassBounds

FORMAT = 2
FILE_NAME = "manifest.json"

CERTIFY, IMPORTED, BOUND = "certify", "imported", "bound"

# alpha times the number of examples meets joint_alpha up to the rounding of float64.
_JOINT_SLACK = 2.0**-40


@dataclass(frozen=True)
class RunManifest(Manifest):
    """Everything that a run's certificates depend on.

    Attributes:
        kind: "certify", "imported" for a log that another tool wrote, or "bound" for deterministic bounds on a
            classifier without noise.
        noise: name and parameters of the noise; empty for a bound.
        guarantee: name of the theorem, or of the bound.
        estimator: name and parameters of the estimator, alpha included.
        n0: selection samples of each input.
        data: which examples.
        model: architecture, arguments, the hash of the weights, digests of the architecture's code, and the backend
            that computes with them; empty for an imported log.
        joint_alpha: failure probability of all certificates together; None where each holds by itself. The
            estimator's alpha is then this one divided by the number of examples.
        seed: seed of all noise; None for an imported log and for a bound, and while it awaits an auditor's nonce.
        block: samples that one generator draws.
        precision: precision of the base classifier.
        device: kind of device, "cpu" or "cuda".
        versions: versions of Holdfast and of the libraries that noise and votes come from, and a digest of the code of
            noise, estimator, backend and loop.
        created: when the manifest was made, UTC; not compared on resuming.
        format: format of this file and of the records.
        seed_origin: "chosen" by whoever made the run, "entropy" of the operating system, or "derived" from the promise
            and an auditor's nonce; None without a seed, and in the manifests of older versions.
        nonce: nonce that the seed is derived from, in hexadecimal; None for none.
        promise: digest of this manifest before the nonce was known; None without a nonce.
    """

    document: ClassVar[Any] = RunDocument
    file_name: ClassVar[str] = FILE_NAME
    what: ClassVar[str] = "a run"
    made_by: ClassVar[str] = "holdfast certify"
    current: ClassVar[int] = FORMAT
    kind: str
    noise: dict[str, Any]
    guarantee: str
    estimator: dict[str, Any]
    n0: int
    data: DataManifest
    model: dict[str, Any]
    seed: int | None
    block: int
    precision: str
    device: str
    versions: dict[str, str]
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT
    joint_alpha: float | None = None
    seed_origin: str | None = None
    nonce: str | None = None
    promise: str | None = None


class Smoothing(NamedTuple):
    """What a manifest names of a smoothed classifier, looked up: noise, theorem, and when sampling stops."""

    noise: Noise
    theorem: Guarantee
    estimator: Estimator


def smoothing_of(manifest: RunManifest) -> Smoothing:
    """What the manifest of a run with votes, or of an imported log, names.

    Raises:
        UsageError: an unknown name, or a parameter out of range.
    """
    check_samples("n0", manifest.n0, 0)
    noise = noise_from_dict(manifest.noise)
    theorem = find_guarantee(noise, manifest.guarantee)
    scale = scale_of(noise, theorem.name, manifest.data.shape)
    return Smoothing(noise, theorem, estimator_from_dict(manifest.estimator, scale))


def estimator_of(manifest: RunManifest) -> Estimator:
    """The estimator of `smoothing_of`."""
    return smoothing_of(manifest).estimator


def checked_estimator(manifest: RunManifest) -> Estimator:
    """The estimator of a run with votes, where noise, theorem, estimator and inputs fit together.

    Raises:
        UsageError: they do not.
    """
    noise, _, estimator = smoothing_of(manifest)
    data = manifest.data
    noise.check_inputs(data.shape, data.low, data.high)
    count = noise.realizations(data.shape) if estimator.exhaustive else None
    if estimator.exhaustive and estimator.most_draws != count:
        raise UsageError(
            f"the estimator takes {estimator.most_draws} realizations of {noise}, which has {count} for inputs of "
            f"shape {data.shape}"
        )
    if estimator.ranked != noise.runoff:
        raise UsageError(f"the estimator {estimator.name} does not decide as {noise} says")
    joint, spent = manifest.joint_alpha, estimator.alpha * len(data.indices())
    if joint is not None and not math.isclose(spent, joint, rel_tol=_JOINT_SLACK):
        raise UsageError(f"joint_alpha = {joint:g}, and alpha times the number of examples is {spent:g}")
    return estimator


def proved_of(manifest: RunManifest) -> Proved:
    """The entries of a manifest about its deterministic bound.

    Raises:
        RunError: it is about a smoothed classifier.
    """
    named = manifest.estimator.get("name") == Proved.name
    found = estimator_from_dict(manifest.estimator, _no_scale) if named else None
    if not isinstance(found, Proved):
        raise RunError("this run has votes of a smoothed classifier, and no deterministic bound")
    return found


def _no_scale(bounds: ClassBounds) -> float | None:
    return None


def backend_of(manifest: RunManifest) -> str:
    """The name of the backend in a manifest; torch if it names none."""
    return str(manifest.model.get("backend", {}).get("name", "torch"))


def read_run_manifest(folder: Where | Folder) -> RunManifest:
    """The manifest of a run; see `read_manifest`."""
    return read_manifest(folder, RunManifest)


def stored_run_manifest(folder: Where) -> RunManifest | None:
    """The manifest of a run that was begun in a folder; see `stored_manifest`."""
    return stored_manifest(folder, RunManifest)
