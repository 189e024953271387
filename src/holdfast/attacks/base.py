"""What an attack is: one final public method, one hook, and the table that finds attacks by name."""

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
    """One input to be attacked.

    Attributes:
        target: the classifier.
        x: the input, `(1, *event)`.
        label: the class to lead away from.
        target_class: the class to lead to; None for any other than `label`, or none at all.
        norm: in which changes are measured.
        budget: the largest change; infinity for as small as it gets.
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
        """Which candidates `(batch, *event)` are adversarial, `(batch,)`; an abstention is a success where there
        is no target class. They are first moved to what the classifier takes."""
        return self.target.loses(self.target.admissible(self.x[0], candidates), self.label, self.target_class)

    def margin(self, scores: Tensor) -> Tensor:
        """By how much scores `(batch, classes)` favour the adversary, `(batch,)`: above 0 it has won."""
        aim = self.label if self.target_class is None else self.target_class
        others = scores.clone()
        others[:, aim] = -math.inf
        ahead = others.amax(dim=1) - scores[:, aim]
        return ahead if self.target_class is None else -ahead

    def generator(self) -> torch.Generator:
        """A new generator of the problem's seed."""
        return torch_generator(self.seed, self.target.device)

    def accepted(self, candidate: Tensor | None) -> Tensor | None:
        """The candidate `(*event)` if it is adversarial and within the budget, after rounding is taken back."""
        if candidate is None or not bool(candidate.isfinite().all()):
            return None
        # What counts is what can be stored.
        candidate = candidate.detach().to(self.x.dtype)
        near = within(self.x[0], candidate.reshape(self.target.shape), self.norm, self.budget)
        if near is None:
            return None
        taken = self.target.admissible(self.x[0], near.unsqueeze(0))
        if distance(self.x[0], taken[0], self.norm) > self.budget or not bool(self.succeeds(taken)[0]):
            return None
        return taken[0]


class Attack(Named, ABC):
    """A search for an adversarial example.

    A subclass is a frozen dataclass with a class attribute `name`; its fields are its parameters, and `norm` is one of
    them where it has more than one. It writes `search`.

    Attributes:
        needs: what it asks of the classifier.
        norms: in which it can be measured, the default first.
        minimizes: whether it looks for a small change by itself; otherwise for any within the budget.
        randomized: whether a repetition with another seed can find something else.
        targeted: whether it can lead to a given class.
        source: of the method.
        library: the package of others that searches; empty for code of our own.
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
        """The norm in which its budget and its results are measured."""
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
            label: the class to lead away from. If the classifier answers otherwise, `x` itself is returned.
            budget: the largest change in the attack's norm, in input units or pixels; infinity (the default) for as
                small as it gets, for attacks that minimize.
            target_class: the class to lead to; None for any answer but `label`, abstention included.
            seed: of all randomness of the attack, from 0 to 2^63 - 1; that of the noise belongs to the target.

        Returns:
            An input `(*event)` in the classifier's range that it was seen to answer as claimed.

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
        """Whatever the library raises as an error that says where it comes from: libraries do not say what of.

        Not memory, which whoever called may have a remedy for.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            if not self.library or isinstance(error, HoldfastError) or is_out_of_memory(error):
                raise
            message = (str(error).strip().splitlines() or ["without a message"])[0]
            raise AttackError(
                f"the attack {self} could not be finished: {self.library} {installed_version(self.library)} failed "
                f"with {type(error).__name__} ({message}). That says nothing of the classifier. Take another attack, "
                f"other parameters, or another version of {self.library}; `holdfast attack` lists the attacks"
            ) from error

    def check(self, target: Target) -> None:
        """Raise UsageError if it cannot attack this target."""
        if self.measure is Norm.L0:
            refuse_channels_last(f"the attack {self.name!r}", target.shape, TRANSPOSE)
        if self.needs > target.gives:
            able = [name for name, known in ATTACKS.all().items() if known.needs <= target.gives]
            raise UsageError(
                f"the attack {self.name!r} needs {self.needs}, and {target} gives {target.gives}; attacks that need no "
                f"more: {', '.join(able)}"
            )

    def check_targeted(self) -> None:
        """Raise UsageError if it cannot lead to a given class."""
        if not self.targeted:
            raise UsageError(
                f"the attack {self.name!r} leads to any other class, not to a given one; leave the target class out"
            )

    def check_budget(self, budget: float) -> None:
        """Raise UsageError if it cannot have this budget."""
        check_budget(self.measure, budget)
        if not self.minimizes and budget == math.inf:
            raise UsageError(
                f"the attack {self.name!r} searches within a budget; give one, in {self.measure.unit} or, with a "
                "certification, in certified radii"
            )

    @abstractmethod
    def search(self, problem: Problem) -> Tensor | None:
        """A candidate `(*event)` or `(1, *event)`, or None; `run` verifies it. `x` is not adversarial itself."""


def installed_version(package: str) -> str:
    """The version of a package of others, for messages."""
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
        UsageError: an unknown attack, or a parameter that is unknown, missing or out of range.
    """
    return ATTACKS.from_dict(description)


def check_norm(attack: Attack, name: str) -> None:
    """Raise UsageError unless the attack has this norm."""
    norm_spelt(name, f"the attack {attack.name!r}", attack.norms)


def _checked_class(name: str, value: int, classes: int) -> int:
    """`value` as a number of Python, if it is a class.

    Raises:
        UsageError: it is none.
    """
    try:
        found = index(value)
    except TypeError:
        found = -1
    if not 0 <= found < classes:
        raise UsageError(f"{name} is a class from 0 to {classes - 1}, a whole number; got {value!r}")
    return found


def check_whole(name: str, value: int, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number from `least` on."""
    if type(plain(value)) is not int or value < least:
        raise UsageError(f"{name} is a whole number from {least} on, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise UsageError unless `value` is a share strictly between 0 and 1."""
    if not (is_real(plain(value)) and 0.0 < value < 1.0):
        raise UsageError(f"{name} is a number between 0 and 1, got {value!r}")


def check_above_zero(name: str, value: float) -> None:
    """Raise UsageError unless `value` is a finite number above 0."""
    if not (is_real(plain(value)) and value > 0):
        raise UsageError(f"{name} is a number above 0, got {value!r}")


def checked_input(target: Target, x: Tensor) -> Tensor:
    """`x` as float32 on the target's device, if it lies in the target's input space.

    Raises:
        InputError: no tensor of real numbers, another shape, a value that is not finite, or one outside the range.
    """
    if not isinstance(x, Tensor):
        raise InputError(
            f"an attack takes one input as a torch tensor of real numbers, got {type(x).__name__}; torch.as_tensor "
            "makes one of an array or a list"
        )
    checked_tensor(x)
    if tuple(x.shape) != target.shape:
        raise InputError(
            f"an attack takes one input of shape {target.shape}, got {tuple(x.shape)}; for a batch, call it for each"
        )
    moved = x.detach().to(target.device, torch.float32)
    check_values("the input to attack", moved.numpy(force=True), target.low, target.high)
    return moved
