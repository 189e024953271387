"""Model files as strangers send them: bundles and weights that others trained, damaged and with other numbers."""

from __future__ import annotations

import io
import tempfile
import warnings
from functools import cache
from pathlib import Path

import torch
from broken import broken
from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs

from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle, save_bundle
from holdfast.models.layouts import read_sets


@cache
def bundles() -> list[bytes]:
    """Two honest bundles."""
    found = []
    for arguments in ({"widths": []}, {"widths": [4]}):
        info = BundleInfo("fc", arguments, InputSpace((1, 8, 8), 0.0, 1.0), None, tuple("0123456789"), {})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            save_bundle(path, info, info.build())
            found.append(path.read_bytes())
    return found


@cache
def weights() -> list[bytes]:
    """Honest weights as torch saves them now, did before, and beside other things."""
    state = {"1.weight": torch.ones(10, 8), "1.bias": torch.zeros(10)}
    found = []
    for saved, now in ((state, True), (state, False), ({"state_dict": state, "epoch": 3, "raw": b"bytes"}, True)):
        file = io.BytesIO()
        torch.save(saved, file, _use_new_zipfile_serialization=now)
        found.append(file.getvalue())
    return found


def _written(name: str, content: bytes, read: object) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(path)  # type: ignore[operator]


@inputs(0.06)
@given(st.data())
def test_any_bundle_is_a_model_or_an_error_in_words(data: st.DataObject) -> None:
    content = data.draw(broken(bundles()))
    answered(lambda: _written("model.safetensors", content, load_bundle))


@inputs(0.06)
@given(st.data())
def test_any_file_is_weights_or_an_error_in_words(data: st.DataObject) -> None:
    content = data.draw(broken(weights()))
    answered(lambda: _written("weights.pth", content, read_sets))


def test_the_honest_ones_are_read() -> None:
    for content in bundles():
        assert _written("model.safetensors", content, load_bundle)
    for content in weights():
        assert _written("weights.pth", content, read_sets)
