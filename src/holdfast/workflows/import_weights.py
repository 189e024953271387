"""Make a bundle of weights that others trained. No code in their file is run."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.budgets import sha256_of
from holdfast.errors import HoldfastWarning, UsageError
from holdfast.workflows.specs import open_data_spec, parse_noise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.data.base import DataSet
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.trial import Trial


@dataclass(frozen=True)
class ImportedWeights:
    """The result of an import.

    Attributes:
        info: info of the bundle.
        numbers: how many weights there are.
        notes: what was left out or changed on the way.
        choice: which weights were taken, if the file has others.
        trial: the answers of the network for a few examples.
    """

    info: BundleInfo
    numbers: int
    notes: list[str]
    choice: list[str]
    trial: Trial


def import_weights(
    file: Path,
    arch: str,
    layout: str,
    data: str,
    out: Path,
    mean: str | None = None,
    std: str | None = None,
    noise: str = "none",
    weights: str | None = None,
) -> ImportedWeights:
    """Write a bundle of weights that others trained, check their values, and show the network a few examples.

    Args:
        file: file that torch.save wrote, or safetensors.
        arch: the architecture, as in `resnet20`.
        layout: naming of the weights: akamaster, cohen, kuangliu, torchvision, plain.
        data: the data set that has its classes, and inputs of its shape, as in `cifar10:DIR`.
        out: file to write.
        mean: mean that it subtracts from each channel, as in `.485,.456,.406`; None for no normalization.
        std: standard deviation that it then divides by.
        noise: noise that it was trained for, or "none".
        weights: which of the file; None for those as they were trained, not an average.

    Warns:
        HoldfastWarning: the network says the same of all examples, or guesses.

    Raises:
        UsageError: the normalization, the noise, the layout or the architecture does not fit.
        BundleError: the file cannot be read, or its weights do not fit.
    """
    from holdfast.models.bundle import save_bundle
    from holdfast.models.checkpoints import chosen as choose
    from holdfast.models.layouts import find_layout, load_into, read_sets
    from holdfast.models.trial import tried

    chosen = find_layout(layout)
    fit = chosen.fit(layout, arch)
    info, examples = _described(file, arch, dict(fit.arguments), data, layout, mean, std, noise)
    module = info.build()
    sets = read_sets(file)
    place, found = choose(sets, weights, str(file))
    others = [each for each in sets if each not in (place, "")]
    # Behind the normalization.
    notes = load_into(module.get_submodule("1"), found, chosen, fit)
    trial = tried(module.eval(), info, examples)
    info = replace(info, training={**info.training, "weights": place})
    save_bundle(out, info, module)
    for doubt in _doubts(trial, data):
        warnings.warn(doubt, HoldfastWarning, stacklevel=2)
    numbers = sum(parameter.numel() for parameter in module.parameters())
    return ImportedWeights(info, numbers, notes, _choice(file, place, others), trial)


def _choice(file: Path, place: str, others: Sequence[str]) -> list[str]:
    """Which weights were taken, if there are others."""
    if not others:
        return []
    return [f"these are the weights under {place} of {file.name}; it also has {', '.join(others)}, which can be named"]


def _doubts(trial: Trial, data: str) -> list[str]:
    """Warnings if these seem to be the wrong weights, or the wrong data."""
    if trial.constant:
        return [
            f"the network gives the same logits for all {trial.examples} examples that it was shown, as weights of 0 "
            "do: its certificates would be those of a constant. Are these the right weights?"
        ]
    if trial.guessing:
        return [
            f"the network classifies {trial.right} of {trial.examples} examples of {data} right, no more than guessing "
            "would. Are mean and std those of its training, and its classes in the order of these data?"
        ]
    return []


def _described(
    file: Path,
    arch: str,
    arguments: dict[str, object],
    data: str,
    layout: str,
    mean: str | None,
    std: str | None,
    noise: str,
) -> tuple[BundleInfo, DataSet]:
    """The description of the weights for the bundle, and the data that they are for.

    Raises:
        UsageError: the normalization or the noise does not fit the data.
        BundleError: there is no file.
    """
    from holdfast.errors import BundleError
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.model import InputSpace

    if not file.is_file():
        raise BundleError(f"there is no file {file}; expected weights that torch.save wrote, or a safetensors file")
    examples = open_data_spec(data, "test")
    space = InputSpace(examples.shape, examples.low, examples.high)
    parsed = None if noise == "none" else parse_noise(noise)
    if parsed is not None:
        parsed.check_inputs(examples.shape, examples.low, examples.high)
    info = BundleInfo(
        architecture=arch,
        arguments=arguments,
        input_space=space,
        noise=None if parsed is None else parsed.to_dict(),
        class_names=examples.class_names,
        training={
            "recipe": "imported",
            "file": file.name,
            "sha256": sha256_of(file, BundleError),
            "layout": layout,
        },
    )
    channels = info.noisy_shape[0] if len(info.noisy_shape) > 1 else 1
    normalization = _normalization(mean, std, channels)
    return replace(info, input_space=InputSpace(space.shape, space.low, space.high, *normalization)), examples


def _normalization(
    mean: str | None, std: str | None, channels: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and standard deviation of each channel, or neither.

    Raises:
        UsageError: one without the other, no numbers, or not as many as there are channels.
    """
    if mean is None and std is None:
        return None, None
    if mean is None or std is None:
        raise UsageError("mean and std belong together, got one of them; give both or neither")
    means, deviations = _numbers("mean", mean, channels), _numbers("std", std, channels)
    if min(deviations) <= 0:
        raise UsageError(f"std has the value {min(deviations):g}, expected numbers above 0")
    return means, deviations


def _numbers(name: str, text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise UsageError(
            f"{name} is one finite number for each channel that the network sees, separated by commas, here {count}; "
            f"got {text!r}"
        )
    return numbers
