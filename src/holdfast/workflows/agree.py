"""Compare a backend and a precision with the reference in float32, vote by vote, on the same noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.workflows.setup import warn_of_class_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.estimators import Estimator, FixedSize
    from holdfast.execution.agreement import Agreement
    from holdfast.store.samples import Sample
    from holdfast.types import Example
    from holdfast.workflows.setup import Setup

_BATCH = 256


@dataclass(frozen=True)
class Compared:
    """Two base classifiers of one model on the same noise.

    Attributes:
        agreement: votes and certificates of both.
        examples: the examples that both classified.
        seed: seed of all noise.
        backend: description of the other one's backend.
        reference: name of the first one's backend, in float32.
    """

    agreement: Agreement
    examples: list[Example]
    seed: int
    backend: dict[str, Any]
    reference: str


def compare(
    setup: Setup,
    every: int,
    limit: int | None,
    n0: int,
    estimator: FixedSize,
    *,
    threads: int = 1,
    batch_size: int | None = None,
    backend: str = "auto",
    seed: int | None = None,
    sample: Sample | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Compared:
    """Certify some examples twice: on the reference backend in float32, and on a backend in the precision of the setup.

    Each is a different base classifier, so both certificates are valid, each for its own.

    Args:
        setup: model, data and noise.
        every: take one example in this many, from the first on.
        limit: largest number of examples.
        n0: selection samples of each.
        estimator: estimator with n and alpha.
        threads: processor threads.
        batch_size: noisy copies a batch; None for 256.
        backend: what computes the logits of the other one, or "auto".
        seed: seed of all noise; None for a fresh one.
        sample: random sample in the place of `every` and `limit`; None for none.
        on_done: called with the number of examples that are done, and the number of all.
    """
    from holdfast.execution.agreement import agreement
    from holdfast.execution.backends import description
    from holdfast.models.precision import FLOAT32
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.sampling.rng import check_seed, fresh_seed

    warn_of_class_order(setup.data, every, limit, sample)
    examples = [setup.data[index] for index in setup.indices(every, limit, sample)]
    plain = setup.builder("cpu", threads, FLOAT32)
    # Eager torch, or for a graph of ONNX its runtime.
    reference = plain.classifier(plain.reference)
    samples = len(examples) * (n0 + estimator.most_draws)
    other = setup.builder("cpu", threads).chosen(backend, setup.data[0], samples)
    drawn = fresh_seed() if seed is None else check_seed(seed)
    engine = LocalEngine("cpu", batch_size or _BATCH, threads)
    result = agreement(reference, other, setup.noise, estimator, n0, drawn, examples, engine, on_done)
    return Compared(result, examples, drawn, description(other), plain.reference)


def radii_of_report(setup: Setup, estimator: Estimator) -> Sequence[float]:
    """The radii that a report on such a run would show."""
    from holdfast.analysis.radii import default_radii
    from holdfast.estimators import best_radius

    data = setup.data
    largest, norm = best_radius(setup.noise, estimator, data.shape, len(data.class_names), setup.theorem)
    return default_radii(norm, largest)
