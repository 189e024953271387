"""Random resized crops in training: resized as Pillow does it, out of whole images where there are any."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from holdfast.data import DataSet, open_data
from holdfast.data.crops import UNIFORMS, ResizedCrop
from holdfast.errors import UsageError
from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.rng import Stream, generator
from holdfast.training.augment import resized
from holdfast.training.config import TrainConfig
from holdfast.training.devices import Team
from holdfast.training.inputs import Inputs
from holdfast.training.loop import train
from holdfast.training.trainer import Trainer
from holdfast.workflows.train import begun_bundle

CONFIG = TrainConfig(epochs=2, batch_size=4, learning_rate=0.01, resized_crop=(0.08, 1.0))
CPU = torch.device("cpu")


def test_resizing_is_that_of_pillow() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (40, 24, 32, 3)).astype(np.uint8)
    boxes = ResizedCrop((0.02, 1.0), (0.5, 2.0)).boxes(random.random((40, UNIFORMS)), 24, 32)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    found = (255 * resized(x, boxes)).permute(0, 2, 3, 1).numpy()
    for row, box in enumerate(boxes.tolist()):
        image = Image.fromarray(pixels[row]).crop(box).resize((32, 24), Image.Resampling.BILINEAR)
        # Pillow rounds to whole numbers, after the columns and after the rows.
        assert np.abs(found[row] - np.asarray(image, dtype=np.float32)).max() < 1.5


def test_the_whole_image_stays_as_it_is_and_a_quarter_is_enlarged() -> None:
    x = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(resized(x, np.array([[0, 0, 4, 4]] * 2)), x)
    halves = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(1, 1, 4, 4)
    one = resized(halves.contiguous(), np.array([[0, 0, 2, 4]]))
    assert torch.equal(one, torch.zeros(1, 1, 4, 4)), "no pixel beyond the rectangle enters"
    across = resized(halves.contiguous(), np.array([[1, 0, 3, 4]]))[0, 0]
    torch.testing.assert_close(across, torch.tensor([0.0, 0.25, 0.75, 1.0]).expand(4, 4))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for name in ("cats", "dogs"):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (70 + 9 * number, 90, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "train" / name / f"{number}.png")
    return open_data("imagenet", folder, "train", {"size": "32"})


def test_a_step_sees_rectangles_of_whole_images(pictures: DataSet) -> None:
    trainer = Trainer(begun_bundle(pictures, Gaussian(0.25), "resnet20"), CONFIG, pictures, CPU, Team())
    assert trainer.inputs.held is None
    indices = torch.tensor([5, 0])

    def source() -> torch.Generator:
        return generator(CONFIG.seed, 0, Stream.TRAINING, 1, CPU)

    seen, labels = trainer._augmented(indices, source())
    uniforms = torch.rand((2, UNIFORMS), dtype=torch.float64, generator=source()).numpy()
    expected = pictures.cropped([5, 0], ResizedCrop((0.08, 1.0)), uniforms)
    assert torch.equal(seen, torch.from_numpy(expected))
    assert labels.tolist() == [1, 0]


def test_threads_decode_the_same_rectangles(pictures: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, uniforms = Inputs(pictures, CPU, most_bytes=0), torch.rand(5, UNIFORMS, dtype=torch.float64)
    found = []
    for threads in (1, 3, 9):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(inputs.cropped(torch.tensor([4, 0, 5, 2, 0]), ResizedCrop((0.08, 1.0)), uniforms))
    for x, labels in found:
        assert torch.equal(x, found[0][0])
        assert labels.tolist() == [1, 0, 1, 0, 0]


def test_a_step_sees_rectangles_of_the_inputs_where_there_is_nothing_larger() -> None:
    data = open_data("digits", None, "train", {})
    trainer = Trainer(begun_bundle(data, Gaussian(0.25), "digits-cnn"), CONFIG, data, CPU, Team())
    seen, _ = trainer._augmented(torch.arange(50), generator(0, 0, Stream.TRAINING, 1, CPU))
    own, _ = trainer.inputs.batch(torch.arange(50))
    assert seen.shape == own.shape
    assert float(seen.min()) >= 0.0
    assert float(seen.max()) <= 1.0
    changed = (seen != own).flatten(1).any(1)
    assert int(changed.sum()) > 40


def test_a_training_on_whole_images_is_written_and_records_its_settings(tmp_path: Path, pictures: DataSet) -> None:
    config = replace(CONFIG, flip=True, crop_ratio=[0.5, 2.0])
    info = begun_bundle(pictures, Ablation(100, null="normalized"), "resnet20")
    assert info.noise is not None
    assert len(info.noise["fill"]) == 6
    assert info.input_space.mean is None, "the noise normalizes"
    trained = train(info, config, pictures, tmp_path / "m.safetensors")
    assert trained.training["resized_crop"] == (0.08, 1.0)
    assert trained.training["crop_ratio"] == (0.5, 2.0)
    assert trained.trained_for == Ablation(100, null="normalized", fill=tuple(info.noise["fill"]))


def test_noise_on_a_grid_takes_rectangles_of_whole_images_alone(pictures: DataSet) -> None:
    """Resized inputs lie between the values of the grid; whole images come as 8-bit values."""
    data, noise = open_data("digits", None, "train", {}), UniformFlip(0.9, 17)
    with pytest.raises(UsageError, match="resized_crop makes values between the 17 that this noise is for"):
        Trainer(begun_bundle(data, noise, "digits-cnn"), CONFIG, data, CPU, Team())
    info = begun_bundle(pictures, UniformFlip(0.9, 256), "resnet20")
    assert Trainer(info, CONFIG, pictures, CPU, Team()).step(torch.arange(4)).isfinite().all()


def test_features_have_no_rectangles(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((20, 5), dtype=np.float32)
    features = DataSet.in_memory(
        source="made", split="train", class_names=("a", "b"), labels=np.arange(20) % 2, values=values, bounds=(0.0, 1.0)
    )
    with pytest.raises(UsageError, match=r"are for images .*, and so is resized_crop; got inputs of shape \(5,\)"):
        train(begun_bundle(features, Gaussian(0.25), "digits-mlp"), CONFIG, features, tmp_path / "m.safetensors")
