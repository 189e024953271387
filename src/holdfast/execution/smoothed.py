"""The smoothed classifier g of a base classifier f: predict and certify inputs."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from torch import Tensor, nn

from holdfast.errors import ClassifierError, HoldfastWarning, InputError, UsageError
from holdfast.estimators import (
    AnswerRule,
    Estimator,
    FixedSize,
    Looks,
    TopTwo,
    certificate,
    exhaustive,
    exhaustive_rule,
    radii_of,
    scale_of,
)
from holdfast.execution.backends import AUTO, ClassifierBuilder
from holdfast.execution.factories import base_for
from holdfast.models.architectures.rejecting import check_answers
from holdfast.models.backends import check_precision
from holdfast.models.model import KnownInputs, Model
from holdfast.models.objects import model_of
from holdfast.noises.base import Noise, find_guarantee
from holdfast.noises.pixels import CHANNELS_LAST, check_axes, check_layout, counts_pixels, refuse_channels_last
from holdfast.plain import is_real, plain
from holdfast.sampling.classifier import BaseClassifier, VotingClassifier
from holdfast.sampling.devices import device_name, torch_device
from holdfast.sampling.engines.base import Base, ClassifierFactory, Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.inputs import as_array, checked_example, checked_indices, checked_range, content_keys
from holdfast.sampling.layouts import taking_channels_last
from holdfast.sampling.procedure import Certify, Predict, Until, certify_votes
from holdfast.sampling.rng import Stream, check_seed, fresh_seed
from holdfast.types import Certificate, ClassBounds, Counts, Example, Prediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from holdfast.data.base import DataSet
    from holdfast.sampling.procedure import Procedure, Votes

_DECLARE = (
    "SmoothedClassifier(..., layout='channels-last') says that the last axis holds the channels, "
    "layout='channels-first' that the first one does"
)

_EXACT = "float32"
# Nothing is decided before n, up to rounding; what is hopeless is given up.
_WHOLE_RADIUS = 1e-12


@final
class SmoothedClassifier:
    """The classifier that returns the base classifier's most probable class under noise.

    Args:
        base_classifier: from noisy inputs `(batch, *noisy event)` to logits `(batch, num_classes)` or integer votes
            `(batch,)`, for batches of any size: a torch module in eval mode, a `torch.export` program, or any callable.
            Normalization belongs inside it. An engine with other processes needs one that can be pickled, or a factory
            (`FunctionFactory`). A `Model`, as `load_model` gives it, may know its classes and the range of its inputs.
        noise: the smoothing noise, for example `Gaussian(sigma=0.5)`; its parameters are in input units.
        num_classes: number of classes, at least 2; None for those of a `Model` that knows them.
        input_range: smallest and largest value that an input may have; an input outside is an error, never clipped.
            For inputs without a range: (-inf, inf); (0, inf) has one end. None for that of a `Model` that knows
            it, else [0, 1].
        layout: of images: "channels-first", `(channels, height, width)`, or "channels-last", `(height, width,
            channels)`. The base classifier gets its noisy inputs in the same layout; channels that the noise adds are
            added to those of the input. Inputs `(features,)` have no channels. None is channels-first, undeclared:
            where the noise counts pixels, an image that looks channels-last is then an error.
        theorem: name of the guarantee, for example "cohen_linf", which decides the norm of the radius; None for the
            noise's first one. A call may name another one.
        backend: of a `Model` or a torch module: what computes the logits, as in "openvino"; "auto" for the plainest.
        precision: of such a model: float32 or bfloat16. Another precision is another base classifier.
        device: where to compute: "cpu", "cuda", "cuda:N" or a `torch.device`. A module must already be there.
        batch_size: noisy copies that pass through the classifier at a time; None searches for the fastest number
            during the work and remembers it. Results do not depend on it.
        threads: processor threads.
        engine: for example `ProcessesEngine(2)`, instead of `device`, `batch_size` and `threads`. Results do not depend
            on it.

    Raises:
        UsageError, ClassifierError: an argument is invalid.

    Source: Cohen et al. 2019, equation 1; Levine & Feizi 2020, equation 1.
    """

    def __init__(
        self,
        base_classifier: BaseClassifier | Base | Model,
        noise: Noise,
        num_classes: int | None = None,
        *,
        input_range: tuple[float, float] | None = None,
        layout: str | None = None,
        theorem: str | None = None,
        backend: str = AUTO,
        precision: str = _EXACT,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        threads: int = 1,
        engine: Engine | None = None,
    ) -> None:
        if not isinstance(noise, Noise):
            raise UsageError(f"the noise must be an object such as Gaussian(sigma=0.5), got {noise!r}")
        if not (engine is None or isinstance(engine, Engine)):
            raise UsageError(f"the engine is an object such as ProcessesEngine(2), or None; got {engine!r}")
        self.noise = noise
        self.layout = check_layout(layout)
        self.theorem = find_guarantee(noise, theorem).name
        self.backend, self.precision = backend, precision
        if engine is None:
            engine = LocalEngine(device_name(device), batch_size, threads)
            torch_device(engine.device)
        self._engine: Engine = engine
        self._model = self._model_of(base_classifier)
        self.num_classes = self._classes(num_classes, base_classifier)
        self.input_range = checked_range(self._range() if input_range is None else input_range)
        # By the shape of an input, without noise: a backend is made for a shape.
        self._made: dict[tuple[int, ...], Base] = {}
        self._classifier: Base | None = None if self._model else self._plain(base_classifier)

    def _model_of(self, given: object) -> Model | None:
        """The model, if a backend is to make the base classifier of it."""
        check_precision(self.precision)
        plainest = self.backend == AUTO and self.precision == _EXACT
        if not isinstance(given, Model):
            if plainest:
                return None
            if not isinstance(given, nn.Module):
                raise UsageError(
                    f"a backend and a precision are for a torch module or a Model; got a {type(given).__name__}, which "
                    "computes as it does: leave them out"
                )
            given = model_of(given, torch_device(self._engine.device), {})
        if self.layout == CHANNELS_LAST:
            raise UsageError(
                "a Model has its layout from load_model(..., layout='channels-last'), and takes inputs with the "
                "channels first here: leave the layout out"
            )
        return given

    def _classes(self, given: int | None, classifier: object) -> int:
        known = getattr(self._model or classifier, "num_classes", None) if self._knows(classifier) else None
        number = plain(known if given is None else given)
        if type(number) is not int or number < 2:
            raise ClassifierError(f"a classifier has at least 2 classes, a whole number: num_classes; got {number!r}")
        if known not in (None, number):
            raise UsageError(f"num_classes is {number}, and the model has {known} classes; leave it out")
        return number

    def _knows(self, classifier: object) -> bool:
        """Whether the base classifier says itself how many classes it has."""
        return self._model is not None or isinstance(classifier, (VotingClassifier, ClassifierFactory))

    def _range(self) -> tuple[float, float]:
        if self._model is not None and self._model.space is not None:
            return self._model.space.low, self._model.space.high
        declared = None if self._model is None else self._model.value_range
        return declared or (0.0, 1.0)

    def _plain(self, given: Any) -> Base:
        known = isinstance(given, (VotingClassifier, ClassifierFactory))
        base: Base = given if known else VotingClassifier(given, self.num_classes)
        if isinstance(base, VotingClassifier):
            check_answers(base.function, f"the base classifier {type(base.function).__name__}")
        return taking_channels_last(base) if self.layout == CHANNELS_LAST else base

    def _base(self, shape: tuple[int, ...]) -> Base:
        """The base classifier for inputs of a shape; made once."""
        if self._classifier is not None:
            return self._classifier
        if shape not in self._made:
            assert self._model is not None
            names = self._model.class_names or tuple(map(str, range(self.num_classes)))
            fitted = self._model.fitted(KnownInputs(shape, *self.input_range, names), "the input")
            place = self._engine
            builder = ClassifierBuilder(fitted, self.noise, self.precision, place.device, place.threads, _no_training)
            made = builder.classifier(builder.reference if self.backend == AUTO else self.backend)
            self._made[shape] = base_for(place, made, self.noise)
        return self._made[shape]

    def __repr__(self) -> str:
        low, high = self.input_range
        norm = find_guarantee(self.noise, self.theorem).norm.value
        return (
            f"<SmoothedClassifier: {self.noise}, {self.num_classes} classes, inputs in [{low:g}, {high:g}], "
            f"{self.theorem} ({norm})>"
        )

    def predict(
        self,
        x: Tensor | NDArray[np.floating],
        *,
        n: int,
        alpha: float,
        ratio: float | None = 1.5,
        deadline: float | None = None,
        seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> list[Prediction]:
        """The smoothed classifier's class for each input, or None (abstain).

        Args:
            x: inputs `(batch, *event)` in input units: a tensor or an array of real numbers, converted to float32,
                which represents every bfloat16 and float16 exactly; one input is a batch of one.
            n: largest number of samples of each input; in a run-off (`Partition.decision`), all blocks are asked.
            alpha: probability, for each input, of returning another class than the smoothed classifier's.
            ratio: between the sample sizes at which to look whether the answer is clear (`TopTwo`); None to take all n
                and look once, as Cohen et al. do.
            deadline: seconds after which no batch begins; inputs without an answer then abstain, and are marked `cut`.
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
        examples = self._examples(x, indices)
        return self.predict_examples(examples, self._rule(examples, n, alpha, ratio), seed=seed, deadline=deadline)

    def _rule(self, examples: Sequence[Example], n: int, alpha: float, ratio: float | None) -> AnswerRule:
        """When to stop: never before the end in a run-off, whose n and alpha are those of the noise."""
        count = self.noise.realizations(examples[0].x.shape) if examples and self.noise.runoff else None
        return TopTwo(n, alpha, ratio) if count is None else exhaustive_rule(self.noise, count)

    def predict_one(self, x: Tensor | NDArray[np.floating], *, index: int | None = None, **settings: Any) -> Prediction:
        """`predict` for one input `(*event)`, with the same settings; `index` keys its noise."""
        found = self.predict(as_array(x)[None], indices=None if index is None else [index], **settings)
        return found[0]

    def predict_examples(
        self,
        examples: Sequence[Example],
        rule: AnswerRule,
        *,
        seed: int | None = None,
        deadline: float | None = None,
        on_done: Callable[[int, int], None] | None = None,
    ) -> list[Prediction]:
        """`predict` for examples of a data set, `(channels, height, width)`, whose noise is keyed by their indices.

        `on_done` is called after each example, with the number of finished examples and of all examples.
        """
        self._check_decision(rule.ranked)
        until = self._until(Predict(rule), deadline)
        votes = self._votes(examples, until, seed, on_done)
        cut = [isinstance(until, Until) and until.cut(each) for each in votes]
        _tell_cut(cut, deadline)
        return [self._answer(rule, *each) for each in zip(votes, cut, strict=True)]

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
        deadline: float | None = None,
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
                one of the constructor. Choosing it after seeing the votes voids the guarantee.
            until_radius: stop an input once this radius, or each of these, is certified or hopeless (`Looks`).
            until_precision: stop an input once its radius is within this share, in (0, 1), of what n samples give.
            deadline: seconds after which no batch begins. An input that is not finished then gets what its votes prove
                at the last of the looks that share alpha (`Looks`), or abstains where it had none, and is marked `cut`.
                So a certificate is false with probability alpha at most, whatever made the clock stop it. The looks
                take a fifth of alpha from the one at n.
            seed: as in `predict`.
            indices: as in `predict`.

        Raises:
            UsageError, InputError, ClassifierError: the call, an input or the classifier's output is invalid.

        Source: Cohen et al. 2019, Certify; Levine & Feizi 2020, Corollary 1.
        """
        examples = self._examples(x, indices)
        if not examples:
            return []
        radii, name = radii_of(until_radius), self._theorem(theorem)
        if deadline is None and not radii and until_precision is None:
            estimator: Estimator = FixedSize(n, alpha, method)
        else:
            # A clock may stop at any look, so there must be looks: at n alone, a bound needs all n votes.
            precision = until_precision if radii or until_precision is not None else _WHOLE_RADIUS
            scale = scale_of(self.noise, name, examples[0].x.shape)
            estimator = Looks(n, alpha, radii, precision, method=method, scale=scale)
        return self._certify(examples, n0, estimator, seed, name, deadline)

    def certify_one(
        self, x: Tensor | NDArray[np.floating], *, index: int | None = None, **settings: Any
    ) -> Certificate:
        """`certify` for one input `(*event)`, with the same settings; `index` keys its noise."""
        return self.certify(as_array(x)[None], indices=None if index is None else [index], **settings)[0]

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
        return self._certify(examples, 0, exhaustive(self.noise, count), 0, self._theorem(theorem))

    def _theorem(self, named: str | None) -> str:
        return self.theorem if named is None else find_guarantee(self.noise, named).name

    def _certify(
        self,
        examples: Sequence[Example],
        n0: int,
        estimator: Estimator,
        seed: int | None,
        theorem: str,
        deadline: float | None = None,
    ) -> list[Certificate]:
        self._check_decision(estimator.ranked)
        until = self._until(Certify(n0, estimator), deadline)
        votes = self._votes(examples, until, seed)
        cut = [isinstance(until, Until) and until.cut(each) for each in votes]
        _tell_cut(cut, deadline)
        return [
            self._certificate(estimator, example.x.shape, each, theorem, short)
            for example, each, short in zip(examples, votes, cut, strict=True)
        ]

    def _check_decision(self, ranked: bool) -> None:
        """Raise UsageError unless votes, or rankings, decide as the noise says."""
        if ranked != self.noise.runoff:
            raise UsageError(
                f"{self.noise} decides by a run-off of all its realizations; use certify_exactly"
                if self.noise.runoff
                else f"{self.noise} decides by votes, not by a run-off"
            )

    def _certificate(
        self, estimator: Estimator, shape: tuple[int, ...], votes: Votes, theorem: str, cut: bool
    ) -> Certificate:
        """What the votes of an input prove; nothing, where a deadline came before its first look."""
        none = Counts((0,) * self.num_classes)
        if cut and Stream.ESTIMATION not in votes:
            selection, norm = votes.get(Stream.SELECTION, none), find_guarantee(self.noise, theorem).norm
            bounds = ClassBounds(selection.top, 0.0, 1.0)
            return Certificate(None, 0.0, norm, estimator.alpha, selection, none, bounds, cut=True)
        return replace(certificate(self.noise, estimator, shape, *certify_votes(votes), theorem), cut=cut)

    def _answer(self, rule: AnswerRule, votes: Votes, cut: bool) -> Prediction:
        """The answer for an input; abstention, where a deadline came before its first look."""
        if cut and Stream.PREDICTION not in votes:
            return Prediction(None, getattr(rule, "alpha", 0.0), None, Counts((0,) * self.num_classes), cut=True)
        return replace(rule.prediction(votes[Stream.PREDICTION]), cut=cut)

    def _until(self, procedure: Procedure, deadline: float | None) -> Procedure:
        """The procedure, up to so many seconds from now.

        Raises:
            UsageError: not a positive number, or the engine works in other processes, which have clocks of their own.
        """
        if deadline is None:
            return procedure
        if not (is_real(plain(deadline)) and deadline > 0.0):
            raise UsageError(f"the deadline is a positive number of seconds, got {deadline!r}")
        if not isinstance(self._engine, LocalEngine):
            raise UsageError(
                f"a deadline needs an engine of this process, a LocalEngine; got {type(self._engine).__name__}"
            )
        return Until(procedure, time.monotonic() + deadline)

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
        results = self._engine.run(self._base(shape), self.noise, procedure, chosen, checked)
        by_index: dict[int, Votes] = {}
        for example, votes in results:
            by_index[example.index] = votes
            if on_done:
                on_done(len(by_index), len(examples))
        return [by_index[example.index] for example in examples]


def _tell_cut(cut: Sequence[bool], deadline: float | None) -> None:
    if any(cut):
        warnings.warn(
            f"the deadline of {deadline:g} s cut {sum(cut)} of {len(cut)} inputs: they have what their votes proved at "
            "the last look, and are marked `cut`. Give more time, or take fewer samples",
            HoldfastWarning,
            stacklevel=4,
        )


def _no_training() -> DataSet:
    raise UsageError(
        "int8 is calibrated on training inputs, which a SmoothedClassifier has none of: use certify(model, "
        "'mnist:DIR', precision='int8'), or another precision"
    )
