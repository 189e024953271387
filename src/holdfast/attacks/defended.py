"""A classifier behind a defence, as adversaries see it, with naive and with useful gradients.

A naive adversary differentiates `logits`, which ignores the randomness and any detector, and has zero gradients
through rounding (the vanilla attack in Athalye et al. 2018). `surrogate` uses new draws, and the identity as the
gradient of steps without one (EOT, BPDA). If the classifier rejects inputs, `scores` and `surrogate` have one more
column, the largest where it does (Carlini & Wagner 2017, "Adversarial Examples Are Not Easily Detected").

The deployed classifier answers with one fresh draw for each input. An adversary who wants most draws to fail decides by
several, the same ones for a whole search. After claims that fresh draws refute, it uses more draws, of which a larger
share must fail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from holdfast.attacks.randomness import torch_generator
from holdfast.attacks.target import ABSTAINS, Access, Answers, Target, check_finite
from holdfast.errors import UsageError
from holdfast.models.architectures.defended import DefendedClassifier
from holdfast.sampling.modes import check_eval_mode
from holdfast.types import Counts

if TYPE_CHECKING:
    from torch import nn

# For each level: the number of draws that decide, and the share of them that must fail. A claim holds if more than half
# of all draws fail, with a margin for chance, and a search selects changes that its own draws favour. A single draw
# would do worse: the search would end at the first change that it favours, and miss changes on which most draws fail.
_LEVELS = ((20, 0.5), (40, 0.65), (80, 0.75), (160, 0.85))
# Number of draws that a score averages, as an adversary without gradients would query several times.
_DRAWS_OF_A_SCORE = 4
# Inputs that go through the classifier at a time.
_BATCH = 1024


class DefendedTarget(Target):
    """A classifier behind a defence.

    Args:
        module: a `DefendedClassifier`, or one behind an inactive normalization as in bundles; in eval mode.
        num_classes: at least 2.
        shape: of one input.
        low: smallest value of an input.
        high: largest value of an input.
        device: on which inputs are expected.
        seed: of the draws.

    Raises:
        UsageError: the module has no defence.
        ClassifierError: the module is in training mode.
    """

    def __init__(
        self,
        module: nn.Module,
        num_classes: int,
        shape: tuple[int, ...],
        low: float = 0.0,
        high: float = 1.0,
        device: torch.device | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes, shape, low, high, device or torch.device("cpu"))
        found = [part for part in module.modules() if isinstance(part, DefendedClassifier)]
        if not found:
            raise UsageError("the module has no defence; use PlainTarget for a classifier without one")
        check_eval_mode(module)
        self.module = found[0]
        self.gives = Access.GRADIENTS
        self.deterministic = not self.module.random
        self.rejects = self._suspicion(torch.full((1, *shape), low, device=self.device)) is not None
        self.abstention_counts = not self.rejects
        self._renew(seed, 0)

    def __str__(self) -> str:
        return "the defended classifier"

    def _renew(self, seed: int, level: int) -> None:
        """Take other draws: at level 0 half of them must fail, at higher levels a larger share of more draws."""
        super()._renew(seed, level)
        count, self._share = _LEVELS[level] if self.module.random else (1, 1.0)
        self._draws = self.module.draw(count, torch_generator(seed, self.device), self.device)
        self._scoring = torch_generator(seed + 1, self.device)

    @torch.no_grad()
    def _answers(self, x: Tensor, count: int, seed: int) -> Answers:
        """Answer with `count` draws; the answers are the votes."""
        draws = self.module.draw(count, torch_generator(seed, self.device), self.device)
        classes = self._under_all(x.unsqueeze(0), draws)[0].argmax(dim=1)
        votes = Counts.of(torch.bincount(classes, minlength=self.num_classes).tolist())
        self.queries.decisions += count
        return Answers(tuple(classes.tolist()), votes, self.queries)

    def _decide(self, x: Tensor) -> Tensor:
        """The most frequent class among the draws; none for rejected inputs."""
        answers = self._under_all(x, self._draws).argmax(dim=2).mode(dim=1).values
        return answers.masked_fill(self._rejected(x), ABSTAINS)

    def _loses(self, x: Tensor, label: int, target_class: int | None) -> Tensor:
        """Where the share of failing draws is as large as the level requires, and the input is not rejected."""
        classes = self._under_all(x, self._draws).argmax(dim=2)
        failing = classes != label if target_class is None else classes == target_class
        return (failing.double().mean(dim=1) >= self._share) & ~self._rejected(x)

    def _scores(self, x: Tensor) -> Tensor:
        """Logarithms of mean probabilities, with new draws for each call but the same draws for all its inputs.

        With separate draws, an input could look better than another by luck. Where the classifier is sure, only
        logarithms still differ.
        """
        count = _DRAWS_OF_A_SCORE if self.module.random else 1
        draws = self.module.draw(count, self._scoring, self.device)
        logits = self._under_all(x, draws)
        means = logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(count)
        return self._with_rejection(means, self._all_suspicions(x))

    def _logits(self, x: Tensor) -> Tensor:
        return self._through(x, self.module.still(len(x), self.device))

    def _surrogate(self, x: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        count = samples if self.module.random else 1
        copies = x.repeat_interleave(count, 0)
        draws = self.module.draw(len(copies), generator, self.device)
        logits = self._finite(self.module.revealing(copies, draws))
        suspicion = self._suspicion(x)
        extended = self._with_rejection(logits, None if suspicion is None else suspicion.repeat_interleave(count))
        return extended.view(len(x), count, -1)

    @torch.no_grad()
    def _under_all(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits `(batch, draws, classes)` for each input and draw."""
        parts = torch.split(x, max(1, _BATCH // len(draws)))
        return torch.cat([self._under_each(part, draws) for part in parts])

    def _under_each(self, x: Tensor, draws: Tensor) -> Tensor:
        every = draws.repeat(len(x), *[1] * (draws.ndim - 1))
        return self._through(x.repeat_interleave(len(draws), 0), every).view(len(x), len(draws), -1)

    def _through(self, x: Tensor, draws: Tensor) -> Tensor:
        return self._finite(self.module.under(x, draws))

    def _suspicion(self, x: Tensor) -> Tensor | None:
        """How suspicious inputs are; None if none is ever rejected."""
        found = self.module.suspicion(x)
        if found is not None:
            check_finite(found.isfinite())
        return found

    @torch.no_grad()
    def _all_suspicions(self, x: Tensor) -> Tensor | None:
        if not self.rejects:
            return None
        found = [self._suspicion(part) for part in torch.split(x, _BATCH)]
        return torch.cat([each for each in found if each is not None])

    def _rejected(self, x: Tensor) -> Tensor:
        """Which inputs are rejected, `(batch,)`."""
        found = self._all_suspicions(x)
        return torch.zeros(len(x), dtype=torch.bool, device=self.device) if found is None else found > 0.0

    def _with_rejection(self, logits: Tensor, suspicion: Tensor | None) -> Tensor:
        """Logits with a column for a rejection, which is the largest where suspicion is above 0."""
        if suspicion is None:
            return logits
        return torch.cat([logits, (logits.amax(dim=1) + suspicion.float()).unsqueeze(1)], dim=1)

    def _finite(self, logits: Tensor) -> Tensor:
        """Check logits and return them as float32; count them as samples if the defence is random."""
        self.queries.samples += len(logits) if self.module.random else 0
        check_finite(logits.isfinite().all(dim=1))
        return logits.float()
