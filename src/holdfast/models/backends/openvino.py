"""OpenVINO: float32, bfloat16 and, after calibration by NNCF, int8, on Intel and other processors."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.models.backends.base import GRAPH, TORCH, Backend, Job, backend, frozen_copy, importable, imported
from holdfast.models.onnx_graph import Parts, filled_up, graph_within
from holdfast.process import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from holdfast.errors import MissingExtraError

# Noisy inputs that pass through the graph at a time. A fixed size, since another one may take other kernels: a graph
# of any size rounds int8 by up to 2% of the logits differently.
_CHUNK = 64


@backend("openvino")
class OpenVino(Backend):
    """One graph for 64 inputs, filled up with zeros if need be, and one for a single input."""

    precisions = ("float32", "bfloat16", "int8")
    devices = ("cpu",)
    networks = (TORCH, GRAPH)
    packages = ("openvino",)
    extra = "openvino"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        # Measured (docs/measurements/speed.md): no difference but 7e-8 in the last layer. bfloat16, int8 get a margin.
        self.near_tie = 2.0**-14 if job.precision == "float32" else 2.0**-12
        self._quantization: dict[str, Any] | None = None
        self._parts = graph_within(job.module)
        with _quiet():
            openvino = imported("openvino")
            graph, shape, self._output = _graph(openvino, job, self._parts)
            # A graph with batches of one size keeps it.
            fixed = self._parts.graph.batch if self._parts else None
            self._size, alone = fixed or _CHUNK, fixed or 1
            if job.calibration is not None and job.precision == "int8":
                graph = _quantized(graph, self._before(torch.from_numpy(job.calibration.inputs)).numpy(), alone)
                self._quantization = {
                    "by": f"nncf {version('nncf')}",
                    "calibration": job.calibration.description,
                    "sha256": _digest(graph),
                }
            self._chunk, self._single = (_compiled(openvino, graph, job, shape, size) for size in (self._size, alone))
            self._alone = alone

    @classmethod
    def obstacle(cls, precision: str, device: torch.device, kind: str = TORCH) -> UsageError | MissingExtraError | None:
        """Why the backend cannot be used here; for int8 also the lack of NNCF."""
        found = super().obstacle(precision, device, kind)
        if found is None and precision == "int8" and not importable("nncf"):
            from holdfast.errors import MissingExtraError

            return MissingExtraError("nncf", cls.extra, "int8 on the backend 'openvino'")
        return found

    def __call__(self, noisy: Tensor) -> Tensor:
        """Logits, float32 in every precision."""
        return self._through(self._chunk, noisy, self._size)

    def alone(self, noisy: Tensor) -> Tensor:
        """Through the graph for a single input."""
        if self._alone == 1:
            return self._through(self._single, noisy, 1)
        return torch.cat([self._through(self._single, noisy[row : row + 1], self._alone) for row in range(len(noisy))])

    def describe(self) -> dict[str, Any]:
        """The description, with the source of the 8-bit weights and their hash."""
        description = super().describe()
        return description if self._quantization is None else {**description, "quantization": self._quantization}

    def _before(self, noisy: Tensor) -> Tensor:
        """What the graph takes, made of noisy inputs."""
        return self._parts.before(noisy).contiguous() if self._parts else noisy

    @torch.no_grad()
    def _through(self, request: Any, noisy: Tensor, size: int) -> Tensor:
        openvino = imported("openvino")
        inputs = self._before(noisy.detach().to(torch.float32)).contiguous().numpy()
        logits = []
        for start in range(0, len(inputs), size):
            part = filled_up(inputs[start : start + size], size)
            # Nothing is copied on the way in; the way out is a few numbers an input.
            request.set_input_tensor(openvino.Tensor(part, shared_memory=True))
            request.infer()
            logits.append(request.get_output_tensor(self._output).data[: len(inputs) - start].copy())
        found = torch.from_numpy(np.concatenate(logits))
        return self._parts.after(found) if self._parts else found


def _graph(openvino: Any, job: Job, parts: Parts | None) -> tuple[Any, tuple[int, ...], int]:
    """The network as a graph of OpenVINO, the shape of one input of it, and the number of its output.

    Raises:
        UsageError: a graph of ONNX whose inputs have another type or no fixed shape.
    """
    if parts is None:
        example = torch.zeros(2, *job.shape)
        return openvino.convert_model(frozen_copy(job), example_input=example, input=[-1, *job.shape]), job.shape, 0
    if parts.graph.dtype is not np.float32:
        raise UsageError("OpenVINO takes graphs with float32 inputs here; use the backend onnxruntime")
    graph = openvino.Core().read_model(parts.graph.content)
    with torch.no_grad():
        shape = tuple(parts.before(torch.zeros(1, *job.shape)).shape[1:])
    names = [output.get_names() for output in graph.outputs]
    return graph, shape, next(place for place, each in enumerate(names) if parts.graph.output in each)


def _compiled(openvino: Any, graph: Any, job: Job, shape: tuple[int, ...], size: int) -> Any:
    """A request to the graph, compiled for batches of one size."""
    fixed = graph.clone()
    fixed.reshape({0: [size, *shape]})
    precision = openvino.Type.bf16 if job.precision == "bfloat16" else openvino.Type.f32
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(job.threads),
        "INFERENCE_PRECISION_HINT": precision,
        # Pinned to a core, it would wait for whatever else runs there.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = openvino.Core().compile_model(fixed, "CPU", settings)
    except RuntimeError as error:
        if job.precision != "bfloat16" or not _compiles(openvino, fixed):
            raise
        # Where ONEDNN_MAX_CPU_ISA hides it from the kernels, the plugin still believes that there is bfloat16.
        raise _no_arithmetic(job.precision) from error
    if compiled.get_property("INFERENCE_PRECISION_HINT") != precision:
        raise _no_arithmetic(job.precision)
    return compiled.create_infer_request()


def _compiles(openvino: Any, graph: Any) -> bool:
    """Whether the graph can be compiled in float32: then it is no layer that cannot be."""
    try:
        openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": openvino.Type.f32})
    except RuntimeError:
        return False
    return True


def _no_arithmetic(precision: str) -> UsageError:
    return UsageError(
        f"this processor has no {precision} arithmetic that OpenVINO uses: it would compute in another "
        "precision than the manifest says. Use the precision float32, or the backend torch"
    )


def _quantized(graph: Any, inputs: NDArray[np.float32], size: int) -> Any:
    """The network with 8-bit weights and activations; deterministic, given the inputs."""
    nncf = imported("nncf")
    nncf.set_log_level(logging.ERROR)
    rows = [inputs[row : row + size] for row in range(0, len(inputs) - size + 1, size)]
    # Ranges hold every value that was seen. Means of each input's range cut off outliers, and twice as many votes
    # differed from float32 on digits.
    ranges = imported("nncf.quantization.range_estimator").RangeEstimatorParametersSet.MINMAX
    settings = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=ranges)
    return nncf.quantize(graph, nncf.Dataset(rows), subset_size=len(rows), advanced_parameters=settings)


def _digest(graph: Any) -> str:
    """SHA-256 of all constants of a graph, in order: weights, scales and ranges."""
    content = hashlib.sha256()
    for node in graph.get_ordered_ops():
        content.update(node.get_type_name().encode())
        if node.get_type_name() == "Constant":
            content.update(f"{node.get_element_type().get_type_name()} {list(node.shape)}".encode())
            content.update(node.get_data().tobytes())
    return content.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars on stdout, no warnings of other people's code, and no telemetry.

    Importing and calling these packages sends usage data over the network, unless they believe to run in a CI job.
    """
    with environment({"CI": "true"}), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
