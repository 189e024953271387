"""How workers make the base classifier of a run: the same network on the same backend, on an installation like the
driver's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from holdfast.code_digest import MAIN, code_again
from holdfast.errors import RunError
from holdfast.execution.code import code_at_work
from holdfast.execution.versions import installed_versions
from holdfast.models.backends import Backend, Job, prepare
from holdfast.models.identity import model_code
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Base, ClassifierFactory, Engine
from holdfast.sampling.engines.local import LocalEngine

if TYPE_CHECKING:
    import torch

    from holdfast.noises.base import Noise


@dataclass(frozen=True, eq=False)
class BackendFactory(ClassifierFactory):
    """A base classifier on a backend.

    Pickled, it holds the weights, so that workers need not share a disk with the driver.

    Args:
        backend: its name.
        job: what it computes.
        num_classes: num classes of the classifier.
        described: description of the backend at the driver, as in the manifest.
        versions: versions of the driver's installation; a worker with another one would cast other votes.
        code: digests of the driver's code of the network, the noise and the loop, by the names of modules.
    """

    backend: str
    job: Job
    num_classes: int
    described: dict[str, Any]
    versions: dict[str, str]
    code: dict[str, str] = field(default_factory=dict)

    def build(self, device: torch.device) -> VotingClassifier:
        """Prepare the backend on a device of this process.

        Raises:
            RunError: this worker's installation, its code, or what the backend makes here, is another than the
                driver's.
        """
        _check_same("a worker has another installation than the driver", self.versions, installed_versions())
        self._check_code()
        made = prepare(self.backend, replace(self.job, device=device, module=self.job.module.to(device)))
        _check_same("the backend makes another base classifier on a worker", self.described, made.describe())
        return VotingClassifier(made, self.num_classes)

    def _check_code(self) -> None:
        here = code_again(self.code)
        others = [name for name, digest in self.code.items() if here[name] != digest]
        if others:
            raise RunError(
                f"a worker has other code than the driver in {', '.join(others)}. Votes could differ, so the "
                "worker was refused. Put the same files on every machine, and start again if they changed meanwhile"
            )


def base_for(engine: Engine, classifier: VotingClassifier, noise: Noise) -> Base:
    """What an engine gets: the classifier itself in this process, or how workers make it.

    Args:
        engine: where the loop runs.
        classifier: on its backend.
        noise: noise that the engine draws.
    """
    if isinstance(engine, LocalEngine):
        return classifier
    backend = cast("Backend", classifier.function)
    code = code_at_work(type(noise), type(backend)) | model_code(backend.job.module)
    return BackendFactory(
        backend.name,
        backend.job,
        classifier.num_classes,
        backend.describe(),
        installed_versions(),
        # The classes of a script travel by themselves, and another script is the main one there.
        {name: digest for name, digest in code.items() if name != MAIN},
    )


def _check_same(what: str, expected: dict[str, Any], here: dict[str, Any]) -> None:
    others = [
        f"{name} is {here.get(name)} there and {expected.get(name)} at the driver"
        for name in dict.fromkeys([*expected, *here])
        if here.get(name) != expected.get(name)
    ]
    if others:
        raise RunError(
            f"{what}: {'; '.join(others)}. Votes could differ, so the worker was refused. Install the same versions on "
            "every machine, and take machines whose processors have the same capability"
        )
