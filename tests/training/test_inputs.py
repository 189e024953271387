"""The training set on the device: the same images and labels, whether or not it is held whole."""

import torch

from holdfast.data import open_data
from holdfast.training.inputs import Inputs


def test_images_are_the_same_held_or_loaded() -> None:
    digits = open_data("digits", None, "train", {})
    held = Inputs(digits, torch.device("cpu"))
    loaded = Inputs(digits, torch.device("cpu"), most_bytes=1000)
    assert held.held is not None
    assert loaded.held is None
    indices = torch.tensor([5, 0, 1436, 5])
    for inputs in (held, loaded):
        x, labels = inputs.batch(indices)
        assert torch.equal(x, torch.from_numpy(digits.batch(indices.numpy())))
        assert labels.tolist() == digits.labels[indices.numpy()].tolist()
