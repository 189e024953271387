"""Data and a model as plain facts: their entries in a manifest, to be compared."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from holdfast.code_digest import place
from holdfast.execution.versions import installed_versions
from holdfast.models.backends.base import backend_names, find
from holdfast.noises.base import noise_from_dict
from holdfast.store.data_manifest import DataManifest
from holdfast.verification.facts import DataFacts, ModelFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.data.base import DataSet
    from holdfast.models.model import Model


def facts_of_data(data: DataSet) -> DataFacts:
    """The facts of a split of a data set. Its hash is computed, which reads all of it."""
    return DataFacts(_written(asdict(DataManifest.of(data))), data.labels.tolist())


def facts_of_model(model: Model, noise: Mapping[str, Any] | None) -> ModelFacts:
    """The facts of a model, whose inputs may get noise.

    Args:
        model: the model, fitted to the inputs of the manifest.
        noise: noise of the manifest; empty or None where there is none.

    Raises:
        UsageError: there is no such noise.
    """
    inputs = model.input_space
    shape = inputs.shape
    space = {"shape": shape, "low": inputs.low, "high": inputs.high}
    noisy = noise_from_dict(noise).noisy_shape(shape) if noise else shape
    return ModelFacts(
        entries=_written(model.describe()),
        space=_written({**space, "class_names": model.classes}),
        takes=model.takes or noisy,
        noisy=noisy,
        places={name: place(name) for name in model.code},
        backends={name: find(name).precisions for name in backend_names()},
        holdfast=installed_versions()["holdfast"],
    )


def _written(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries as read from JSON."""
    written: dict[str, Any] = json.loads(json.dumps(entries))
    return written
