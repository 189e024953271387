"""JSMA takes the best pair there is, a patch is one square of any place, and a background is all that is behind."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn
from victims import Victim, made

from holdfast.attacks import PlainTarget
from holdfast.attacks.distances import changed_pixels, distance
from holdfast.attacks.methods.background import background
from holdfast.attacks.methods.patch import put
from holdfast.errors import UsageError
from holdfast.types import Norm


@pytest.mark.parametrize("theta", [1.0, -1.0])
def test_jsma_changes_the_pair_of_the_largest_saliency(theta: float) -> None:
    """Of a linear classifier the slopes are its weights: all pairs can be compared."""
    torch.manual_seed(3)
    network = nn.Linear(8, 3).eval()
    target = PlainTarget(network, 3, (8,), 0.0, 1.0)
    x = torch.full((8,), 0.5)
    label = int(network(x.unsqueeze(0)).argmax())
    for aim in set(range(3)) - {label}:
        weight = network.weight.detach()
        wanted, others = weight[aim], weight.sum(0) - weight[aim]
        found = {}
        for pair in itertools.combinations(range(8), 2):
            rise, fall = (float(theta * each[list(pair)].sum()) for each in (wanted, others))
            if rise > 0 > fall:
                found[pair] = -rise * fall
        attack = made("jsma", theta=theta)
        pair = attack._pair(wanted, others, torch.ones(8, dtype=torch.bool))
        assert (tuple(sorted(pair)) if pair else None) == max(found, key=found.get, default=None)
        moved = attack.run(target, x, label, 2, target_class=aim)
        assert moved is None or set(moved[moved != x].tolist()) == {1.0 if theta > 0 else 0.0}


def test_jsma_changes_no_pixel_beyond_the_range_or_the_budget(plain: Victim) -> None:
    for index in range(4):
        x, label = plain.image(index)
        found = made("jsma").run(plain.target(), x, label)
        assert found is not None
        count = int(changed_pixels(x, found).sum())
        assert bool((found >= x).all()), "theta = 1 only raises values"
        assert made("jsma").run(plain.target(), x, label, count) is not None
        assert count == 1 or made("jsma").run(plain.target(), x, label, count - 1) is None
        lowered = made("jsma", theta=-1.0).run(plain.target(), x, label)
        assert lowered is None or bool((lowered <= x).all())


def test_jsma_reaches_most_given_classes(plain: Victim) -> None:
    """On digits of 8 x 8 pixels some classes cannot be reached by brighter pixels alone."""
    reached = 0
    for index in range(10):
        x, label = plain.image(index)
        aim = (label + 1) % 10
        found = made("jsma").run(plain.target(), x, label, target_class=aim)
        assert found is None or int(plain.module(found.unsqueeze(0)).argmax()) == aim
        reached += found is not None
    assert reached >= 5, reached


def test_jsma_leaves_pixels_out_when_there_are_too_many_for_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best pair of these weights is among the strongest: fewer candidates find the same one."""
    torch.manual_seed(0)
    wanted = torch.randn(300)
    others = -wanted + 0.1 * torch.randn(300)
    free = torch.ones(300, dtype=torch.bool)
    whole = made("jsma")._pair(wanted, others, free)
    monkeypatch.setattr("holdfast.attacks.methods.jsma._MOST_IN_PAIRS", 40)
    assert made("jsma")._pair(wanted, others, free) == whole


def test_a_patch_is_a_square_at_one_place() -> None:
    x, content = torch.zeros(1, 2, 4, 5), torch.arange(8.0).view(1, 2, 2, 2) + 1
    places = torch.tensor([[0, 0], [2, 3], [1, 2]])
    images = put(x, content, places)
    for image, (row, column) in zip(images, places.tolist(), strict=True):
        assert torch.equal(image[:, row : row + 2, column : column + 2], content[0])
        assert int((image != 0).sum()) == 8


class Corner(nn.Module):
    """Class 1 if the mean of the lower right 2 x 2 pixels is above a half: only a patch there changes it."""

    def forward(self, x: Tensor) -> Tensor:
        value = x[:, 0, -2:, -2:].flatten(1).mean(dim=1)
        return torch.stack([0.5 + 0 * value, value], dim=1)


def test_a_patch_finds_the_only_place_that_works() -> None:
    target = PlainTarget(Corner().eval(), 2, (1, 8, 8))
    x = torch.zeros(1, 8, 8)
    found = made("patch").run(target, x, 0, 4)
    assert found is not None
    assert float(found[0, -2:, -2:].mean()) > 0.5
    assert int(changed_pixels(x, found)[:6, :6].sum()) == 0
    # One pixel is a quarter of the mean.
    assert made("patch").run(target, x, 0, 3) is None


def test_a_patch_in_patch_units_has_the_side_that_it_is_given() -> None:
    target, x = PlainTarget(Corner().eval(), 2, (1, 8, 8)), torch.zeros(1, 8, 8)
    attack = made("patch", norm="patch")
    assert attack.measure is Norm.PATCH
    found = attack.run(target, x, 0, 2)
    assert found is not None
    assert distance(x, found, Norm.PATCH) == 2.0
    assert attack.run(target, x, 0, 1) is None
    with pytest.raises(UsageError, match="a budget in patch must be a whole number of pixels"):
        attack.run(target, x, 0, 1.5)
    with pytest.raises(UsageError, match="is measured in l0, patch, got 'l2'"):
        made("patch", norm="l2")


def test_a_larger_patch_does_no_less(plain: Victim) -> None:
    def broken(area: int) -> int:
        attack, images = made("patch", steps=25, tries=2), map(plain.image, range(5))
        return sum(attack.run(plain.target(), x, label, area) is not None for x, label in images)

    one, sixteen = map(broken, (1, 16))
    assert one < sixteen
    assert sixteen >= 4
    x, label = plain.image(0)
    found = made("patch").run(plain.target(), x, label, 24)
    assert found is None or int(changed_pixels(x, found).any(dim=0).nonzero().max()) < 8
    if found is not None:
        rows, columns = changed_pixels(x, found).nonzero(as_tuple=True)
        assert max(int(each.max() - each.min()) for each in (rows, columns)) < 4, "24 pixels allow a side of 4"


def test_the_background_is_what_is_near_the_border() -> None:
    x = torch.zeros(1, 6, 6)
    x[:, 2:4, 2:4] = 1.0
    x[0, 0, 0] = 0.05
    assert torch.equal(~background(x, 0.1), x[0] == 1.0)
    white = 1.0 - x
    assert torch.equal(background(white, 0.1), background(x, 0.1))


class Bright(nn.Module):
    """Class 1 if the mean is above a half."""

    def forward(self, x: Tensor) -> Tensor:
        value = x.flatten(1).mean(dim=1)
        return torch.stack([0.5 + 0 * value, value], dim=1)


def test_the_nearest_background_that_changes_the_answer() -> None:
    target = PlainTarget(Bright().eval(), 2, (1, 6, 6))
    x = torch.zeros(1, 6, 6)
    x[:, 2:4, 2:4] = 0.9
    found = made("background").run(target, x, 0)
    assert found is not None
    # 32 of 36 pixels become b, with 32 b + 3.6 > 18: the next of 256 greys above .45.
    values = found[x == 0.0].unique()
    assert values.tolist() == pytest.approx([115 / 255])
    assert torch.equal(found[x == 0.9], x[x == 0.9])
    assert made("background").run(target, x, 0, 0.44) is None
    assert made("background", colours=2).run(target, x, 0) is not None


def test_coloured_backgrounds_are_a_grid_of_all_channels() -> None:
    attack = made("background", colours=216)
    colours = attack._colours(torch.zeros(3, 4, 4), -1.0, 1.0)
    assert len(colours) == len({tuple(each) for each in colours.tolist()}) == 216
    assert (float(colours.min()), float(colours.max())) == (-1.0, 1.0)


def test_a_patch_needs_a_budget(plain: Victim) -> None:
    x, label = plain.image(0)
    with pytest.raises(UsageError, match="searches within a budget"):
        made("patch").run(plain.target(), x, label, math.inf)
