"""ONNX Runtime: float32 on any processor."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import Tensor

from holdfast.models.backends.base import Backend, Job, backend, frozen_copy, imported


@backend("onnxruntime")
class OnnxRuntime(Backend):
    """The network exported to ONNX, with a batch of any size."""

    precisions = ("float32",)
    devices = ("cpu",)
    packages = ("onnxruntime", "onnx")
    extra = "onnx"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        onnxruntime = imported("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        # Warnings of the exporter are about the network's code, errors come as exceptions.
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(_exported(job), options, providers=["CPUExecutionProvider"])

    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits in float32."""
        inputs = noisy.detach().to(torch.float32).contiguous().numpy()
        return torch.from_numpy(self._session.run(None, {"noisy": inputs})[0])


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
