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
    """A run of deterministic bounds on a classifier without noise: alpha is 0, and nothing was sampled."""

    no_votes: ClassVar[str] = "has a deterministic bound and no votes"
    estimator: Proved
    noise: None

    @classmethod
    def of(cls, run: Run) -> Self:
        """Take the radii as recorded, since they cannot be recomputed without the model."""
        manifest, bound = run.manifest, proved_of(run.manifest)
        theorem = Guarantee(manifest.guarantee, Norm(bound.norm), bound.source, _no_radius)
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
        """What the bound assumes."""
        return self.estimator.assumption

    @property
    def attainable(self) -> float | None:
        """The bound's epsilon; None if its radii depend on the input."""
        return self.estimator.most

    @property
    def sampling_limit(self) -> None:
        """None: n and alpha do not limit a deterministic bound."""

    @property
    def furthest(self) -> float | None:
        """The bound's epsilon, or the largest radius of an example."""
        return largest(self.results) if self.attainable is None else self.attainable

    @property
    def asked(self) -> tuple[float, ...]:
        """The bound's epsilon, if it has one."""
        return () if self.attainable is None else (self.attainable,)

    @property
    def space(self) -> tuple[float, float]:
        """The range in the manifest."""
        return self.data.low, self.data.high

    @property
    def condition(self) -> str | None:
        """That its values are in the range of the data, if the bound holds only there."""
        if not self.estimator.in_range:
            return None
        return f"every value of the changed input lies between {self.data.low:g} and {self.data.high:g}"

    @property
    def claimed(self) -> None:
        """None: the radii were computed here."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """Only the subset: there is no seed."""
        return chosen_in(self.manifest, certain=True)


def _no_radius(noise: object, bounds: ClassBounds, shape: tuple[int, ...]) -> float | None:
    """A deterministic bound does not compute radii from class bounds."""
    return None
