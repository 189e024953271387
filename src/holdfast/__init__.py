"""Holdfast: certified robustness of classifiers by randomized smoothing.

The public names, each imported when it is first used: `import holdfast` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.estimators import FixedSize
    from holdfast.noises.ablation import Ablation
    from holdfast.noises.gaussian import Gaussian
    from holdfast.noises.lattice_gaussian import LatticeGaussian
    from holdfast.noises.partition import Partition
    from holdfast.sampling.smoothed import SmoothedClassifier
    from holdfast.types import Certificate, ClassBounds, Counts, Norm, Prediction

_HOME = {
    "Ablation": "holdfast.noises.ablation",
    "Certificate": "holdfast.types",
    "ClassBounds": "holdfast.types",
    "Counts": "holdfast.types",
    "FixedSize": "holdfast.estimators",
    "Gaussian": "holdfast.noises.gaussian",
    "LatticeGaussian": "holdfast.noises.lattice_gaussian",
    "Norm": "holdfast.types",
    "Partition": "holdfast.noises.partition",
    "Prediction": "holdfast.types",
    "SmoothedClassifier": "holdfast.sampling.smoothed",
}

__all__ = [
    "Ablation",
    "Certificate",
    "ClassBounds",
    "Counts",
    "FixedSize",
    "Gaussian",
    "LatticeGaussian",
    "Norm",
    "Partition",
    "Prediction",
    "SmoothedClassifier",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}; public are {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
