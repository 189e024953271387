"""`holdfast import-weights`, and what the other commands make of a bundle that was trained without noise."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from program import Call

from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.architectures.base import build
from holdfast.models.bundle import BundleInfo, load_bundle, read_info


@pytest.fixture
def call(call: Call) -> Call:
    """As everywhere here, with standard output without line breaks too."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code, out, err = call(*arguments)
        return code, " ".join(out.split()), err

    return run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A perceptron for digits, as someone else might have saved it."""
    torch.manual_seed(0)
    torch.save({"net": build("digits-mlp", (1, 8, 8), 10).state_dict(), "acc": 90.0}, tmp_path / "theirs.pth")
    return tmp_path / "theirs.pth"


def options(weights: Path, out: Path, *extra: object) -> tuple[object, ...]:
    plain = ("--arch", "digits-mlp", "--layout", "plain", "--data", "digits")
    return ("import-weights", weights, *plain, "--out", out, *extra)


def test_a_bundle_without_noise(call: Call, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.safetensors"
    code, said, _ = call(*options(weights, out, "--mean", ".3", "--std", ".4"))
    assert code == 0
    assert "digits-mlp with 50,826 weights of theirs.pth; inputs are normalized first; trained without noise" in said
    info = read_info(out)
    assert info.noise is None
    assert info.trained_for is None
    assert info.noisy_shape == info.input_space.shape == (1, 8, 8)
    assert (info.input_space.mean, info.input_space.std) == ((0.3,), (0.4,))
    assert (info.training["file"], info.training["layout"]) == ("theirs.pth", "plain")
    theirs = build("digits-mlp", (1, 8, 8), 10)
    theirs.load_state_dict(torch.load(weights, weights_only=True)["net"])
    x = torch.rand(3, 1, 8, 8)
    assert torch.allclose(load_bundle(out).module(x), theirs((x - 0.3) / 0.4), atol=1e-5)


def test_the_noise_must_then_be_given(call: Call, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.safetensors"
    call(*options(weights, out))
    for command in (("certify", "--out", tmp_path / "run"), ("predict",), ("plan",)):
        code, _, err = call(*command, "--model", out)
        assert code == 2
        assert "was trained without noise: name the noise that will smooth it" in err
    small = ("--limit", 3, "--n", 50, "--noise", "gaussian:sigma=0.1")
    code, _, err = call("certify", "--model", out, "--out", tmp_path / "run", *small, "--n0", 10, "--quiet")
    assert code == 0
    assert "ours.safetensors was trained without noise, and is certified with gaussian:sigma=0.1" in err
    assert call("predict", "--model", out, *small)[0] == 0
    assert call("verify", tmp_path / "run", "--replay", 2, "--model", out)[0] == 0
    code, said, _ = call("info", out)
    assert "│ noise │ none │" in said
    assert json.loads(call("info", out, "--json")[1])["noise"] is None
    code, _, err = call("predict", "--model", out, "--noise", "ablation:k=10")
    assert (code, "was trained without noise; its first layer cannot take ablation:k=10" in err) == (2, True)


def test_a_bundle_with_noise(call: Call, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "ours.safetensors"
    code, said, _ = call(*options(weights, out, "--noise", "gaussian:sigma=0.25"))
    assert (code, "trained for gaussian:sigma=0.25" in said) == (0, True)
    assert read_info(out).noise == {"name": "gaussian", "sigma": 0.25}
    code, said, _ = call(*options(weights, out, "--json"))
    assert json.loads(said)["input_space"]["mean"] is None
    code, _, err = call(*options(weights, out, "--noise", "ablation:k=10"))
    assert (code, "of another shape: 1.weight (256, 64), expected (256, 128)" in err) == (1, True)


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (("--out", "model.pth"), 2, "--out names a .safetensors file, got model.pth"),
        (("--layout", "timm"), 2, "unknown layout 'timm'; known are plain, akamaster"),
        (("--layout", "akamaster"), 2, "layout 'akamaster' has no weights for the architecture 'digits-mlp'"),
        (("--arch", "vgg"), 2, "unknown architecture 'vgg'"),
        (("--arch", "digits-cnn"), 1, "the weights do not fit the architecture: missing: "),
        (("--mean", ".3"), 2, "mean and std belong together, got one of them"),
        (
            ("--mean", ".3,.4", "--std", ".3,.4"),
            2,
            "mean is one finite number for each channel that the network sees, separated by commas, here 1",
        ),
        (("--mean", "x", "--std", ".3"), 2, "got 'x'"),
        (("--mean", ".3", "--std", "0"), 2, "std has the value 0, expected numbers above 0"),
        (("--noise", "ablation:k=65"), 2, "k = 65 pixels cannot be kept of the 64"),
        (("--noise", "cauchy:b=1"), 2, "unknown noise 'cauchy'"),
        (("--data", "nothing"), 2, "unknown data source 'nothing'"),
    ],
)
def test_wrong_calls(
    call: Call, weights: Path, tmp_path: Path, extra: tuple[str, ...], code: int, message: str
) -> None:
    out = tmp_path / "ours.safetensors"
    found, _, err = call(*options(weights, out, *extra))
    assert (found, message in err) == (code, True), err
    assert not out.exists()


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.mark,))


def test_files_that_are_refused(call: Call, tmp_path: Path) -> None:
    out, file = tmp_path / "ours.safetensors", tmp_path / "theirs.pth"
    code, _, err = call(*options(file, out))
    assert (code, "there is no file" in err) == (1, True)
    file.write_bytes(pickle.dumps(_Evil(tmp_path / "was-run")))
    code, _, err = call(*options(file, out))
    assert (code, "does not hold weights alone" in err) == (1, True)
    assert not (tmp_path / "was-run").exists()


def test_training_needs_a_noise(weights: Path, tmp_path: Path, call: Call) -> None:
    from holdfast.training.config import TrainConfig
    from holdfast.training.loop import train

    call(*options(weights, tmp_path / "ours.safetensors"))
    info: BundleInfo = read_info(tmp_path / "ours.safetensors")
    with pytest.raises(UsageError, match="the recipe 'noise' trains for a noise, got none"):
        train(info, TrainConfig(), open_data("digits", None, "train", {}), tmp_path / "m.safetensors")


def test_notes_on_data_are_warnings(call: Call, tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073 * 2))
    code, _, err = call("plan", "--noise", "gaussian:sigma=1", "--data", f"cifar10:{tmp_path}")
    assert code == 0
    assert "Warning: the test split has 2 examples, 10,000 as published at https://www.cs.toronto.edu" in err


def test_features_go_from_training_to_a_verified_run(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "har"
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    names = ("WALKING", "UPSTAIRS", "DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
    (folder / "activity_labels.txt").write_text("".join(f"{row + 1} {name}\n" for row, name in enumerate(names)))
    rng = np.random.default_rng(0)
    for split, num in (("train", 120), ("test", 12)):
        labels = np.arange(num) % 6
        # Each activity has its own block of features at 1.
        features = rng.uniform(-1, -0.5, (num, 561)).round(4)
        for row, label in enumerate(labels):
            features[row, 90 * label : 90 * label + 90] = 0.9
        np.savetxt(folder / split / f"X_{split}.txt", features, fmt="%.7e")
        np.savetxt(folder / split / f"y_{split}.txt", labels + 1, fmt="%d")
    for name, spec, noise in (("l2", "", "gaussian:sigma=0.25"), ("l0", ",rescale=unit", "ablation:k=200")):
        data, model, run = f"har:{folder}{spec}", tmp_path / f"{name}.safetensors", tmp_path / name
        given = ("--data", data, "--noise", noise)
        assert call("train", *given, "--out", model, "--epochs", 8, "--train-batch", 20, "--quiet")[0] == 0
        info = read_info(model)
        assert (info.architecture, info.class_names) == ("digits-mlp", names)
        assert info.input_space.low == (-1.0 if name == "l2" else 0.0)
        sizes = ("--n", 200, "--n0", 20, "--seed", 1)
        assert call("certify", "--model", model, "--data", data, "--out", run, *sizes, "--quiet")[0] == 0
        assert call("verify", run, "--replay", 2, "--model", model, "--data", data)[0] == 0
        code, said, _ = call("table", run, "--json")
        assert json.loads(said)[0]["accuracy"] == 1.0
        assert call("report", run, "--out", tmp_path / f"{name}.html")[0] == 0
    code, _, err = call(
        "train", "--data", f"har:{folder}", "--noise", "ablation:k=9", "--out", tmp_path / "m.safetensors"
    )
    assert (code, "inputs must lie in [0, 1]" in err) == (2, True)


def test_published_weights_of_resnet20(call: Call, data_folder: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "r.safetensors", f"parquet:{data_folder / 'cifar10'}"
    file = data_folder / "weights" / "resnet20-12fca82f.th"
    given = ("--arch", "resnet20", "--layout", "akamaster", "--data", data, "--out", out)
    assert call("import-weights", file, *given, "--mean", ".485,.456,.406", "--std", ".229,.224,.225")[0] == 0
    test = open_data("parquet", data_folder / "cifar10", "test", {})
    module = load_bundle(out).module
    with torch.inference_mode():
        logits = torch.cat(
            [module(torch.from_numpy(test.batch(range(first, first + 100)))) for first in range(0, 500, 100)]
        )
    # 81.4% here (81.0% of all 10,000): 91.7% is published for the original images, these are JPEG copies of quality 75.
    assert (logits.argmax(dim=1).numpy() == test.labels[:500]).mean() > 0.8
