"""The interface of a run of any kind, with everything that follows from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from holdfast.errors import RunError
from holdfast.estimators import best_radius
from holdfast.store.run import BoundRecord, ClaimRecord, VoteRecord
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from typing_extensions import Self

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.class_tables import ClassTable
    from holdfast.analysis.run_comparison import RunComparison
    from holdfast.analysis.run_tables import RunTable
    from holdfast.estimators import Estimator
    from holdfast.folders import Where
    from holdfast.noises.base import Guarantee, Noise
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import Run
    from holdfast.store.run_manifest import RunManifest
    from holdfast.store.subsets import Subset
    from holdfast.types import Norm

AnyRecord = TypeVar("AnyRecord", VoteRecord, ClaimRecord, BoundRecord)


@dataclass(frozen=True, eq=False, repr=False)
class CertifiedRun(ABC):
    """A run, and everything that follows from it: what `certify`, `bound` and `load_run` return.

    Attributes:
        run: as stored on disk.
        theorem: the source of its radii, with norm and citation.
        estimator: as named in the manifest.
        noise: the smoothing noise; None for a deterministic bound.
        results: one for each record, in the order of the indices.
        owner: what removes its temporary folder when it is gone; None for a folder that stays.
    """

    # Why there are no votes to compute from; empty if there are votes.
    no_votes: ClassVar[str]
    run: Run
    theorem: Guarantee
    estimator: Estimator
    noise: Noise | None
    results: tuple[Result, ...]
    owner: object | None = field(default=None, kw_only=True)

    @classmethod
    @abstractmethod
    def of(cls, run: Run) -> Self:
        """Resolve the run."""

    @property
    def folder(self) -> Where:
        """The folder of the run."""
        return self.run.folder

    @property
    def name(self) -> str:
        """The name of the folder."""
        return visible(self.folder.name)

    @property
    def manifest(self) -> RunManifest:
        """The manifest of the run."""
        return self.run.manifest

    @property
    def data(self) -> DataManifest:
        """The data and subset in the manifest."""
        return self.manifest.data

    @property
    def norm(self) -> Norm:
        """The norm of the radii."""
        return self.theorem.norm

    @property
    def alpha(self) -> float:
        """Failure probability of each certificate; 0.0 if nothing was sampled."""
        return self.estimator.alpha

    @cached_property
    def subset(self) -> Subset:
        """The examples that have records, and what the intervals of their numbers cover."""
        return self.data.there(self.run.records)

    @property
    @abstractmethod
    def method(self) -> str:
        """The noise, or the deterministic bound, as on the command line."""

    @property
    @abstractmethod
    def assumption(self) -> str:
        """What the theorem assumes, in a sentence or two."""

    @property
    @abstractmethod
    def attainable(self) -> float | None:
        """The largest radius that could have been certified.

        None if not even radius 0, or if it is not known because it depends on the input, or on a shape that an
        imported log does not state.
        """

    @property
    @abstractmethod
    def sampling_limit(self) -> float | None:
        """`attainable` if n and alpha limit it; None otherwise."""

    @property
    @abstractmethod
    def furthest(self) -> float | None:
        """`attainable`, or the largest radius of an example if that is not known."""

    @property
    @abstractmethod
    def asked(self) -> tuple[float, ...]:
        """The radii at which a bound only decides yes or no; empty if each example has its own radius."""

    @property
    @abstractmethod
    def space(self) -> tuple[float, float] | None:
        """The smallest and largest value of an input; None if they are unknown, and the shape is uncertain."""

    @property
    @abstractmethod
    def condition(self) -> str | None:
        """What a certificate requires of a changed input besides being near; None for nothing."""

    @property
    @abstractmethod
    def claimed(self) -> str | None:
        """A note that the radii are claims of another tool, as the middle of a sentence; None if they are not."""

    @property
    @abstractmethod
    def chosen(self) -> tuple[str, ...]:
        """What the author of the run could have picked for its result; see `choices.chosen_in`."""

    @final
    def table(self, radii: Iterable[float] | None = None) -> RunTable:
        """Accuracy, abstention, certified radii and certified accuracy, each with its interval.

        Args:
            radii: at which certified accuracy is wanted, in the unit of the norm, each at least 0; None for radii that
                suit the run.

        Raises:
            UsageError: a radius is no finite number from 0 on.
            RunError: there are no records.
        """
        from holdfast.analysis.run_tables import table_of

        return table_of(self, radii)

    @final
    def by_class(self, radii: Iterable[float] | None = None) -> ClassTable:
        """Certified accuracy of each class, their mean (balanced), and that of the worst class, with intervals.

        Args:
            radii: as for `table`.

        Raises:
            UsageError: a radius is no finite number from 0 on.
            RunError: there are no records.
        """
        from holdfast.analysis.class_tables import class_table

        return class_table(self, radii)

    @final
    def compare(self, *others: CertifiedRun, radii: Iterable[float] | None = None) -> RunComparison:
        """Which of several runs on the same images certifies more at each radius, with paired intervals.

        Args:
            others: runs of the same images in the same norm; models, noises and estimators may differ.
            radii: as for `table`.

        Raises:
            UsageError: no other run, one given twice, or a radius that is no finite number from 0 on.
            RunError: a run has no records, they are about different images, or their norms differ.
        """
        from holdfast.analysis.run_comparison import compare_runs

        return compare_runs([self, *others], radii)

    @final
    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row for each record.

        Its columns: `index`, `label`, `predicted` (the certified class, missing for an abstention), `radius` (0.0 for
        an abstention), `p_lower` and `p_upper` (missing for an imported log), `n` (estimation samples of the example,
        missing for an imported log) and `correct` (certified and right).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from holdfast.analysis.frames import frame_of_run

        return frame_of_run(self)

    @final
    def plot(self, ax: Any = None) -> Any:
        """Draw certified accuracy over the radius, with its pointwise 95% band.

        Args:
            ax: axes of matplotlib, in which several runs of one norm may be drawn; None for new ones.

        Returns:
            The axes.

        Raises:
            RunError: there are no records.
            MissingExtraError: matplotlib is not installed.
        """
        from holdfast.analysis.plots import draw_run

        return draw_run(self, ax)

    @final
    def report(
        self,
        path: str | Path,
        radii: Iterable[float] | None = None,
        *,
        title: str | None = None,
        attacks: Iterable[AttackResult] = (),
    ) -> Path:
        """Write the report of `holdfast report`: one HTML file that loads nothing.

        Args:
            path: of the file.
            radii: as for `table`.
            title: heading of the report.
            attacks: on certificates of this run, to be shown beside them.

        Returns:
            The path of the file.

        Raises:
            UsageError: a radius is no number from 0 on, or an attack is on another run.
            RunError: there are no records.
            MissingExtraError: a package that draws is not installed.
            StorageError: the file cannot be written.
        """
        from holdfast.analysis.report import write_report
        from holdfast.analysis.run_tables import checked_radii
        from holdfast.outputs import check_place

        out = Path(path)
        check_place(out)
        write_report([self], out, None if radii is None else checked_radii(radii), title, [a.run for a in attacks])
        return out

    @final
    def save(self, folder: str | Path) -> Self:
        """Copy the run into a folder that stays.

        Args:
            folder: that is not there yet, or is empty.

        Returns:
            The run that lies there.

        Raises:
            StorageError: something is there already, or the disk refuses.
        """
        from holdfast.store.copies import copy_folder
        from holdfast.store.run import read_run

        return self.of(read_run(copy_folder(self.folder, folder)))

    def __repr__(self) -> str:
        records = len(self.run.records)
        count = f"{records:,} examples" if not self.run.missing else f"{records:,} of {records + self.run.missing:,}"
        alpha = f", alpha={self.alpha:g}" if self.alpha else ""
        kept = "" if self.owner is None else "; a temporary folder, which goes with this object: save(FOLDER) keeps it"
        return f"<CertifiedRun '{visible(self.folder)}': {count}, {self.method}, {self.norm.value}{alpha}{kept}>"

    def _repr_html_(self) -> str:
        from holdfast.analysis.shown import html_lines

        if not self.results:
            return html_lines([repr(self)])
        return f"{html_lines([repr(self)])}{self.table()._repr_html_()}"

    @final
    def among(self, indices: Container[int]) -> Self:
        """The run reduced to the examples with these indices; nothing is recomputed."""
        records = tuple(record for record in self.run.records if record.index in indices)
        results = tuple(result for result in self.results if result.index in indices)
        return replace(self, run=replace(self.run, records=records), results=results)

    @final
    def check_votes(self, so: str) -> None:
        """Raise RunError unless there are votes.

        Args:
            so: what cannot be done without them, for the error: "nothing can be projected".
        """
        if self.no_votes:
            raise RunError(f"{self.folder} {self.no_votes}, so {so}")


@dataclass(frozen=True, eq=False, repr=False)
class SmoothedRun(CertifiedRun):
    """A run of a smoothed classifier, whichever tool took the votes."""

    noise: Noise

    @property
    def method(self) -> str:
        """The noise."""
        return str(self.noise)

    @property
    def assumption(self) -> str:
        """What the theorems of the noise assume."""
        return self.noise.assumption

    @property
    def sampling_limit(self) -> float | None:
        """The radius that unanimous votes certify."""
        return self.attainable

    @property
    def asked(self) -> tuple[float, ...]:
        """Empty: each example has its own radius."""
        return ()

    @property
    def condition(self) -> str | None:
        """None: noise applies to all inputs."""
        return None

    def unanimous(self) -> float | None:
        """The radius that unanimous votes certify; None if not even radius 0."""
        classes = len(self.data.class_names)
        return best_radius(self.noise, self.estimator, self.data.shape, classes, self.theorem.name)[0]


def records_of(run: Run, kind: type[AnyRecord]) -> list[AnyRecord]:
    """The records of a run, all of which must be of `kind`."""
    found = [record for record in run.records if isinstance(record, kind)]
    if len(found) < len(run.records):
        raise TypeError(f"{run.folder} has records that are not {kind.__name__}")
    return found


def largest(results: tuple[Result, ...]) -> float:
    """The largest radius of an example; 0.0 without examples."""
    return max((result.radius for result in results), default=0.0)
