"""Which studies the given data allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.reproductions import studies
from holdfast.reproductions.index import kinds_wanted
from holdfast.reproductions.kinds import KINDS, logs_kind
from holdfast.reproductions.records import Job
from holdfast.workflows.specs import open_data_spec

if TYPE_CHECKING:
    from collections.abc import Sequence


def kinds_of(specs: Sequence[str]) -> dict[str, str]:
    """The kind of data of each spec: kind -> spec.

    Raises:
        UsageError: two are of one kind, or one is of none.
        DataError: a data set is missing or corrupt.
    """
    found: dict[str, str] = {}
    for spec in specs:
        logs = logs_kind(spec)
        data = None if logs else open_data_spec(spec, "test")
        kinds = [logs] if logs else [name for name, kind in KINDS.items() if data is not None and kind.fits(data)]
        if data is not None and not kinds:
            raise UsageError(
                f"no study takes the data {spec}: its inputs have the shape {data.shape}, in [{data.low:g}, "
                f"{data.high:g}], of {len(data.class_names)} classes, from the source {data.source!r}. Studies take "
                f"{kinds_wanted()}"
            )
        for kind in kinds:
            if kind in found:
                raise UsageError(
                    f"{found[kind]} and {spec} are both {kind}; give each kind of data once, and the other copy "
                    "in a call with another output folder"
                )
            found[kind] = spec
    return found


def jobs_for(given: dict[str, str]) -> list[Job]:
    """Every study with each kind of data that it takes and that is given; without any of them, one job without data."""
    jobs = []
    for study in studies():
        kinds = [kind for kind in study.data if kind in given]
        jobs += [Job(study, kind, given[kind]) for kind in kinds] or [Job(study, None, None)]
    return jobs
