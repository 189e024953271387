"""Which examples a manifest names: the data set, its content, and the subset of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from holdfast.plain import Plain
from holdfast.store.samples import Sample, chosen
from holdfast.store.subsets import TEST_SPLITS, Split, irregular, stated, subset_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.data.base import DataSet
    from holdfast.store.samples import Sample, chosen
from holdfast.store.subsets import Subset

# The hash of data that nobody has seen.
UNKNOWN = "unknown"

# What older versions did not note. Left out of a document that lacks it, so that its digest stays what it was.
NOTED_LATER = ("sorted_by_class", "regular", "sample", "sample_seed", "notes")


class Labelled(Protocol):
    """A record of an example, whatever else it says."""

    @property
    def index(self) -> int:
        """The index of the example in its split."""

    @property
    def label(self) -> int:
        """Its true class."""


@dataclass(frozen=True)
class DataManifest(Plain):
    """The examples of a manifest: the source, its content, and the subset of it, fixed beforehand.

    Attributes:
        source: short name of the source, `digits` or `mnist` say; no path.
        split: `train`, `test`, or `all` for both.
        sha256: hash of all inputs and labels of the split, in order; `unknown` for an imported log.
        size: number of examples in the split; for an imported log about a data set that is not known, as many as its
            indices ask for.
        shape: shape of one input, channels first, or `(features,)`; `(1,)` in an imported log about
            a data set that is not known.
        low: smallest value that an input may have.
        high: largest value that an input may have.
        class_names: one name for each class.
        decoder: library and version that decodes the images; empty for raw values.
        every: the subset takes each `every`-th example, from index 0 on,
        limit: up to this many of them (None: all).
        sorted_by_class: whether the examples of the split come class by class; None where it is not known, in imported
            logs and in the manifests of older versions.
        regular: False for an imported log about other examples than `every` can say, `limit` in number: which ones is
            in the records alone. None else, and in the manifests of older versions.
        sample: the subset is a random sample of so many examples, in the place of `every` and `limit`; None for no
            sample, and in the manifests of older versions.
        sample_seed: the seed of that sample.
        notes: what the source decided by itself or left out, without the folders that lead to the data; None for
            nothing, and in the manifests of older versions. Not compared when a run is resumed.
    """

    source: str
    split: str
    sha256: str
    size: int
    shape: tuple[int, ...]
    low: float
    high: float
    class_names: tuple[str, ...]
    decoder: str = ""
    every: int = 1
    limit: int | None = None
    sorted_by_class: bool | None = None
    regular: bool | None = None
    sample: int | None = None
    sample_seed: int | None = None
    notes: tuple[str, ...] | None = None

    @classmethod
    def of(cls, data: DataSet, every: int = 1, limit: int | None = None, sample: Sample | None = None) -> DataManifest:
        """The entries for every `every`-th example of a data set, at most `limit` of them, or for a random sample.

        Raises:
            UsageError: a sample is asked for together with another choice.
        """
        chosen(len(data), every, limit, sample)
        drawn = sample if sample is not None and sample.size < len(data) else None
        return cls(
            source=data.source,
            split=data.split,
            sha256=data.sha256,
            size=len(data),
            shape=data.shape,
            low=data.low,
            high=data.high,
            class_names=data.class_names,
            decoder=data.decoder,
            every=every,
            limit=limit,
            sorted_by_class=data.is_sorted_by_class,
            sample=None if drawn is None else drawn.size,
            sample_seed=None if drawn is None else drawn.seed,
            notes=data.recorded_notes or None,
        )

    def indices(self) -> Sequence[int]:
        """The indices of the subset, in order."""
        return chosen(self.size, self.every, self.limit, self.drawn)

    @property
    def drawn(self) -> Sample | None:
        """The random sample that the subset is; None where it is none."""
        return None if self.sample is None else Sample(self.sample, self.sample_seed or 0)

    def first(self, count: int) -> DataManifest:
        """A part of the subset: the first so many examples, or of a random sample a smaller one."""
        if count >= len(self.indices()):
            return self
        return replace(self, sample=count) if self.sample is not None else replace(self, limit=count)

    def subset(self) -> str:
        """The subset in plain words; `there` says which of its examples have records."""
        if self.regular is False:
            return irregular(len(self.indices()), self._split())
        return stated(self.indices(), self._split(), self.drawn)

    def there(self, records: Sequence[Labelled]) -> Subset:
        """The part of the subset that has records: in words, and what an interval covers."""
        have, labels = [record.index for record in records], [record.label for record in records]
        return subset_of(have, labels, self._split(), None if self.sha256 == UNKNOWN else self.indices(), self.drawn)

    @property
    def split_size(self) -> int | None:
        """Number of examples in the split; None where it is not known: that of an imported log goes by its name."""
        if self.sha256 != UNKNOWN:
            return self.size
        known = TEST_SPLITS.get(self.source)
        return None if known is None else known.size

    @property
    def shape_known(self) -> bool:
        """Whether inputs are known to have this shape: that of an imported log goes by the name of its data set."""
        return self.sha256 != UNKNOWN or self.source in TEST_SPLITS

    def _split(self) -> Split:
        """The split, as subsets describe it."""
        known = TEST_SPLITS.get(self.source) if self.sha256 == UNKNOWN else None
        classes = len(self.class_names) if known is None else known.classes
        return Split(self.source, self.split, self.split_size, classes, self.sorted_by_class)
