"""The same small network in the files of every tool that models come from, and one of each tool's own."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from holdfast.workflows.python import load_data

CODE = """
import torch
from torch import nn

MEAN = 0.4


class Net(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, x):
        return {"logits": self.body((x - MEAN) / 0.3)}


def make(width=24):
    return Net(width)


def function():
    weights = torch.linspace(-1, 1, 640, dtype=torch.float32).view(64, 10).cos()
    return lambda x: (x.flatten(1) - MEAN) @ weights
"""


class Net(nn.Module):
    """The network of `CODE`, with logits alone."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body((x - 0.4) / 0.3)
        return logits


class Raw(nn.Module):
    """The same without its normalization, and with the channels of its inputs at the end."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x.permute(0, 3, 1, 2).contiguous())
        return logits


def trained(steps: int = 150) -> tuple[Net, np.ndarray, np.ndarray]:
    """The network after a short training under noise, and what it was trained on."""
    data = load_data("digits", "train")
    inputs, labels = data.batch(range(len(data))), data.labels
    torch.manual_seed(0)
    network, x, y = Net(), torch.from_numpy(inputs), torch.from_numpy(labels.copy())
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x + 0.3 * torch.randn_like(x)), y).backward()
        optimizer.step()
    return network.eval().requires_grad_(False), inputs, labels


def export_onnx(network: nn.Module, path: Path, shape: tuple[int, ...] = (1, 8, 8), batch: int | None = None) -> None:
    """A network as a graph of ONNX, with a batch of any size, or of one."""
    axes = {} if batch else {"x": {0: "batch"}, "y": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(batch or 2, *shape),),
            str(path),
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=axes,
            dynamo=False,
        )


def export_program(network: nn.Module, path: Path) -> None:
    """A network as a program of torch.export, with a batch of any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(network, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
        torch.export.save(program, path)


def write_all(folder: Path) -> dict[str, str]:
    """Write the models, and return how each is named; those of packages that are not installed are left out."""
    network, inputs, labels = trained()
    (folder / "my_net.py").write_text(CODE)
    torch.save(network.state_dict(), folder / "weights.pt")
    export_program(network, folder / "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network, torch.zeros(2, 1, 8, 8)).save(str(folder / "net_script.pt"))
    specs = {
        "python": f"python:{folder}/my_net.py:make,weights={folder}/weights.pt,width=24",
        "function": f"python:{folder}/my_net.py:function",
        "exported": f"{folder}/net.pt2",
        "torchscript": f"{folder}/net_script.pt",
    }
    for name, write in (("onnx", _onnx), ("sklearn", _sklearn), ("hf", _hf)):
        try:
            specs |= write(folder, network, inputs, labels)
        except ImportError as error:
            print(f"no model of the source {name}: {error}")
    return specs


def _onnx(folder: Path, network: Net, inputs: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    import onnx
    import onnxruntime  # noqa: F401

    export_onnx(network, folder / "net.onnx")
    export_onnx(network, folder / "fixed.onnx", batch=3)
    export_onnx(Raw(network.body), folder / "last.onnx", shape=(8, 8, 1))
    # Weights in a file of their own.
    onnx.save(
        onnx.load(str(folder / "net.onnx")),
        str(folder / "apart.onnx"),
        save_as_external_data=True,
        location="apart.data",
        size_threshold=0,
    )
    return {
        "onnx": f"{folder}/net.onnx",
        "onnx of fixed batches": f"{folder}/fixed.onnx",
        "onnx with weights apart": f"{folder}/apart.onnx",
        "onnx with channels last": f"{folder}/last.onnx,layout=channels-last,mean=.4,std=.3",
    }


def _sklearn(folder: Path, network: Net, inputs: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    noisy = inputs.reshape(len(inputs), -1) + np.random.default_rng(0).normal(0, 0.2, (len(inputs), 64))
    forest = RandomForestClassifier(10, max_depth=10, random_state=0).fit(noisy.astype(np.float32), labels)
    skops.io.dump(forest, folder / "forest.skops")
    return {"sklearn": f"{folder}/forest.skops"}


def _hf(folder: Path, network: Net, inputs: np.ndarray, labels: np.ndarray) -> dict[str, str]:
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=10)
    ResNetForImageClassification(config).save_pretrained(folder / "resnet")
    prepared = {"do_normalize": True, "image_mean": [0.4], "image_std": [0.3], "size": {"height": 8, "width": 8}}
    (folder / "resnet" / "preprocessor_config.json").write_text(json.dumps(prepared))
    return {"hf": f"hf:{folder}/resnet"}
