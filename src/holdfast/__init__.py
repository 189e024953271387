"""Holdfast: certified robustness of classifiers by randomized smoothing.

The public names, each imported when it is first used: `import holdfast` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.errors import HoldfastError
    from holdfast.estimators import FixedSize, Looks, TopTwo
    from holdfast.noises.ablation import Ablation
    from holdfast.noises.gaussian import Gaussian
    from holdfast.noises.laplace import Laplace
    from holdfast.noises.lattice_gaussian import LatticeGaussian
    from holdfast.noises.partition import Partition
    from holdfast.noises.uniform import Uniform
    from holdfast.noises.uniform_flip import UniformFlip
    from holdfast.sampling.engines.base import FunctionFactory
    from holdfast.sampling.engines.processes import ProcessesEngine
    from holdfast.sampling.engines.ray import RayEngine
    from holdfast.sampling.smoothed import SmoothedClassifier
    from holdfast.types import Certificate, ClassBounds, Counts, Example, Norm, Prediction

_HOME = {
    "Ablation": "holdfast.noises.ablation",
    "Certificate": "holdfast.types",
    "ClassBounds": "holdfast.types",
    "Counts": "holdfast.types",
    "Example": "holdfast.types",
    "FixedSize": "holdfast.estimators",
    "FunctionFactory": "holdfast.sampling.engines.base",
    "Gaussian": "holdfast.noises.gaussian",
    "HoldfastError": "holdfast.errors",
    "Laplace": "holdfast.noises.laplace",
    "LatticeGaussian": "holdfast.noises.lattice_gaussian",
    "Looks": "holdfast.estimators",
    "Norm": "holdfast.types",
    "Partition": "holdfast.noises.partition",
    "Prediction": "holdfast.types",
    "ProcessesEngine": "holdfast.sampling.engines.processes",
    "RayEngine": "holdfast.sampling.engines.ray",
    "SmoothedClassifier": "holdfast.sampling.smoothed",
    "TopTwo": "holdfast.estimators",
    "Uniform": "holdfast.noises.uniform",
    "UniformFlip": "holdfast.noises.uniform_flip",
}

__all__ = [
    "Ablation",
    "Certificate",
    "ClassBounds",
    "Counts",
    "Example",
    "FixedSize",
    "FunctionFactory",
    "Gaussian",
    "HoldfastError",
    "Laplace",
    "LatticeGaussian",
    "Looks",
    "Norm",
    "Partition",
    "Prediction",
    "ProcessesEngine",
    "RayEngine",
    "SmoothedClassifier",
    "TopTwo",
    "Uniform",
    "UniformFlip",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}; public are {', '.join(__all__)}")
    try:
        home = import_module(_HOME[name])
    except ImportError as error:
        raise ImportError(
            f"holdfast.{name} could not be loaded, since a package that it needs failed to ({error}). Install that "
            "package afresh, or give the process more memory where a library could not be mapped (`ulimit -v`)",
            name=error.name,
            path=error.path,
        ) from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__
