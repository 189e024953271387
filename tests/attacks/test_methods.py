"""Every attack: it succeeds at a budget near its published strength, on awkward inputs, and says what it cannot do."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import median

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from victims import Victim, made, magnitudes

from holdfast.attacks import Access, DefendedTarget, PlainTarget, attack_classes, attack_from_dict
from holdfast.attacks.base import Attack, Problem
from holdfast.attacks.distances import changed_pixels, distance
from holdfast.attacks.foolbox import imported
from holdfast.attacks.randomness import seeded
from holdfast.errors import ClassifierError, HoldfastError, InputError, MissingExtraError, UsageError
from holdfast.models.architectures.defended import Defended, Quantized
from holdfast.types import Norm

# Attacks with parameters that make them short, the budget, and the largest median distance on digits; measured, with
# room for another training: Linf attacks that minimize .12, L2 .6 to .67, L0 2 pixels.
DIGITS = [
    (made("fgsm", "linf"), 0.3, 0.3),
    (made("fgsm", "l2"), 2.0, 2.0),
    (made("pgd", "linf"), 0.2, 0.2),
    (made("pgd", "l2", steps=50), 1.0, 1.0),
    (made("pgd-iterates", "linf"), 0.2, 0.2),
    (made("pgd-iterates", "l2"), 1.0, 1.0),
    (made("autoattack", "linf"), 0.2, 0.2),
    (made("autoattack", "l2"), 1.0, 1.0),
    (made("bpda", "linf"), 0.2, 0.2),
    (made("bpda", "l2"), 1.0, 1.0),
    (made("frank-wolfe"), 5.0, 5.0),
    (made("nattack", "linf"), 0.2, 0.2),
    (made("nattack", "l2"), 2.0, 2.0),
    (made("deepfool", "l2"), math.inf, 0.9),
    (made("deepfool", "linf"), math.inf, 0.18),
    (made("cw-l2"), math.inf, 0.9),
    (made("cw-adaptive"), math.inf, 0.9),
    (made("cw-linf"), math.inf, 0.17),
    (made("cw-l0"), math.inf, 4),
    (made("lbfgs", searches=6), math.inf, 1.1),
    (made("boundary", steps=1500), math.inf, 2.0),
    (made("hop-skip-jump", "l2", steps=8), math.inf, 1.1),
    (made("hop-skip-jump", "linf", steps=8), math.inf, 0.3),
    (made("pointwise"), math.inf, 8),
    (made("one-pixel"), 3, 3),
    (made("jsma"), math.inf, 8),
    (made("patch"), 16, 16),
    (made("background"), math.inf, 0.6),
]
# One of each, in its first norm, as short as it may be.
SHORT = [
    made("fgsm"),
    made("pgd", steps=10),
    made("pgd-iterates", steps=10),
    made("autoattack"),
    made("bpda", steps=10),
    made("frank-wolfe", steps=10),
    made("nattack", steps=20, population=50),
    made("deepfool", steps=20),
    made("cw-l2", steps=60, searches=4),
    made("cw-adaptive", steps=60, searches=4),
    made("cw-linf", steps=60, shrink=0.7),
    made("cw-l0", steps=60),
    made("lbfgs", steps=30, searches=4),
    made("boundary", steps=50),
    made("hop-skip-jump", steps=3),
    made("pointwise"),
    made("one-pixel", generations=20),
    made("jsma"),
    made("patch", steps=10, tries=1),
    made("background", colours=32),
]
# These need to know what lies beside what.
OF_IMAGES = ("autoattack", "background", "patch")
BUDGETS = {Norm.LINF: 0.4, Norm.L1: 10.0, Norm.L2: 3.0, Norm.L0: 5.0}


def budget(attack: Attack) -> float:
    return math.inf if attack.minimizes else BUDGETS[attack.measure]


def test_every_attack_of_the_table_is_tried() -> None:
    assert {attack.name for attack in SHORT} | {"smooth-pgd", "gaussian-noise"} == set(attack_classes())
    assert {(attack.name, attack.measure) for attack, _, _ in DIGITS} | {
        ("smooth-pgd", Norm.L2),
        ("smooth-pgd", Norm.LINF),
        ("gaussian-noise", Norm.L2),
        # In test_patches.py.
        ("patch", Norm.PATCH),
    } == {(name, norm) for name, kind in attack_classes().items() for norm in kind.norms}


@pytest.mark.parametrize(("attack", "within", "largest"), DIGITS, ids=lambda value: str(value))
def test_an_unprotected_classifier_falls_at_the_usual_budgets(
    plain: Victim, attack: Attack, within: float, largest: float
) -> None:
    found = magnitudes(attack, plain, plain.target(), range(6), within)
    assert median(found) <= largest, found


@pytest.mark.parametrize("attack", SHORT, ids=str)
def test_nothing_fails_on_awkward_images(plain: Victim, attack: Attack) -> None:
    target, x = plain.target(), plain.image(0)[0]
    for awkward in (torch.zeros_like(x), torch.ones_like(x), (x > 0.5).float(), torch.full_like(x, 0.5)):
        label = int(plain.module(awkward.unsqueeze(0)).argmax())
        found = attack.run(target, awkward, label, budget(attack), seed=1)
        if found is not None:
            assert int(target.decide(found.unsqueeze(0))[0]) != label


@pytest.mark.parametrize("name", ["cw-l2", "cw-linf", "cw-l0", "lbfgs"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_carlini_wagner_moves_pixels_at_the_ends_of_the_range(plain: Victim, name: str, value: float) -> None:
    x = torch.full(plain.data.shape, value)
    label = int(plain.module(x.unsqueeze(0)).argmax())
    assert made(name).run(plain.target(), x, label) is not None


@pytest.mark.parametrize("attack", SHORT, ids=str)
def test_an_input_that_is_misclassified_already_is_its_own_adversarial(plain: Victim, attack: Attack) -> None:
    x, label = plain.image(3)
    target = plain.target()
    found = attack.run(target, x, (label + 1) % 10, budget(attack))
    assert found is not None
    assert torch.equal(found, x)
    assert vars(target.queries) == {"decisions": 1, "scores": 0, "gradients": 0, "samples": 0}


@pytest.mark.parametrize("attack", SHORT, ids=str)
def test_a_seed_repeats_an_attack_and_leaves_the_global_generators_alone(plain: Victim, attack: Attack) -> None:
    x, label = plain.image(0)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before = torch.rand(2), np.random.rand(2), random.random()  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    first, second = (attack.run(plain.target(), x, label, budget(attack), seed=5) for _ in range(2))
    after = torch.rand(2), np.random.rand(2), random.random()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]
    assert (first is None) == (second is None)
    assert first is None or second is None or torch.equal(first, second)


@pytest.mark.parametrize("attack", SHORT, ids=str)
def test_a_target_class_is_reached_or_refused(plain: Victim, attack: Attack) -> None:
    x, label = plain.image(0)
    aim, target = (label + 5) % 10, plain.target()
    if not attack.targeted:
        with pytest.raises(UsageError, match="cannot aim at a given class"):
            attack.run(target, x, label, budget(attack), target_class=aim)
        return
    found = attack.run(target, x, label, budget(attack), target_class=aim)
    assert found is None or int(target.decide(found.unsqueeze(0))[0]) == aim


def test_gradient_attacks_reach_a_target_class(plain: Victim) -> None:
    x, label = plain.image(0)
    aim = (label + 5) % 10
    for attack in (
        made("pgd"),
        made("pgd-iterates"),
        made("cw-l2"),
        made("cw-linf"),
        made("cw-l0"),
        made("lbfgs"),
        made("nattack"),
    ):
        assert attack.run(plain.target(), x, label, budget(attack), target_class=aim) is not None, attack.name


class Coloured(nn.Module):
    """Two channels in [-1, 3]: a classifier whose scores are sums over pixels, so that the best change is known."""

    def forward(self, x: Tensor) -> Tensor:
        value = (x[:, 0] + x[:, 1]).flatten(1)
        return torch.stack([value.sum(1), 8.0 + 0 * value.sum(1), -value.sum(1)], dim=1)


@pytest.mark.parametrize("name", ["pointwise", "cw-l0", "one-pixel", "jsma"])
def test_sparse_attacks_count_pixels_and_not_channels(name: str) -> None:
    target = PlainTarget(Coloured().eval(), 3, (2, 3, 4), -1.0, 3.0)
    # Not zero, where both directions are equally good. 8 is passed by two pixels: one gives 6 - 0.02 more at most.
    x = torch.full((2, 3, 4), 0.01)
    found = made(name).run(target, x, 1, 2)
    assert found is not None
    assert distance(x, found, Norm.L0) == 2
    assert int(changed_pixels(x, found).sum()) == 2
    assert int((x != found).sum()) <= 4
    assert made(name).run(target, x, 1, 1) is None


@pytest.mark.parametrize("attack", [each for each in SHORT if each.name not in OF_IMAGES], ids=str)
def test_another_range_and_features_instead_of_images(attack: Attack) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 4)).eval()
    target = PlainTarget(network, 4, (6,), -2.0, 5.0)
    x = torch.linspace(-1.5, 4.5, 6)
    label = int(network(x.unsqueeze(0)).argmax())
    wide = {Norm.LINF: 4.0, Norm.L1: 60.0, Norm.L2: 12.0, Norm.L0: 5.0}[attack.measure]
    found = attack.run(target, x, label, math.inf if attack.minimizes else wide)
    assert found is not None
    assert float(found.min()) >= -2.0
    assert float(found.max()) <= 5.0
    if attack.measure is Norm.L0:
        assert distance(x, found, Norm.L0) < 6


@pytest.mark.parametrize("name", OF_IMAGES)
def test_some_attacks_are_for_images(name: str) -> None:
    attack = made(name)
    with pytest.raises(UsageError, match=f"{name} is for images"):
        attack.run(PlainTarget(nn.Linear(6, 4).eval(), 4, (6,)), torch.zeros(6), 0, BUDGETS[attack.measure])


def test_a_fixed_budget_attack_stays_within_and_a_smaller_budget_finds_less(plain: Victim) -> None:
    target = plain.target()
    small = magnitudes(made("pgd"), plain, target, range(10), 0.02)
    large = magnitudes(made("pgd"), plain, target, range(10), 0.3)
    assert sum(map(math.isinf, small)) > sum(map(math.isinf, large)) == 0


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((1, 8, 8), math.nan), "64 values that are NaN or infinite"),
        (torch.full((1, 8, 8), 1.5), r"values from 1\.5 to 1\.5; the input space is \[0, 1\]"),
        (torch.zeros(2, 1, 8, 8), r"one input of shape \(1, 8, 8\), got \(2, 1, 8, 8\)"),
        (torch.zeros(1, 8, 8, dtype=torch.complex64), r"must be a tensor of real numbers, got torch\.complex64"),
        (torch.zeros(1, 8, 8).to_sparse(), r"laid out as sparse_coo; give x\.to_dense"),
        (torch.zeros(1, 8, 8, device="meta"), "on the meta device, which has no values"),
        (np.zeros((1, 8, 8)), r"of real numbers, got ndarray; convert an array or a list with torch"),
        ([0.0], "of real numbers, got list"),
    ],
)
def test_inputs_outside_the_input_space_are_refused(plain: Victim, x: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made("fgsm").run(plain.target(), x, 0, 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"budget": 0.0}, r"above 0 in input units, got 0\.0: with no change allowed"),
        ({"budget": -1.0}, "above 0"),
        ({"budget": math.nan}, "above 0"),
        ({"budget": math.inf}, "searches within a budget; give one"),
        ({"budget": 0.1, "label": 10}, "label must be a class, a whole number from 0 to 9; got 10"),
        ({"budget": 0.1, "label": 1.5}, r"label must be a class, a whole number from 0 to 9; got 1\.5"),
        ({"budget": 0.1, "label": "3"}, "label must be a class, a whole number from 0 to 9; got '3'"),
        ({"budget": 0.1, "seed": 2**70}, r"a seed is a whole number from 0 to 2\^63 - 1, got 1180591620717411303424"),
        ({"budget": 0.1, "seed": 1.5}, r"a seed is a whole number .* got 1\.5"),
        ({"budget": 0.1, "target_class": -1}, "target_class must be a class, a whole number from 0 to 9; got -1"),
        ({"budget": 0.1, "target_class": 0}, "label and target_class are both class 0"),
    ],
)
def test_calls_that_cannot_be_right_are_refused(plain: Victim, call: dict[str, float], message: str) -> None:
    options = {"label": 0, **call}
    with pytest.raises(UsageError, match=message):
        made("pgd").run(plain.target(), torch.zeros(1, 8, 8), **options)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_more_steps_from_the_same_start_are_weaker_on_no_input(plain: Victim, norm: str) -> None:
    """At a budget at which some fall to few steps, some to more, and some to none."""
    within, target = {"linf": 0.06, "l2": 0.35}[norm], plain.target()
    few, many = (magnitudes(made("pgd-iterates", norm, steps=n), plain, target, range(40), within) for n in (2, 20))
    fallen = [(math.isfinite(a), math.isfinite(b)) for a, b in zip(few, many, strict=True)]
    assert all(b for a, b in fallen if a)
    assert len(set(fallen)) >= 2, Counter(fallen)


def test_an_l0_budget_is_a_whole_number_of_pixels(plain: Victim) -> None:
    with pytest.raises(UsageError, match=r"whole number of pixels, got 1\.5"):
        made("pointwise").run(plain.target(), torch.zeros(1, 8, 8), 0, 1.5)
    x, label = plain.image(0)
    with pytest.raises(UsageError, match="searches for up to 20 pixels, got a budget of 21"):
        made("one-pixel").run(plain.target(), x, label, 21)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"name": "magic"}, "unknown attack 'magic'; known are autoattack, background, boundary"),
        ({"name": "pgd", "norm": "l0"}, "'pgd' is measured in l2, linf, got 'l0'"),
        ({"name": "pgd", "norm": "l3"}, "'pgd' is measured in l2, linf, got 'l3'"),
        ({"name": "pgd", "steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"name": "deepfool", "overshoot": 0}, "overshoot must be a number above 0"),
        # Each would never come to an end, or fix nothing.
        ({"name": "cw-linf", "shrink": 1.0}, "shrink must be a number between 0 and 1, got 1.0"),
        ({"name": "cw-l0", "share": 1}, "share must be a number between 0 and 1, got 1"),
        ({"name": "nattack", "population": 1}, "population must be a whole number of at least 2"),
        ({"name": "nattack", "coarse": 0}, "coarse must be a whole number of at least 1"),
        ({"name": "smooth-pgd", "objective": "hard"}, "objective must be soft or expected"),
        ({"name": "smooth-pgd", "fresh": 2}, "fresh must be 1"),
        ({"name": "pgd-iterates", "step": 0}, "step must be a number above 0, got 0"),
        ({"name": "jsma", "theta": 0.0}, "theta must be a share of the range from -1 to 1, and not 0; got 0.0"),
        ({"name": "jsma", "theta": 1.5}, "theta must be a share"),
        ({"name": "jsma", "outputs": "votes"}, "outputs must be logits or softmax, got 'votes'"),
        ({"name": "patch", "samples": 0}, "samples must be a whole number of at least 1"),
        ({"name": "background", "colours": 1}, "colours must be a whole number of at least 2"),
        ({"name": "background", "near": 0}, "near must be a number between 0 and 1"),
        ({"name": "smooth-pgd", "start": "zero"}, "start must be random or input"),
        ({"name": "pointwise", "norm": "l0"}, "no parameter 'norm'; it takes steps"),
    ],
)
def test_parameters_that_cannot_be_right_are_refused(description: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        attack_from_dict(description)


def test_an_attack_is_described_by_its_name_and_parameters() -> None:
    for name, kind in attack_classes().items():
        attack = attack_from_dict({"name": name})
        assert attack_from_dict(attack.to_dict()) == attack
        assert str(attack).startswith(name)
        assert kind.source
        assert kind.__doc__


def test_what_a_classifier_gives_is_found_out_and_attacks_that_need_more_are_refused(plain: Victim) -> None:
    module = plain.module
    votes = PlainTarget(lambda x: module(x).argmax(1), 10, (1, 8, 8))
    logits = PlainTarget(lambda x: module(x).detach(), 10, (1, 8, 8))
    rounding = PlainTarget(lambda x: module((x * 16).round() / 16), 10, (1, 8, 8))
    assert [votes.gives, logits.gives, rounding.gives, plain.target().gives] == [
        Access.DECISIONS,
        Access.SCORES,
        Access.SCORES,
        Access.GRADIENTS,
    ]
    with pytest.raises(UsageError, match=r"'pgd' needs gradients, but the classifier gives only decisions; .*pointw"):
        made("pgd").run(votes, torch.zeros(1, 8, 8), 0, 0.1)
    with pytest.raises(UsageError, match=r"'pgd' needs gradients, but the classifier gives only scores; .*natt"):
        made("pgd").run(logits, torch.zeros(1, 8, 8), 0, 0.1)
    with pytest.raises(UsageError, match="only decisions, no scores"):
        votes.scores(torch.zeros(1, 1, 8, 8))
    with pytest.raises(UsageError, match="no gradients"):
        logits.logits(torch.zeros(1, 1, 8, 8))
    with pytest.raises(UsageError, match="no gradients"):
        logits.surrogate(torch.zeros(1, 1, 8, 8), 1, torch.Generator())
    x, label = plain.image(0)
    for attack in (made("pointwise"), made("hop-skip-jump", steps=2)):
        assert attack.run(votes, x, label) is not None
    assert made("nattack").run(logits, x, label, 0.3) is not None


def test_coarse_changes_are_for_images(plain: Victim) -> None:
    x, label = plain.image(0)
    assert made("nattack", coarse=3).run(plain.target(), x, label, 0.3) is not None
    flat = PlainTarget(lambda x: torch.stack([x[:, 0], 0.5 - x[:, 0]], dim=1), 2, (4,))
    with pytest.raises(UsageError, match=r"coarse=2 changes images, got inputs of shape \(4,\)"):
        made("nattack", coarse=2).run(flat, torch.full((4,), 0.5), 0, 0.1)


def test_bpda_goes_through_a_defence_without_gradients(plain: Victim) -> None:
    """Rounding to black and white hides the gradient from PGD; the identity in its place finds it again."""
    assert PlainTarget(Defended(Quantized(2), plain.module).eval(), 10, (1, 8, 8)).gives is Access.SCORES
    target = DefendedTarget(Defended(Quantized(2), plain.module).eval(), 10, (1, 8, 8))
    won = Counter()
    for index in range(6):
        x, _ = plain.image(index)
        label = int(target.decide(x.unsqueeze(0))[0])
        won.update(name for name in ("pgd", "bpda") if made(name).run(target, x, label, 0.4, seed=1) is not None)
    assert won["bpda"] >= 5
    assert won["pgd"] <= 2


def test_a_classifier_outside_torch_gives_what_it_returns(plain: Victim) -> None:
    def scores(x: Tensor) -> np.ndarray:
        return plain.module(torch.from_numpy(x.numpy())).detach().numpy()

    votes = PlainTarget(lambda x: scores(x).argmax(1), 10, (1, 8, 8))
    logits = PlainTarget(scores, 10, (1, 8, 8))
    assert (votes.gives, logits.gives) == (Access.DECISIONS, Access.SCORES)
    x, label = plain.image(0)
    assert made("pointwise").run(votes, x, label) is not None
    assert made("nattack").run(logits, x, label, 0.3) is not None


class Flat(nn.Module):
    """Logits with a slope where the first value is above one half, and none elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        steep = (x.flatten(1) - 0.5).clamp_min(0.0)[:, :1]
        return torch.cat([1.0 + 0.0 * steep, 0.5 + 0.0 * steep, 3.0 * steep, 0.0 * steep], dim=1)


@pytest.mark.parametrize("attack", SHORT, ids=str)
def test_where_no_gradient_is_nothing_breaks(attack: Attack) -> None:
    """At the input all slopes are zero: lengths of gradients are no divisors."""
    target = PlainTarget(Flat().eval(), 4, (1, 8, 8))
    assert target.gives is Access.GRADIENTS
    x = torch.zeros(1, 8, 8)
    found = attack.run(target, x, 0, budget(attack), seed=2)
    assert found is None or int(target.decide(found.unsqueeze(0))[0]) == 2


def test_smooth_pgd_needs_a_smoothed_classifier(plain: Victim) -> None:
    with pytest.raises(UsageError, match="smooth-pgd attacks smoothed classifiers; for one without noise use pgd"):
        made("smooth-pgd").run(plain.target(), torch.zeros(1, 8, 8), 0, 0.1)


def test_a_diverged_model_is_an_error() -> None:
    broken = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    nn.init.constant_(broken[1].weight, math.nan)
    with pytest.raises(ClassifierError, match="NaN or infinite logits for 1 of 1 inputs"):
        made("fgsm").run(PlainTarget(broken, 3, (1, 2, 2)), torch.zeros(1, 2, 2), 0, 0.1)


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()


def test_a_module_in_training_mode_and_an_endless_range_are_refused() -> None:
    with pytest.raises(ClassifierError, match="training mode"):
        PlainTarget(nn.Linear(4, 3), 3, (4,))
    with pytest.raises(UsageError, match="finite range"):
        PlainTarget(nn.Linear(4, 3).eval(), 3, (4,), 0.0, math.inf)


def test_labels_may_be_numbers_of_numpy_and_torch(plain: Victim) -> None:
    x, label = plain.image(0)
    found = [made("pgd").run(plain.target(), x, kind(label), 0.3) for kind in (int, np.int64, torch.tensor)]
    assert found[0] is not None
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(
    ("function", "shape", "kind", "message"),
    [
        (3, (1, 2, 2), ClassifierError, "is a torch module or another callable, got int"),
        (LINEAR, (), UsageError, r"is \(channels, height, width\) or \(features,\), whole numbers .* got \(\)"),
        (LINEAR, (2, 2), UsageError, r"got \(2, 2\)"),
        (LINEAR, (4.0,), UsageError, r"got \(4\.0,\)"),
        (LINEAR, 4, UsageError, "got 4"),
        (
            LINEAR,
            (1, 3, 3),
            ClassifierError,
            r"fails on 4 inputs of shape \(1, 3, 3\): mat1 and mat2 .* Check that",
        ),
        (lambda z: LINEAR(z)[:1], (1, 2, 2), ClassifierError, r"of shape \(4, 3\) or .* got \(1, 3\)"),
        (lambda z: LINEAR(z)[:, :2], (1, 2, 2), ClassifierError, "Is num_classes=3 right"),
        (lambda z: None, (1, 2, 2), ClassifierError, "returns a tensor or an array, got NoneType"),
    ],
)
def test_what_is_no_classifier_of_such_inputs_is_refused(
    function: object, shape: object, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        PlainTarget(function, 3, shape)


@pytest.mark.parametrize(("package", "name"), [("foolbox", "fgsm"), ("pyautoattack", "autoattack")])
def test_a_missing_package_is_named(plain: Victim, monkeypatch: pytest.MonkeyPatch, package: str, name: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    x, label = plain.image(0)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'holdfast-robustness\[attacks\]'"):
        made(name).run(plain.target(), x, label, 0.1)


def test_a_package_that_misses_another_one_says_which(plain: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError("No module named 'pkg_resources'", name="pkg_resources")

    monkeypatch.setattr("holdfast.attacks.foolbox.importlib.import_module", broken)
    x, label = plain.image(0)
    with pytest.raises(UsageError, match=r"'foolbox', which is installed but cannot be imported: .* 'pkg_resources'"):
        made("fgsm").run(plain.target(), x, label, 0.1)


@pytest.mark.parametrize("raised", [ZeroDivisionError("by zero"), AssertionError(), SystemExit(3), KeyError("x")])
@pytest.mark.parametrize(
    ("name", "library", "fails"),
    [
        ("autoattack", "pyautoattack", "pyautoattack.AutoAttack.run_standard_evaluation"),
        ("pgd", "foolbox", "foolbox.attacks.LinfProjectedGradientDescentAttack.run"),
        ("lbfgs", "scipy", "scipy.optimize.minimize"),
        ("one-pixel", "scipy", "scipy.optimize.differential_evolution"),
    ],
)
def test_what_a_library_raises_is_an_error_that_names_it(
    plain: Victim, monkeypatch: pytest.MonkeyPatch, raised: BaseException, name: str, library: str, fails: str
) -> None:
    attack = made(name)
    # Importing it warns of other packages.
    imported(library.replace("scipy", "scipy.optimize"), "A test")

    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(fails, fail)
    x, label = plain.image(0)
    with pytest.raises(HoldfastError, match=rf"the attack {name}.* could not be finished: {library} \d.* failed with"):
        attack.run(plain.target(), x, label, budget(attack))


def test_a_start_that_foolbox_does_not_find_is_still_no_error(plain: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    imported("foolbox", "A test")
    monkeypatch.setattr("foolbox.attacks.BoundaryAttack.run", fail)
    x, label = plain.image(0)
    assert made("boundary").run(plain.target(), x, label) is None


@pytest.mark.parametrize("name", ["boundary", "pointwise", "pgd"])
def test_what_the_classifier_raises_is_no_lost_start(plain: Victim, name: str) -> None:
    """An AssertionError of the classifier within an attack by decisions would count as nothing found."""
    x, label = plain.image(0)
    target = plain.target()
    moody = False

    def function(z: Tensor) -> Tensor:
        assert not moody or torch.equal(z, x.expand_as(z)), "no more"
        logits: Tensor = target.function(z)
        return logits

    asked = PlainTarget(function, target.num_classes, target.shape)
    asked.decide(x.unsqueeze(0))
    moody = True
    with pytest.raises(ClassifierError, match=r"the classifier failed with AssertionError \(no more"):
        made(name).run(asked, x, label, 0.3 if name == "pgd" else math.inf)


def test_autoattack_in_l2_is_for_images_that_are_high_enough() -> None:
    torch.manual_seed(0)
    target = PlainTarget(nn.Sequential(nn.Flatten(), nn.Linear(128, 5)).eval(), 5, (1, 4, 32))
    x = torch.rand(1, 4, 32)
    label = int(target.decide(x.unsqueeze(0))[0])
    with pytest.raises(
        UsageError, match=r"autoattack in l2 is for images at least 5 .*got .*\(1, 4, 32\).*pgd:norm=l2"
    ):
        made("autoattack", "l2").run(target, x, label, 1e-4)


def test_global_generators_come_back_after_an_error() -> None:
    state = torch.get_rng_state()

    def fail() -> None:
        with seeded(3):
            torch.rand(1)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert torch.equal(torch.get_rng_state(), state)


def test_distances_of_a_picture_by_hand() -> None:
    x = torch.zeros(2, 2, 2)
    y = x.clone()
    y[0, 0, 0], y[1, 0, 0], y[1, 1, 1] = 3.0, 4.0, 12.0
    assert distance(x, y, Norm.L0) == 2
    assert distance(x, y, Norm.L2) == 13
    assert distance(x, y, Norm.L1) == 19
    assert distance(x, y, Norm.LINF) == 12


def test_a_target_in_float64_takes_float32_and_leaves_the_module_alone():
    """A lead of 1e-12, which float32 does not have."""
    module = nn.Linear(1, 2).double().eval()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.0], [1.0]]))
        module.bias.copy_(torch.tensor([0.5 + 1e-12, 0.0]))
    target = PlainTarget(module, 2, (1,), double=True)
    x = torch.tensor([[0.5], [0.5000001]])
    assert target.decide(x).tolist() == [0, 1]
    single = nn.Linear(1, 2).eval()
    assert PlainTarget(single, 2, (1,), double=True).gives is Access.GRADIENTS
    assert single.weight.dtype == torch.float32
    with pytest.raises(UsageError, match="only a torch module"):
        PlainTarget(lambda x: x, 2, (1,), double=True)


def test_an_adversarial_counts_as_it_is_stored():
    """In float64 a candidate is beyond the boundary, in float32 it is on it."""
    target = PlainTarget(lambda x: torch.cat([0.0 * x.double() + 0.5, x.double()], dim=1), 2, (1,))
    assert target.decide(torch.tensor([[0.5 + 1e-9]], dtype=torch.float64)).tolist() == [1]
    problem = Problem(target, torch.tensor([[0.25]]), 0, None, Norm.LINF, 1.0, 0)
    assert problem.accepted(torch.tensor([0.5 + 1e-9], dtype=torch.float64)) is None
    found = problem.accepted(torch.tensor([0.75], dtype=torch.float64))
    assert found is not None
    assert found.dtype == torch.float32
