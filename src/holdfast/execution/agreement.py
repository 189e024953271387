"""Two base classifiers on the same noisy inputs: how many votes differ, and the certificates of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from holdfast.errors import ClassifierError
from holdfast.estimators import FixedSize, certificate
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.procedure import Certify, certify_votes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.sampling.procedure import Votes
    from holdfast.types import Certificate, Example


@dataclass(frozen=True)
class Agreement:
    """The votes and certificates of two base classifiers on the same inputs.

    Attributes:
        votes: number of votes that each of them cast.
        differing: number of votes on which they differ.
        first: certificates from the votes of the first, in the order of the examples.
        second: certificates from the votes of the second.
    """

    votes: int
    differing: int
    first: list[Certificate]
    second: list[Certificate]


class _Recorded(VotingClassifier):
    """A base classifier that records its votes, in order."""

    def __init__(self, classifier: VotingClassifier) -> None:
        super().__init__(classifier.function, classifier.num_classes)
        self.record: list[Tensor] = []

    def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """The votes of the classifier, which are recorded."""
        votes, void = super().votes(noisy)
        self.record.append(votes.to("cpu", torch.int16))
        return votes, void


def agreement(
    first: VotingClassifier,
    second: VotingClassifier,
    noise: Noise,
    estimator: FixedSize,
    n0: int,
    seed: int,
    examples: Sequence[Example],
    engine: LocalEngine,
    on_done: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Certify the examples with both classifiers, from the same noise, and compare vote with vote.

    Args:
        first: the reference.
        second: the other one.
        noise: the smoothing noise.
        estimator: estimator of a fixed size, so that both classifiers get the same inputs in the same order.
        n0: selection samples of each example.
        seed: seed of the noise.
        examples: inputs within the range of the noise.
        engine: in this process, with a fixed batch size.
        on_done: called after each example and classifier with the number of those done and of all.
    """
    records: list[Tensor] = []
    certificates: list[list[Certificate]] = []
    for classifier in (first, second):
        recorded = _Recorded(classifier)
        votes: dict[int, Votes] = {}
        for example, each in engine.run(recorded, noise, Certify(n0, estimator), seed, examples):
            votes[example.index] = each
            if on_done:
                on_done(len(certificates) * len(examples) + len(votes), 2 * len(examples))
        records.append(torch.cat(recorded.record))
        certificates.append(
            [certificate(noise, estimator, each.x.shape, *certify_votes(votes[each.index])) for each in examples]
        )
    if len(records[0]) != len(records[1]):
        raise ClassifierError("the two classifiers got different numbers of inputs; fix the batch size")
    return Agreement(len(records[0]), int((records[0] != records[1]).sum()), *certificates)
