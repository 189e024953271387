"""Double masking: masks that hide every patch, and certificates that no patch contradicts, by trying all of them."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
import torch
from torch import nn

import holdfast as hf
from holdfast.attacks import Access, PlainTarget
from holdfast.bounds import Classifier
from holdfast.bounds.methods.double_masking import DoubleMasking
from holdfast.errors import ClassifierError, UsageError
from holdfast.models.double_masking import DoubleMasked
from holdfast.models.networks import FunctionNetwork
from holdfast.types import Norm
from holdfast.verification import masks as second


class Table(nn.Module):
    """A binary image's class from a table, by the number that its pixels spell; it counts its images."""

    def __init__(self, classes: torch.Tensor) -> None:
        super().__init__()
        self.classes = classes
        self.asked = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pixels = x.flatten(1).long()
        self.asked += len(x)
        numbers = (pixels << torch.arange(pixels.shape[1])).sum(dim=1)
        return nn.functional.one_hot(self.classes[numbers], 3).to(x.dtype)


def masked(x, hidden):
    return tuple(0 if place in hidden else value for place, value in enumerate(x))


def number_of(view):
    return sum(pixel << place for place, pixel in enumerate(view))


def squares(side, height, width, steps=(1, 1)):
    """All squares of a side on a torus that begin at multiples of the steps, as sets of places."""
    return [
        frozenset((i + a) % height * width + (j + b) % width for a in range(side[0]) for b in range(side[1]))
        for i in range(0, height, steps[0])
        for j in range(0, width, steps[1])
    ]


def two_rounds(classify, x, hidden):
    """The prediction and the certificate by the words of the paper."""
    first = [classify(masked(x, one)) for one in hidden]
    sure = len({classify(masked(x, one | other)) for one in hidden for other in hidden}) == 1
    if len(set(first)) == 1:
        return first[0], sure
    counts = Counter(first)
    majority = min(label for label in counts if counts[label] == max(counts.values()))
    for one, label in zip(hidden, first, strict=True):
        if label != majority and {classify(masked(x, one | other)) for other in hidden} == {label}:
            return label, sure
    return majority, sure


def as_images(rows, height, width):
    return torch.tensor(rows, dtype=torch.float64).view(-1, 1, height, width)


@pytest.mark.parametrize("length", range(1, 13))
def test_every_patch_lies_within_a_mask(length):
    """At every place, around the edges too, for both versions of the masks."""
    for patch, masks in itertools.product(range(1, length + 1), range(1, length + 2)):
        module = DoubleMasked(nn.Identity(), patch, masks)
        hidden = module.covers((1, length, length + 3)).flatten(1)
        assert len(hidden) <= masks * masks
        sets = [frozenset(torch.nonzero(each).flatten().tolist()) for each in hidden]
        assert all(any(one <= each for each in sets) for one in squares((patch, patch), length, length + 3))
        assert second._all_hidden(length, patch, masks)
        assert second._all_hidden(length + 3, patch, masks)


def test_masks_are_no_longer_than_they_must_be():
    """28 pixels, patches of 5: six masks of 9 pixels, or seven of 8."""
    for masks, side, count in ((6, 9, 36), (7, 8, 49), (28, 5, 784), (1, 28, 1)):
        hidden = DoubleMasked(nn.Identity(), 5, masks).covers((1, 28, 28))
        assert len(hidden) == count
        assert (hidden.sum(dim=(1, 2)) == side * side).all()


def test_answers_and_proofs_are_those_of_the_paper():
    """Random classifiers of binary images of 3 x 4 pixels, against a version in sets and words."""
    source = random.Random(1)
    hidden = squares((3, 3), 3, 4, (2, 2))
    found = Counter()
    for seed in range(60):
        shares = [(0.9, 0.07, 0.03), (0.4, 0.3, 0.3), (1.0, 0.002, 0.0)][seed % 3]
        table = torch.multinomial(torch.tensor(shares), 4096, True, generator=torch.Generator().manual_seed(seed))
        module = DoubleMasked(Table(table), 2, 2, 0.0)
        assert [frozenset(torch.nonzero(each).flatten().tolist()) for each in module.covers((1, 3, 4)).flatten(1)] == [
            *hidden
        ]
        rows = [tuple(source.randrange(2) for _ in range(12)) for _ in range(20)]
        images = as_images(rows, 3, 4)
        classes = module(images).argmax(dim=1).tolist()
        slopes = images.clone().requires_grad_()
        assert module(slopes).argmax(dim=1).tolist() == classes
        for row, image, answer in zip(rows, images, classes, strict=True):
            expected, sure = two_rounds(
                lambda view, table=table: int(table[number_of(view)]),
                row,
                hidden,
            )
            assert answer == expected
            assert module.certify(image) == (expected, sure)
            found[expected, sure] += 1
    assert min(found[0, True], found[0, False], found[1, False], found[2, False]) > 8


@pytest.mark.parametrize("others", ["one class", "random"])
def test_no_patch_changes_a_certified_answer(others):
    """Every content of every patch, under the classifiers that help the adversary most: certain of the views alone."""
    height, width, side = 3, 5, 2
    source = random.Random(2)
    patches = squares((side, side), height, width)
    certified = changed = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        elsewhere = torch.ones(2**15, dtype=torch.int64)
        table = elsewhere if others == "one class" else torch.randint(3, (2**15,), generator=generator)
        x = tuple(source.randrange(2) for _ in range(15))
        module = DoubleMasked(Table(table), side, 3, 0.0)
        sets = [
            frozenset(torch.nonzero(each).flatten().tolist()) for each in module.covers((1, height, width)).flatten(1)
        ]
        views = {masked(x, one | other) for one in sets for other in sets}
        # Every other time one view of two masks has another class: then nothing is certified.
        spared = source.choice(sorted(views)) if seed % 2 else None
        for view in views - {spared}:
            table[number_of(view)] = 0
        if spared:
            table[number_of(spared)] = 1
        (image,) = as_images([x], height, width)
        answer, sure = module.certify(image)
        assert sure is (seed % 2 == 0)
        if sure:
            assert answer == 0
        moved = set()
        for patch in patches:
            for content in itertools.product((0, 1), repeat=side * side):
                new = list(x)
                for place, value in zip(sorted(patch), content, strict=True):
                    new[place] = value
                moved.add(tuple(new))
        wrong = int((module(as_images(sorted(moved), height, width)).argmax(dim=1) != answer).sum())
        certified += sure
        changed += bool(wrong) and not sure
        assert not (sure and wrong)
    assert certified == 10
    assert changed > 2


def test_equal_images_are_classified_once():
    table = Table(torch.zeros(4096, dtype=torch.int64))
    module = DoubleMasked(table, 2, 2, 0.0)
    blank = torch.zeros(1, 3, 4, dtype=torch.float64)
    assert module.certify(blank) == (0, True)
    assert table.asked == 1
    blank[0, 0, 1] = 1.0
    table.asked = 0
    assert module.certify(-blank.abs() * 0.0) == (0, True)
    assert module.certify(blank) == (0, True)
    assert table.asked == 1 + 2


def test_a_tie_within_rounding_has_no_answer():
    class Close(nn.Module):
        def forward(self, x):
            lead = 1e-6 * (x.flatten(1).sum(dim=1) + 1.0)
            return torch.stack([torch.ones_like(lead), 1.0 + lead], dim=1)

    x = torch.rand(1, 4, 4, dtype=torch.float64)
    assert DoubleMasked(Close().eval(), 1, 2).certify(x) == (None, False)
    bounded = DoubleMasking().on(Classifier(DoubleMasked(Close().eval(), 1, 2), (1, 4, 4), 2))
    (proof,) = bounded.certify(x.unsqueeze(0))
    assert (proof.label, proof.radius) == (None, 0.0)


def test_a_bound_of_a_classifier_that_torch_does_not_compute():
    """Votes of a function: the class is 1 where more than a fifth of the pixels are bright."""
    function = FunctionNetwork(lambda x: ((x > 0.5).mean(axis=(1, 2, 3)) > 0.2).astype(int))
    module = DoubleMasked(function.eval(), 1, 4, 0.0)
    bounded = DoubleMasking().on(Classifier(module, (1, 8, 8), 2))
    x = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8), torch.ones(1, 8, 8) * (torch.arange(8) < 2)])
    proofs = bounded.certify(x)
    # 16 bright pixels of 64 are enough, and the 12 that a mask of 2 x 2 can leave are not, whatever else is hidden: a
    # second round agrees with the few masks that do so.
    assert [(proof.label, proof.radius) for proof in proofs] == [(0, 1.0), (1, 1.0), (0, 0.0)]
    assert {proof.norm for proof in proofs} == {Norm.PATCH}
    assert module(x).tolist() == [0, 1, 0]


def test_it_has_useful_gradients_for_attacks():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    module = DoubleMasked(network, 2, 3)
    target = PlainTarget(module, 10, (1, 8, 8), double=True)
    assert target.gives is Access.GRADIENTS
    x = torch.rand(4, 1, 8, 8)
    assert (target.decide(x) == target.scores(x).argmax(dim=1)).all()
    # Also where they lead elsewhere than the mean of the first round.
    leads = target.scores(x).topk(2, dim=1).values
    assert (leads[:, 0] - leads[:, 1] >= 1.0).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"patch": 0}, "a whole number from 1 on, got 0"),
        ({"patch": 2.5}, "a whole number from 1 on, got 2.5"),
        ({"patch": 1, "masks": 65}, "from 1 to 64, got 65"),
        ({"patch": 1, "value": float("nan")}, "a number in input units up to 1e"),
    ],
)
def test_masks_that_cannot_be(given, message):
    with pytest.raises(UsageError, match=message):
        DoubleMasked(nn.Identity(), **given)


def test_what_cannot_be_masked_is_refused():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    with pytest.raises(UsageError, match="takes models behind two rounds of masks: name the model double-masking:"):
        DoubleMasking().on(Classifier(flat, (1, 8, 8), 10))
    with pytest.raises(UsageError, match=r"patches of 9 x 9 are for images .* got inputs of shape \(1, 8, 8\)"):
        DoubleMasking().on(Classifier(DoubleMasked(flat, 9), (1, 8, 8), 10))
    with pytest.raises(UsageError, match="are for images"):
        DoubleMasking().on(Classifier(DoubleMasked(flat, 1), (64,), 10))
    with pytest.raises(ClassifierError, match="NaN or infinite"):
        DoubleMasked(nn.Sequential(nn.Flatten(), nn.LogSigmoid()).eval(), 1, 2).certify(
            torch.full((1, 4, 4), -torch.inf)
        )
    from holdfast.models.architectures import build

    resized = build("random-resized", (1, 28, 28), 10).eval()
    with pytest.raises(UsageError, match="is random, and a classifier around it needs one that always gives"):
        hf.load_model(resized).double_masked(5)
