"""The JSON beside weights, as strangers send it: the header of a bundle, the position in a checkpoint."""

from __future__ import annotations

import json
import struct
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs
from made_runs import attack, runs
from mutations import changed, damaged, written
from schema import excluded

from holdfast.errors import HoldfastError
from holdfast.models.bundle import BundleInfo, InputSpace, read_info
from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.trainer import position_of

_SPACE = InputSpace((1, 8, 8), 0.0, 1.0, (0.3,), (0.4,))
_TRAINING = {"recipe": "noise", "epochs": 1, "data": {"source": "digits", "size": 9}, "training_loss": 0.5}
_BUNDLES: list[dict[str, Any]] = [
    {"format": 1, **asdict(BundleInfo("digits-mlp", {"widths": [16]}, _SPACE, noise, tuple("0123456789"), _TRAINING))}
    for noise in (None, Gaussian(0.25).to_dict(), Ablation(5).to_dict())
]
_POSITION: dict[str, Any] = {
    "epoch": 1,
    "loss": 0.5,
    "accuracy": 0.25,
    "promise": {"config": TrainConfig().to_dict(), "data": "0" * 64, "model": {**_BUNDLES[1], "training": {}}},
}
_OTHERS = [runs()["fixed"].manifest, attack().manifest, *_BUNDLES, _POSITION]


@st.composite
def _headers(draw: st.DrawFn, documents: list[dict[str, Any]]) -> str:
    document = json.loads(json.dumps(draw(st.sampled_from(documents))))
    raw = written(draw(changed(document, _OTHERS)))
    if draw(st.integers(0, 9)) == 0:
        raw = draw(damaged(written(document).encode())).decode(errors="replace")
    return raw


def _file(key: str, text: str) -> bytes:
    """A safetensors file with one tensor and one entry beside it."""
    header = json.dumps(
        {"__metadata__": {key: text}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, ensure_ascii=False
    ).encode(errors="replace")
    return struct.pack("<Q", len(header)) + header + bytes(4)


headers = lambda: _headers(_BUNDLES)  # noqa: E731
positions = lambda: _headers([_POSITION])  # noqa: E731


def fault_of_header(text: str) -> str | None:
    """What is wrong with how the header of a bundle is read; None if nothing is."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "m.safetensors"
        path.write_bytes(_file("holdfast", text))
        found = answered(lambda: read_info(path))
    if isinstance(found, HoldfastError):
        return None
    answered(lambda: (found.trained_for, found.noisy_shape))
    return (
        "a header that its schema excludes is read"
        if excluded(text.encode("utf-8", "replace"), "bundle-header")
        else None
    )


def fault_of_position(text: str) -> str | None:
    """What is wrong with how the position in a checkpoint is read; None if nothing is."""
    found = answered(lambda: position_of(Path("c.checkpoint"), {"holdfast-checkpoint": text}))
    if isinstance(found, HoldfastError):
        return None
    refused = excluded(text.encode("utf-8", "replace"), "checkpoint-position")
    return "a position that its schema excludes is read" if refused else None


def test_what_is_not_changed_is_read() -> None:
    assert [fault_of_header(json.dumps(each)) for each in _BUNDLES] == [None] * len(_BUNDLES)
    assert position_of(Path("c"), {"holdfast-checkpoint": json.dumps(_POSITION)}).epoch == 1


@inputs(0.03)
@given(headers())
def test_bundles(text: str) -> None:
    assert fault_of_header(text) is None


@inputs(0.02)
@given(positions())
def test_positions(text: str) -> None:
    assert fault_of_position(text) is None
