"""The recipe of block-networks: its loss is the formula, and it learns from every block of every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn.functional import cross_entropy

import holdfast as hf
from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.bundle import InputSpace
from holdfast.noises.ablation import Ablation
from holdfast.noises.partition import Partition
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import BlockVotes
from holdfast.training.recipes.base import Step
from holdfast.workflows.train import begun_bundle

if TYPE_CHECKING:
    from pathlib import Path


def step(noise: Partition, module: torch.nn.Module, recipe: BlockVotes) -> Step:
    images = torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    config = TrainConfig(recipe=recipe)
    space = InputSpace((1, 6, 6), 0.0, 1.0)
    return Step(
        module, module, images, labels, config, space, 0.0, noise, None, lambda make: make(6, torch.Generator())
    )


def test_the_loss_is_its_formula() -> None:
    torch.manual_seed(1)
    recipe, noise = BlockVotes(weight=1.5, margin=0.7, inverse_temperature=3.0), Partition(4)
    module = build("block-networks", (2, 6, 6), 3, {"k": 4, "widths": (6,)})
    given = step(noise, module, recipe)
    found = recipe.outcome(given)
    losses, hinges = [], []
    for x, label in zip(given.x, given.labels.tolist(), strict=True):
        logits = module(noise.apply(x[None], noise.enumerate(x, 0, 9)))
        losses.append(cross_entropy(logits, torch.full((9,), label)))
        votes = (3.0 * logits).softmax(1).mean(0)
        lead = votes[label] - max(votes[other] for other in range(3) if other != label)
        hinges.append(max(0.0, 0.7 - lead.item()))
    expected = torch.stack(losses).mean().item() + 1.5 * sum(hinges) / 6
    assert found.loss.item() == pytest.approx(expected, rel=1e-5)
    assert found.logits.shape == (54, 3)
    assert found.targets.tolist() == [label for label in given.labels.tolist() for _ in range(9)]


def test_it_learns_digits_that_a_run_off_certifies(tmp_path: Path) -> None:
    """With more radius than by the majority of the same votes."""
    data, test = open_data("digits", None, "train", {}), open_data("digits", None, "test", {})
    info = begun_bundle(data, Partition(8), "block-networks:k=8,widths=32")
    config = TrainConfig(recipe=BlockVotes(), epochs=12, optimizer="adamw", learning_rate=0.01, batch_size=64)
    done = train(info, config, data, tmp_path / "m.safetensors", held_out=test)
    assert done.training["held_out_accuracy_under_noise"] > 0.4
    model = hf.load_model(tmp_path / "m.safetensors")
    examples = list(test.examples(range(0, 360, 4)))
    x = torch.stack([torch.from_numpy(each.x) for each in examples])
    mean_radii = []
    for decision in ("runoff", "majority"):
        found = hf.SmoothedClassifier(model, Partition(8, decision=decision)).certify_exactly(x)
        right = [each.radius for each, example in zip(found, examples, strict=True) if each.label == example.label]
        assert len(right) > 0.8 * len(examples)
        mean_radii.append(sum(right) / len(examples))
    assert mean_radii[0] > max(1.0, mean_radii[1])


def test_what_it_cannot_train_is_refused() -> None:
    recipe = BlockVotes()
    with pytest.raises(UsageError, match="trains for the noise partition with null=multichannel, got ablation"):
        recipe.check(Ablation(4), TrainConfig(recipe=recipe))
    with pytest.raises(UsageError, match="null=multichannel"):
        recipe.check(Partition(4, null="mean", fill=(0.5,)), TrainConfig(recipe=recipe))
    with pytest.raises(UsageError, match="leave out noise_copies"):
        recipe.check(Partition(4), TrainConfig(recipe=recipe, noise_copies=2))
    with pytest.raises(UsageError, match="a difference of shares"):
        BlockVotes(margin=0.0)
    with pytest.raises(UsageError, match="weight is a number"):
        BlockVotes(weight=-1.0)
    with pytest.raises(UsageError, match="trains the architecture block-networks"):
        recipe.prepare(torch.nn.Linear(2, 2))
    module = build("block-networks", (2, 6, 6), 3, {"k": 6})
    with pytest.raises(UsageError, match="give the architecture the same k and pattern"):
        recipe.outcome(step(Partition(4), module, recipe))
