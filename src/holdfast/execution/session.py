"""One session of work on a folder: what certifying, attacking and bounding share when they start, resume and end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from holdfast.store.run import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Protocol

    from holdfast.store.manifest import Manifest

    AnyRecord_contra = TypeVar("AnyRecord_contra", contravariant=True)

    class Store(Protocol[AnyRecord_contra]):
        """A run or an attack, opened for appending."""

        done: set[int]

        @property
        def manifest(self) -> Manifest:
            """The manifest."""

        def append(self, records: Iterable[AnyRecord_contra], /) -> None:
            """Write records and return when they are on the disk."""

        def log_session(self, session: Session) -> None:
            """Append to the log of sessions."""

        def conclude(self) -> None:
            """Write the digest of the results if every example has a record."""


AnyRecord = TypeVar("AnyRecord")


@dataclass(frozen=True)
class Progress:
    """The progress of a run; the caller gets it after each batch."""

    examples_done: int
    examples_total: int
    samples: int
    seconds: float


@contextmanager
def session(
    store: Store[AnyRecord],
    on_progress: Callable[[Progress], None] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    flush_seconds: float = 0.0,
) -> Iterator[Work[AnyRecord]]:
    """The work that a folder still lacks. However the block ends, finished records are on the disk, and its log too.

    A block that ends without an error has done all: the store is then concluded.

    Args:
        store: an open run or attack.
        on_progress: called when `Work.count` or `Work.tell` is.
        settings: settings of this session, for the log.
        flush_seconds: how long finished records may wait for others, to be flushed to the disk together.
    """
    work = Work(store, on_progress, flush_seconds)
    try:
        try:
            yield work
        finally:
            work.flush()
    finally:
        work.log(settings or {})
    store.conclude()


class Work(Generic[AnyRecord]):
    """The examples that have no record yet: takes their records, counts samples and seconds, and reports progress.

    Args:
        store: where records go.
        on_progress: called with how far the run is.
        flush_seconds: see `session`.

    Attributes:
        todo: indices of the examples without a record, in the order of the subset.
    """

    def __init__(
        self, store: Store[AnyRecord], on_progress: Callable[[Progress], None] | None, flush_seconds: float
    ) -> None:
        indices = store.manifest.data.indices()
        self.todo = [index for index in indices if index not in store.done]
        self._store = store
        self._pending: list[AnyRecord] = []
        self._total, self._done = len(indices), len(store.done)
        self._written = self._samples = 0
        self._start = self._flushed = time.perf_counter()
        self._flush_seconds = flush_seconds
        self._on_progress = on_progress

    def record(self, *records: AnyRecord) -> None:
        """Take the records of finished examples; flush them if the last flush was long enough ago.

        Raises:
            StorageError: they cannot be written.
        """
        self._pending.extend(records)
        self._done += len(records)
        now = time.perf_counter()
        if now - self._flushed >= self._flush_seconds:
            self._flushed = now
            self.flush()

    def flush(self) -> None:
        """Write the records that wait, and return when they are on the disk.

        Raises:
            StorageError: they cannot be written.
        """
        # Taken out first: what the disk refused once is not tried again on the way out.
        batch, self._pending = self._pending, []
        self._store.append(batch)
        self._written += len(batch)

    def count(self, samples: int) -> None:
        """Add to the number of samples, and report progress."""
        self._samples += samples
        self.tell()

    def tell(self) -> None:
        """Report progress."""
        if self._on_progress:
            self._on_progress(Progress(self._done, self._total, self._samples, self._seconds()))

    def log(self, settings: Mapping[str, Any]) -> None:
        """Log this session, unless it has finished no example."""
        if self._written:
            self._store.log_session(Session(self._written, self._samples, self._seconds(), dict(settings)))

    def _seconds(self) -> float:
        return time.perf_counter() - self._start
