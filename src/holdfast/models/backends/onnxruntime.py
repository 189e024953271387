"""ONNX Runtime: float32 on any processor."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.models.backends.base import GRAPH, TORCH, Backend, Job, backend, frozen_copy
from holdfast.models.onnx_graph import Graph, graph_within, run, session


@backend("onnxruntime")
class OnnxRuntime(Backend):
    """The network exported to ONNX, with a batch of any size."""

    precisions = ("float32",)
    devices = ("cpu",)
    networks = (TORCH, GRAPH)
    packages = ("onnxruntime", "onnx")
    extra = "onnx"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._parts = graph_within(job.module)
        self._graph = (
            self._parts.graph
            if self._parts
            else Graph(_exported(job), "noisy", job.shape, None, np.float32, "logits", None)
        )
        self._session: Any = session(self._graph.content, job.threads)

    @torch.no_grad()
    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits in float32."""
        inputs = noisy.detach().to(torch.float32)
        if self._parts is None:
            return run(self._session, self._graph, inputs)
        logits: Tensor = self._parts.after(run(self._session, self._graph, self._parts.before(inputs)))
        return logits


def _exported(job: Job) -> bytes:
    """The network as ONNX."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            frozen_copy(job),
            (torch.zeros(2, *job.shape),),
            file,  # type: ignore[arg-type, unused-ignore]
            input_names=["noisy"],
            output_names=["logits"],
            dynamic_axes={"noisy": {0: "batch"}, "logits": {0: "batch"}},
            # The exporter by torch.export needs one more package.
            dynamo=False,
        )
    return file.getvalue()
