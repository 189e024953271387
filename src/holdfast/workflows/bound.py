"""Prove how far each input of a subset is from another answer, into a run like those of smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.workflows.setup import warn_of_class_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.bounds import Bound
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.folders import Where
    from holdfast.models.model import Model
    from holdfast.store.samples import Sample


def bound_into(
    out: Where,
    bound: Bound,
    model: Model,
    examples: DataSet,
    every: int,
    limit: int | None,
    device: str,
    threads: int,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    promise_only: bool = False,
    sample: Sample | None = None,
) -> None:
    """Start or resume the run of a bound in `out`; if `promise_only`, only write its manifest.

    Args:
        out: folder of the run.
        bound: the bound to prove.
        model: the model, trained without noise.
        examples: the split.
        every: take one example in this many, from the first on.
        limit: largest number of examples; None for all.
        device: cpu, cuda or cuda:N.
        threads: processor threads.
        on_progress: called after each batch.
        promise_only: write the manifest and compute nothing.
        sample: random sample in the place of `every` and `limit`; None for none.

    Raises:
        UsageError: the model was trained for a noise that changes what it takes, or the bound cannot treat it.
    """
    import torch

    from holdfast.bounds import Classifier
    from holdfast.execution.bound import bound_run, describe_bound
    from holdfast.models.networks import in_sequence, is_torch
    from holdfast.sampling.devices import torch_device
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import RunStore

    space = model.input_space
    if model.takes not in (None, space.shape):
        raise UsageError(
            f"the model takes inputs of shape {model.takes} under {model.trained_for or 'some noise'}; a bound is "
            f"about a model of inputs as they are, of shape {space.shape}"
        )
    warn_of_class_order(examples, every, limit, sample)
    torch.set_num_threads(threads)
    as_it_is = bound.asks_the_module and not is_torch(model.module)
    classifier = Classifier(
        model.module if as_it_is else in_sequence(model.differentiable(), space.shape),
        space.shape,
        len(model.classes),
        space.low,
        space.high,
        torch_device(device),
    )
    bounded = bound.on(classifier)
    manifest = describe_bound(bound, DataManifest.of(examples, every, limit, sample), model.describe(), device)
    if promise_only:
        RunStore(out, manifest).close()
        return
    settings = {"device": device, "threads": threads}
    bound_run(out, manifest, bounded, examples.examples, on_progress, settings)
