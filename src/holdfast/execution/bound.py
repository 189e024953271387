"""Do what the manifest of a deterministic bound says: a proof for every example without a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from holdfast.errors import RunError
from holdfast.execution.code import code_version
from holdfast.execution.session import session
from holdfast.execution.versions import installed_versions
from holdfast.sampling.inputs import checked_example
from holdfast.store.run import BoundRecord, RunStore
from holdfast.store.run_manifest import BOUND, RunManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdfast.bounds import Bound, Bounded
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.folders import Where
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import Run
    from holdfast.types import Example

# Nothing that is lost when a process is killed takes longer than about this many examples side by side.
_MOST_AT_ONCE = 64
# Relative; far more than rounding moves a radius, and far less than anyone could gain from.
_SLACK = 1e-6


def describe_bound(bound: Bound, data: DataManifest, model: Mapping[str, Any], device: str) -> RunManifest:
    """The manifest of a deterministic bound with this installation."""
    return RunManifest(
        kind=BOUND,
        noise={},
        guarantee=bound.name,
        estimator=_described(bound, data),
        n0=0,
        data=data,
        model=dict(model),
        seed=None,
        block=0,
        precision="float64",
        device=device.partition(":")[0],
        versions={**installed_versions(), **bound.versions(), **code_version(type(bound))},
    )


def _described(bound: Bound, data: DataManifest) -> dict[str, Any]:
    """The estimator entry of a manifest: the bound, and its properties."""
    return {
        "name": "proved",
        "bound": bound.to_dict(),
        "norm": bound.measure.value,
        "source": bound.source,
        "assumption": bound.assumed(data.low, data.high),
        "most": bound.most,
    }


def check_bound(manifest: RunManifest, bound: Bound) -> None:
    """Raise RunError unless a manifest agrees with its bound about norm, reach and assumption.

    Words may be others in another version.
    """
    known = _described(bound, manifest.data)
    same = manifest.versions.get("holdfast") == installed_versions()["holdfast"]
    for name in ("norm", "most", *(("source", "assumption") if same else ())):
        if manifest.estimator.get(name) != known[name]:
            raise RunError(
                f"the manifest says {name} = {manifest.estimator.get(name)!r} of the bound {bound.name}, which has "
                f"{known[name]!r}"
            )
    if manifest.guarantee != bound.name:
        raise RunError(f"the manifest names the guarantee {manifest.guarantee!r}, the bound is {bound.name!r}")


def bound_run(
    folder: Where,
    manifest: RunManifest,
    bounded: Bounded,
    examples: Callable[[Sequence[int]], Iterator[Example]],
    on_progress: Callable[[Progress], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Start or resume a run and return when every example of its subset has a record on the disk.

    Args:
        folder: folder of the run.
        manifest: manifest of the run; an existing run must have the same settings.
        bounded: the bound for the model of the manifest.
        examples: gives the examples of the indices it is called with.
        on_progress: called after each batch.
        settings: settings of this session, for the log.

    Raises:
        RunError, InputError, ClassifierError: see `RunStore`, `checked_example`, `Bounded.certify`.
    """
    data, size = manifest.data, min(_MOST_AT_ONCE, bounded.method.batch)
    with RunStore(folder, manifest) as store, session(store, on_progress, settings) as work:
        for first in range(0, len(work.todo), size):
            batch = [
                checked_example(each, data.shape, data.low, data.high)
                for each in examples(work.todo[first : first + size])
            ]
            proofs = bounded.certify(torch.stack([torch.from_numpy(each.x) for each in batch]))
            work.record(
                *(
                    BoundRecord(each.index, each.label, proof.label, proof.radius)
                    for each, proof in zip(batch, proofs, strict=True)
                )
            )
            work.tell()


def proved_again(
    run: Run, chosen: Sequence[int], bounded: Bounded, examples: DataSet
) -> Iterator[tuple[int, str | None]]:
    """For some records, how the bound differs when it is computed again; None where it does not.

    Radii may differ by what rounding is allowed for: another machine adds in another order.
    """
    records = {record.index: record for record in run.records}
    for index in chosen:
        record, (proof,) = records[index], bounded.certify(torch.from_numpy(examples[index].x).unsqueeze(0))
        if not isinstance(record, BoundRecord):
            yield index, "the record is not that of a deterministic bound"
        elif record.label != examples[index].label or record.answer != proof.label:
            yield index, f"class {record.answer} (label {record.label}) is recorded, class {proof.label} found"
        elif abs(record.radius - proof.radius) > _SLACK * max(record.radius, proof.radius):
            yield index, f"the radius {record.radius!r} is recorded, {proof.radius!r} found"
        else:
            yield index, None
