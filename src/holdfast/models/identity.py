"""The identity of a base classifier besides its weights: the code of its architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.code_digest import code_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

# What of Holdfast belongs to a model; the rest is no part of any.
_OURS = (
    "holdfast.models.architectures",
    "holdfast.models.asking",
    "holdfast.models.double_masking",
    "holdfast.models.networks",
    "holdfast.models.normalization",
    "holdfast.models.threshold_votes",
)

# Libraries of networks: their versions stand for their hundreds of modules.
_LIBRARIES = frozenset({"onnx2torch", "timm", "torchvision", "transformers"})


def model_code(module: nn.Module, builders: Iterable[str] = ()) -> dict[str, str]:
    """Digests of the modules that make the network what it is, by their names.

    These are the modules of its builders and of the classes of its parts, and what they import from their own package
    or the user's own files; of other packages the version. torch has its own entry in a manifest.

    Args:
        module: the network.
        builders: names of the modules of the functions that built it; see `builders_used`.
    """
    classes = {kind.__module__ for part in module.modules() for kind in type(part).__mro__}
    libraries = {name.partition(".")[0] for name in classes} & _LIBRARIES
    seeds = {name for name in {*builders, *classes} if name.partition(".")[0] not in _LIBRARIES}
    return dict(sorted({**code_of(seeds, _OURS), **{name: version_of(name) for name in libraries}}.items()))
