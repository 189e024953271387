"""foolbox's attacks behind our interface: the unit cube instead of the input's range, and what its models return.

foolbox is given inputs in [0, 1], since some of its attacks clip to that whatever the bounds. Attacks by gradients see
the classifier's scores; attacks by decisions see two columns, of which the larger says whether a candidate is
adversarial, so that abstention and a target class need nothing of foolbox's own.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.attacks.base import Attack
from holdfast.attacks.target import Access
from holdfast.distribution import NAME
from holdfast.errors import ClassifierError, HoldfastError, MissingExtraError, UsageError, first_line
from holdfast.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from holdfast.attacks.base import Problem


@contextmanager
def own_faults() -> Iterator[None]:
    """What the classifier raises, as an error of its own: not to be taken for the library's, nor for a lost start."""
    try:
        yield
    except Exception as error:
        if isinstance(error, HoldfastError) or is_out_of_memory(error):
            raise
        raise ClassifierError(
            f"the classifier failed with {type(error).__name__} ({first_line(error) or 'without a message'}) for an "
            "input that an attack made of the example; see that it takes every input in its range"
        ) from error


class Cube:
    """Inputs in a target's range as points of the unit cube, and back; what is unchanged there is unchanged here."""

    def __init__(self, problem: Problem) -> None:
        self.x = problem.x
        self.low = problem.target.low
        self.width = problem.target.high - problem.target.low

    @property
    def start(self) -> Tensor:
        """The input itself."""
        return self.to(self.x)

    def to(self, x: Tensor) -> Tensor:
        """From input units."""
        return ((x - self.low) / self.width).clamp(0.0, 1.0)

    def back(self, points: Tensor) -> Tensor:
        """To input units."""
        if (self.low, self.width) == (0.0, 1.0):
            return points
        return torch.where(points == self.start, self.x, self.low + self.width * points)


class Scores(nn.Module):
    """The target's scores for points of the cube, with gradients."""

    def __init__(self, problem: Problem, cube: Cube) -> None:
        super().__init__()
        self.problem = problem
        self.cube = cube

    def forward(self, points: Tensor) -> Tensor:
        """`(batch, *event) -> (batch, classes)`; what lies outside the cube is clipped, and has no slope there."""
        points = points.clamp(0.0, 1.0)
        with own_faults():
            return self.problem.target.logits(self.cube.low + self.cube.width * points)


class Decisions(nn.Module):
    """Whether points of the cube are adversarial, as two columns of which the larger one is the answer."""

    def __init__(self, problem: Problem, cube: Cube) -> None:
        super().__init__()
        self.problem = problem
        self.cube = cube

    def forward(self, points: Tensor) -> Tensor:
        """`(batch, *event) -> (batch, 2)`."""
        with own_faults():
            succeeds = self.problem.succeeds(self.cube.back(points))
        return torch.stack([~succeeds, succeeds], dim=1).float()


class FoolboxAttack(Attack):
    """An attack of foolbox. A subclass writes `made`."""

    library = "foolbox"
    # How far the bounds that foolbox is told lie outside the unit cube, where an attack would freeze at its faces.
    room: ClassVar[float] = 0.0

    @abstractmethod
    def made(self, attacks: ModuleType) -> Any:
        """The attack of `foolbox.attacks`."""

    def search(self, problem: Problem) -> Tensor | None:
        """Run it; None where foolbox says that it could not begin."""
        foolbox = imported("foolbox", f"The attack {self.name!r}")
        cube = Cube(problem)
        by_gradients = self.needs is Access.GRADIENTS
        model = foolbox.PyTorchModel(
            (Scores if by_gradients else Decisions)(problem, cube).eval(),
            bounds=(-self.room, 1.0 + self.room),
            device=problem.target.device,
        )
        points = quietly(lambda: self._run(foolbox, model, cube, problem, by_gradients))
        return None if points is None else cube.back(points.clamp(0.0, 1.0))

    def _run(self, foolbox: Any, model: Any, cube: Cube, problem: Problem, by_gradients: bool) -> Tensor | None:
        criterion = _criterion(foolbox, problem) if by_gradients else _zero(foolbox, problem)
        options = {} if self.minimizes else {"epsilon": problem.budget / cube.width}
        try:
            points: Tensor = self.made(foolbox.attacks).run(model, cube.start, criterion, **options)
        except (AssertionError, ValueError) as error:
            # How attacks by decisions say that they found no start, or lost it. Our own errors are of other types.
            if by_gradients:
                raise
            logging.getLogger(__name__).debug("%s: %s", self.name, error)
            return None
        return points


def imported(package: str, purpose: str) -> Any:
    """A package of the extra `attacks`.

    Raises:
        MissingExtraError: it is not installed.
        UsageError: something that it needs is not installed.
    """
    try:
        return quietly(lambda: importlib.import_module(package))
    except ModuleNotFoundError as error:
        if error.name == package:
            raise MissingExtraError(package, "attacks", purpose) from None
        raise UsageError(
            f"{purpose} needs the package {package!r}, which is installed and cannot be imported: there is no module "
            f"{error.name!r}. Install what has it, or all that {package} needs anew: "
            f"pip install --force-reinstall '{NAME}[attacks]'"
        ) from error


def quietly(call: Any) -> Any:
    """What the call returns, without other people's warnings about starts and divisions; results are verified."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def _criterion(foolbox: Any, problem: Problem) -> Any:
    labels = torch.tensor([problem.label], device=problem.target.device)
    if problem.target_class is None:
        return foolbox.criteria.Misclassification(labels)
    return foolbox.criteria.TargetedMisclassification(torch.full_like(labels, problem.target_class))


def _zero(foolbox: Any, problem: Problem) -> Any:
    return foolbox.criteria.Misclassification(torch.zeros(1, dtype=torch.int64, device=problem.target.device))
