"""Runs of deterministic bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis.accuracy import Result
from holdfast.analysis.choices import chosen_in
from holdfast.analysis.runs.base import CertifiedRun, largest, records_of
from holdfast.estimators import certain
from holdfast.noises.base import Guarantee
from holdfast.store.run import BoundRecord
from holdfast.store.run_manifest import proved_of
from holdfast.types import Norm

if TYPE_CHECKING:
    from typing_extensions import Self

    from holdfast.estimators import Proved
    from holdfast.store.run import Run
    from holdfast.types import ClassBounds


@dataclass(frozen=True, eq=False, repr=False)
class BoundRun(CertifiedRun):
    """Deterministic bounds on a classifier without noise: alpha is 0, and nothing was sampled."""

    no_votes: ClassVar[str] = "has a deterministic bound and no votes"
    estimator: Proved
    noise: None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The radii as they are recorded: they cannot be computed without the model."""
        manifest, bound = run.manifest, proved_of(run.manifest)
        theorem = Guarantee(manifest.guarantee, Norm(bound.norm), bound.source, _nothing)
        classes = len(manifest.data.class_names)
        space = (manifest.data.low, manifest.data.high) if bound.in_range else None
        results = []
        for record in records_of(run, BoundRecord):
            proof = certain(record.answer, record.radius, theorem.norm, classes, space)
            results.append(Result(record.index, record.label, proof.label, proof.radius, record.answer, proof))
        return cls(run, theorem, bound, None, tuple(results))

    @property
    def method(self) -> str:
        """The bound."""
        return self.estimator.spelling

    @property
    def assumption(self) -> str:
        """Of the bound."""
        return self.estimator.assumption

    @property
    def attainable(self) -> float | None:
        """Its epsilon; None where that depends on the input."""
        return self.estimator.most

    @property
    def sampling_limit(self) -> None:
        """None: it says yes or no up to its epsilon, and no n and no alpha limit it."""

    @property
    def furthest(self) -> float | None:
        """Its epsilon, or the largest radius that it gave."""
        return largest(self.results) if self.attainable is None else self.attainable

    @property
    def asked(self) -> tuple[float, ...]:
        """Its epsilon, where it has one."""
        return () if self.attainable is None else (self.attainable,)

    @property
    def space(self) -> tuple[float, float]:
        """As promised."""
        return self.data.low, self.data.high

    @property
    def condition(self) -> str | None:
        """That it lies in the range of the data, for a bound about such inputs alone."""
        if not self.estimator.in_range:
            return None
        return f"every value of the changed input lies between {self.data.low:g} and {self.data.high:g}"

    @property
    def claimed(self) -> None:
        """No claims."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The subset: there is no seed."""
        return chosen_in(self.manifest, certain=True)


def _nothing(noise: object, bounds: ClassBounds, shape: tuple[int, ...]) -> float | None:
    """The theorem of a bound is no function of class bounds."""
    return None
