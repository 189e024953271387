"""Graphs of ONNX, with weights inside or in files beside them. No code in them is run."""

from __future__ import annotations

from holdfast.models.onnx_graph import OnnxNetwork, read_graph
from holdfast.models.source import Network, model_source
from holdfast.spec import place


@model_source("onnx", path="FILE.onnx", suffixes=(".onnx",))
def onnx(path: str, *, logits: str = "") -> Network:
    """A graph with one input.

    Args:
        path: of the file.
        logits: name of the output that is read, where there are several.
    """
    graph, sha256, notes = read_graph(place(path), logits or None)
    return Network(
        OnnxNetwork(graph),
        {"sha256": sha256},
        takes=graph.shape,
        classes=graph.classes,
        notes=tuple(notes),
    )
