"""Runs of certificates computed from votes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis.accuracy import Result
from holdfast.analysis.choices import chosen_in
from holdfast.analysis.runs.base import SmoothedRun, records_of
from holdfast.estimators import concluded
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import smoothing_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from holdfast.store.run import Run


@dataclass(frozen=True, eq=False, repr=False)
class VoteRun(SmoothedRun):
    """A run of certificates, whose radii all follow from its votes."""

    no_votes: ClassVar[str] = ""

    @classmethod
    def of(cls, run: Run) -> Self:
        """Compute the radii from the votes."""
        noise, theorem, estimator = smoothing_of(run.manifest)
        shape, results = run.manifest.data.shape, []
        for record in records_of(run, VoteRecord):
            proved = concluded(theorem, noise, estimator, shape, record.selection, record.estimation)
            answer = estimator.informed(record.selection).answer(proved.bounds.top, record.estimation)
            results.append(Result(record.index, record.label, proved.label, proved.radius, answer, proved))
        return cls(run, theorem, estimator, noise, tuple(results))

    @cached_property
    def attainable(self) -> float | None:
        """The radius that unanimous votes certify."""
        return self.unanimous()

    @property
    def furthest(self) -> float | None:
        """The radius that unanimous votes certify."""
        return self.attainable

    @property
    def space(self) -> tuple[float, float]:
        """The range in the manifest."""
        return self.data.low, self.data.high

    @property
    def claimed(self) -> None:
        """None: the radii were computed here."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The seed, if anything was random, and the subset."""
        return chosen_in(self.manifest, certain=self.estimator.exhaustive)
