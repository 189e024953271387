"""torch-optimized, compiled by Inductor: a few large kernels in C++ for batches of one fixed size."""

from __future__ import annotations

import os
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.models.backends.base import TORCH, Job, backend
from holdfast.models.backends.torch_optimized import TorchOptimized

if TYPE_CHECKING:
    from holdfast.errors import MissingExtraError

# Noisy inputs that a kernel takes. One size for all: a compilation takes seconds, and one graph rounds in one way.
_CHUNK = 64


@backend("torch-compiled")
class TorchCompiled(TorchOptimized):
    """Every input passes through the same kernels, in a batch of 64 that is filled up with zeros if need be."""

    devices = ("cpu",)

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        # Alone and in company an input takes the same kernels; only the rounding of its position is left.
        self.near_tie = 2.0**-14
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._compiled: Any = torch.compile(self._module, dynamic=False, options={"freezing": True})
            self(torch.zeros(1, *job.shape))

    @classmethod
    def obstacle(cls, precision: str, device: torch.device, kind: str = TORCH) -> UsageError | MissingExtraError | None:
        """Why the backend cannot be used here; also the lack of a C++ compiler."""
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            return UsageError(
                f"backend 'torch-compiled' needs a C++ compiler and there is no {compiler!r} here; "
                "install one, or use the backend 'torch-optimized'"
            )
        return super().obstacle(precision, device, kind)

    @torch.no_grad()
    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits in the precision asked for."""
        return torch.cat([self._chunk(part) for part in torch.split(noisy, _CHUNK)])

    def _chunk(self, part: Tensor) -> Tensor:
        batch = torch.zeros((_CHUNK, *part.shape[1:]), dtype=self._dtype)
        batch = batch.contiguous(memory_format=self._format)
        batch[: len(part)] = part
        logits: Tensor = self._compiled(batch)
        return logits[: len(part)].clone()
