"""Certify a data set into a run, from Python."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.jobs.given import engine_of, sample_of, setup_of, threads_kept
from holdfast.jobs.kept import place
from holdfast.jobs.progress import of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine


def certify(
    model: object,
    data: DataSet | str | Path,
    noise: Noise | str | None = None,
    *,
    out: str | Path | None = None,
    n: int = 10_000,
    n0: int = 100,
    alpha: float = 0.001,
    method: str = "split",
    theorem: str | None = None,
    joint: bool = False,
    until_radius: float | Sequence[float] = (),
    until_precision: float | None = None,
    every: int = 1,
    limit: int | None = None,
    sample: int | str | None = None,
    seed: int | None = None,
    precision: str = "float32",
    backend: str = "auto",
    engine: Engine | None = None,
    progress: bool | Callable[[Progress], None] = True,
) -> CertifiedRun:
    """Certify a data set into a run on the disk, as `holdfast certify` does. The same call resumes it.

    Args:
        model: what `load_model` gives or takes.
        data: the split that is certified, or a spec of which the test split is taken.
        noise: that smooths the model, as an object or a spec; None for the one that it was trained for.
        out: folder of the run: its manifest is written before the first sample, a record after each example. None for a
            temporary folder that goes with the object that is returned (`CertifiedRun.save` keeps it), and that an
            interruption loses.
        n: estimation samples of each example; at most, if it is to stop early.
        n0: selection samples of each example.
        alpha: failure probability of each certificate; with `joint` of all of them together.
        method: "split" bounds the probability of every class, "cohen" that of the top class only, as the papers do.
        theorem: name of the guarantee, which decides the norm of the radius; None for the noise's first one.
        joint: all certificates of the run hold together with probability 1 - alpha.
        until_radius: stop an example once this radius, or each of these, is certified or hopeless.
        until_precision: stop an example once its radius is within this share of what n samples would give.
        every: certify one example in so many, from the first on.
        limit: certify so many examples at most; None for all.
        sample: a random sample of so many examples instead, as in 500 or "500:7" with a seed; None for none.
        seed: of all noise; None for fresh entropy, or that of the run that is resumed.
        precision: float32, bfloat16 or int8: in which the base classifier computes.
        backend: what computes the logits; "auto" takes the fastest where that is worth it.
        engine: where to compute; None for one thread of this process. Results do not depend on it.
        progress: True for a bar where stderr is a terminal or the caller a notebook; False for none; or a function that
            is called after each batch, with `examples_done`, `examples_total`, `samples` and `seconds`.

    Returns:
        The finished run, with its certificates.

    Warns:
        HoldfastWarning: the model was trained for another noise, or the subset is no sample of its split.

    Raises:
        UsageError: arguments that do not fit together.
        RunError: the run in `out` has other settings, or is corrupt.
        InputError, ClassifierError: an example, or what the model returns, cannot be right.
    """
    from holdfast.analysis.runs import analyze
    from holdfast.estimators.base import radii_of
    from holdfast.store.run import read_run
    from holdfast.workflows.certify import Settings, certify_into
    from holdfast.workflows.question import Question

    where = engine_of(engine)
    setup = setup_of(model, data, noise, precision, where.device, theorem)
    question = Question(n0, n, alpha, method, radii_of(until_radius), until_precision)
    settings = Settings.of(
        setup,
        question,
        joint=joint,
        every=every,
        limit=limit,
        sample=sample_of(sample),
        engine=where,
        seed=seed,
        backend=backend,
    )
    folder, owner = place(out)
    with of_run(f"certify {folder.name}", progress) as show, threads_kept():
        certify_into(folder, setup, settings, show)
    return replace(analyze(read_run(folder)), owner=owner)
