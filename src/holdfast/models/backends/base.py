"""What a backend is, and the table that finds backends by name.

A backend computes the logits of a network: a batch of noisy inputs in, `(batch, classes)` out. Each rounds in its own
way, so each makes another base classifier of the same weights; certificates hold for the one that cast the votes. The
file of a backend imports its package only when it is used.
"""

from __future__ import annotations

import copy
import importlib
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError, HoldfastError, MissingExtraError, UsageError, first_line
from holdfast.memory import is_out_of_memory
from holdfast.models.networks import Wrapped, is_fixed, is_torch
from holdfast.models.onnx_graph import OnnxNetwork
from holdfast.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRECISIONS = ("float32", "bfloat16", "int8")
# Kinds of networks: modules of torch; an ONNX graph; or something that computes in its own way only.
TORCH, GRAPH, OPAQUE = "a torch network", "an ONNX graph", "a network that computes in its own way only"
# Calibration inputs for which the logits are looked at before anything is made of them.
_LOOKED_AT = 16

# By how much of the largest logit the logits of one input may differ from batch to batch: see `VotingClassifier`.
NEAR_TIE = {"float32": 2.0**-14, "bfloat16": 2.0**-7, "int8": 2.0**-7}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Noisy inputs from which an 8-bit network takes the ranges of its activations.

    Attributes:
        inputs: `(num, *noisy event)`.
        description: what they are, for the manifest.
    """

    inputs: NDArray[np.float32]
    description: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Job:
    """What a backend is to compute.

    Attributes:
        module: network from noisy inputs to logits, float32, in eval mode; normalization is its first layer.
        shape: shape of one noisy input.
        precision: one of `PRECISIONS`.
        device: where inputs come from.
        threads: processor threads.
        calibration: needed for int8.
    """

    module: nn.Module
    shape: tuple[int, ...]
    precision: str = "float32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: int = 1
    calibration: Calibration | None = None


class Backend(ABC):
    """The logits of one network. A subclass is concrete, final, and made by `prepare`.

    Attributes:
        name: in manifests and on the command line.
        precisions: precisions that it has.
        devices: kinds of devices that it computes on.
        networks: kinds of networks that it computes.
        packages: packages that it imports, and the extra that installs them.
        near_tie: two logits that are closer than this share of the largest one are computed again alone.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    networks: ClassVar[tuple[str, ...]] = (TORCH,)
    packages: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    near_tie: float

    def __init__(self, job: Job) -> None:
        self.job = job
        self.near_tie = NEAR_TIE[job.precision]

    @abstractmethod
    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits `(batch, classes)` of noisy inputs `(batch, *event)`; NaN and infinity come through."""

    def alone(self, noisy: Tensor) -> Tensor:
        """The same logits up to rounding, each row computed by itself: a function of that row."""
        # A copy: a network may return the same memory each time.
        return torch.cat([self(noisy[row : row + 1]).clone() for row in range(len(noisy))])

    def describe(self) -> dict[str, Any]:
        """The description of the backend for the manifest: all that f depends on besides weights and precision."""
        return {"name": self.name, "version": self.version()}

    @classmethod
    def version(cls) -> str:
        """The version of the package that computes."""
        return version(cls.packages[0]) if cls.packages else torch.__version__

    @classmethod
    def obstacle(cls, precision: str, device: torch.device, kind: str = TORCH) -> UsageError | MissingExtraError | None:
        """Why the backend cannot be used here for a network of this kind; None if it can."""
        if kind not in cls.networks:
            return UsageError(
                f"backend {cls.name!r} computes {' and '.join(cls.networks)}, and this is {kind}; for it there is "
                f"{', '.join(having('float32', kind))}"
            )
        if precision not in cls.has(kind):
            others = having(precision, kind)
            return UsageError(
                f"backend {cls.name!r} does not compute in {precision}, but in {' and '.join(cls.has(kind))}; for "
                f"{precision} there is {', '.join(others) or 'none'}"
            )
        if device.type not in cls.devices:
            return UsageError(f"backend {cls.name!r} computes on {' and '.join(cls.devices)}, not on {device.type}")
        for package in cls.packages:
            if not importable(package):
                return MissingExtraError(package, cls.extra, f"The backend {cls.name!r}")
        return None

    @classmethod
    def has(cls, kind: str) -> tuple[str, ...]:
        """The precisions in which it computes a network of this kind: what torch does not compute stays as it is."""
        return tuple(each for each in cls.precisions if each == "float32" or kind != OPAQUE)

    @final
    def __reduce__(self) -> tuple[Any, ...]:
        # Compiled graphs cannot be sent to another process: it makes its own.
        return prepare, (self.name, self.job)


BACKENDS: Registry[type[Backend]] = Registry("backend", "holdfast.models.backends")

AnyBackend = TypeVar("AnyBackend", bound=type[Backend])


def backend(name: str) -> Any:
    """Register a class as the backend of that name."""

    def register(kind: AnyBackend) -> AnyBackend:
        BACKENDS.add(name, kind, kind.__module__)
        kind.name = name
        return kind

    return register


def backend_names() -> list[str]:
    """The names of all backends: the reference first, the others sorted."""
    return sorted(BACKENDS.names(), key=lambda name: (name != "torch", name))


def check_precision(precision: str) -> str:
    """`precision` if it is one, UsageError otherwise."""
    if precision not in PRECISIONS:
        raise UsageError(f"the precision is {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, got {precision!r}")
    return precision


def find(name: str) -> type[Backend]:
    """The backend of that name.

    Raises:
        UsageError: there is none.
    """
    return BACKENDS.find(name)


def kind_of(module: nn.Module) -> str:
    """Which kind of network a module is: `TORCH`, `GRAPH` or `OPAQUE`."""
    if is_torch(module):
        return OPAQUE if is_fixed(module) else TORCH
    return GRAPH if isinstance(module, Wrapped) and isinstance(module.network, OnnxNetwork) else OPAQUE


def having(precision: str, kind: str = TORCH) -> list[str]:
    """Names of the backends that compute networks of this kind in this precision, here or elsewhere."""
    check_precision(precision)
    known = ((name, BACKENDS.find(name)) for name in backend_names())
    return [name for name, each in known if kind in each.networks and precision in each.has(kind)]


def usable(precision: str, device: torch.device, kind: str = TORCH) -> list[str]:
    """Names of the backends that compute networks of this kind in this precision here, the reference first."""
    return [name for name in having(precision, kind) if BACKENDS.find(name).obstacle(precision, device, kind) is None]


def prepare(name: str, job: Job) -> Backend:
    """A network made ready for a backend; takes seconds where something is compiled or calibrated.

    Args:
        name: one of `backend_names()`.
        job: the network, its precision and place.

    Raises:
        UsageError: an unknown name or precision, one that does not fit the other or the device, or a network that the
            backend cannot take.
        MissingExtraError: the backend needs a package that is not installed.
        ClassifierError: a network that cannot be calibrated for int8.
    """
    kind = find(name)
    check_precision(job.precision)
    obstacle = kind.obstacle(job.precision, job.device, kind_of(job.module))
    if obstacle is not None:
        raise obstacle
    if job.precision == "int8":
        _check_calibration(job)
    try:
        return kind(job)
    except HoldfastError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # Whatever a converter or a compiler raises for layers that it does not know.
        raise UsageError(
            f"backend {name!r} cannot take this network ({type(error).__name__}: {first_line(error)}); "
            "use another, as torch"
        ) from error


def _check_calibration(job: Job) -> None:
    """Raise unless there are inputs to take ranges from, and the network has finite logits for some of them.

    8-bit numbers have no NaN: a network that diverged would get ranges, and votes, that mean nothing.
    """
    if job.calibration is None:
        raise UsageError("int8 needs noisy inputs to take the ranges of activations from: give a calibration")
    with torch.no_grad():
        logits = job.module(torch.from_numpy(job.calibration.inputs[:_LOOKED_AT]).to(job.device))
    if not bool(logits.isfinite().all()):
        raise ClassifierError(
            "the float32 network returns NaN or infinite logits for noisy training inputs, so it cannot be calibrated "
            "for int8. A diverged model cannot be certified; retrain it"
        )


def frozen_copy(job: Job) -> nn.Module:
    """A copy of the job's network that may be changed, in eval mode and without gradients, on its device."""
    # TorchScript copies weights by an operation, of which they would be the result.
    with torch.no_grad():
        made = copy.deepcopy(job.module).to(job.device)
    # A program of torch.export has one mode, which it was exported in.
    with suppress(NotImplementedError):
        made.eval()
    # One by one: TorchScript does not take it for the whole.
    for weights in made.parameters():
        weights.requires_grad_(False)
    return made


def importable(package: str) -> bool:
    """Whether a package is there, without importing it."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def imported(package: str) -> Any:
    """The package, imported; `obstacle` has said that it is there."""
    return importlib.import_module(package)
