"""Image classifiers of transformers, as `save_pretrained` writes them to a folder. No code in it is run."""

from __future__ import annotations

import hashlib
import json
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from holdfast.budgets import content_of, sha256_of
from holdfast.errors import BundleError, MissingExtraError, first_line
from holdfast.models.source import Network, model_source
from holdfast.spec import place
from holdfast.stand_ins import refuse_stand_in, refuse_stand_in_file

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_MOST_JSON = 2**24


@model_source("hf", path="DIR")
def hf(path: str) -> Network:
    """An image classifier with its preprocessor's size, mean and deviation."""
    if find_spec("transformers") is None:
        raise MissingExtraError("transformers", "hf", "A model of transformers")
    folder = place(path)
    config = _json(folder / _CONFIG)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        found = sorted(each.name for each in folder.iterdir())[:6]
        raise BundleError(
            f"{path} has no weights in safetensors (there are {', '.join(found)}); save the model again: "
            "model.save_pretrained(DIR, safe_serialization=True)"
        )
    for each in weights:
        refuse_stand_in_file(each, BundleError)
    files = [folder / _CONFIG, *weights]
    prepared: dict[str, Any] = {}
    if (folder / _PREPROCESSOR).is_file():
        prepared = _json(folder / _PREPROCESSOR)
        files.append(folder / _PREPROCESSOR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module, missing = _loaded(folder, path)
    if missing:
        raise BundleError(
            f"{path} lacks the weights {', '.join(sorted(missing)[:4])}, which would be random: it is no classifier "
            "yet. Fine-tune it, and save it again"
        )
    names = {int(key): str(name) for key, name in (config.get("id2label") or {}).items()}
    named = tuple(names[key] for key in sorted(names))
    made_up = named == tuple(f"LABEL_{key}" for key in range(len(named)))
    scaled = prepared.get("do_normalize", True) and "image_mean" in prepared and "image_std" in prepared
    notes = (
        [] if prepared else [f"{path} has no {_PREPROCESSOR}: inputs are not normalized unless mean= and std= say so"]
    )
    return Network(
        module,
        {"sha256": _together(files)},
        takes=_takes(module, prepared),
        classes=int(module.config.num_labels),
        class_names=None if made_up or not named else named,
        mean=tuple(map(float, prepared["image_mean"])) if scaled else None,
        std=tuple(map(float, prepared["image_std"])) if scaled else None,
        notes=tuple(notes),
    )


def _loaded(folder: Path, name: str) -> tuple[Any, set[str]]:
    """The model in eval mode, and the names of weights that are not in the folder."""
    from transformers import AutoModelForImageClassification
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    try:
        module, info = AutoModelForImageClassification.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # transformers raises nearly anything.
        raise BundleError(
            f"{name} is no image classifier of transformers that can be loaded ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error
    return module.eval(), set(info["missing_keys"])


def _takes(module: Any, prepared: dict[str, Any]) -> tuple[int, ...] | None:
    """The shape that the preprocessor makes, or the network was made for."""
    size: Any = (prepared.get("crop_size") if prepared.get("do_center_crop") else None) or prepared.get("size")
    if isinstance(size, dict):
        size = (size.get("height") or size.get("shortest_edge"), size.get("width") or size.get("shortest_edge"))
    size = size or getattr(module.config, "image_size", None)
    if isinstance(size, int):
        size = (size, size)
    if size is None or None in tuple(size):
        return None
    return (int(getattr(module.config, "num_channels", 3)), int(size[0]), int(size[1]))


def _together(files: list[Path]) -> str:
    return hashlib.sha256(
        "\n".join(f"{each.name} {sha256_of(each, BundleError)}" for each in files).encode()
    ).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    content = content_of(path, BundleError, _MOST_JSON)
    refuse_stand_in(content, path, BundleError)
    try:
        found = json.loads(content)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON ({first_line(error)}); fetch it again") from None
    if not isinstance(found, dict):
        raise BundleError(f"{path} has a {type(found).__name__}, expected the settings of a model")
    return found
