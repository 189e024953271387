"""Every file that a source of models reads, with a pointer or a page of a server in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import BundleError, DataError, HoldfastError
from holdfast.models.layouts import read_sets
from holdfast.models.source import MODEL_SOURCES, open_model
from holdfast.store.logs import read_log

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1234\n" % (b"0" * 64)
ANNEX = b"/annex/objects/SHA256E-s1234--0123456789abcdef.bin\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>"
IN_PLACE = {
    "git-lfs": (POINTER, "is a git-lfs pointer, not the file itself: `git lfs pull` fetches it"),
    "git-annex": (ANNEX, "is a git-annex pointer, not the file itself: `git annex get` fetches it"),
    "page": (PAGE, "is an HTML or XML page, as a server sends where a download fails, not the file itself"),
}
in_place = pytest.mark.parametrize("kind", IN_PLACE)
CODE = "from torch import nn\n\n\ndef make():\n    return nn.Sequential(nn.Flatten(), nn.Linear(4, 2))\n"

# Source -> the file in whose place another one lies, and specs that read it.
FILES: dict[str, list[tuple[str, str]]] = {
    "bundle": [("w.safetensors", "{0}/w.safetensors"), ("w", "bundle:{0}/w")],
    "double-masking": [("w.safetensors", "double-masking:{0}/w.safetensors,patch=1")],
    "exported": [("w.pt2", "{0}/w.pt2"), ("w", "exported:{0}/w")],
    "ffdnet": [("w.pth", "ffdnet:{0}/w.pth,level=0.1")],
    "hf": [("config.json", "hf:{0}"), ("config.json", "{0}"), ("model.safetensors", "hf:{0}")],
    "onnx": [("w.onnx", "{0}/w.onnx"), ("w.ONNX", "{0}/w.ONNX"), ("w", "onnx:{0}/w"), ("outside.bin", "{0}/net.onnx")],
    "python": [
        ("of_a_pointer.py", "python:{0}/of_a_pointer.py:make"),
        ("w.pth", "python:{0}/{1}.py:make,weights={0}/w.pth"),
        ("w.safetensors", "python:{0}/{1}.py:make,weights={0}/w.safetensors"),
    ],
    "sklearn": [("w.skops", "{0}/w.skops"), ("w", "sklearn:{0}/w")],
    "threshold-votes": [("w.safetensors", "threshold-votes:{0}/w.safetensors,threshold=.3")],
    "timm": [("w.safetensors", "timm:resnet18,weights={0}/w.safetensors")],
    "torchscript": [("w.pt", "torchscript:{0}/w.pt"), ("w", "torchscript:{0}/w")],
}
CASES = [(source, *case) for source, cases in FILES.items() for case in cases]
# What other files are called whose content tells their kind.
NAMES = ("w.pt", "w.pth", "w.th", "w.bin", "w.ckpt", "w.pkl", "w.joblib", "w.npz", "w.h5", "w.model", "w")


def test_every_source_is_here() -> None:
    assert set(FILES) == set(MODEL_SOURCES.names())


def _graph(folder: Path) -> None:
    """A graph of ONNX with its weights in the file outside.bin."""
    onnx = pytest.importorskip("onnx")
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.zeros((1024, 2), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1024])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "net.onnx"), save_as_external_data=True, location="outside.bin")


@in_place
@pytest.mark.parametrize(("source", "name", "spec"), CASES, ids=[f"{source}-{spec}" for source, _, spec in CASES])
def test_a_source_names_what_lies_in_the_place_of_its_file(
    tmp_path: Path, source: str, name: str, spec: str, kind: str
) -> None:
    needed = {"hf": "transformers", "timm": "timm", "onnx": "onnxruntime"}
    if source in needed:
        pytest.importorskip(needed[source])
    if name == "model.safetensors":
        (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    if name == "outside.bin":
        _graph(tmp_path)
        assert (tmp_path / name).stat().st_size == 8192, "the weights lie outside the graph"
    # Python has one module of a name.
    module = f"of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(CODE)
    content, said = IN_PLACE[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HoldfastError) as error:
        open_model(spec.format(tmp_path, module))
    assert f"{tmp_path / name} {said}" in str(error.value)


@in_place
@pytest.mark.parametrize("name", NAMES)
def test_files_without_a_source_are_named_too(tmp_path: Path, name: str, kind: str) -> None:
    content, said = IN_PLACE[kind]
    (tmp_path / name).write_bytes(content)
    for read in (lambda path: open_model(str(path)), read_sets):
        with pytest.raises(BundleError) as error:
            read(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name} {said}")


@in_place
def test_logs_too(tmp_path: Path, kind: str) -> None:
    content, said = IN_PLACE[kind]
    (tmp_path / "log.tsv").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_log(tmp_path / "log.tsv")
    assert str(error.value).startswith(f"{tmp_path / 'log.tsv'} {said}")
