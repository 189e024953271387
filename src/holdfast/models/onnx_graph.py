"""Graphs of ONNX: what they take and return, run by ONNX Runtime, and as torch modules where gradients are needed."""

from __future__ import annotations

import hashlib
import sys
import types
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.budgets import check_memory, check_size, sha256_of
from holdfast.errors import BundleError, MissingExtraError, UsageError, first_line
from holdfast.models.networks import Opaque, Wrapped
from holdfast.stand_ins import refuse_stand_in_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# Numbers of a graph by ONNX's codes of their types.
_TYPES: dict[int, Any] = {1: np.float32, 10: np.float16, 11: np.float64}
_WHOLE = (6, 7)
# A converted graph must give the same logits for random inputs, up to this share of the largest.
_AGREEMENT, _TRIED = 1e-3, 4
# The last version of operators that onnx2torch knows all of.
_OPSET = 17


@dataclass(frozen=True)
class Graph:
    """A graph with its weights.

    Attributes:
        content: the serialized model, with all data.
        input: name of its input.
        shape: of one input, without the batch; None where it is not fixed.
        batch: size of its batches; None for any.
        dtype: of its input.
        output: name of the output that is read.
        classes: how many logits it returns for an input; None where it does not say, or returns votes.
    """

    content: bytes
    input: str
    shape: tuple[int, ...] | None
    batch: int | None
    dtype: Any
    output: str
    classes: int | None


def read_graph(path: Path, output: str | None = None) -> tuple[Graph, str, list[str]]:
    """A graph from its file, the SHA-256 of the file and of all files of weights that it names, and notes.

    Nothing in it is run. Files of weights are read from the folder of the graph only.

    Args:
        path: of the file.
        output: name of the output to read, where there are several.

    Raises:
        BundleError: no ONNX file, or a broken one.
        UsageError: it has several inputs, or several outputs and none is named.
        MissingExtraError: the package onnx is not installed.
    """
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        raise MissingExtraError("onnxruntime", "onnx", "A model in ONNX")
    import onnx

    check_size(path.stat(), path, BundleError)
    check_memory(path.stat().st_size, path, BundleError, "take a smaller model, or a machine with more memory")
    try:
        model = onnx.load(str(path), load_external_data=False)
        files = [path, *_weights_of(model, path)]
        digest = _digest(files)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        content = model.SerializeToString()
    except BundleError:
        raise
    except Exception as error:  # protobuf raises nearly anything.
        raise BundleError(
            f"{path} is not an ONNX graph that can be read, or files of its weights are missing or outside its folder "
            f"({type(error).__name__}: {first_line(error)}). Export it again"
        ) from error
    stored = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in stored]
    if len(inputs) != 1:
        raise UsageError(
            f"{path} has {len(inputs)} inputs ({', '.join(each.name for each in inputs) or 'none'}), expected one, the "
            "noisy inputs; export a graph with one input"
        )
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _TYPES:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise UsageError(f"{path} takes inputs of {kind}, expected FLOAT, FLOAT16 or DOUBLE; export it with these")
    sizes = [each.dim_value if each.HasField("dim_value") else None for each in tensor.shape.dim]
    if not tensor.HasField("shape") or not sizes:
        sizes = [None]
    event = tuple(sizes[1:])
    chosen, notes = _output(model.graph.output, output, path)
    found = chosen.type.tensor_type
    last = [each.dim_value if each.HasField("dim_value") else None for each in found.shape.dim]
    fixed = tuple(size for size in event if size is not None and size > 0)
    graph = Graph(
        content,
        inputs[0].name,
        fixed if event and len(fixed) == len(event) else None,
        sizes[0] or None,
        _TYPES[tensor.elem_type],
        chosen.name,
        last[1] if len(last) == 2 and last[1] and found.elem_type in _TYPES else None,
    )
    return graph, digest, notes


def _output(outputs: Any, name: str | None, path: Path) -> tuple[Any, list[str]]:
    """The output that is read: the one named, the only one, or the only matrix of real numbers."""
    names = [each.name for each in outputs]
    if name is not None:
        if name not in names:
            raise UsageError(f"{path} has no output {name!r}; it has {', '.join(names)}")
        return next(each for each in outputs if each.name == name), []
    tensors = [(each, each.type.tensor_type) for each in outputs if each.type.HasField("tensor_type")]
    matrices = [each for each, kind in tensors if kind.elem_type in _TYPES and _dimensions(kind) in (1, 2, None)]
    labels = [each for each, kind in tensors if kind.elem_type in _WHOLE and _dimensions(kind) in (1, None)]
    found = matrices or labels
    if len(found) != 1:
        raise UsageError(
            f"{path} has the outputs {', '.join(names)}, and {'none' if not found else 'several'} of them may be "
            "logits (batch, classes); name one of them: logits=NAME"
        )
    return found[0], [] if len(names) == 1 else [f"of the outputs {', '.join(names)}, {found[0].name} was taken"]


def _dimensions(tensor: Any) -> int | None:
    return len(tensor.shape.dim) if tensor.HasField("shape") else None


def _weights_of(model: Any, path: Path) -> list[Path]:
    """The files of weights that a graph names, in the order of their names."""
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    names = {ExternalDataInfo(each).location for each in model.graph.initializer if uses_external_data(each)}
    files = [path.parent / name for name in sorted(names)]
    for file in files:
        if not file.resolve().is_relative_to(path.parent.resolve()):
            raise BundleError(f"{path} names weights outside its folder: {file}")
        check_size(file.stat(), file, BundleError)
        refuse_stand_in_file(file, BundleError)
    return files


def _digest(files: list[Path]) -> str:
    """That of one file is its own; of several, that of their digests in order."""
    each = [sha256_of(file, BundleError) for file in files]
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()


class OnnxNetwork(Opaque):
    """A graph that ONNX Runtime computes on the processor, in float32, with as many threads as torch has.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # A session belongs to its process.
        return {**self.__dict__, "_session": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxNetwork:
        return OnnxNetwork(self.graph)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs `(batch, *event)` to the output that is read."""
        if self._session is None:
            self._session = session(self.graph.content, torch.get_num_threads())
        return run(self._session, self.graph, x)

    def differentiable(self) -> nn.Module:
        """The graph as torch modules, by onnx2torch, compared with ONNX Runtime on a few random inputs.

        Raises:
            UsageError: it cannot be converted, or computes something else then.
            MissingExtraError: onnx2torch is not installed.
        """
        if find_spec("onnx2torch") is None:
            raise MissingExtraError("onnx2torch", "gradients", "Gradients of a model in ONNX")
        advice = "take an attack that needs decisions or scores (square, boundary, nattack), and no bound"
        with _without_torchvision(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                import onnx.version_converter
                import onnx2torch

                model = onnx.load_from_string(self.graph.content)
                if any(each.domain in ("", "ai.onnx") and each.version > _OPSET for each in model.opset_import):
                    model = onnx.version_converter.convert_version(model, _OPSET)
                made: nn.Module = onnx2torch.convert(model).eval()
            except Exception as error:
                raise UsageError(
                    f"onnx2torch cannot convert the graph ({type(error).__name__}: {first_line(error)}), so there are "
                    f"no gradients: {advice}"
                ) from error
        made = _Quiet(made.requires_grad_(False)).eval()
        if self.graph.shape is not None:
            self._compare(made, self.graph.shape, advice)
        return made

    def _compare(self, made: nn.Module, shape: tuple[int, ...], advice: str) -> None:
        x = torch.rand((self.graph.batch or _TRIED, *shape), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected, found = self(x).float(), torch.as_tensor(made(x)).float()
        if expected.shape != found.shape or float((expected - found).abs().max()) > _AGREEMENT * max(
            1e-6, float(expected.abs().max())
        ):
            raise UsageError(
                f"the graph as onnx2torch converts it gives other logits than ONNX Runtime, so there are no gradients: "
                f"{advice}"
            )


@dataclass(frozen=True, eq=False)
class Parts:
    """A graph with what torch computes before and after it."""

    before: nn.Module
    graph: Graph
    after: nn.Module


def graph_within(module: nn.Module) -> Parts | None:
    """The parts of a wrapped graph; None for another module."""
    if isinstance(module, Wrapped) and isinstance(module.network, OnnxNetwork):
        return Parts(module.before, module.network.graph, module.reader)
    return None


class _Quiet(nn.Module):
    """A converted graph without the warnings of torch about the converter's code."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.network(x)


def session(content: bytes, threads: int) -> Any:
    """A session of ONNX Runtime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Warnings are about the code that exported the graph; errors come as exceptions.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def filled_up(part: NDArray[Any], size: int) -> NDArray[Any]:
    """A batch of this size: a shorter one gets rows of zeros."""
    lacking = size - len(part)
    if not lacking:
        return part
    return np.concatenate([part, np.zeros((lacking, *part.shape[1:]), dtype=part.dtype)])


def run(opened: Any, graph: Graph, x: Tensor) -> Tensor:
    """What a session returns for a batch, of whatever size its graph takes."""
    inputs = x.detach().cpu().contiguous().numpy().astype(graph.dtype, copy=False)
    size = graph.batch or len(inputs)
    rows = []
    for start in range(0, len(inputs), size):
        part = filled_up(inputs[start : start + size], size)
        rows.append(opened.run([graph.output], {graph.input: part})[0][: len(inputs) - start])
    return torch.from_numpy(rows[0] if len(rows) == 1 else np.concatenate(rows)).to(x.device)


@contextmanager
def _without_torchvision() -> Iterator[None]:
    """onnx2torch imports torchvision for operations on boxes, which no classifier has: here it may be missing."""
    before = {name: sys.modules.get(name) for name in ("torchvision", "torchvision.ops")}
    try:
        try:
            import torchvision.ops  # noqa: F401
        except Exception:  # An installation that does not fit torch fails with anything.
            stand_in, operations = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
            operations.roi_align = None  # type: ignore[attr-defined]
            stand_in.ops = operations  # type: ignore[attr-defined]
            sys.modules.update({"torchvision": stand_in, "torchvision.ops": operations})
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
