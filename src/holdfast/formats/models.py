"""The JSON stored with weights: the header of a bundle, and the position of a training in its checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from holdfast.formats.fields import Above, ClassNames, Count, Document, Free, Name, Shape, Text, check_shape
from holdfast.formats.parameters import NoiseEntry, check_noise


class InputSpace(Document):
    """The inputs of a model."""

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
    """Everything that a bundle states about its weights."""

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
    """What a training trains: its settings, the hash of its data, and its initial bundle."""

    config: Free
    data: Text
    model: Free


class Position(Document):
    """How far a training has come, and what it trains."""

    epoch: Count
    loss: float
    accuracy: Annotated[float, Meta(ge=0.0, le=1.0)]
    promise: TrainingManifest
