"""Shared by the studies of attacks and other defences: classifiers without noise, and metrics of attacks."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from holdfast.analysis.attacks import (
    accuracy_under_attack,
    attack_magnitude,
    mean_attack_magnitude,
    median_attack_magnitude,
    success_at_factors,
)
from holdfast.reproductions.models import CHECKED, PRECISION
from holdfast.reproductions.pages import Measured
from holdfast.reproductions.plans import Model
from holdfast.stats.datasets import mean, proportion
from holdfast.store.subsets import which

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.stats.datasets import Mean, Proportion
    from holdfast.store.attack import AttackRecord, AttackRun
    from holdfast.store.data_manifest import DataManifest

# Fast training of a small network without noise.
_PLAIN: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.0001,
    "schedule": "one-cycle",
}
# Train on every PART-th training image.
PART = {"smoke": 25, "small": 1, "full": 1}
EPOCHS = {"smoke": 4, "small": 8, "full": 40}
# An adversarial epoch costs as much as eight others.
ADVERSARIAL_EPOCHS = {"smoke": 4, "small": 6, "full": 60}
# The adversary of Madry et al. 2018 on MNIST.
MNIST_EPSILON = 0.3
# Madry et al. 2018, section 5: 40 steps of .01 on MNIST. Optimizer and minibatches are those of its program
# (github.com/MadryLab/mnist_challenge, config.json), whose 100,000 steps are 83 epochs on 60,000 images.
_MADRY_MNIST: dict[str, Any] = {
    "epochs": 83,
    "batch_size": 50,
    "optimizer": "adamw",
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
}


def plain(
    scale: str,
    name: str,
    architecture: str,
    recipe: str = "standard",
    arguments: dict[str, Any] | None = None,
    **settings: Any,
) -> Model:
    """A classifier without noise, with a recipe that spells out all its parameters."""
    training = {**_PLAIN, "epochs": EPOCHS[scale], **settings, "recipe": recipe}
    return Model(name, None, architecture, training, arguments or {}, PART[scale], checked=CHECKED[scale])


def mnist_cnn(scale: str, adversarial: bool) -> Model:
    """A network without noise, standard, or adversarial as in Madry et al. 2018.

    At full scale it is their network, trained in both ways as they did; below, that of Levine & Feizi 2020, Table 9.
    """
    if scale == "full":
        return _madry_mnist(adversarial)
    recipe = f"adversarial:epsilon={MNIST_EPSILON},norm=linf,steps=7" if adversarial else "standard"
    epochs = EPOCHS[scale] if not adversarial else ADVERSARIAL_EPOCHS[scale]
    name = "mnist-cnn-adversarial" if adversarial else "mnist-cnn-standard"
    return plain(scale, name, "mnist-cnn", recipe, epochs=epochs, precision=PRECISION[scale])


def _madry_mnist(adversarial: bool) -> Model:
    recipe = f"adversarial:epsilon={MNIST_EPSILON},norm=linf,steps=40,step_size=0.01" if adversarial else "standard"
    name = "mnist-cnn-adversarial" if adversarial else "mnist-cnn-standard"
    return plain("full", name, "madry-cnn", recipe, **_MADRY_MNIST, precision=PRECISION["full"])


def error_under(attack: AttackRun, budget: float) -> Measured:
    """The share of images that are wrong or were made wrong within the budget."""
    return Measured.share(_error(attack.records, budget))


def accuracy_under(attack: AttackRun, budget: float) -> Measured:
    """The share of images that are right and stay right under this attack within the budget."""
    return Measured.share(accuracy_under_attack(attack.records, budget))


def clean_accuracy(attack: AttackRun) -> Measured:
    """The share of unchanged images that are answered correctly."""
    records = attack.records
    return Measured.share(proportion(sum(each.reference == each.label for each in records), len(records)))


def clean_error(attack: AttackRun) -> Measured:
    """The share of unchanged images that are not answered correctly."""
    records = attack.records
    return Measured.share(proportion(sum(each.reference != each.label for each in records), len(records)))


def error_bound(run: CertifiedRun, epsilon: float) -> Measured:
    """The share of images that are wrong or not certified at `epsilon`: no attack can make more of them wrong."""
    return Measured.share(proportion(len(not_certified(run, epsilon)), len(run.results)))


def wrong_within(attack: AttackRun, budget: float) -> set[int]:
    """The indices of images that are wrong or were made wrong within the budget."""
    return {each.index for each in attack.records if attack_magnitude(each) <= budget}


def not_certified(run: CertifiedRun, epsilon: float) -> set[int]:
    """The indices of images that are wrong or not certified at `epsilon`."""
    return {each.index for each in run.results if each.certified_radius < epsilon}


def within_radius(attack: AttackRun) -> int:
    """How many images have an adversarial, including abstentions, within their certified radius."""
    return success_at_factors(attack.records, (1.0,))[0].found


def median_magnitude(attack: AttackRun) -> Measured:
    """The median attack magnitude in pixels, with an interval for the median of all images of this kind.

    Its ends are the smallest magnitudes at which the upper and the lower end of the interval of the share wrong within
    them reach one half; an end is None if the attack failed on too many images for that.
    """
    ranked = sorted(map(attack_magnitude, attack.records))
    shares = [(size, proportion(bisect_right(ranked, size), len(ranked))) for size in ranked if size < math.inf]
    lower = next((size for size, share in shares if share.upper >= 0.5), None)
    upper = next((size for size, share in shares if share.lower >= 0.5), None)
    return Measured(median_attack_magnitude(attack.records), "pixels", lower, upper, True)


def mean_magnitude(attack: AttackRun) -> Measured:
    """The mean attack magnitude in pixels of the images that were right unchanged and were broken; t interval."""
    return _measured(mean_attack_magnitude(attack.records))


def mean_of(sizes: Sequence[float]) -> Measured:
    """The mean of sizes in pixels, with its t interval; N/A without any."""
    return _measured(mean(sizes) if sizes else None)


def _measured(found: Mean | None) -> Measured:
    if found is None:
        return Measured(None, "pixels on average", interval=True, digits=1)
    lower = None if found.lower is None else max(0.0, found.lower)
    return Measured(found.value, "pixels on average", lower, found.upper, True, digits=1)


def images(data: DataManifest) -> str:
    """How many test images, and which, in a few words."""
    chosen = which(data.indices(), data.size)
    return f"{len(data.indices()):,} of {data.size:,} test images{f' ({chosen})' if chosen else ''}"


def _error(records: Sequence[AttackRecord], budget: float) -> Proportion:
    return proportion(sum(attack_magnitude(record) <= budget for record in records), len(records))
