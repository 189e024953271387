"""The smoothed classifier's answer for each input of a subset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.workflows.setup import subset_in_words, warn_of_class_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.data.base import DataSet
    from holdfast.estimators import AnswerRule
    from holdfast.models.model import Model
    from holdfast.sampling.engines.base import Engine
    from holdfast.stats.datasets import Proportion
    from holdfast.store.samples import Sample
    from holdfast.store.subsets import Subset
    from holdfast.types import Example, Prediction
    from holdfast.workflows.setup import Setup


@dataclass(frozen=True, repr=False)
class Answers:
    """What the smoothed classifier answers: what `predict` returns.

    Attributes:
        examples: examples of the subset.
        predictions: one for each.
        rule: rule that gives the answers.
        subset: which examples, in words.
        seed: seed of all noise.
        backend: name of what computed the logits.
    """

    examples: list[Example]
    predictions: list[Prediction]
    rule: AnswerRule
    subset: Subset
    seed: int
    backend: str

    @property
    def accuracy(self) -> Proportion:
        """Share of the examples that are answered right, with its interval; an abstention is not right."""
        from holdfast.stats.datasets import proportion

        right = sum(each.label == example.label for example, each in self._pairs())
        return proportion(right, len(self.examples))

    @property
    def abstentions(self) -> int:
        """How many examples get no answer."""
        return sum(each.label is None for each in self.predictions)

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row for each example.

        Its columns: `index`, `label`, `predicted` (missing for an abstention), `p_value` (missing where nothing was
        sampled), `n` (votes of the example) and `correct`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from holdfast.analysis.frames import frame_of_answers

        return frame_of_answers(self._pairs())

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __repr__(self) -> str:
        return f"<Answers: {self._counted()}>"

    def _repr_html_(self) -> str:
        from holdfast.analysis.shown import html_lines

        return html_lines([self._counted(), self.subset.words])

    def _counted(self) -> str:
        share = self.accuracy
        return (
            f"{round(share.value * len(self))} of {len(self)} correct, 95% interval {100 * share.lower:.1f}% to "
            f"{100 * share.upper:.1f}%, {self.abstentions} abstentions"
        )

    def _pairs(self) -> list[tuple[Example, Prediction]]:
        return list(zip(self.examples, self.predictions, strict=True))


def answers(
    setup: Setup,
    every: int,
    limit: int | None,
    n: int,
    alpha: float,
    engine: Engine,
    *,
    fixed: bool = False,
    seed: int | None = None,
    backend: str = "auto",
    sample: Sample | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> Answers:
    """Ask the smoothed classifier about a subset. It abstains where its top two classes cannot be told apart.

    Args:
        setup: model, data and noise.
        every: take one example in this many, from the first on.
        limit: largest number of examples; None for all.
        n: largest number of samples for each.
        alpha: largest probability of a wrong answer.
        engine: where the loop runs.
        fixed: take all samples and decide once, as Cohen et al. 2019 do.
        seed: seed of all noise; None for a fresh one.
        backend: what computes the logits, or "auto".
        sample: random sample in the place of `every` and `limit`; None for none.
        on_done: called with the number of examples that are done, and the number of all.
    """
    from holdfast.estimators import TopTwo, exhaustive_rule
    from holdfast.execution.backends import description
    from holdfast.execution.factories import base_for
    from holdfast.execution.smoothed import SmoothedClassifier
    from holdfast.sampling.rng import fresh_seed

    warn_of_class_order(setup.data, every, limit, sample)
    space, indices = setup.model.input_space, setup.indices(every, limit, sample)
    classifier = setup.builder(engine.device, engine.threads).chosen(backend, setup.data[0], len(indices) * n)
    smoothed = SmoothedClassifier(
        base_for(engine, classifier, setup.noise),
        setup.noise,
        len(setup.model.classes),
        input_range=(space.low, space.high),
        engine=engine,
    )
    drawn = fresh_seed() if seed is None else seed
    examples = list(setup.data.examples(indices))
    count = setup.noise.realizations(setup.data.shape)
    if count is not None and (setup.noise.runoff or count <= n):
        rule: AnswerRule = exhaustive_rule(setup.noise, count)
    else:
        rule = TopTwo(n, alpha, None if fixed else TopTwo.ratio)
    predictions = smoothed.predict_examples(examples, rule, seed=drawn, on_done=on_done)
    name = str(description(classifier)["name"])
    return Answers(examples, predictions, rule, setup.there(every, limit, sample), drawn, name)


@dataclass(frozen=True)
class PlainAnswers:
    """What a model answers by itself, without noise.

    Attributes:
        examples: examples of the subset.
        labels: class of each.
        subset: which examples, in words.
    """

    examples: list[Example]
    labels: list[int]
    subset: Subset


def plain_answers(
    model: Model,
    data: DataSet,
    every: int,
    limit: int | None,
    device: str,
    batch_size: int | None = None,
    sample: Sample | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> PlainAnswers:
    """The class that a model gives each input of a subset, without noise: its clean accuracy, and no certificate.

    Args:
        model: for the inputs and classes of the data.
        data: the split.
        every: take one example in this many, from the first on.
        limit: largest number of examples; None for all.
        device: cpu, cuda or cuda:N.
        batch_size: inputs in a batch; None for 16.
        sample: random sample in the place of `every` and `limit`; None for none.
        on_done: called with the number of examples that are done, and the number of all.

    Raises:
        ClassifierError: what it returns cannot be right.
    """
    import torch

    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.devices import torch_device
    from holdfast.sampling.void import no_vote
    from holdfast.store.samples import chosen

    warn_of_class_order(data, every, limit, sample)
    indices = list(chosen(len(data), every, limit, sample))
    classifier, where, size = VotingClassifier(model.module, len(model.classes)), torch_device(device), batch_size or 16
    labels: list[int] = []
    for start in range(0, len(indices), size):
        part = indices[start : start + size]
        votes, void = classifier.votes(torch.from_numpy(data.batch(part)).to(where))
        if bool(void.any()):
            raise no_vote(int(void.sum()), len(void), "inputs without noise")
        labels += votes.tolist()
        if on_done is not None:
            on_done(len(labels), len(indices))
    classifier.confirm(now=True)
    return PlainAnswers([data[index] for index in indices], labels, subset_in_words(data, every, limit, sample))
