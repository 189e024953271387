"""Bundles: what `holdfast train`, `import-weights`, `ensemble` and `bundle` write."""

from __future__ import annotations

from holdfast.models.bundle import open_bundle
from holdfast.models.model import Model
from holdfast.models.source import model_source
from holdfast.spec import place


@model_source("bundle", path="FILE.safetensors", suffixes=(".safetensors",))
def bundle(path: str) -> Model:
    """A bundle, which says itself what it takes and knows."""
    return open_bundle(place(path))
