"""How sure a classifier of a study is of the first adversarials that were made against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import UsageError
from holdfast.store.attack import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from holdfast.models.model import Model as OpenedModel
    from holdfast.reproductions.plans import Attacking, Model
    from holdfast.reproductions.results import Asked
    from holdfast.store.attack import AttackRun
    from holdfast.workflows.study_models import Splits, Workspace


def asked(
    attack: AttackRun, job: Attacking, models: Mapping[str, Model], splits: Splits, place: Workspace
) -> dict[int, Asked]:
    """What the classifier says of the first adversarials of an attack, by the index of the image.

    Raises:
        UsageError: the attack is on a certification, whose votes are no probabilities of one classifier.
    """
    from holdfast.reproductions.results import Asked

    if job.run is not None:
        raise UsageError(f"{job.name} attacks the certification {job.run}: a study asks classifiers without noise only")
    model = place.opened(job.model, splits.open("test", models[job.model].options))
    found: dict[int, Asked] = {}
    for record in attack.records:
        if len(found) == KEPT:
            break
        original, adversarial = attack.original(record), attack.adversarial(record)
        if original is not None and adversarial is not None:
            drawn = drawn_alone(original, adversarial, attack.manifest.data.low, attack.manifest.data.high)
            found[record.index] = Asked(*_said(model, np.stack([original, drawn, adversarial]), place.device))
    return found


def drawn_alone(
    original: NDArray[np.float32], adversarial: NDArray[np.float32], low: float, high: float
) -> NDArray[np.float32]:
    """A change as an input of its own: the middle of the range where nothing changed, the largest change at its end."""
    change = adversarial.astype(np.float64) - original
    largest = float(np.abs(change).max()) or 1.0
    made: NDArray[np.float32] = ((low + high) / 2 + change / largest * (high - low) / 2).astype(np.float32)
    return np.clip(made, np.float32(low), np.float32(high))


def _said(model: OpenedModel, inputs: NDArray[np.float32], device: str) -> list[tuple[str, float]]:
    """The most probable class of each input, with its probability."""
    import torch

    from holdfast.sampling.devices import torch_device

    with torch.inference_mode():
        logits = [model.module(torch.from_numpy(x)[None].to(torch_device(device)))[0] for x in inputs]
        shares = torch.stack(logits).double().softmax(1).cpu()
    highest, classes = shares.max(1)
    return [(model.classes[label], share) for label, share in zip(classes.tolist(), highest.tolist(), strict=True)]
