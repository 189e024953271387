"""Every attack on an unprotected MNIST CNN, at a budget near its published strength."""

from __future__ import annotations

import math
from statistics import median

import pytest
from victims import Victim, made, magnitudes

from holdfast.attacks.base import Attack

# Attack, budget, largest median distance and least number of successes on 5 images.
#
# Published: Linf .3 is the adversary of Madry et al. 2018 on MNIST; at Linf .25 FGSM leaves a maxout network an error
# of 89.4% (Goodfellow et al. 2015); Carlini & Wagner's L0 attack needs 8.5 pixels in the mean, as Levine & Feizi 2020
# quote it; Pointwise with ten restarts 9 pixels in the median (their Table 2). This model is trained for seconds, and
# takes a little more. All other limits are our own measurements on it, and half as much again: DeepFool 1.5 (L2) and
# .11 (Linf), CW 1.4 and .10, L-BFGS 1.4, HopSkipJump 2.6 and .20, Boundary after 1,000 of its steps 8.5, Pointwise
# once 35 pixels.
# JSMA 14 pixels in the median: Papernot et al. 2016 change 4% of the features, 31, to reach a given class.
REFERENCE = [
    (made("fgsm", "linf"), 0.25, 0.25, 4),
    (made("fgsm", "l2"), 5.0, 5.0, 4),
    (made("pgd", "linf"), 0.3, 0.3, 5),
    (made("pgd", "l2"), 3.0, 3.0, 5),
    (made("pgd-iterates", "linf"), 0.3, 0.3, 5),
    (made("autoattack", "linf"), 0.3, 0.3, 5),
    (made("autoattack", "l2"), 3.0, 3.0, 5),
    (made("bpda", "linf"), 0.3, 0.3, 5),
    (made("nattack", "linf"), 0.3, 0.3, 5),
    (made("deepfool", "l2"), math.inf, 2.2, 5),
    (made("deepfool", "linf"), math.inf, 0.16, 5),
    (made("cw-l2", steps=150), math.inf, 2.1, 5),
    (made("cw-linf", shrink=0.8), math.inf, 0.15, 5),
    (made("cw-l0"), math.inf, 14, 5),
    (made("lbfgs", searches=6), math.inf, 2.1, 5),
    (made("boundary", steps=1000), math.inf, 13.0, 5),
    (made("hop-skip-jump", "l2", steps=5, estimates=50), math.inf, 4.0, 5),
    (made("hop-skip-jump", "linf", steps=5, estimates=50), math.inf, 0.35, 5),
    (made("pointwise"), math.inf, 52, 3),
    (made("jsma"), math.inf, 40, 5),
    (made("patch"), 49, 49, 4),
    (made("background"), math.inf, 0.8, 3),
]
# Of these, three images are enough for a test.
SLOW = ("boundary", "hop-skip-jump", "cw-l2", "cw-linf", "cw-l0", "lbfgs")


@pytest.mark.parametrize(("attack", "budget", "largest", "fewest"), REFERENCE, ids=lambda value: str(value))
def test_an_unprotected_mnist_cnn_falls(
    mnist: Victim, attack: Attack, budget: float, largest: float, fewest: int
) -> None:
    count = 3 if attack.name in SLOW else 5
    found = magnitudes(attack, mnist, mnist.target(), range(0, 100 * count, 100), budget)
    assert sum(map(math.isfinite, found)) >= min(fewest, count), found
    assert median(found) <= largest, found


def test_pointwise_with_ten_restarts_is_near_the_published_median(mnist: Victim) -> None:
    """9 pixels for a CNN of 99.1% (Levine & Feizi 2020, Table 2); measured here: 13, 23 and 13."""
    best = []
    for index in range(3):
        x, label = mnist.image(index)
        runs = [made("pointwise").run(mnist.target(), x, label, seed=100 * index + restart) for restart in range(10)]
        best.append(min(int((found != x).sum()) for found in runs if found is not None))
    assert 6 <= median(best) <= 20, best
