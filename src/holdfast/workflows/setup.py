"""Model, data and noise of a job, loaded and checked against each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, UsageError
from holdfast.shortened import some
from holdfast.store.samples import Sample, chosen
from holdfast.workflows.specs import open_data_spec, parse_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.data.base import DataSet
    from holdfast.execution.backends import ClassifierBuilder
    from holdfast.folders import Where
    from holdfast.models.bundle import Bundle
    from holdfast.noises.base import Noise
    from holdfast.store.subsets import Subset


# Classes, before they are only counted.
_NAMED = 4


@dataclass(frozen=True)
class Setup:
    """What is certified: the model, the data and the noise, checked against each other.

    Attributes:
        bundle: the model.
        data: the split that is certified.
        noise: that smooths the model.
        theorem: name of the guarantee.
        precision: in which the base classifier computes.
        training_set: opens the training split, on which int8 is calibrated.
    """

    bundle: Bundle
    data: DataSet
    noise: Noise
    theorem: str
    precision: str
    training_set: Callable[[], DataSet]

    @classmethod
    def load(
        cls,
        model: Where,
        data: str,
        noise: str | None,
        split: str,
        device: str,
        precision: str,
        theorem: str | None = None,
    ) -> Setup:
        """Load model, data and noise, as they are named on the command line.

        Args:
            model: file of the bundle.
            data: the data set, as in `mnist:DIR`.
            noise: noise that smooths the model, as in `gaussian:sigma=0.5`; None for the one that it was trained for.
            split: "test" or "train".
            device: cpu, cuda or cuda:N.
            precision: precision of the base classifier.
            theorem: name of the guarantee; None for the noise's first one.

        Warns:
            HoldfastWarning: the model was trained for another noise.

        Raises:
            UsageError: the model does not fit the data.
        """
        from holdfast.models.backends import check_precision
        from holdfast.models.bundle import load_bundle
        from holdfast.sampling.devices import torch_device

        check_precision(precision)
        # In float32: a backend makes its own precision of that.
        bundle = load_bundle(model, torch_device(device))
        given = None if noise is None else parse_noise(noise)
        return cls.of(
            bundle,
            open_data_spec(data, split),
            given,
            precision,
            theorem,
            training_set=lambda: open_data_spec(data, "train"),
            names=(str(model), data),
        )

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        data: DataSet,
        noise: Noise | None,
        precision: str,
        theorem: str | None = None,
        *,
        training_set: Callable[[], DataSet],
        names: tuple[str, str] = ("the model", "the data"),
    ) -> Setup:
        """The same, of what is loaded already.

        Args:
            bundle: the model.
            data: the split that is certified.
            noise: that smooths the model; None for the one that it was trained for.
            precision: in which the base classifier computes.
            theorem: name of the guarantee; None for the noise's first one.
            training_set: opens the training split, on which int8 is calibrated.
            names: of model and data, for messages.

        Warns, Raises: as `load`.
        """
        from holdfast.models.backends import check_precision
        from holdfast.noises.base import find_guarantee

        check_precision(precision)
        model, trained_for = names[0], bundle.info.trained_for
        chosen = trained_for if noise is None else noise
        if chosen is None:
            raise UsageError(f"{model} was trained without noise: name the noise that will smooth it")
        check_fit(model, bundle, names[1], data)
        space = bundle.info.input_space
        chosen.check_inputs(space.shape, space.low, space.high)
        training = "without noise" if trained_for is None else f"for {trained_for}"
        if chosen.noisy_shape(space.shape) != bundle.info.noisy_shape:
            raise UsageError(f"{model} was trained {training}; its first layer cannot take {chosen}")
        if chosen != trained_for:
            warnings.warn(
                f"{Path(model).name} was trained {training}, and is certified with {chosen}",
                HoldfastWarning,
                stacklevel=2,
            )
        return cls(bundle, data, chosen, find_guarantee(chosen, theorem).name, precision, training_set)

    def indices(self, every: int, limit: int | None, sample: Sample | None = None) -> Sequence[int]:
        """The index of every `every`-th example, at most `limit` of them, or of a random sample."""
        return chosen(len(self.data), every, limit, sample)

    def there(self, every: int, limit: int | None, sample: Sample | None = None) -> Subset:
        """These examples in words, and what an interval around a share of them covers."""
        return subset_in_words(self.data, every, limit, sample)

    def builder(self, device: str, threads: int, precision: str | None = None) -> ClassifierBuilder:
        """A builder of base classifiers, in the precision of this setup unless another one is given."""
        from holdfast.execution.backends import ClassifierBuilder

        return ClassifierBuilder(
            self.bundle,
            self.noise,
            precision or self.precision,
            device,
            threads,
            self.training_set,
        )


def subset_in_words(data: DataSet, every: int, limit: int | None, sample: Sample | None = None) -> Subset:
    """Every `every`-th example of a data set, at most `limit` of them, or a random sample of it, in words, and what an
    interval covers.
    """
    from holdfast.store.subsets import Split, subset_of

    indices = chosen(len(data), every, limit, sample)
    split = Split(data.source, data.split, len(data), len(data.class_names), data.is_sorted_by_class)
    return subset_of(indices, [int(data.labels[index]) for index in indices], split, sample=sample)


def warn_of_class_order(data: DataSet, every: int, limit: int | None, sample: Sample | None = None) -> None:
    """Warn, before anything is computed, that the first examples of a sorted split do not represent it.

    Raises:
        UsageError: a random sample is asked for together with another choice.
    """
    from holdfast.store.subsets import spread_step

    subset = subset_in_words(data, every, limit, sample)
    if subset.caution is None or limit is None:
        return
    warnings.warn(
        f"{subset.caution} Here every = {spread_step(len(data), limit)} takes as many, and sample = {limit} takes them "
        "at random",
        HoldfastWarning,
        stacklevel=2,
    )


def check_fit(model: str | Where, bundle: Bundle, data: str, examples: DataSet) -> None:
    """Raise UsageError unless a model takes the inputs of a data set and knows its classes."""
    space = bundle.info.input_space
    if (examples.shape, examples.low, examples.high) != (space.shape, space.low, space.high):
        raise UsageError(
            f"{model} takes inputs of shape {space.shape} in [{space.low:g}, {space.high:g}]; {data} has "
            f"{examples.shape} in [{examples.low:g}, {examples.high:g}]{_channels_advice(space.shape, examples)}"
        )
    known, found = bundle.info.class_names, examples.class_names
    if known != found:
        raise UsageError(
            f"{model} knows {len(known)} classes ({some(known, most=_NAMED)}), and {data} has {len(found)} "
            f"({some(found, most=_NAMED)}){_first_other(known, found)}; take data with the classes of the model"
        )


def _first_other(known: Sequence[str], found: Sequence[str]) -> str:
    """The first class that differs, since the names that are shown may all be the same."""
    for number, (mine, theirs) in enumerate(zip(known, found, strict=False)):
        if mine != theirs:
            return f"; class {number} is {mine!r} for the model and {theirs!r} in the data"
    return ""


def _channels_advice(shape: Sequence[int], examples: DataSet) -> str:
    """Advice if the source can read the same images with one channel or with three."""
    from holdfast.data.base import source_options

    found = examples.shape
    if "mode" not in source_options(examples.source) or {shape[0], found[0]} != {1, 3} or shape[1:] != found[1:]:
        return ""
    mode = "grey" if shape[0] == 1 else "rgb"
    return f". The option mode={mode} reads them with {shape[0]} channel{'s' if shape[0] > 1 else ''}"
