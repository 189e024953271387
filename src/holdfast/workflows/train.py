"""Train a base classifier for noise, from the names of data, noise and architecture to a bundle on the disk."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastWarning, UsageError
from holdfast.workflows.specs import open_data_spec, parse_architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.data.base import DataSet
    from holdfast.folders import Where
    from holdfast.models.bundle import BundleInfo
    from holdfast.noises.base import Noise
    from holdfast.training.config import TrainConfig
    from holdfast.training.devices import Team
    from holdfast.training.trainer import TrainProgress

# The architecture for a data set when none is given, by height and width of its images; features have neither.
_DEFAULT_ARCHITECTURES: dict[tuple[int, ...], str] = {
    (): "digits-mlp",
    (8, 8): "digits-cnn",
    (28, 28): "mnist-cnn",
    (32, 32): "resnet20",
}


def train_bundle(
    data_spec: str,
    noise: Noise | None,
    out: Where,
    config: TrainConfig,
    arch: str | None,
    device: str,
    threads: int,
    *,
    devices: int = 1,
    team: Team | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    on_precision: Callable[[str], None] | None = None,
) -> BundleInfo:
    """Train on the training split of a data set, and write the bundle; an interrupted training continues.

    Args:
        data_spec: the data set, as in `mnist:DIR`.
        noise: noise that will smooth the classifier; None for a recipe without noise.
        out: file of the bundle.
        config: how to train.
        arch: the architecture, as in `sparse-cnn:blocks=1`; None for one that fits.
        device: cpu, cuda or cuda:N.
        threads: processor threads of each process.
        devices: processes that share each step.
        team: team of processes that this one belongs to.
        on_progress: called with the progress now and then.
        on_precision: called with the chosen precision and the reason, in a sentence.
    """
    import torch

    from holdfast.sampling.devices import torch_device
    from holdfast.training.devices import team as team_of
    from holdfast.training.loop import train

    if devices > 1 and team is None:
        arguments = (data_spec, noise, out, config, arch, device, threads)
        with team_of(devices, device, _train_along, arguments) as made:
            return train_bundle(*arguments, team=made, on_progress=on_progress, on_precision=on_precision)
    where = torch_device(device)
    torch.set_num_threads(threads)
    training_set, held_out = (open_data_spec(data_spec, split) for split in ("train", "test"))
    info = begun_bundle(training_set, noise, arch or config.recipe.architecture)
    return train(
        info,
        config,
        training_set,
        out,
        held_out=held_out,
        device=where,
        on_progress=on_progress,
        team=team,
        on_precision=on_precision,
    )


def _train_along(team: Team, *arguments: Any) -> None:
    """The part of the other processes of a team: they train with the same arguments, in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HoldfastWarning)
        train_bundle(*arguments, team=team)


def begun_bundle(data: DataSet, noise: Noise | None, arch: str | None) -> BundleInfo:
    """The untrained bundle for `data` and `noise`.

    Where noise is added to the values, or there is none, inputs are normalized by the training set's mean and standard
    deviation, unless the architecture takes them as they are; under other noises they are not: ablation's encoding
    tells NULL apart by its values, and normalizes itself where it is asked to.

    Raises:
        UsageError: the noise does not fit the data, or no architecture was given and none is known to fit.
    """
    from holdfast.models.architectures.base import takes_raw_inputs
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.model import InputSpace

    mean, std = data.channel_statistics()
    fitted = None if noise is None else noise.fitted(mean, std)
    if fitted is not None:
        fitted.check_inputs(data.shape, data.low, data.high)
    chosen = arch or _DEFAULT_ARCHITECTURES.get(data.shape[1:])
    if chosen is None:
        raise UsageError(f"no default architecture for inputs of shape {data.shape}; name one")
    name, arguments = parse_architecture(chosen)
    normalized = (fitted is None or fitted.normalizable) and not takes_raw_inputs(name)
    return BundleInfo(
        architecture=name,
        arguments=arguments,
        input_space=InputSpace(data.shape, data.low, data.high, *((mean, std) if normalized else (None, None))),
        noise=None if fitted is None else fitted.to_dict(),
        class_names=data.class_names,
        training={},
    )
