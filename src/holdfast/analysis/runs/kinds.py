"""The class for each kind of run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.runs.bounds import BoundRun
from holdfast.analysis.runs.imported import ImportedRun
from holdfast.analysis.runs.votes import VoteRun
from holdfast.store.run_manifest import BOUND, CERTIFY, IMPORTED

if TYPE_CHECKING:
    from holdfast.analysis.runs.base import CertifiedRun
    from holdfast.store.run import Run

# Keys: the kind in the manifest.
_KINDS: dict[str, type[CertifiedRun]] = {CERTIFY: VoteRun, IMPORTED: ImportedRun, BOUND: BoundRun}


def analyze(run: Run) -> CertifiedRun:
    """Resolve a run: look up its noise, theorem and estimator, and compute a result for each record.

    Raises:
        UsageError: the manifest has an unknown name or a parameter out of range.
    """
    return _KINDS[run.manifest.kind].of(run)
