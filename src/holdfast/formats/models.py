"""The JSON beside weights: the header of a bundle, and how far a training is in its checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from holdfast.formats.fields import Above, ClassNames, Count, Document, Free, Name, Shape, Text, check_shape
from holdfast.formats.parameters import NoiseEntry, check_noise


class InputSpace(Document):
    """What a model takes."""

    shape: Shape
    low: float
    high: float
    mean: list[float] | None
    std: list[Above] | None

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low!r} is not below high = {self.high!r}")
        check_shape(self.shape)


class BundleHeader(Document):
    """All that a bundle says of its weights."""

    format: Literal[1]
    architecture: Name
    arguments: Free
    input_space: InputSpace
    noise: NoiseEntry | None
    class_names: ClassNames
    training: Free

    def __post_init__(self) -> None:
        if self.noise is not None:
            check_noise(self.noise)


class TrainingManifest(Document):
    """What a training is of: its settings, the hash of its data, and the bundle that it begins."""

    config: Free
    data: Text
    model: Free


class Position(Document):
    """How far a training is, and what it promised."""

    epoch: Count
    loss: float
    accuracy: Annotated[float, Meta(ge=0.0, le=1.0)]
    promise: TrainingManifest
