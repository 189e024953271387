"""The interface of attacks: one final public method, one hook, and the registry by name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor

from holdfast.attacks.distances import check_budget, distance, within
from holdfast.attacks.randomness import seeded, torch_generator
from holdfast.attacks.target import Access, Target
from holdfast.errors import AttackError, HoldfastError, InputError, UsageError
from holdfast.memory import is_out_of_memory
from holdfast.named import Family, Named
from holdfast.noises.pixels import TRANSPOSE, refuse_channels_last
from holdfast.plain import is_real, plain
from holdfast.sampling.inputs import check_values, checked_tensor
from holdfast.sampling.rng import check_seed
from holdfast.types import Norm, norm_spelt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ATTACKS: Family[Attack] = Family("attack", "holdfast.attacks.methods", "holdfast.attacks")


@dataclass(frozen=True, eq=False)
class Problem:
    """One input to attack.

    Attributes:
        target: the classifier.
        x: the input, `(1, *event)`.
        label: the class to change.
        target_class: the class to reach; None for any class but `label`, or abstention.
        norm: of changes.
        budget: the largest change; infinity for the smallest change that can be found.
        seed: of all randomness of the attack.
    """

    target: Target
    x: Tensor
    label: int
    target_class: int | None
    norm: Norm
    budget: float
    seed: int

    def succeeds(self, candidates: Tensor) -> Tensor:
        """Which candidates `(batch, *event)` are adversarial, `(batch,)`. Without a target class, an abstention is a
        success. Candidates are first moved to inputs that the classifier accepts."""
        return self.target.loses(self.target.admissible(self.x[0], candidates), self.label, self.target_class)

    def contested(self, scores: Tensor) -> Tensor:
        """Scores `(..., classes)` of the classes alone: without a target class, a rejection is no success, so its
        column counts as the label's where it is larger."""
        if scores.shape[-1] == self.target.num_classes or self.target_class is not None:
            return scores
        label = torch.maximum(scores[..., self.label], scores[..., -1])
        columns = torch.arange(self.target.num_classes, device=scores.device)
        return torch.where(columns == self.label, label.unsqueeze(-1), scores[..., :-1])

    def margin(self, scores: Tensor) -> Tensor:
        """How far scores `(batch, classes)` favour the adversary, `(batch,)`: above 0 it has won."""
        scores = self.contested(scores)
        aim = self.label if self.target_class is None else self.target_class
        others = scores.clone()
        others[:, aim] = -math.inf
        ahead = others.amax(dim=1) - scores[:, aim]
        return ahead if self.target_class is None else -ahead

    def generator(self) -> torch.Generator:
        """A new generator with the problem's seed."""
        return torch_generator(self.seed, self.target.device)

    def accepted(self, candidate: Tensor | None) -> Tensor | None:
        """The candidate `(*event)` if it is adversarial and within the budget, after removing rounding; else None."""
        if candidate is None or not bool(candidate.isfinite().all()):
            return None
        # Verify the candidate at the precision at which it is stored.
        candidate = candidate.detach().to(self.x.dtype)
        near = within(self.x[0], candidate.reshape(self.target.shape), self.norm, self.budget)
        if near is None:
            return None
        admissible = self.target.admissible(self.x[0], near.unsqueeze(0))
        if distance(self.x[0], admissible[0], self.norm) > self.budget or not bool(self.succeeds(admissible)[0]):
            return None
        return admissible[0]


class Attack(Named, ABC):
    """A search for an adversarial example.

    A subclass is a frozen dataclass with a class attribute `name`. Its fields are its parameters, including `norm` if
    it has more than one norm. It implements `search`.

    Attributes:
        needs: the access to the classifier that it needs.
        norms: that it supports, the default first.
        minimizes: whether it looks for a small change; otherwise it looks for any change within the budget.
        randomized: whether a restart with another seed can find something else.
        targeted: whether it can aim at a given class.
        source: of the method.
        library: the package that searches; empty for Holdfast's own code.
    """

    needs: ClassVar[Access]
    norms: ClassVar[tuple[Norm, ...]]
    minimizes: ClassVar[bool]
    randomized: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    source: ClassVar[str]
    library: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ATTACKS.register(cls)

    @property
    def measure(self) -> Norm:
        """The norm of its budget and results."""
        named = getattr(self, "norm", None)
        return self.norms[0] if named is None else norm_spelt(named, self.name, self.norms)

    @final
    def run(
        self,
        target: Target,
        x: Tensor,
        label: int,
        budget: float = math.inf,
        *,
        target_class: int | None = None,
        seed: int = 0,
    ) -> Tensor | None:
        """An adversarial example within the budget, or None.

        Args:
            target: the classifier.
            x: one input, `(*event)`, in input units.
            label: the class to change. If the classifier gives another answer, `x` itself is returned.
            budget: the largest change in the attack's norm, in input units or pixels; infinity (the default) for the
                smallest change that can be found, for attacks that minimize.
            target_class: the class to reach; None for any answer but `label`, including abstention.
            seed: of all randomness of the attack, from 0 to 2^63 - 1; the target has its own seed for the noise.

        Returns:
            An input `(*event)` in the classifier's range, verified to succeed against the target.

        Raises:
            UsageError: the attack does not fit the target, or an argument is out of range.
            InputError: `x` is outside the input space or not finite.
            MissingExtraError: a package is not installed.
            AttackError: the library that searches failed.
        """
        self.check(target)
        self.check_budget(budget)
        check_seed(seed)
        label = _checked_class("label", label, target.num_classes)
        if target_class is not None:
            target_class = _checked_class("target_class", target_class, target.num_classes)
            self.check_targeted()
        if target_class == label:
            raise UsageError(f"label and target_class are both class {label}; there is nothing to change")
        x = checked_input(target, x)
        problem = Problem(target, x.unsqueeze(0), label, target_class, self.measure, float(budget), seed)
        if bool(problem.succeeds(problem.x)[0]):
            return x.clone()
        with seeded(seed), self._named_faults():
            found = self.search(problem)
        return problem.accepted(found)

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        """Turn errors of the library into an AttackError that names attack and library.

        Errors for lack of memory pass through: the caller may have a remedy.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            if not self.library or isinstance(error, HoldfastError) or is_out_of_memory(error):
                raise
            message = (str(error).strip().splitlines() or ["without a message"])[0]
            raise AttackError(
                f"the attack {self} could not be finished: {self.library} {installed_version(self.library)} failed "
                f"with {type(error).__name__} ({message}). That says nothing about the classifier. Use another attack, "
                f"other parameters, or another version of {self.library}; `holdfast attack` lists the attacks"
            ) from error

    def check(self, target: Target) -> None:
        """Raise UsageError if the attack cannot attack this target."""
        if self.measure.whole:
            refuse_channels_last(f"the attack {self.name!r}", target.shape, TRANSPOSE)
        if self.needs > target.gives:
            able = [name for name, known in ATTACKS.all().items() if known.needs <= target.gives]
            raise UsageError(
                f"the attack {self.name!r} needs {self.needs}, but {target} gives only {target.gives}; attacks that "
                f"need no more: {', '.join(able)}"
            )

    def check_targeted(self) -> None:
        """Raise UsageError if the attack cannot aim at a given class."""
        if not self.targeted:
            raise UsageError(
                f"the attack {self.name!r} cannot aim at a given class, only at any other; leave the target class out"
            )

    def check_budget(self, budget: float) -> None:
        """Raise UsageError if the attack cannot have this budget."""
        check_budget(self.measure, budget)
        if not self.minimizes and budget == math.inf:
            raise UsageError(
                f"the attack {self.name!r} searches within a budget; give one, in {self.measure.unit} or, with a "
                "certification, in certified radii"
            )

    @abstractmethod
    def search(self, problem: Problem) -> Tensor | None:
        """Find a candidate `(*event)` or `(1, *event)`, or None; `run` verifies it. `problem.x` is not adversarial."""


def installed_version(package: str) -> str:
    """The version of an installed package, for messages."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def attack_classes() -> dict[str, type[Attack]]:
    """All attacks by name."""
    return ATTACKS.all()


def attack_from_dict(description: Mapping[str, Any]) -> Attack:
    """The attack that `Attack.to_dict` described.

    Raises:
        UsageError: the attack is unknown, or a parameter is unknown, missing or out of range.
    """
    return ATTACKS.from_dict(description)


def check_norm(attack: Attack, name: str) -> None:
    """Raise UsageError unless the attack supports this norm."""
    norm_spelt(name, f"the attack {attack.name!r}", attack.norms)


def _checked_class(name: str, value: int, classes: int) -> int:
    """`value` as a Python int.

    Raises:
        UsageError: it is not a class.
    """
    try:
        found = index(value)
    except TypeError:
        found = -1
    if not 0 <= found < classes:
        raise UsageError(f"{name} must be a class, a whole number from 0 to {classes - 1}; got {value!r}")
    return found


def check_whole(name: str, value: int, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of at least `least`."""
    if type(plain(value)) is not int or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise UsageError unless `value` is a share strictly between 0 and 1."""
    if not (is_real(plain(value)) and 0.0 < value < 1.0):
        raise UsageError(f"{name} must be a number between 0 and 1, got {value!r}")


def check_above_zero(name: str, value: float) -> None:
    """Raise UsageError unless `value` is a finite number above 0."""
    if not (is_real(plain(value)) and value > 0):
        raise UsageError(f"{name} must be a number above 0, got {value!r}")


def checked_input(target: Target, x: Tensor) -> Tensor:
    """`x` as float32 on the target's device, if it lies in the target's input space.

    Raises:
        InputError: it is not a tensor of real numbers, has another shape, or has a value not finite or out of range.
    """
    if not isinstance(x, Tensor):
        raise InputError(
            f"an attack takes one input as a torch tensor of real numbers, got {type(x).__name__}; convert an array or "
            "a list with torch.as_tensor"
        )
    checked_tensor(x)
    if tuple(x.shape) != target.shape:
        raise InputError(
            f"an attack takes one input of shape {target.shape}, got {tuple(x.shape)}; for a batch, attack each input"
        )
    moved = x.detach().to(target.device, torch.float32)
    check_values("the input to attack", moved.numpy(force=True), target.low, target.high)
    return moved
