"""Prove radii of a model without noise, from Python."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.jobs.given import data_of, model_of, name_of, sample_of, threads_kept
from holdfast.jobs.kept import place
from holdfast.jobs.progress import of_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress


def bound(
    model: object,
    data: DataSet | str | Path,
    bound: str,
    *,
    out: str | Path | None = None,
    every: int = 1,
    limit: int | None = None,
    sample: int | str | None = None,
    device: str = "cpu",
    threads: int = 1,
    progress: bool | Callable[[Progress], None] = True,
) -> CertifiedRun:
    """Prove, without noise and without sampling, how far each input is from another answer: alpha is 0.

    The same call resumes a run that was interrupted, as `holdfast bound` does.

    Args:
        model: what `load_model` gives or takes, trained without noise.
        data: the split, or a spec of which the test split is taken.
        bound: the bound, as in "lipschitz" or "convex:epsilon=0.1,norm=linf".
        out: folder of the run; None for a temporary folder that goes with the object that is returned.
        every: take one example in so many, from the first on.
        limit: take so many examples at most; None for all.
        sample: a random sample of so many examples instead, as in 500 or "500:7" with a seed; None for none.
        device: cpu, cuda or cuda:N.
        threads: processor threads.
        progress: as for `certify`.

    Returns:
        The finished run.

    Raises:
        UsageError: an unknown bound, or one that cannot treat the model.
        RunError: the run in `out` has other settings, or is corrupt.
    """
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run
    from holdfast.workflows.bound import bound_into
    from holdfast.workflows.setup import fitted_model
    from holdfast.workflows.specs import parse_bound

    chosen, examples = parse_bound(bound), data_of(data)
    fitted = fitted_model(model_of(model, device), examples, name_of(data))
    folder, owner = place(out)
    with of_run(f"bound {folder.name}", progress) as show, threads_kept():
        bound_into(
            folder,
            chosen,
            fitted,
            examples,
            every,
            limit,
            device,
            threads,
            sample=sample_of(sample),
            on_progress=show,
        )
    return replace(analyze(read_run(folder)), owner=owner)
