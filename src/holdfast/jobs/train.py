"""Train a base classifier for noise, from Python."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError
from holdfast.jobs.given import noise_of, threads_kept
from holdfast.jobs.progress import of_training

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.training.trainer import TrainProgress


def train(
    data: str,
    noise: Noise | str | None = None,
    *,
    out: str | Path,
    recipe: str = "noise",
    architecture: str | None = None,
    device: str = "cpu",
    threads: int = 1,
    progress: bool | Callable[[TrainProgress], None] = True,
    **settings: Any,
) -> Model:
    """Train a base classifier on noisy inputs, as `holdfast train` does. The same call resumes it.

    Args:
        data: the data set, as in "mnist:DIR"; its training split is trained on, its test split measures.
        noise: that will smooth the classifier, as an object or a spec; None for a recipe without noise.
        out: file of the model that is written, `NAME.safetensors`.
        recipe: what a step minimizes, as in "consistency:weight=10" or "standard".
        architecture: as in "sparse-cnn:blocks=1"; None for one that fits the inputs.
        device: cpu, cuda or cuda:N.
        threads: processor threads.
        progress: as for `certify`; a function gets an object with `step`, `steps`, `epoch`, `epochs` and `loss`.
        settings: `epochs`, `batch_size`, `optimizer` ("sgd" or "adamw"), `learning_rate`, `weight_decay`, `schedule`
            ("one-cycle", "cosine", "constant", or "step" with `milestones` and `factor`), `momentum`, `nesterov`,
            `label_smoothing`, `precision`, `noise_copies`, `shared_noise`, `crop`, `flip`, `resized_crop`,
            `crop_ratio`, `ema` and `seed`; `holdfast train --help` has the defaults.

    Returns:
        The trained model, as `load_model(out)` gives it.

    Raises:
        UsageError: an unknown setting, or one out of range; the noise does not fit the data.
        BundleError: the file in `out` is of another training.
    """
    from holdfast.outputs import check_place
    from holdfast.training.config import TrainConfig
    from holdfast.workflows.python import load_model
    from holdfast.workflows.specs import parse_recipe
    from holdfast.workflows.train import train_bundle

    place = Path(out)
    if place.suffix != ".safetensors":
        raise UsageError(f"out names a .safetensors file, got {place}")
    check_place(place)
    known = sorted({field.name for field in fields(TrainConfig)} - {"recipe"})
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise UsageError(f"train has no setting {unknown[0]!r}; it takes {', '.join(known)}")
    chosen = noise_of(noise)
    config = TrainConfig(recipe=parse_recipe(recipe), **settings)
    with of_training(f"train {place.name}", progress) as show, threads_kept():
        train_bundle(data, chosen, place, config, architecture, device, threads, on_progress=show)
    return load_model(place, device)
