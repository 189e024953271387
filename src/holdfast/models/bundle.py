"""A model in one `.safetensors` file: weights and everything needed to use them. No pickle is ever loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from holdfast.errors import BundleError
from holdfast.formats.checking import fitting
from holdfast.formats.models import BundleHeader
from holdfast.formats.strict import json_object
from holdfast.models.architectures.base import build_normalized, builders_used
from holdfast.models.identity import model_code
from holdfast.models.model import InputSpace, Model
from holdfast.models.sketch import sketch
from holdfast.models.stored import stored
from holdfast.models.tensors import mismatches, put_in, shapes_of
from holdfast.noises.base import noise_from_dict
from holdfast.outputs import whole_file
from holdfast.shortened import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.folders import Where
    from holdfast.noises.base import Noise

FORMAT = 1
_KEY = "holdfast"
# Bytes of what a bundle says of its weights: a thousand members of an ensemble take a tenth of a megabyte.
_MOST_HEADER = 2**22


@dataclass(frozen=True)
class BundleInfo:
    """The description of the weights in a bundle.

    Attributes:
        architecture: name of the architecture.
        arguments: arguments of its builder.
        input_space: what the model takes.
        noise: name and parameters of the noise it was trained for; None for a training without noise.
        class_names: one name for each class.
        training: how it was trained: data, settings, final figures.
    """

    architecture: str
    arguments: dict[str, Any]
    input_space: InputSpace
    noise: dict[str, Any] | None
    class_names: tuple[str, ...]
    training: dict[str, Any]

    @property
    def trained_for(self) -> Noise | None:
        """The noise it was trained for; None for a training without noise."""
        return None if self.noise is None else noise_from_dict(self.noise)

    @property
    def noisy_shape(self) -> tuple[int, ...]:
        """The shape of what the module takes."""
        shape = self.input_space.shape
        return shape if self.trained_for is None else self.trained_for.noisy_shape(shape)

    def build(self) -> nn.Module:
        """The architecture with fresh weights, normalization included, for noisy inputs."""
        return build_normalized(self.member(), self.noisy_shape, len(self.class_names))

    def member(self) -> dict[str, Any]:
        """The description from which `build_normalized` makes the module, alone or as a part of another."""
        space = self.input_space
        return {
            "architecture": self.architecture,
            "arguments": self.arguments,
            "mean": space.mean,
            "std": space.std,
        }


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle: its description, the base classifier in eval mode, the hash of the file, and of the code.

    Attributes:
        info: description of the weights in the file.
        module: the base classifier.
        sha256: sha256 of the file.
        code: digests of the code that the architecture is, by the names of modules; see `model_code`.
    """

    info: BundleInfo
    module: nn.Module
    sha256: str
    code: dict[str, str]

    def model(self, name: str) -> Model:
        """The base classifier with all that the file says of it.

        Args:
            name: how messages name it.
        """
        info = self.info
        return Model(
            name=name,
            module=self.module,
            entries={
                "architecture": info.architecture,
                "arguments": info.arguments,
                "sha256": self.sha256,
                "trained_for": info.noise,
                "normalization": {"mean": info.input_space.mean, "std": info.input_space.std},
                "code": self.code,
            },
            takes=info.noisy_shape,
            space=info.input_space,
            class_names=info.class_names,
            num_classes=len(info.class_names),
            noise=info.noise,
            says_noise=True,
        )


def save_bundle(path: Where, info: BundleInfo, module: nn.Module) -> None:
    """Write a bundle, whole or not at all.

    Args:
        path: path of the file; ends in `.safetensors`.
        info: description of the weights.
        module: built by `info.build()`.
    """
    header = json.dumps({"format": FORMAT, **asdict(info)}, allow_nan=False)
    weights = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    write_tensors(path, weights, {_KEY: header})


def write_tensors(path: Where, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file so that it is whole or not there at all; a tensor with two names is written twice."""
    own: dict[str, Tensor] = {}
    memory: set[int] = set()
    for name, tensor in tensors.items():
        # safetensors takes no two tensors in the same memory, as tied weights are.
        place = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone() if place in memory else tensor
        memory.add(place)
    # Not by its own writer, which opens files by their paths.
    content = save(own, header)
    with whole_file(path) as file:
        file.write(content)


def read_tensors(path: Where) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file.

    Raises:
        BundleError: there is no such file, it is not of this kind, or there is not enough memory for it.
    """
    file = stored(path)
    return file.tensors(), file.header


def read_info(path: Where) -> BundleInfo:
    """The description in a bundle, without building the model.

    Raises:
        BundleError: not a bundle.
    """
    return _parse(path, stored(path).header)


def load_bundle(path: Where, device: torch.device | None = None) -> Bundle:
    """The base classifier of a bundle, in eval mode and float32, on a device; other precisions are those of backends.

    Nothing is allocated for a network whose tensors are not those of the file (`holdfast.models.sketch`).

    Args:
        path: path of the file.
        device: where the module goes; the processor by default.

    Raises:
        BundleError: not a bundle, or weights that do not fit its architecture or are not finite numbers; see `put_in`.
    """
    file = stored(path)
    info = _parse(path, file.header)
    expected = sketch(file, info.architecture, info.build)
    if expected is not None:
        _check_names(path, info, shapes_of(expected), file.shapes)
    tensors = file.tensors()
    with builders_used() as builders:
        module = info.build()
    code = model_code(module, builders)
    if expected is None:
        _check_names(path, info, shapes_of(module.state_dict()), file.shapes)
    put_in(module, tensors, str(path))
    module = module.to(device or torch.device("cpu"), torch.float32).eval().requires_grad_(False)
    return Bundle(info, module, file.sha256(), code)


def open_bundle(path: Where, device: torch.device | None = None) -> Model:
    """The base classifier of a bundle, named by its path; errors as in `load_bundle`."""
    return load_bundle(path, device).model(str(path))


def _check_names(
    path: Where, info: BundleInfo, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise BundleError unless there are the tensors of the architecture and no others, in its shapes."""
    faults = mismatches(expected, found)
    if faults:
        raise BundleError(
            f"the weights in {path} do not fit its architecture {info.architecture!r}: {'; '.join(faults)}. The file "
            "was changed, or written with other code of this architecture"
        )


def _parse(path: Where, header: Mapping[str, str]) -> BundleInfo:
    if _KEY not in header:
        raise BundleError(f"{path} is a safetensors file but not a Holdfast bundle: its header has no {_KEY!r} entry")
    try:
        raw = json_object(header[_KEY], _MOST_HEADER)
        if raw.get("format") != FORMAT:
            raise BundleError(
                f"{path} has format {as_json(raw.get('format'))}, of another version of Holdfast; this one reads "
                f"format {FORMAT}"
            )
        found = fitting(raw, BundleHeader)
    except ValueError as error:
        raise BundleError(
            f"{path} was changed after it was written: {error}. Restore it from a copy, or import or train the model "
            "again"
        ) from None
    space = found.input_space
    return BundleInfo(
        architecture=found.architecture,
        arguments=found.arguments,
        input_space=InputSpace(tuple(space.shape), space.low, space.high, _tuple(space.mean), _tuple(space.std)),
        noise=found.noise,
        class_names=tuple(found.class_names),
        training=found.training,
    )


def _tuple(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
