"""Logs of other tools, whose radii are claims."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis import formats
from holdfast.analysis.accuracy import Result
from holdfast.analysis.runs.base import SmoothedRun, largest, records_of
from holdfast.store.log_fields import least_meant
from holdfast.store.run import ClaimRecord
from holdfast.store.run_manifest import smoothing_of
from holdfast.types import Norm

if TYPE_CHECKING:
    from typing_extensions import Self

    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import Run

_CLAIMED = "radii as claimed by the tool that wrote the log, not derived here from votes"


@dataclass(frozen=True, eq=False, repr=False)
class ImportedRun(SmoothedRun):
    """A log of another tool: its radii are claims, and there are no votes to derive them from."""

    no_votes: ClassVar[str] = "is an imported log: it has radii and no votes"

    @classmethod
    def of(cls, run: Run) -> Self:
        """Take the claims as they are, and the certified class as the answer."""
        noise, theorem, estimator = smoothing_of(run.manifest)
        results = (
            Result(claim.index, claim.label, claim.predicted, claim.radius, claim.predicted, None, claim.seconds)
            for claim in records_of(run, ClaimRecord)
        )
        return cls(run, theorem, estimator, noise, tuple(results))

    @property
    def limit_known(self) -> bool:
        """Whether the largest radius that n and alpha allow can be computed."""
        return limit_known(self.data, self.norm)

    @cached_property
    def attainable(self) -> float | None:
        """The radius that unanimous votes would certify, if known."""
        return self.unanimous() if self.limit_known else None

    @property
    def furthest(self) -> float | None:
        """`attainable`, or the largest claim if that is not known."""
        return largest(self.results) if self.attainable is None else self.attainable

    @property
    def space(self) -> None:
        """None: a log does not state it."""

    @cached_property
    def claimed(self) -> str:
        """That another tool claims the radii, and how many of them n and alpha do not allow."""
        if not self.limit_known:
            return f"{_CLAIMED}; whether n and alpha allow them depends on the shape of an input, which is not known"
        most = self.attainable
        claims = [each.radius for each in self.results if each.predicted is not None]
        # Counted as by `holdfast verify`.
        beyond = sum(least_meant(repr(radius), self.norm) > (most or 0.0) for radius in claims)
        if not beyond:
            return _CLAIMED
        size = None if most is None else formats.with_unit(self.norm, formats.radius(self.norm, most))
        allowed = "nothing can be certified" if size is None else f"{size} at most"
        return f"{_CLAIMED}; {beyond} of {len(self.results)} are larger than n and alpha allow: {allowed}"

    @property
    def chosen(self) -> tuple[str, ...]:
        """Empty: nothing was promised."""
        return ()


def limit_known(data: DataManifest, norm: Norm) -> bool:
    """Whether the largest radius that n and alpha allow can be computed: in L0 it depends on the input shape."""
    return not norm.whole or data.shape_known
