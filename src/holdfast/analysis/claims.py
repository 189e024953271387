"""What must be said wherever the radii of an imported log stand: another tool claims them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.store.log_fields import least_meant
from holdfast.store.run import ClaimRecord
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.store.run import Run
    from holdfast.store.run_manifest import RunManifest

_CLAIMED = "radii as claimed by the tool that wrote the log, not derived here from votes"


def reach_known(manifest: RunManifest, norm: Norm) -> bool:
    """Whether what n and alpha allow at most can be computed: a count of pixels depends on the shape of an input."""
    return norm is not Norm.L0 or manifest.data.shape_known


def claimed(run: Run, norm: Norm, attainable: float | None) -> str:
    """What must be said of the radii of an imported log, without a capital and a full stop.

    Args:
        run: an imported one.
        norm: of its radii.
        attainable: the largest radius that n and alpha allow; None if not even radius 0.
    """
    if not reach_known(run.manifest, norm):
        return f"{_CLAIMED}; whether n and alpha allow them depends on the shape of an input, which is not known"
    claims = [record for record in run.records if isinstance(record, ClaimRecord) and record.predicted is not None]
    # As `holdfast verify` counts them.
    beyond = sum(least_meant(repr(claim.radius), norm) > (attainable or 0.0) for claim in claims)
    if not beyond:
        return _CLAIMED
    size = None if attainable is None else formats.with_unit(norm, formats.radius(norm, attainable))
    most = "nothing can be certified" if size is None else f"{size} at most"
    return f"{_CLAIMED}; {beyond} of {len(run.records)} are larger than n and alpha allow: {most}"


def sentences(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """The notes of several runs as sentences, each with the name of its run where there are several runs."""
    runs = list(named)
    notes = [(name, note) for name, note in runs if note is not None]
    return [f"{note[0].upper()}{note[1:]}." if len(runs) == 1 else f"{name}: {note}." for name, note in notes]
