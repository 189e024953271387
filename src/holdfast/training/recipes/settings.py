"""What a recipe may know of the settings of its training."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """The settings that recipes look at; `holdfast.training.config.TrainConfig` has them, and says what each means."""

    @property
    def epochs(self) -> int:
        """Passes over the training set."""

    @property
    def precision(self) -> str:
        """In which a step is computed."""

    @property
    def label_smoothing(self) -> float:
        """The share of each label that is spread over all classes."""

    @property
    def noise_copies(self) -> int:
        """Noisy copies of each image in a step."""

    @property
    def shared_noise(self) -> bool:
        """Whether all copies of a step are under one realization of the noise."""

    @property
    def crop(self) -> int:
        """By how many pixels an image is moved at most."""

    @property
    def flip(self) -> bool:
        """Whether images are mirrored half of the time."""

    @property
    def ema(self) -> float:
        """The decay of the moving average of the weights; 0 for none."""
