"""The reference: the network as it was trained, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor

from holdfast.models.backends.base import OPAQUE, TORCH, Backend, Job, backend, frozen_copy

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@backend("torch")
class TorchEager(Backend):
    """torch's own layers; bfloat16 is that of the whole module, logits included."""

    networks = (TORCH, OPAQUE)

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._module = frozen_copy(job).to(DTYPES[job.precision])

    @torch.no_grad()
    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits in the precision asked for."""
        logits: Tensor = self._module(noisy)
        return logits
