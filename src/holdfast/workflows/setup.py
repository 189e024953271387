"""Model, data and noise of a job, loaded and checked against each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, UsageError
from holdfast.store.samples import Sample, chosen
from holdfast.workflows.specs import open_data_spec, parse_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.data.base import DataSet
    from holdfast.execution.backends import ClassifierBuilder
    from holdfast.folders import Where
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.store.subsets import Subset


# Classes, before they are only counted.
_NAMED = 4


@dataclass(frozen=True)
class Setup:
    """What is certified: the model, the data and the noise, checked against each other.

    Attributes:
        model: the base classifier, for the inputs and classes of the data.
        data: the split that is certified.
        noise: that smooths the model.
        theorem: name of the guarantee.
        precision: in which the base classifier computes.
        training_set: opens the training split, on which int8 is calibrated.
    """

    model: Model
    data: DataSet
    noise: Noise
    theorem: str
    precision: str
    training_set: Callable[[], DataSet]

    @classmethod
    def load(
        cls,
        model: str | Where,
        data: str,
        noise: str | None,
        split: str,
        device: str,
        precision: str,
        theorem: str | None = None,
        denoiser: str | None = None,
    ) -> Setup:
        """Load model, data and noise, as they are named on the command line.

        Args:
            model: the model, as in `m.safetensors` or `net.onnx,mean=.5,std=.25`; or where a bundle lies.
            data: the data set, as in `mnist:DIR`.
            noise: noise that smooths the model, as in `gaussian:sigma=0.5`; None for the one that it was trained for.
            split: "test" or "train".
            device: cpu, cuda or cuda:N.
            precision: precision of the base classifier.
            theorem: name of the guarantee; None for the noise's first one.
            denoiser: the denoiser in front of the model, as in `ffdnet:FILE,level=.25`; None for none.

        Warns:
            HoldfastWarning: the model was trained for another noise.

        Raises:
            UsageError: the model does not fit the data.
        """
        from holdfast.models.backends import check_precision
        from holdfast.models.bundle import open_bundle
        from holdfast.models.source import open_model
        from holdfast.sampling.devices import torch_device

        check_precision(precision)
        # In float32: a backend makes its own precision of that.
        where = torch_device(device)
        opened = open_model(model, where, denoiser=denoiser) if isinstance(model, str) else open_bundle(model, where)
        given = None if noise is None else parse_noise(noise)
        return cls.of(
            opened,
            open_data_spec(data, split),
            given,
            precision,
            theorem,
            training_set=lambda: open_data_spec(data, "train"),
            name=data,
        )

    @classmethod
    def of(
        cls,
        model: Model,
        data: DataSet,
        noise: Noise | None,
        precision: str,
        theorem: str | None = None,
        *,
        training_set: Callable[[], DataSet],
        name: str = "the data",
    ) -> Setup:
        """The same, of what is loaded already.

        Args:
            model: the base classifier.
            data: the split that is certified.
            noise: that smooths the model; None for the one that it was trained for.
            precision: in which the base classifier computes.
            theorem: name of the guarantee; None for the noise's first one.
            training_set: opens the training split, on which int8 is calibrated.
            name: of the data, for messages.

        Warns, Raises: as `load`.
        """
        from holdfast.models.backends import check_precision
        from holdfast.noises.base import find_guarantee

        check_precision(precision)
        trained_for = model.trained_for
        chosen = trained_for if noise is None else noise
        if chosen is None:
            lack = "was trained without noise" if model.says_noise else "does not say for which noise it was trained"
            raise UsageError(f"{model.name} {lack}: name the noise that will smooth it")
        fitted = fitted_model(model, data, name)
        space = fitted.input_space
        chosen.check_inputs(space.shape, space.low, space.high)
        training = "without noise" if trained_for is None else f"for {trained_for}"
        noisy = chosen.noisy_shape(space.shape)
        if fitted.takes not in (None, noisy):
            why = f"was trained {training}; its first layer cannot take" if model.says_noise else "cannot take"
            raise UsageError(
                f"{model.name} {why} {chosen}: it takes inputs of shape {fitted.takes}, and those with noise have "
                f"{noisy}"
            )
        if model.says_noise and chosen != trained_for:
            warnings.warn(
                f"{Path(model.name).name} was trained {training}, and is certified with {chosen}",
                HoldfastWarning,
                stacklevel=2,
            )
        check_answers(fitted, noisy, chosen, data)
        return cls(fitted, data, chosen, find_guarantee(chosen, theorem).name, precision, training_set)

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
            self.model,
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


def fitted_model(model: Model, data: DataSet, name: str) -> Model:
    """The model for the inputs and classes of a data set, and its notes as warnings.

    Raises:
        UsageError: it takes other inputs, or knows other classes.
    """
    for note in model.notes:
        warnings.warn(note, HoldfastWarning, stacklevel=2)
    try:
        return model.fitted(data, name)
    except UsageError as error:
        advice = "" if model.space is None else _channels_advice(model.space.shape, data)
        raise UsageError(f"{error}{advice}") from None


def check_answers(model: Model, shape: tuple[int, ...], noise: Noise | None, data: DataSet) -> None:
    """Show a network of another tool a few inputs, and say what looks wrong.

    Args:
        model: the model for these data.
        shape: shape of a noisy input.
        noise: the noise; None for inputs as they are.
        data: the data.

    Raises:
        UsageError: it fails on inputs of this shape, or returns something else than logits for these classes.

    Warns:
        HoldfastWarning: it seems to be fed another range of values, or to return what is no logit.
    """
    if model.entries.get("source") is None and "denoiser" not in model.entries:
        # A bundle was built for its inputs.
        return
    from holdfast.models.looks import look_at

    for doubt in look_at(model, shape, noise, data):
        warnings.warn(doubt, HoldfastWarning, stacklevel=2)


def _channels_advice(shape: Sequence[int], examples: DataSet) -> str:
    """Advice if the source can read the same images with one channel or with three."""
    from holdfast.data.source import source_options

    found = examples.shape
    if "mode" not in source_options(examples.source) or {shape[0], found[0]} != {1, 3} or shape[1:] != found[1:]:
        return ""
    mode = "grey" if shape[0] == 1 else "rgb"
    return f". The option mode={mode} reads them with {shape[0]} channel{'s' if shape[0] > 1 else ''}"
