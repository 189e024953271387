"""Programs of torch.export: a graph of operators of torch with its weights. No code in the file is run."""

from __future__ import annotations

from typing import Any

from holdfast.budgets import sha256_of
from holdfast.errors import BundleError, UsageError
from holdfast.models.exported_program import module_in, program_of, read_program
from holdfast.models.networks import FromBytes
from holdfast.models.source import Network, model_source
from holdfast.spec import place


@model_source("exported", path="FILE.pt2", suffixes=(".pt2",))
def exported(path: str) -> Network:
    """A program with one input."""
    file = place(path)
    content = read_program(file)
    program = program_of(content)
    inputs = [each for each in program.graph.nodes if each.op == "placeholder" and each.name in _inputs(program)]
    if len(inputs) != 1:
        raise UsageError(f"{path} has {len(inputs)} inputs, expected one, the noisy inputs; export it with one input")
    sizes = tuple(inputs[0].meta["val"].shape)
    batch = sizes[0] if isinstance(sizes[0], int) else None
    event = tuple(size for size in sizes[1:] if isinstance(size, int))
    outputs: Any = program.graph.output_node().args[0]
    last: tuple[object, ...] = tuple(outputs[0].meta["val"].shape) if len(outputs) == 1 else ()
    return Network(
        FromBytes(module_in, content),
        {"sha256": sha256_of(file, BundleError)},
        takes=event if len(event) == len(sizes) - 1 and event else None,
        batch=batch,
        classes=last[1] if len(last) == 2 and isinstance(last[1], int) and last[1] > 1 else None,
    )


def _inputs(program: object) -> tuple[str, ...]:
    return tuple(program.graph_signature.user_inputs)  # type: ignore[attr-defined]
