"""Kinds of data that the papers use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.data.base import DataSet

# Least height and width of ImageNet images, which tells them from those of CIFAR-10.
_LEAST_SIDE = 64


@dataclass(frozen=True)
class Kind:
    """A data set that the papers use: how to give it on the command line, and what its inputs are.

    Attributes:
        spelling: on the command line.
        sources: names of the data sources that may load it, since shapes do not tell shirts from digits.
        channels: number of channels of its images, or of features.
        side: height and width of its images; None for any from 64 on.
        classes: number of classes; None for any.
        features: whether its inputs are feature vectors instead of images.
        logs: whether it is no data set but logs or votes that other people published.
    """

    spelling: str
    sources: tuple[str, ...]
    channels: int
    side: int | None
    classes: int | None
    features: bool = False
    logs: bool = False

    def fits(self, data: DataSet) -> bool:
        """Whether `data` is of this kind, judged by its source, shape, range and classes."""
        if data.source not in self.sources:
            return False
        if self.features:
            return data.shape == (self.channels,) and self.classes in (None, len(data.class_names))
        if len(data.shape) != 3 or data.shape[0] != self.channels or (data.low, data.high) != (0.0, 1.0):
            return False
        sides = data.shape[1:]
        fitting = min(sides) >= _LEAST_SIDE if self.side is None else sides == (self.side, self.side)
        return fitting and self.classes in (None, len(data.class_names))


KINDS = {
    "mnist": Kind("mnist:DIR", ("mnist", "mnist-binary"), 1, 28, 10),
    "cifar10": Kind("cifar10:DIR or parquet:FILE", ("cifar10", "parquet"), 3, 32, 10),
    "imagenet": Kind("imagenet:DIR or parquet:FILE,size=224", ("imagenet", "images", "parquet"), 3, None, None),
    "fashion-mnist": Kind("fashion-mnist:DIR", ("fashion-mnist",), 1, 28, 10),
    "svhn": Kind("svhn:DIR", ("svhn",), 3, 32, 10),
    "har": Kind("har:DIR", ("har",), 561, None, 6, features=True),
    "dssn-votes": Kind("votes:FILE", (), 0, None, None, logs=True),
    "cohen-logs": Kind("logs:DIR", (), 0, None, None, logs=True),
}


def logs_kind(spec: str) -> str | None:
    """The kind of logs that a spec like logs:DIR names; None for the spec of a data set."""
    name = spec.partition(":")[0]
    return next((kind for kind, each in KINDS.items() if each.logs and each.spelling.partition(":")[0] == name), None)
