"""How long the smoothed classifier takes to answer, measured image by image."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.workflows.specs import parse_noise

if TYPE_CHECKING:
    from holdfast.reproductions.plans import Model, Timing
    from holdfast.reproductions.results import Timed
    from holdfast.workflows.study_models import Splits, Workspace

_CPUINFO = Path("/proc/cpuinfo")


def timed(job: Timing, model: Model, splits: Splits, place: Workspace) -> Timed:
    """Answer images one after the other; the first answer, which warms everything up, is not timed."""
    from holdfast.execution.smoothed import SmoothedClassifier
    from holdfast.reproductions.results import Timed

    data = splits.open("test", model.options)
    images = [data[index] for index in range(min(job.limit, len(data)))]
    smoothed = SmoothedClassifier(
        place.opened(job.model, data),
        parse_noise(str(model.noise)),
        len(data.class_names),
        input_range=(data.low, data.high),
        device=place.device,
        batch_size=job.n,
        threads=place.threads,
    )

    def answer(position: int) -> float:
        start = time.perf_counter()
        smoothed.predict_one(images[position].x, n=job.n, alpha=job.alpha, ratio=None)
        return time.perf_counter() - start

    answer(0)
    took = tuple(answer(position) for position in range(len(images)))
    threads = f"{place.threads} thread{'' if place.threads == 1 else 's'}"
    return Timed(took, job.n, f"{_device(place.device)}, {threads}, {platform.system()}")


def _device(device: str) -> str:
    """The name of the graphics card, or of the processor."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    with suppress(OSError):
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
