"""The settings of a training that recipes may use."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """The settings that recipes use, a part of `holdfast.training.config.TrainConfig`, which explains them."""

    @property
    def epochs(self) -> int:
        """Passes over the training set."""

    @property
    def precision(self) -> str:
        """The precision of a step."""

    @property
    def label_smoothing(self) -> float:
        """The share of each label that is spread over all classes."""

    @property
    def noise_copies(self) -> int:
        """Noisy copies of each image in a step."""

    @property
    def shared_noise(self) -> bool:
        """Whether all copies of a step share one realization of the noise."""

    @property
    def crop(self) -> int:
        """The largest shift of an image, in pixels."""

    @property
    def flip(self) -> bool:
        """Whether images are mirrored half of the time."""

    @property
    def resized_crop(self) -> tuple[float, ...]:
        """The smallest and the largest share of an image that is resized to the whole; empty for none."""

    @property
    def ema(self) -> float:
        """The decay of the moving average of the weights; 0 for none."""
