"""An adapter for foolbox's attacks.

foolbox gets inputs scaled to [0, 1], since some of its attacks clip to that whatever the bounds. Gradient-based attacks
get the classifier's scores. Decision-based attacks get two columns, of which the larger says whether a candidate is
adversarial, so that foolbox need not know about abstention or target classes.
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
    """Turn errors of the classifier into ClassifierError, to tell them from errors of the library."""
    try:
        yield
    except Exception as error:
        if isinstance(error, HoldfastError) or is_out_of_memory(error):
            raise
        raise ClassifierError(
            f"the classifier failed with {type(error).__name__} ({first_line(error) or 'without a message'}) for an "
            "input that an attack made from the example; make sure that it accepts every input in its range"
        ) from error


class Cube:
    """Map inputs in a target's range to the unit cube and back; unchanged values stay unchanged."""

    def __init__(self, problem: Problem) -> None:
        self.x = problem.x
        self.low = problem.target.low
        self.width = problem.target.high - problem.target.low

    @property
    def start(self) -> Tensor:
        """The original input, in the cube."""
        return self.to(self.x)

    def to(self, x: Tensor) -> Tensor:
        """Map inputs to the cube."""
        return ((x - self.low) / self.width).clamp(0.0, 1.0)

    def back(self, points: Tensor) -> Tensor:
        """Map points of the cube to inputs."""
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
        """`(batch, *event) -> (batch, classes)`; values outside the cube are clipped, and have no gradient there."""
        points = points.clamp(0.0, 1.0)
        with own_faults():
            return self.problem.target.logits(self.cube.low + self.cube.width * points)


class Decisions(nn.Module):
    """Whether points of the cube are adversarial, as two columns of which the larger is the answer."""

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
    """An attack of foolbox. A subclass implements `made`."""

    library = "foolbox"
    # How far foolbox's bounds extend beyond the unit cube, for an attack that would freeze at its faces.
    room: ClassVar[float] = 0.0

    @abstractmethod
    def made(self, attacks: ModuleType) -> Any:
        """Make the attack from `foolbox.attacks`."""

    def search(self, problem: Problem) -> Tensor | None:
        """Run the attack; None if foolbox finds no starting point."""
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
            # Decision-based attacks raise these if they find no starting point or lose it. Holdfast raises other types.
            if by_gradients:
                raise
            logging.getLogger(__name__).debug("%s: %s", self.name, error)
            return None
        return points


def imported(package: str, purpose: str) -> Any:
    """Import a package of the extra `attacks`.

    Raises:
        MissingExtraError: the package is not installed.
        UsageError: something that the package needs is not installed.
    """
    try:
        return quietly(lambda: importlib.import_module(package))
    except ModuleNotFoundError as error:
        if error.name == package:
            raise MissingExtraError(package, "attacks", purpose) from None
        raise UsageError(
            f"{purpose} needs the package {package!r}, which is installed but cannot be imported: there is no module "
            f"{error.name!r}. Install the package that has it, or reinstall all that {package} needs: "
            f"pip install --force-reinstall '{NAME}[attacks]'"
        ) from error


def quietly(call: Any) -> Any:
    """Call without the library's warnings about starting points and divisions; results are verified anyway."""
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
