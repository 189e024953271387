"""Deterministic bounds: proofs about a classifier without noise, with alpha = 0. Imports torch."""

from holdfast.bounds.base import (
    Bound,
    Bounded,
    Classifier,
    Method,
    bound_classes,
    bound_from_dict,
)

__all__ = [
    "Bound",
    "Bounded",
    "Classifier",
    "Method",
    "bound_classes",
    "bound_from_dict",
]
