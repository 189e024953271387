"""How workers make the base classifier of a run: the same network on the same backend, on an installation like the
driver's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from holdfast.errors import RunError
from holdfast.models.backends import Backend, Job, prepare
from holdfast.runs.execute import installed_versions
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Base, ClassifierRecipe, Engine
from holdfast.sampling.engines.local import LocalEngine

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class BackendRecipe(ClassifierRecipe):
    """A base classifier on a backend.

    Pickled, it holds the weights, so that workers need not share a disk with the driver.

    Args:
        backend: its name.
        job: what it computes.
        num_classes: of the classifier.
        described: what the backend says of itself at the driver, as the manifest has it.
        versions: of the driver's installation; a worker with another one would cast other votes.
    """

    backend: str
    job: Job
    num_classes: int
    described: dict[str, Any]
    versions: dict[str, str]

    def build(self, device: torch.device) -> VotingClassifier:
        """Prepare the backend on a device of this process.

        Raises:
            RunError: this worker's installation, or what the backend makes here, is another than the driver's.
        """
        _check_same("a worker has another installation than the driver", self.versions, installed_versions())
        made = prepare(self.backend, replace(self.job, device=device, module=self.job.module.to(device)))
        _check_same("the backend makes another base classifier on a worker", self.described, made.describe())
        return VotingClassifier(made, self.num_classes)


def base_for(engine: Engine, classifier: VotingClassifier) -> Base:
    """What to hand to an engine: the classifier itself in this process, how to make it for others."""
    if isinstance(engine, LocalEngine):
        return classifier
    backend = cast("Backend", classifier.function)
    return BackendRecipe(backend.name, backend.job, classifier.num_classes, backend.describe(), installed_versions())


def _check_same(what: str, promised: dict[str, Any], here: dict[str, Any]) -> None:
    others = [
        f"{name} is {here.get(name)} there and {promised.get(name)} at the driver"
        for name in dict.fromkeys([*promised, *here])
        if here.get(name) != promised.get(name)
    ]
    if others:
        raise RunError(
            f"{what}: {'; '.join(others)}. Votes could differ, so it was refused. Install the same versions on every "
            "machine, and take machines whose processors have the same capability"
        )
