"""Files of models that strangers wrote, or that are something else: refused with reasons, and nothing is run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_models import CODE, Net, export_onnx, export_program
from torch import nn

import holdfast as hf
from holdfast.errors import BundleError, HoldfastError, UsageError
from holdfast.models.networks import PROBABILITY, Reader, module_digest, one_tensor
from holdfast.models.source import open_model
from holdfast.noises.gaussian import Gaussian
from holdfast.workflows.python import load_data
from holdfast.workflows.setup import Setup


class Poison:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    export_program(Net().eval().requires_grad_(False), tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


def rewritten(file: Path, change: Any) -> Path:
    """The archive again, each member as `change(name, content)` returns it."""
    members = zipfile.ZipFile(file)
    content = {name: members.read(name) for name in members.namelist()}
    made = file.with_name("changed.pt2")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, old in content.items():
            archive.writestr(name, change(name, old))
    return made


def of_graph(change: Any) -> Any:
    def changed(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        graph = json.loads(content)
        change(graph)
        return json.dumps(graph).encode()

    return changed


def first_node(graph: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = graph["graph_module"]["graph"]["nodes"][0]
    return node


def test_a_program_is_read_and_its_sample_inputs_are_not_unpickled(program: Path, tmp_path: Path) -> None:
    poisoned = io.BytesIO()
    torch.save((Poison(tmp_path / "poisoned"),), poisoned)

    def change(name: str, content: bytes) -> bytes:
        return poisoned.getvalue() if "sample_inputs" in name else content

    x = torch.rand(3, 1, 8, 8)
    expected = open_model(program).module(x)
    assert torch.equal(open_model(rewritten(program, change)).module(x), expected)
    assert not (tmp_path / "poisoned").exists()
    # torch itself runs it, and may fail afterwards.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        torch.export.load(rewritten(program, change))
    assert (tmp_path / "poisoned").exists()


@pytest.mark.parametrize(
    "target",
    ["torch.serialization.os.system", "torch.load", "torch.ops.aten.from_file.default", "os.system", "torch.hub.load",
     "_operator.methodcaller", "math.__loader__", "torch.ops.load_library"],
)  # fmt: skip
def test_a_program_calls_operators_of_torch_alone(program: Path, target: str) -> None:
    changed = rewritten(program, of_graph(lambda graph: first_node(graph).update(target=target)))
    with pytest.raises(BundleError, match="which is no operator of torch that only computes"):
        open_model(changed)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').mkdir('poisoned')",
        "exec(chr(1))",
        "s77.__class__",
        "open(s0)",
        "Symbol('s77').func",
        "eval(s1)",
        "9**9**9**9",
        "s1**99999999",
        "(s1**3**3)",
    ],
)
def test_sizes_are_arithmetic(program: Path, text: str) -> None:
    def change(graph: dict[str, Any]) -> None:
        sizes = graph["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": text, "hint": {"as_int": 2}}}

    with pytest.raises(BundleError, match="as a size, expected arithmetic on sizes"):
        open_model(rewritten(program, of_graph(change)))


def test_weights_that_are_pickled_are_refused(program: Path, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            config = json.loads(content)
            next(iter(config["config"].values()))["use_pickle"] = True
            return json.dumps(config).encode()
        return pickle.dumps(Poison(tmp_path / "poisoned")) if name.endswith("weight_0") else content

    with pytest.raises(BundleError, match="weights that are pickled"):
        open_model(rewritten(program, change))
    assert not (tmp_path / "poisoned").exists()


@pytest.mark.parametrize("keep", [100, 2000])
def test_a_program_that_is_cut_off_is_named_so(program: Path, keep: int) -> None:
    program.write_bytes(program.read_bytes()[:keep])
    with pytest.raises(BundleError, match=r"net\.pt2"):
        open_model(program)


def test_types_that_skops_does_not_trust_are_refused(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.tree import DecisionTreeClassifier

    x, y = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32), np.arange(50) % 2
    tree = DecisionTreeClassifier(random_state=0).fit(x, y)
    skops.dump(tree, tmp_path / "tree.skops")
    model = open_model(tmp_path / "tree.skops")
    assert model.module(torch.from_numpy(x)).tolist() == y.tolist()
    skops.dump(make_pipeline(FunctionTransformer(os.path.join), tree), tmp_path / "code.skops")
    with pytest.raises(BundleError, match="which skops does not trust"):
        open_model(tmp_path / "code.skops")
    # A tree whose nodes lead outside of it would read any memory.
    state = tree.tree_.__getstate__()
    nodes = state["nodes"].copy()
    nodes["left_child"][0] = 10**6
    tree.tree_.__setstate__({**state, "nodes": nodes})
    skops.dump(tree, tmp_path / "wild.skops")
    with pytest.raises(BundleError, match="a tree whose nodes lead outside it"):
        open_model(tmp_path / "wild.skops")


def test_weights_of_a_graph_lie_in_its_folder(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    (tmp_path / "in").mkdir()
    export_onnx(Net().eval(), tmp_path / "in" / "net.onnx")
    graph = onnx.load(str(tmp_path / "in" / "net.onnx"))
    onnx.save(graph, str(tmp_path / "in" / "apart.onnx"), save_as_external_data=True, location="w", size_threshold=0)
    graph = onnx.load(str(tmp_path / "in" / "apart.onnx"), load_external_data=False)
    (tmp_path / "in" / "w").rename(tmp_path / "w")
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../w"
    (tmp_path / "in" / "outside.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(BundleError, match="outside its folder"):
        open_model(tmp_path / "in" / "outside.onnx")
    with pytest.raises(BundleError, match="missing or outside its folder"):
        open_model(tmp_path / "in" / "apart.onnx")


class Two(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        flat = x.flatten(1)
        return flat[:, :10], flat[:, 10:20]


def test_of_several_outputs_one_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Two(), (torch.zeros(2, 1, 8, 8),), str(tmp_path / "two.onnx"), output_names=["a", "b"], dynamo=False
        )
    with pytest.raises(UsageError, match=r"has the outputs a, b, and several of them may be logits .*logits=NAME"):
        open_model(tmp_path / "two.onnx")
    x = torch.arange(128.0).view(2, 1, 8, 8)
    assert open_model(f"{tmp_path}/two.onnx,logits=b").module(x)[0].tolist() == list(range(10, 20))
    with pytest.raises(UsageError, match="has no output 'c'; it has a, b"):
        open_model(f"{tmp_path}/two.onnx,logits=c")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.pth", b"PK", r"holds weights at most.*python:FILE\.py:CALLABLE,weights="),
        ("net.py", b"", r"is Python code: name what makes the model in it, python:.*net\.py:CALLABLE"),
        ("net.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"),
        ("net.bin", b"", "holds weights at most"),
        ("net.txt", b"hello", r"is not a model that can be read by its name\. A model is one of"),
        ("net.onnx", b"hello", "is not an ONNX graph that can be read"),
        ("net.onnx", b"", "ONNX"),
        ("net.pt2", b"hello", "is no program of torch.export"),
        ("net.skops", b"hello", "is no file of skops"),
        ("net.safetensors", b"hello", "is not a safetensors file"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HoldfastError, match=message):
        open_model(tmp_path / name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "names no model"),
        ("nothing.onnx", r"there is no model file nothing\.onnx\. A model is one of"),
        ("keras:net.h5", "Nor is there a source 'keras'"),
        ("hf:", "needs a path"),
        ("python:spec_net.py", "is written FILE.py:NAME or PACKAGE.MODULE:NAME"),
        ("python:spec_net.py:nothing", "has no 'nothing'; it defines"),
        ("python:spec_net.py:make,depth=3", "cannot be called with depth"),
        ("python:spec_net.py:MEAN", "is of the type float, expected a function or a class"),
        ("python:spec_net.py:make,weights=nothing.pt", "there is no file of weights nothing.pt"),
        ("python:spec_net.py:make,mean=.5", "mean and std belong together"),
        ("python:spec_net.py:make,mean=.5,std=0", "std has one number above 0 for each one of mean"),
        ("python:spec_net.py:make,mean=a,std=b", "mean is a number, or several with slashes"),
        ("python:spec_net.py:make,range=1/0", "range is the smallest and the largest value"),
        ("python:spec_net.py:make,classes=1", "classes is a number from 2 to"),
        ("python:spec_net.py:make,classes=nothing.txt", "no file nothing.txt"),
        ("python:spec_net.py:make,layout=nhwc", "layout is channels-first or channels-last"),
        ("python:spec_net.py:make,output=softmax", "output is logit or probability"),
        ("python:spec_net.py:make,shape=3.5", "shape has whole numbers from 1 on"),
        ("ffdnet:spec_net.py", "a denoiser needs level=SIGMA"),
    ],
)
def test_a_wrong_spec_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec_net.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "spec_net", raising=False)
    with pytest.raises(HoldfastError, match=message):
        open_model(spec)


def test_one_number_for_two_classes_is_a_logit_of_class_1() -> None:
    score = torch.tensor([[-1.0], [0.0], [2.0]])
    assert Reader()(score).argmax(dim=1).tolist() == [0, 0, 1]
    assert Reader()(score.squeeze(1)).argmax(dim=1).tolist() == [0, 0, 1]
    assert Reader(PROBABILITY)(torch.tensor([0.2, 0.5, 0.7])).argmax(dim=1).tolist() == [0, 0, 1]


def test_outputs_are_found_in_what_wraps_them() -> None:
    logits = torch.rand(2, 3)
    for output in (logits, [logits], {"logits": logits}, ({"y": logits},), logits.numpy()):
        assert torch.equal(one_tensor(output), logits)
    for wrong in ({"a": logits, "b": logits}, [logits, logits], "logits", None):
        with pytest.raises(HoldfastError, match="expected logits as a tensor"):
            one_tensor(wrong)


def test_everything_that_a_module_holds_is_in_its_digest() -> None:
    class Scaled(nn.Module):
        def __init__(self, scale: float, hidden: torch.Tensor) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.scale = scale
            self.hidden = hidden
            self.register_buffer("unsaved", hidden.clone(), persistent=False)

    def made(scale: float = 1.0, hidden: float = 0.0) -> nn.Module:
        torch.manual_seed(0)
        return Scaled(scale, torch.full((2,), hidden))

    assert module_digest(made()) == module_digest(made())
    assert len({module_digest(each) for each in (made(), made(scale=2.0), made(hidden=1.0))}) == 3
    # What is not saved counts, too.
    other = made()
    other.unsaved[0] = 5.0
    assert module_digest(other) != module_digest(made())


def certified(model: nn.Module, **options: Any) -> list[str]:
    from holdfast.errors import HoldfastWarning
    from holdfast.workflows.python import load_model

    data = load_data("digits")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Setup.of(load_model(model.eval(), **options), data, Gaussian(sigma=0.25), "float32", training_set=lambda: data)
    return [str(each.message) for each in caught if issubclass(each.category, HoldfastWarning)]


class Flat(nn.Module):
    def __init__(self, outputs: int, last: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, outputs), last or nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


def test_what_looks_wrong_is_said_before_anything_is_certified() -> None:
    assert certified(Flat(10)) == []
    assert any("returns probabilities, not logits" in each for each in certified(Flat(10, nn.Softmax(dim=1))))
    with pytest.raises(UsageError, match=r"returns 12 numbers for an input, and the data have 10 classes.*classes=N"):
        certified(Flat(12))
    with pytest.raises(UsageError, match=r"fails on noisy inputs of shape \(1, 8, 8\).*Is the shape"):
        certified(nn.Sequential(nn.Flatten(), nn.Linear(65, 10)))
    with pytest.raises(UsageError, match=r"knows 7 classes, and the data has 10"):
        certified(Flat(10), classes=7)
    with pytest.raises(UsageError, match=r"takes inputs of shape \(1, 8, 8\) in \[0, 255\]; .* in \[0, 1\]"):
        certified(Flat(10), range=(0, 255))


def test_a_missing_normalization_is_noticed() -> None:
    # It was trained on 0..255, and is fed 0..1.
    data = load_data("digits", "train")
    x = torch.from_numpy(data.batch(range(len(data)))).flatten(1)
    y = torch.from_numpy(data.labels.copy())
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        centers = torch.stack([x[y == label].mean(dim=0) for label in range(10)])
        # Nearest center, on the scale of 0..255: without it, the bias decides.
        network[1].weight.copy_(centers * 255)
        network[1].bias.copy_(-(centers * 255).square().sum(dim=1) / 2)
    doubts = certified(network)
    assert any("scaled to 0 to 255: is its normalization missing" in each for each in doubts), doubts
    assert not certified(network, mean=0.0, std=1 / 255)


def test_a_bound_looks_into_a_network_of_ones_own(tmp_path: Path) -> None:
    import holdfast as hf

    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)).eval()
    found = hf.bound(hf.load_model(network, mean=0.4, std=0.3), "digits", "lipschitz", limit=4, progress=False)
    assert len(found.results) == 4
    assert all(each.radius is not None and each.radius > 0 for each in found.results if each.predicted is not None)
    found = hf.bound(hf.load_model(Flat(10).eval()), "digits", "lipschitz", limit=4, progress=False)
    assert all(each.radius is not None and each.radius > 0 for each in found.results if each.predicted is not None)

    class Sorted(Flat):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.flatten(1).sort(dim=1).values)

    # A network with a forward of its own could do anything between its layers.
    with pytest.raises(UsageError, match=r"this bound takes networks of.* got sort"):
        hf.bound(hf.load_model(Sorted(10).eval()), "digits", "lipschitz", limit=4, progress=False)


def test_a_number_between_0_and_1_is_read_as_somebody_said() -> None:
    class One(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1).mean(dim=1, keepdim=True).sigmoid()

    data = load_data("digits").relabelled(("0", "1"), load_data("digits").labels % 2)
    for output in ("logit", "probability"):
        found = hf.load_model(One().eval(), output=output)
        Setup.of(found, data, Gaussian(sigma=0.25), "float32", training_set=lambda: data)
    found = hf.load_model(One().eval())
    with pytest.raises(UsageError, match="Write output=probability, or output=logit"):
        Setup.of(found, data, Gaussian(sigma=0.25), "float32", training_set=lambda: data)


def test_a_module_of_the_callers_stays_as_it_is() -> None:
    network = Flat(10).double().eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = hf.load_model(network)
    assert found.module(torch.rand(2, 1, 8, 8)).dtype == torch.float32
    for name, value in network.named_parameters():
        assert value.requires_grad
        assert value.dtype == torch.float64
        assert torch.equal(value, before[name])
    # What is trained later is another model.
    with torch.no_grad():
        network.layers[1].weight.add_(1.0)
    assert hf.load_model(network).sha256 != found.sha256
