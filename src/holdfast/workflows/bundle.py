"""Freeze a model of another tool into a bundle: one file that needs nothing but torch."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from holdfast.errors import UsageError, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from holdfast.data.base import DataSet
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.model import Model

# Logits of the frozen network may differ from the model's by this share of the largest.
_AGREEMENT, _TRIED = 1e-4, 4


def freeze(model: Model, data: DataSet, out: Path) -> BundleInfo:
    """Write a bundle that computes what a model computes: normalization, layout and denoiser included.

    Args:
        model: fitted to the data; a network that torch can compute, or a graph that can be converted.
        data: with its inputs and classes.
        out: the bundle.

    Returns:
        The description of the bundle.

    Raises:
        UsageError: the model cannot be exported, or computes something else then.
        MissingExtraError: what converts it is not installed.
    """
    import torch

    from holdfast.models.architectures.exported import FrozenProgram
    from holdfast.models.architectures.rejecting import check_answers
    from holdfast.models.bundle import BundleInfo, save_bundle
    from holdfast.models.exported_program import plain_program
    from holdfast.models.model import InputSpace

    # A frozen program has its logits alone.
    check_answers(model.module, model.name)
    shape = model.takes or data.shape
    try:
        module, classes = model.differentiable(), len(model.classes)
    except UsageError as error:
        raise UsageError(
            f"{model.name} cannot be frozen, since torch cannot compute it: {first_line(error)}"
        ) from error
    content = plain_program(_exported(module, shape, model.name), model.name)
    info = BundleInfo(
        architecture="exported",
        arguments={"size": len(content)},
        input_space=InputSpace(data.shape, data.low, data.high),
        noise=model.noise,
        class_names=model.classes,
        training={"recipe": "frozen", "model": model.describe()},
    )
    frozen = FrozenProgram(len(content), classes)
    frozen.program = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    x = torch.rand((_TRIED, *shape), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = module(x).float(), frozen(x).float()
    if float((expected - found).abs().max()) > _AGREEMENT * max(1e-6, float(expected.abs().max())):
        raise UsageError(f"{model.name} returns other logits once it is frozen, so it cannot be: use it as it is")
    whole = info.build()
    whole.get_submodule("1").load_state_dict(frozen.state_dict())
    save_bundle(out, info, whole)
    return info


def _exported(module: nn.Module, shape: tuple[int, ...], name: str) -> bytes:
    """A program of the module, for batches of any size."""
    import torch

    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            batch = torch.export.Dim("batch", min=1)
            program = torch.export.export(module, (torch.zeros(2, *shape),), dynamic_shapes=({0: batch},))
            torch.export.save(program, content)
        except Exception as error:  # torch raises nearly anything for code that it cannot trace.
            raise UsageError(
                f"{name} cannot be frozen: torch.export fails with {type(error).__name__} ({first_line(error)}). Use "
                "it as it is; certificates need no bundle"
            ) from error
    return content.getvalue()
