"""Runs with everything that follows from them: names in the manifest looked up, results of the records computed.

Each of the three kinds of runs is a class. The sentences about them are in `wording`.
"""

from holdfast.analysis.runs.base import CertifiedRun
from holdfast.analysis.runs.bounds import BoundRun
from holdfast.analysis.runs.imported import ImportedRun, limit_known
from holdfast.analysis.runs.kinds import analyze
from holdfast.analysis.runs.votes import VoteRun

__all__ = ["BoundRun", "CertifiedRun", "ImportedRun", "VoteRun", "analyze", "limit_known"]
