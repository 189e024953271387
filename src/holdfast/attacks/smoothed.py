"""A smoothed classifier under attack: decisions by votes, with abstention, and soft votes for gradients.

A target answers all queries with the same noise, so that it is a function of its input during a search. What an attack
finds may fit that noise; `check.verify` queries again with fresh noise.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.attacks.masks import MOST_PLACES, MaskedVotes
from holdfast.attacks.target import ABSTAINS, Access, Answers, Queries, Target, check_finite
from holdfast.errors import UsageError
from holdfast.estimators import AnswerRule, TopTwo, check_samples, exhaustive_rule
from holdfast.models.architectures.defended import straight_through
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.noises.pixels import TRANSPOSE, counts_pixels, refuse_channels_last
from holdfast.plain import is_real, plain
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.counts import MonteCarlo
from holdfast.sampling.devices import device_name, torch_device
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst, Predict
from holdfast.sampling.rng import SEED_BITS, Stream, check_seed
from holdfast.sampling.soft import soft_smoothed
from holdfast.stats.binomial import check_alpha, top_two_p_value
from holdfast.types import Counts, Example

# Default number of noisy copies that a soft vote averages.
_SOFT_SAMPLES = 64
# At this alpha a search abstains only if the top two classes are nearly equal, so that fresh noise will abstain, too.
SEARCH_ALPHA = 0.5
# Above level 0, the search must find another class at these alphas: about one, two and a half and four standard
# deviations of the votes. Measured: Pointwise on MNIST ablation fits the noise by about three at n = 1,000.
_LEVELS = (0.32, 0.012, 6e-5)
# Share of the range added before truncation, so that a float32 slightly below a whole step is not cut to one less.
_SLACK = 2.0**-21


class SmoothedTarget(Target):
    """A smoothed classifier that answers by Predict with n votes at alpha, as an adversary sees it.

    During a search, it abstains if the top two classes cannot be told apart at `search_alpha`, which is at least alpha.
    A success of the search then lies well inside the region where Predict abstains, instead of at its edge for the one
    noise that the search knows.

    Args:
        classifier: the base classifier that casts the votes.
        noise: the smoothing noise.
        shape: of one input without noise.
        n: votes per answer.
        alpha: failure probability of Predict, in (0, 1).
        low: smallest value of an input.
        high: largest value of an input.
        module: the base classifier as a torch module in eval mode, for gradients; None for no gradients. It may
            compute at another precision than `classifier`.
        search_alpha: in (0, 1), at least alpha.
        soft_samples: noisy copies that `logits` averages, or all there are where these are fewer.
        seed: of the noise.
        device: on which to compute.
        batch_size: noisy copies per batch; if None, the fastest number is found during the work.
        threads: processor threads.

    Raises:
        UsageError: a number is out of range, or n votes cannot give an answer at alpha.

    Source: Cohen et al. 2019, Predict; Levine & Feizi 2020, "Results on MNIST"; Salman et al. 2019, for the soft votes.
    """

    def __init__(
        self,
        classifier: VotingClassifier,
        noise: Noise,
        shape: tuple[int, ...],
        n: int,
        alpha: float,
        *,
        low: float = 0.0,
        high: float = 1.0,
        module: nn.Module | None = None,
        search_alpha: float = SEARCH_ALPHA,
        soft_samples: int = _SOFT_SAMPLES,
        seed: int = 0,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
        threads: int = 1,
    ) -> None:
        if not isinstance(classifier, VotingClassifier):
            raise UsageError(
                f"classifier must be VotingClassifier(base_classifier, num_classes), got {type(classifier).__name__}"
            )
        if not isinstance(noise, Noise):
            raise UsageError(f"the noise must be an object such as Gaussian(sigma=0.5), got {noise!r}")
        if not (module is None or isinstance(module, nn.Module)):
            raise UsageError(f"the module must be a torch module or None, got {type(module).__name__}")
        super().__init__(classifier.num_classes, shape, low, high, torch_device(device))
        if counts_pixels(noise):
            refuse_channels_last(str(noise), self.shape, TRANSPOSE)
        noise.check_inputs(self.shape, self.low, self.high)
        check_samples("n", n)
        check_samples("soft_samples", soft_samples)
        self.engine = LocalEngine(device_name(device), batch_size, threads)
        self.classifier = classifier
        self.noise = noise
        self.n = n
        self.alpha = alpha
        self.module = module
        self.search_alpha = search_alpha
        self.soft_samples = soft_samples
        self.seed = check_seed(seed)
        count = noise.realizations(self.shape)
        # If all realizations are as cheap as n samples, use them all, without randomness. A run-off needs them all.
        self.exhaustive = count is not None and (noise.runoff or count <= n)
        self.deterministic = self.exhaustive
        if not self.exhaustive:
            check_answers(n, check_alpha(alpha))
            if not (is_real(plain(search_alpha)) and alpha <= search_alpha < 1.0):
                raise UsageError(
                    f"search_alpha must lie between alpha ({alpha:g}) and 1, got {search_alpha!r}; a smaller one would "
                    "count abstentions in the search that Predict does not make"
                )
        self._rule: AnswerRule = exhaustive_rule(noise, count or n) if self.exhaustive else TopTwo(n, search_alpha)
        self.gives = Access.SCORES
        if module is not None:
            self.gives = Access.GRADIENTS if self.smooth else Access.SURROGATE
        self._loops: dict[bool, MonteCarlo] = {}
        self._masked: MaskedVotes | None = None
        self._draws: Tensor | None = None

    def __str__(self) -> str:
        return f"the classifier smoothed with {self.noise}"

    @property
    def smooth(self) -> bool:
        """Whether a noisy input changes smoothly with the input; otherwise `surrogate` provides gradients."""
        return self.noise.grid is None

    @property
    def predict_rule(self) -> AnswerRule:
        """Predict as deployed: n votes, one look, at alpha."""
        return self._rule if self.exhaustive else TopTwo(self.n, self.alpha, None)

    def _renew(self, seed: int, level: int) -> None:
        """Take other noise.

        Level 0 counts abstention at `search_alpha` as a success. Levels 1 to `MOST_LEVEL` require another class, more
        and more clearly, so that it is not enough to fit the one noise of the search.
        """
        super()._renew(seed, level)
        self.seed = seed
        self._loops, self._masked, self._draws = {}, None, None
        if not self.exhaustive:
            self.abstention_counts = level == 0
            self._rule = TopTwo(self.n, self.search_alpha if level == 0 else _LEVELS[level - 1])

    def _confirm(self) -> None:
        self.classifier.confirm(now=True)

    def _answers(self, x: Tensor, count: int, seed: int) -> Answers:
        """Run Predict `count` times."""
        row = np.ascontiguousarray(x.detach().cpu().numpy())
        # Different indices get independent noise.
        examples = [Example(number, row, 0) for number in range(count)]
        rule = self.predict_rule
        loop = self.engine.loop(self.classifier, self.noise, Predict(rule), seed, examples[0])
        runs = [votes[Stream.PREDICTION] for _, votes in loop.run(examples)]
        labels = [rule.prediction(counts).label for counts in runs]
        pooled = Counts.of([sum(column) for column in zip(*(counts.votes for counts in runs), strict=True)])
        classes = tuple(ABSTAINS if label is None else label for label in labels)
        return Answers(classes, pooled, Queries(decisions=count, samples=pooled.total))

    def admissible(self, x: Tensor, candidates: Tensor) -> Tensor:
        """Candidates moved into the range and, for noises on a grid, to the grid, rounded toward `x`."""
        inside = super().admissible(x, candidates)
        if self.noise.grid is not None:
            steps = self.noise.grid - 1
            start = (x * steps).round()
            moved = inside * steps - start
            moved = (moved + moved.sign() * (_SLACK * steps)).trunc()
            return torch.where(moved == 0, x, (start + moved) / steps)
        return inside

    def _on_grid(self, x: Tensor) -> Tensor:
        """The nearest point of the noise's grid, if it has one."""
        if self.noise.grid is None:
            return x
        steps = self.noise.grid - 1
        return (x.clamp(self.low, self.high) * steps).round() / steps

    def votes(self, x: Tensor) -> list[Counts]:
        """All n votes for each input `(batch, *event)`."""
        return self._counts(x, early=False)

    def _decide(self, x: Tensor) -> Tensor:
        answers = [self._rule.prediction(counts).label for counts in self._counts(x, early=True)]
        return torch.tensor([ABSTAINS if answer is None else answer for answer in answers], device=self.device)

    def _scores(self, x: Tensor) -> Tensor:
        votes = torch.tensor([counts.votes for counts in self.votes(x)], device=self.device, dtype=torch.float32)
        # Half a vote more for each class: one without votes is not impossible.
        return ((votes + 0.5) / (votes.sum(dim=1, keepdim=True) + 0.5 * self.num_classes)).log()

    def _logits(self, x: Tensor) -> Tensor:
        if self.module is None or not self.smooth:
            return super()._logits(x)
        if self._draws is None:
            one, count = x[0].detach(), self.noise.realizations(self.shape)
            # All realizations, where they are no more than samples would be drawn.
            self._draws = (
                self.noise.enumerate(one, 0, count)
                if self.exhaustive and count is not None and count <= self.soft_samples
                else self.noise.draw(one, Draws(self.seed, 0, Stream.ATTACK, self.soft_samples))
            )
        draws = self._draws
        return soft_smoothed(torch.stack([self._noisy_logits(each, draws) for each in x]))

    def _surrogate(self, x: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        if self.module is None:
            return super()._surrogate(x, samples, generator)
        seed = int(torch.randint(2**SEED_BITS - 1, (), generator=generator, device=generator.device))
        draws = [Draws(seed, number, Stream.ATTACK, samples) for number in range(len(x))]
        noise = [self.noise.draw(each.detach(), some) for each, some in zip(x, draws, strict=True)]
        return torch.stack([self._noisy_logits(each, some) for each, some in zip(x, noise, strict=True)])

    def _noisy_logits(self, x: Tensor, draws: Tensor) -> Tensor:
        """Logits `(draws, classes)` of noisy copies of one input, with gradients."""
        if self.module is None:
            raise UsageError(f"{self} has no module for gradients; pass `module`")
        if self.smooth:
            noisy = self.noise.apply(x.unsqueeze(0), draws)
        else:
            copies = x.unsqueeze(0).expand(len(draws), *x.shape)
            noisy = straight_through(copies, self.noise.apply(self._on_grid(x.detach()).unsqueeze(0), draws))
        self.queries.samples += len(noisy)
        # Copied, since the module may return the same memory each time.
        logits: Tensor = self.module(noisy).clone().float()
        check_finite(logits.isfinite().all(dim=1))
        return logits

    def _counts(self, x: Tensor, early: bool) -> list[Counts]:
        """Votes for each input under the target's noise: all n or, if `early`, as many as an answer takes."""
        rows = x.detach().to(self.device, torch.float32)
        found: dict[int, Counts] = {}
        if self.noise.draws_places and not self.exhaustive:
            masked = self._masked_votes(self.noise, rows[0])
            for number, row in enumerate(rows):
                known = masked.counts(row, force=not early) if masked else None
                if known is not None:
                    found[number], passes = known
                    self.queries.samples += passes
        others = [number for number in range(len(rows)) if number not in found]
        # The noise depends on the index: with one index, all inputs get the same noise.
        examples = [Example(0, np.ascontiguousarray(rows[number].cpu().numpy()), number) for number in others]
        if examples:
            for example, votes in self._loop(early, examples[0]).run(examples):
                found[example.label] = votes[Stream.PREDICTION]
                self.queries.samples += votes[Stream.PREDICTION].total
        return [found[number] for number in range(len(rows))]

    def _masked_votes(self, noise: Noise, x: Tensor) -> MaskedVotes | None:
        """The memory of votes; None if all masks together would take too much memory."""
        if self._masked is None:
            places = noise.draw(x, Draws(self.seed, 0, Stream.PREDICTION, 1)).shape[1]
            if self.n * places > MOST_PLACES:
                return None
            size = self.engine.batches(self.classifier, noise, tuple(x.shape)).size
            self._masked = MaskedVotes(self.classifier, noise, self.n, self.seed, size)
        return self._masked

    def _loop(self, early: bool, example: Example) -> MonteCarlo:
        early = early or self.exhaustive
        if early not in self._loops:
            procedure = Predict(self._rule) if early else Burst(self.n)
            # Each query is a run, too short to check the classifier twice in each.
            self._loops[early] = self.engine.loop(
                self.classifier, self.noise, procedure, self.seed, example, confirming=False
            )
        return self._loops[early]


def check_answers(n: int, alpha: float) -> None:
    """Raise UsageError unless n unanimous votes give an answer at alpha."""
    if n >= 1 and top_two_p_value(n, 0) > alpha:
        raise UsageError(
            f"with n = {n} votes and alpha = {alpha:g} the smoothed classifier always abstains: even if all votes "
            f"agree, their p-value is {top_two_p_value(n, 0):.2g}. Use a larger n or a larger alpha"
        )
