"""Cost of a model of another tool: processor time of certifying the MNIST CNN from each file, against the bundle.

The same network with random weights comes as a bundle, a graph of ONNX, a program of torch.export, TorchScript and the
user's own code. Each is certified on the backend that `auto` takes, and the graph also on the bundle's backend
ONNX Runtime. Rounds are interleaved; the table has medians of processor time and their ratios to the bundle's.

python benchmarks/doors.py [--smoke] [--rounds N] [--n N]
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common.program import machine, parsed, parser
from torch import nn

import holdfast as hf
from holdfast.execution.backends import description
from holdfast.models.bundle import BundleInfo, save_bundle
from holdfast.models.model import InputSpace
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.workflows.setup import Setup

SHAPE, CLASSES, SIGMA = (1, 28, 28), 10, 0.25
SOURCE = """
import torch
def load():
    return torch.jit.load({file!r}).eval()
"""


def written(folder: Path) -> dict[str, str]:
    """The network in every kind of file, and how each is named."""
    torch.manual_seed(0)
    info = BundleInfo(
        "mnist-cnn", {}, InputSpace(SHAPE, 0.0, 1.0), {"name": "gaussian", "sigma": SIGMA}, tuple("0123456789"), {}
    )
    module = info.build().eval().requires_grad_(False)
    save_bundle(folder / "net.safetensors", info, module)
    export(module, folder)
    (folder / "net_code.py").write_text(SOURCE.format(file=str(folder / "net.pt")))
    return {
        "bundle": f"{folder}/net.safetensors",
        "onnx": f"{folder}/net.onnx",
        "exported": f"{folder}/net.pt2",
        "torchscript": f"{folder}/net.pt",
        "python": f"python:{folder}/net_code.py:load",
    }


def export(module: nn.Module, folder: Path) -> None:
    """Write the network for the other tools."""
    x = torch.zeros(2, *SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "batch"}, "y": {0: "batch"}}
        names: Any = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
        torch.onnx.export(module, (x,), str(folder / "net.onnx"), dynamo=False, **names)
        batch = torch.export.Dim("batch", min=1)
        torch.export.save(torch.export.export(module, (x,), dynamic_shapes=({0: batch},)), folder / "net.pt2")
        torch.jit.trace(module, x).save(  # type: ignore[no-untyped-call]
            str(folder / "net.pt")
        )


def classifiers(specs: dict[str, str], data: hf.DataSet, samples: int) -> dict[str, VotingClassifier]:
    """Each model on the backend that `auto` takes; bundle and graph also on ONNX Runtime."""
    made = {}
    for name, spec in specs.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = hf.load_model(spec)
            setup = Setup.of(model, data, hf.Gaussian(SIGMA), "float32", training_set=lambda: data)
        builder = setup.builder("cpu", 1)
        made[f"{name} auto"] = builder.chosen("auto", data[0], samples)
        if name in ("bundle", "onnx"):
            made[f"{name} onnxruntime"] = builder.classifier("onnxruntime")
    return made


def main() -> None:
    """Measure, and print the table."""
    given = parser(__doc__)
    given.add_argument("--rounds", type=int, default=7)
    given.add_argument("--n", type=int, default=4000)
    asked = parsed(given)
    rounds, n, inputs = (1, 64, 1) if asked.smoke else (asked.rounds, asked.n, 4)
    torch.set_num_threads(1)
    data = hf.DataSet.from_arrays(
        np.random.default_rng(0).random((inputs, *SHAPE), dtype=np.float32),
        np.arange(inputs) % CLASSES,
        class_names=tuple("0123456789"),
        low=0.0,
        high=1.0,
    )
    with tempfile.TemporaryDirectory() as name:
        made = classifiers(written(Path(name)), data, 10**6)
        spent: dict[str, list[float]] = {each: [] for each in made}
        x, engine = data.batch(range(inputs)), LocalEngine(batch_size=256)
        for seed in range(rounds):
            for each, classifier in made.items():
                smoothed = hf.SmoothedClassifier(classifier, hf.Gaussian(SIGMA), CLASSES, engine=engine)
                start = time.process_time()
                smoothed.certify(x, n0=100, n=n, alpha=0.001, seed=seed)
                spent[each].append(time.process_time() - start)
    print(machine())
    print(f"{inputs} inputs of {n:,} samples, {rounds} rounds\n")
    print("| model, backend | seconds | against the bundle |\n|---|---|---|")
    for each, seconds in spent.items():
        reference = spent["bundle onnxruntime" if each.endswith("onnxruntime") else "bundle auto"]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(seconds, reference, strict=True))
        backend = description(made[each])["name"]
        print(f"| {each} ({backend}) | {statistics.median(seconds):.2f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
