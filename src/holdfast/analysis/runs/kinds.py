"""Which class a run on the disk is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.runs.bounds import BoundRun
from holdfast.analysis.runs.imported import ImportedRun
from holdfast.analysis.runs.votes import VoteRun
from holdfast.store.run_manifest import BOUND, CERTIFY, IMPORTED

if TYPE_CHECKING:
    from holdfast.analysis.runs.base import CertifiedRun
    from holdfast.store.run import Run

# By the kind that a manifest names.
_KINDS: dict[str, type[CertifiedRun]] = {CERTIFY: VoteRun, IMPORTED: ImportedRun, BOUND: BoundRun}


def analyze(run: Run) -> CertifiedRun:
    """A run with its noise, theorem and estimator, and a result for each record: looked up and computed once.

    Raises:
        UsageError: the manifest names something unknown, or a parameter out of range.
    """
    return _KINDS[run.manifest.kind].of(run)
