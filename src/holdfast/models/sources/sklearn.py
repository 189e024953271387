"""Classifiers of scikit-learn, as skops saves them: types that skops does not trust are refused."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, MissingExtraError, UsageError, first_line
from holdfast.models.networks import FunctionNetwork
from holdfast.models.source import Network, model_source
from holdfast.spec import place

# Of scikit-learn itself, and run no code when they are loaded, but read memory by numbers in the file: looked at here.
_CHECKED = ("sklearn.tree._tree.Tree",)
_DEEPEST = 32


class Votes:
    """The class that a fitted classifier predicts, as an index into its classes.

    Args:
        classifier: with `predict`, `classes_` and `n_features_in_`.
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def __call__(self, inputs: Any) -> Any:
        """`(batch, features)` to votes `(batch,)`."""
        return np.searchsorted(self.classifier.classes_, self.classifier.predict(inputs)).astype(np.int64)


@model_source("sklearn", path="FILE.skops", suffixes=(".skops",))
def sklearn(path: str) -> Network:
    """A fitted classifier. It votes by `predict`."""
    if find_spec("skops") is None:
        raise MissingExtraError("skops", "sklearn", "A model of scikit-learn")
    from skops.io import get_untrusted_types, load

    file = place(path)
    sha256 = sha256_of(file, BundleError)
    try:
        untrusted = sorted(set(map(str, get_untrusted_types(file=file))) - set(_CHECKED))
    except Exception as error:  # zipfile and skops raise nearly anything.
        raise BundleError(f"{path} is no file of skops ({type(error).__name__}: {first_line(error)})") from error
    if untrusted:
        raise BundleError(
            f"{path} has objects of {', '.join(untrusted[:4])}, which skops does not trust, and loading them "
            "would run their code. If they are yours, load the model in code of your own: python:FILE.py:CALLABLE"
        )
    try:
        classifier = load(file, trusted=list(_CHECKED))
    except Exception as error:
        raise BundleError(f"{path} cannot be loaded by skops ({type(error).__name__}: {first_line(error)})") from error
    _check_trees(classifier, path)
    return fitted_network(classifier, path, {"sha256": sha256})


def _check_trees(found: Any, path: str, depth: int = 0) -> None:
    """Look at every tree in a classifier, wherever it lies.

    Raises:
        BundleError: a node has children or features that are not there.
    """
    from sklearn.tree._tree import Tree

    if depth > _DEEPEST:
        raise BundleError(f"{path} has objects more than {_DEEPEST} deep within each other: it is no classifier")
    if isinstance(found, Tree):
        count, left, right = found.node_count, found.children_left, found.children_right
        inner, own = left != -1, np.arange(count)
        # Children come after their parents, so that a walk from the root ends.
        right_ones = (left[inner] > own[inner]) & (left[inner] < count) & (right[inner] > own[inner])
        features = found.feature[inner]
        if not (right_ones & (right[inner] < count) & (features >= 0) & (features < found.n_features)).all():
            raise BundleError(f"{path} has a tree whose nodes lead outside it: the file was changed, fetch it again")
        return
    if isinstance(found, dict):
        parts = list(found.values())
    elif isinstance(found, list | tuple):
        parts = list(found)
    elif isinstance(found, np.ndarray):
        parts = found.ravel().tolist() if found.dtype == object else []
    else:
        parts = list(getattr(found, "__dict__", {}).values()) if not isinstance(found, type) else []
    for part in parts:
        _check_trees(part, path, depth + 1)


def fitted_network(classifier: Any, name: str, entries: dict[str, Any]) -> Network:
    """A fitted classifier of scikit-learn as a network of votes.

    Raises:
        UsageError: it is no classifier, or not fitted.
    """
    classes, features = getattr(classifier, "classes_", None), getattr(classifier, "n_features_in_", None)
    if not callable(getattr(classifier, "predict", None)) or classes is None or features is None:
        raise UsageError(
            f"{name} is a {type(classifier).__name__}, expected a fitted classifier with predict, classes_ and "
            "n_features_in_"
        )
    found = np.asarray(classes)
    if found.ndim != 1 or len(found) < 2:
        raise UsageError(f"{name} predicts {found.shape} classes, expected one of two classes or more for an input")
    names = tuple(map(str, found.tolist())) if found.dtype.kind in "UO" else None
    return Network(
        FunctionNetwork(Votes(classifier), flat=True),
        {**entries, "code": {"sklearn": f"version {version('scikit-learn')}"}},
        classes=len(found),
        class_names=names,
    )
