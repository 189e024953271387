"""The smoothed classifier g of a base classifier f: predict and certify inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from torch import Tensor

from holdfast.errors import InputError, UsageError
from holdfast.estimators import AnswerRule, Estimator, Exact, FixedSize, Looks, TopTwo, certificate, radii_of, scale_of
from holdfast.noises.base import Noise, find_guarantee
from holdfast.noises.pixels import CHANNELS_LAST, check_axes, check_layout, counts_pixels, refuse_channels_last
from holdfast.sampling.classifier import BaseClassifier, VotingClassifier
from holdfast.sampling.devices import device_name, torch_device
from holdfast.sampling.engines.base import Base, ClassifierFactory, Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.inputs import as_array, checked_example, checked_indices, checked_range, content_keys
from holdfast.sampling.layouts import taking_channels_last
from holdfast.sampling.procedure import Certify, Predict, certify_votes
from holdfast.sampling.rng import Stream, check_seed, fresh_seed
from holdfast.types import Certificate, Example, Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from holdfast.sampling.procedure import Procedure, Votes

_DECLARE = (
    "SmoothedClassifier(..., layout='channels-last') says that the last axis holds the channels, "
    "layout='channels-first' that the first one does"
)


@final
class SmoothedClassifier:
    """The classifier that returns the base classifier's most probable class under noise.

    Args:
        base_classifier: from noisy inputs `(batch, *noisy event)` to logits `(batch, num_classes)` or integer votes
            `(batch,)`, for batches of any size: a torch module in eval mode, a `torch.export` program, or any callable.
            Normalization belongs inside it. An engine with other processes needs one that can be pickled, or a factory
            (`FunctionFactory`).
        noise: the smoothing noise, for example `Gaussian(sigma=0.5)`; its parameters are in input units.
        num_classes: number of classes, at least 2.
        input_range: smallest and largest value that an input may have; an input outside is an error, never clipped.
            For inputs without a range: (-inf, inf); (0, inf) has one end.
        layout: of images: "channels-first", `(channels, height, width)`, or "channels-last", `(height, width,
            channels)`. The base classifier gets its noisy inputs in the same layout; channels that the noise adds are
            added to those of the input. Inputs `(features,)` have no channels. None is channels-first, undeclared:
            where the noise counts pixels, an image that looks channels-last is then an error.
        device: where to compute: "cpu", "cuda", "cuda:N" or a `torch.device`. A module must already be there.
        batch_size: noisy copies that pass through the classifier at a time; None searches for the fastest number
            during the work and remembers it. Results do not depend on it.
        threads: processor threads.
        engine: for example `ProcessesEngine(2)`, instead of `device`, `batch_size` and `threads`. Results do not depend
            on it.

    Raises:
        UsageError, ClassifierError: an argument is invalid.
        UsageError, ClassifierError: an argument cannot be right.

    Source: Cohen et al. 2019, equation 1; Levine & Feizi 2020, equation 1.
    """

    def __init__(
        self,
        base_classifier: BaseClassifier | Base,
        noise: Noise,
        num_classes: int,
        *,
        input_range: tuple[float, float] = (0.0, 1.0),
        layout: str | None = None,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        threads: int = 1,
        engine: Engine | None = None,
    ) -> None:
        if not isinstance(noise, Noise):
            raise UsageError(f"the noise is an object such as Gaussian(sigma=0.5), got {noise!r}")
        if not (engine is None or isinstance(engine, Engine)):
            raise UsageError(f"the engine is an object such as ProcessesEngine(2), or None; got {engine!r}")
        self.noise = noise
        self.input_range = checked_range(input_range)
        self.layout = check_layout(layout)
        given: Base = (
            base_classifier
            if isinstance(base_classifier, (VotingClassifier, ClassifierFactory))
            else VotingClassifier(base_classifier, num_classes)
        )
        self._classifier: Base = taking_channels_last(given) if layout == CHANNELS_LAST else given
        if engine is None:
            engine = LocalEngine(device_name(device), batch_size, threads)
            torch_device(engine.device)
        self._engine: Engine = engine

    def predict(
        self,
        x: Tensor | NDArray[np.floating],
        *,
        n: int,
        alpha: float,
        ratio: float | None = 1.5,
        seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> list[Prediction]:
        """The smoothed classifier's class for each input, or None (abstain).

        Args:
            x: inputs `(batch, *event)` in input units: a tensor or an array of real numbers, converted to float32,
                which represents every bfloat16 and float16 exactly; one input is a batch of one.
            n: largest number of samples of each input.
            alpha: probability, for each input, of returning another class than the smoothed classifier's.
            ratio: between the sample sizes at which to look whether the answer is clear (`TopTwo`); None to take all n
                and look once, as Cohen et al. do.
            seed: for a repeatable result; fresh entropy by default, since an adversary who knows the seed beforehand
                voids the guarantee.
            indices: a whole number from 0 on for each input, all different; an input's noise is then a function of seed
                and index, as it is for the examples of a run. By default the content of an input replaces its index. So
                the inputs of a call are independent of each other, repetitions of an input too; and with a given
                `seed`, calls with different inputs are independent, and calls with the same input equal.

        Raises:
            UsageError, InputError, ClassifierError: the call, an input or the classifier's output is invalid.

        Source: Cohen et al. 2019, Predict.
        """
        return self.predict_examples(self._examples(x, indices), TopTwo(n, alpha, ratio), seed=seed)

    def predict_examples(
        self,
        examples: Sequence[Example],
        rule: AnswerRule,
        *,
        seed: int | None = None,
        on_done: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """`predict` for examples of a data set, `(channels, height, width)`, whose noise is keyed by their indices.

        `on_done` is called after each example, with the number of finished examples and of all examples.
        """
        votes = self._votes(examples, Predict(rule), seed, on_done)
        return [rule.prediction(each[Stream.PREDICTION]) for each in votes]

    def certify(
        self,
        x: Tensor | NDArray[np.floating],
        *,
        n0: int = 100,
        n: int,
        alpha: float,
        method: str = "split",
        theorem: str | None = None,
        until_radius: float | Sequence[float] = (),
        until_precision: float | None = None,
        seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> list[Certificate]:
        """For each input a class and a radius within which no change alters it, or abstention.

        Args:
            x: as in `predict`.
            n0: selection samples of each input.
            n: estimation samples of each input; the largest number, if it may stop early.
            alpha: probability that a certificate is false, for each input.
            method: "split" bounds the probability of every class, "cohen" that of the top class only, as the papers do.
            theorem: name of the guarantee, for example "cohen_linf", which decides the norm of the radius; None for the
                noise's first one. Choosing it after seeing the votes voids the guarantee.
            until_radius: stop an input once this radius, or each of these, is certified or hopeless (`Looks`).
            until_precision: stop an input once its radius is within this share, in (0, 1), of what n samples give.
            seed: as in `predict`.
            indices: as in `predict`.

        Raises:
            UsageError, InputError, ClassifierError: the call, an input or the classifier's output is invalid.

        Source: Cohen et al. 2019, Certify; Levine & Feizi 2020, Corollary 1.
        """
        examples = self._examples(x, indices)
        if not examples:
            return []
        radii, name = radii_of(until_radius), find_guarantee(self.noise, theorem).name
        if not radii and until_precision is None:
            estimator: Estimator = FixedSize(n, alpha, method)
        else:
            scale = scale_of(self.noise, name, examples[0].x.shape)
            estimator = Looks(n, alpha, radii, until_precision, method=method, scale=scale)
        return self._certify(examples, n0, estimator, seed, name)

    def certify_exactly(
        self,
        x: Tensor | NDArray[np.floating],
        *,
        theorem: str | None = None,
        indices: Sequence[int] | None = None,
    ) -> list[Certificate]:
        """`certify` with each realization of the noise taken once: nothing is sampled, and alpha is 0.

        Args:
            x: as in `predict`.
            theorem: as in `certify`.
            indices: as in `predict`; here they only name inputs in errors.

        Raises:
            UsageError: the noise has too many realizations, or infinitely many; InputError, ClassifierError as in
                `certify`.

        Source: Levine & Feizi 2021 for disjoint blocks; docs/guarantees.md, "Every realization once".
        """
        examples = self._examples(x, indices)
        if not examples:
            return []
        count = self.noise.realizations(examples[0].x.shape)
        if count is None:
            raise UsageError(f"{self.noise} has infinitely many realizations; use certify, which samples them")
        return self._certify(examples, 0, Exact(count), 0, find_guarantee(self.noise, theorem).name)

    def _certify(
        self, examples: Sequence[Example], n0: int, estimator: Estimator, seed: int | None, theorem: str
    ) -> list[Certificate]:
        votes = self._votes(examples, Certify(n0, estimator), seed)
        return [
            certificate(self.noise, estimator, example.x.shape, *certify_votes(each), theorem)
            for example, each in zip(examples, votes, strict=True)
        ]

    def _examples(self, x: Tensor | NDArray[np.floating], indices: Sequence[int] | None) -> list[Example]:
        """The inputs, with channels first."""
        inputs = as_array(x)
        if inputs.ndim < 2 and inputs.shape != (0,):
            raise InputError(
                f"inputs are a batch, (batch, *event), got the shape {inputs.shape}; one input is a batch of one, as "
                "x[None] is"
            )
        if self.layout == CHANNELS_LAST and inputs.ndim == 4:
            inputs = np.moveaxis(inputs, -1, 1)
        numbers = checked_indices(indices, len(inputs))
        # Values beyond float32 become infinite, and are refused as such.
        with np.errstate(over="ignore"):
            rows = [np.array(row, dtype=np.float32, order="C") for row in inputs]
        keys = content_keys(rows) if indices is None else [None] * len(rows)
        return [Example(number, row, 0, key) for number, row, key in zip(numbers, rows, keys, strict=True)]

    def _votes(
        self,
        examples: Sequence[Example],
        procedure: Procedure,
        seed: int | None,
        on_done: Callable[[int, int], None] | None = None,
    ) -> list[Votes]:
        if not examples:
            return []
        shape, (low, high) = examples[0].x.shape, self.input_range
        if counts_pixels(self.noise):
            check_axes(str(self.noise), shape, self.layout)
        if self.layout is None and counts_pixels(self.noise):
            refuse_channels_last(str(self.noise), shape, _DECLARE)
        self.noise.check_inputs(shape, low, high)
        checked_indices([example.index for example in examples], len(examples))
        checked = [checked_example(example, shape, low, high) for example in examples]
        chosen = fresh_seed() if seed is None else check_seed(seed)
        results = self._engine.run(self._classifier, self.noise, procedure, chosen, checked)
        by_index: dict[int, Votes] = {}
        for example, votes in results:
            by_index[example.index] = votes
            if on_done:
                on_done(len(by_index), len(examples))
        return [by_index[example.index] for example in examples]
