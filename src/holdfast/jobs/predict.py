"""Ask the smoothed classifier about a data set, from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.jobs.given import engine_of, sample_of, setup_of, threads_kept
from holdfast.jobs.progress import of_count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.data.base import DataSet
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine
    from holdfast.workflows.predict import Answers


def predict(
    model: object,
    data: DataSet | str | Path,
    noise: Noise | str | None = None,
    *,
    n: int = 1_000,
    alpha: float = 0.001,
    fixed: bool = False,
    every: int = 1,
    limit: int | None = None,
    sample: int | str | None = None,
    seed: int | None = None,
    precision: str = "float32",
    backend: str = "auto",
    engine: Engine | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> Answers:
    """The smoothed classifier's class for each input, or abstention, as `holdfast predict` gives it. No run is kept.

    Args:
        model: what `load_model` gives or takes.
        data: the split, or a spec of which the test split is taken.
        noise: that smooths the model, as an object or a spec; None for the one that it was trained for.
        n: samples of each input at most.
        alpha: probability of another label than the smoothed classifier's, for each input.
        fixed: take all n samples and decide once, as Cohen et al. 2019 do.
        every: take one example in so many, from the first on.
        limit: take so many examples at most; None for all.
        sample: a random sample of so many examples instead, as in 500 or "500:7" with a seed; None for none.
        seed: of all noise; None for fresh entropy.
        precision: float32, bfloat16 or int8: in which the base classifier computes.
        backend: what computes the logits; "auto" takes the fastest where that is worth it.
        engine: where to compute; None for one thread of this process. Results do not depend on it.
        progress: as for `certify`; a function is called with how many examples are done, and of how many.

    Raises:
        UsageError: arguments that do not fit together.
        InputError, ClassifierError: an example, or what the model returns, cannot be right.
    """
    from holdfast.workflows.predict import answers

    where = engine_of(engine)
    setup = setup_of(model, data, noise, precision, where.device)
    with of_count("predict", progress) as show, threads_kept():
        return answers(
            setup,
            every,
            limit,
            n,
            alpha,
            where,
            fixed=fixed,
            seed=seed,
            backend=backend,
            sample=sample_of(sample),
            on_done=show,
        )
