"""A base classifier from anywhere: what computes its logits, what it is, and which inputs and classes it knows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from holdfast.errors import UsageError
from holdfast.models.architectures.defended import DefendedClassifier
from holdfast.models.double_masking import DoubleMasked
from holdfast.models.identity import model_code
from holdfast.models.networks import Behind, differentiable
from holdfast.models.threshold_votes import ThresholdVotes
from holdfast.shortened import some
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from holdfast.noises.base import Noise

Shape = tuple[int, ...]

# Class names that a message shows.
_NAMED = 4


@dataclass(frozen=True)
class InputSpace:
    """What the model takes: inputs in input units, with the normalization that is its first layer.

    Attributes:
        shape: shape of one input without noise, `(channels, height, width)` or `(features,)`.
        low: smallest value of an input.
        high: largest value of an input.
        mean: subtracted from each channel of the noisy input, in input units; None for no normalization.
        std: then divides each channel.
    """

    shape: Shape
    low: float
    high: float
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


class Inputs(Protocol):
    """The inputs and classes that a model is used for: those of a data set, or of a manifest."""

    @property
    def shape(self) -> Shape:
        """Shape of one input without noise."""
        ...

    @property
    def low(self) -> float:
        """Smallest value of an input."""
        ...

    @property
    def high(self) -> float:
        """Largest value of an input."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class."""
        ...


@dataclass(frozen=True)
class KnownInputs:
    """Inputs and classes as a manifest names them; see `Inputs`."""

    shape: Shape
    low: float
    high: float
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A base classifier, in eval mode and float32, with all that is known of it.

    A bundle knows its inputs and classes. Files of other tools may not: `fitted` takes what is missing from the data.

    Attributes:
        name: how it was named, for messages.
        module: from noisy inputs in input units to logits; normalization is its first layer.
        entries: what it is, for a manifest: digests of its weights, its code, its settings.
        takes: shape of what the module takes; None where any shape may be right.
        space: which inputs it takes; None where it does not say.
        class_names: one for each class; None where it has no names.
        num_classes: how many classes it knows; None where it does not say.
        noise: the noise that it was trained for, as in a manifest; None for a training without noise.
        says_noise: whether it says for which noise it was trained, if for any.
        value_range: smallest and largest value of an input, where somebody declared them without a shape.
        notes: what its source decided, for whoever reads the result.
    """

    name: str
    module: nn.Module
    entries: dict[str, Any]
    takes: Shape | None = None
    space: InputSpace | None = None
    class_names: tuple[str, ...] | None = None
    num_classes: int | None = None
    noise: dict[str, Any] | None = None
    says_noise: bool = False
    value_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        shape = self.takes if self.space is None else self.space.shape
        inputs = "inputs of any shape" if shape is None else f"inputs of shape {shape}"
        classes = "" if self.num_classes is None else f", {self.num_classes} classes"
        trained = (
            "" if not self.says_noise else f", trained {f'for {self.trained_for}' if self.noise else 'without noise'}"
        )
        return f"<Model '{visible(self.name)}': {visible(self.label)}, {inputs}{classes}{trained}>"

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file, or of all tensors; None for code whose state nobody can compare."""
        return self.entries.get("sha256")

    @property
    def code(self) -> dict[str, str]:
        """Digests of the code that it is, by the names of modules; versions of the packages of others."""
        return dict(self.entries.get("code", {}))

    @property
    def label(self) -> str:
        """The kind of network, in a word or two."""
        return str(self.entries.get("architecture") or self.entries.get("source"))

    @property
    def trained_for(self) -> Noise | None:
        """The noise that it was trained for; None for a training without noise, or an unknown one."""
        from holdfast.noises.base import noise_from_dict

        return None if self.noise is None else noise_from_dict(self.noise)

    @property
    def input_space(self) -> InputSpace:
        """Which inputs it takes.

        Raises:
            UsageError: it does not say, and was not fitted to any.
        """
        if self.space is None:
            raise UsageError(f"{self.name} does not say which inputs it takes: name the data that it is for")
        return self.space

    @property
    def classes(self) -> tuple[str, ...]:
        """One name for each class.

        Raises:
            UsageError: it has no names, and was not fitted to data.
        """
        if self.class_names is None:
            raise UsageError(f"{self.name} has no names of classes: name the data that it is for, or classes=FILE")
        return self.class_names

    @property
    def noisy_shape(self) -> Shape:
        """Shape of what the module takes."""
        if self.takes is not None:
            return self.takes
        return self.input_space.shape

    def describe(self) -> dict[str, Any]:
        """The description of the model for a manifest."""
        return dict(self.entries)

    def fitted(self, inputs: Inputs, name: str) -> Model:
        """The model for these inputs and classes: what it does not say is taken from them.

        Args:
            inputs: a data set, or a manifest's data.
            name: of these, for messages.

        Raises:
            UsageError: they are of another shape or range, or have other classes.
        """
        space, low, high = self.space, *(self.value_range or (inputs.low, inputs.high))
        if space is None:
            space = InputSpace(inputs.shape, low, high, *_normalization_of(self.entries))
        if (inputs.shape, inputs.low, inputs.high) != (space.shape, space.low, space.high):
            raise UsageError(
                f"{self.name} takes inputs of shape {space.shape} in [{space.low:g}, {space.high:g}]; {name} has "
                f"{inputs.shape} in [{inputs.low:g}, {inputs.high:g}]"
            )
        self._check_classes(inputs.class_names, name)
        return replace(self, space=space, class_names=inputs.class_names, num_classes=len(inputs.class_names))

    def _check_classes(self, found: Sequence[str], name: str) -> None:
        known = self.class_names
        if known is not None and known != tuple(found):
            raise UsageError(
                f"{self.name} knows {len(known)} classes ({some(known, most=_NAMED)}), and {name} has {len(found)} "
                f"({some(found, most=_NAMED)}){_first_other(known, found)}; take data with the classes of the model"
            )
        if self.num_classes is not None and self.num_classes != len(found):
            raise UsageError(
                f"{self.name} knows {self.num_classes} classes, and {name} has {len(found)} "
                f"({some(found, most=_NAMED)}). Where the data only lack some of the classes, name them all: "
                f"classes={self.num_classes}, or classes=FILE with a name on each line"
            )

    def differentiable(self) -> nn.Module:
        """The module with gradients, for attacks that follow them and for bounds.

        Raises:
            UsageError: it has none.
            MissingExtraError: what makes them is not installed.
        """
        try:
            return differentiable(self.module)
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from error

    def behind(self, denoiser: Model) -> Model:
        """The model behind a denoiser, which are smoothed together.

        Args:
            denoiser: from noisy inputs to inputs of the same shape.
        """
        return replace(
            self,
            module=Behind(denoiser.module, self.module),
            entries={**self.entries, "denoiser": denoiser.entries},
            says_noise=False,
            noise=None,
            notes=(*denoiser.notes, *self.notes),
        )

    def double_masked(self, patch: int, masks: int = 6, value: float = 0.5) -> Model:
        """The model behind two rounds of masks, whose answers the bound `double-masking` certifies against patches.

        Args:
            patch: side of the largest patch in pixels.
            masks: masks along each side of an image, at most.
            value: of hidden pixels, in input units.

        Raises:
            UsageError: a parameter is out of range, or an answer of the model depends on more than its input.
        """
        module = DoubleMasked(self._asked(), patch, masks, value)
        settings = {"patch": module.patch, "masks": module.masks, "value": module.value}
        return self._within(module, double_masking=settings)

    def threshold_votes(self, threshold: float) -> Model:
        """The votes of all windows, each for every class whose softmax is at least `threshold`; the bound
        `threshold-votes` certifies their answers against patches.

        Args:
            threshold: above 0 and at most 1.

        Raises:
            UsageError: the model was not trained for bands of columns or blocks, the threshold is out of range, or an
                answer of the model depends on more than its input.
        """
        from holdfast.noises.windows import Windows

        noise = self.trained_for
        if not isinstance(noise, Windows):
            raise UsageError(
                f"{self.name} was trained for {noise or 'no noise that it names'}, and votes by a threshold are those "
                "of windows: take a model that was trained for the noise columns or blocks"
            )
        module = ThresholdVotes(self._asked(), noise, threshold)
        settings = {"noise": noise.to_dict(), "threshold": module.threshold}
        return replace(self._within(module, threshold_votes=settings), takes=None)

    def _asked(self) -> nn.Module:
        """The module, if another classifier can rest on its answers.

        Raises:
            UsageError: it is random.
        """
        if any(isinstance(part, DefendedClassifier) and part.random for part in self.module.modules()):
            raise UsageError(
                f"{self.name} is random, and a classifier around it needs one that always gives an image the same "
                "answer; take it without its defence"
            )
        return self.module

    def _within(self, module: nn.Module, **settings: Any) -> Model:
        """The model that this one is a part of; it was trained without noise."""
        code = {**self.code, **model_code(module)}
        entries = {**self.entries, **settings, "code": code}
        return replace(self, module=module, entries=entries, says_noise=False, noise=None)

    def on(self, device: torch.device) -> Model:
        """The model with its weights on a device."""
        return replace(self, module=self.module.to(device))


def _normalization_of(entries: dict[str, Any]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    found = entries.get("normalization") or {}
    mean, std = found.get("mean"), found.get("std")
    return None if mean is None else tuple(mean), None if std is None else tuple(std)


def _first_other(known: Sequence[str], found: Sequence[str]) -> str:
    """The first class that differs, since the names that are shown may all be the same."""
    for number, (mine, theirs) in enumerate(zip(known, found, strict=False)):
        if mine != theirs:
            return f"; class {number} is {mine!r} for the model and {theirs!r} in the data"
    return ""
