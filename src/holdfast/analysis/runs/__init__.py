"""A run resolved once: what its manifest names is looked up, and what its records say is computed, here alone.

The three kinds of runs are three classes. What differs between them is asked of them; what is said of them is in
`wording`.
"""

from holdfast.analysis.runs.base import CertifiedRun
from holdfast.analysis.runs.bounds import BoundRun
from holdfast.analysis.runs.imported import ImportedRun, limit_known
from holdfast.analysis.runs.kinds import analyze
from holdfast.analysis.runs.votes import VoteRun

__all__ = ["BoundRun", "CertifiedRun", "ImportedRun", "VoteRun", "analyze", "limit_known"]
