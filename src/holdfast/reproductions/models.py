"""Base classifiers that several studies share: the papers' settings at full scale, cheaper ones below.

A model of one name has the same settings in every study at a scale, so that one output folder serves all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.reproductions.base import Certification, Model

# As in both papers, on CIFAR-10.
_AUGMENTED: dict[str, Any] = {"crop": 4, "flip": True}
# For the notes of the pages about Cohen et al.
TRAINED_AS_COHEN = (
    "The paper does not say how long its networks are trained: epochs, batches and weight decay are what its public "
    "training program takes unless it is told otherwise (90 epochs), but for a cosine in place of the steps of the "
    "learning rate, and Nesterov momentum."
)
# For the notes of the pages about ImageNet.
FIXED_CROP = "Other than in the paper, training images are mirrored at random, but the centre of each is kept."

# What the studies of ImageNet cost.
IMAGENET_COST = {
    "smoke": "2 minutes, random weights",
    "small": "10 minutes, random weights",
    "full": "days on GPUs, training included",
}

# Smoke runs are too short for a measurement; the papers compute in float32.
PRECISION = {"smoke": "float32", "small": "auto", "full": "float32"}

# Each so-and-so-many-th test image is classified once, under noise, when a training is done.
CHECKED = {"smoke": 20, "small": 1, "full": 1}

# Not the papers' training: three masks for each image in a step, AdamW and one cycle get as far in a few epochs as
# hundreds of epochs of theirs (docs/measurements/mnist.md).
_FAST: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.02,
    "schedule": "one-cycle",
    "noise_copies": 3,
}
# Levine & Feizi 2020, Table 10, but for a cosine in place of the one step of the learning rate, and Nesterov momentum.
_LEVINE: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "shared_noise": True,
}
_MNIST_EPOCHS = {"smoke": 8, "small": 32, "full": 400}
_MNIST_GAUSSIAN_EPOCHS = {"smoke": 8, "small": 10, "full": 60}
_MNIST_PART = {"smoke": 25, "small": 1, "full": 1}

# On CIFAR-10, what gets furthest in few epochs with a network that is not saturated.
_CIFAR_FAST: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "schedule": "one-cycle",
    "ema": 0.995,
}
# The paper does not say how long its networks are trained; this is what the training program of Cohen et al. does where
# nothing is asked of it (github.com/locuslab/smoothing, code/train.py), but for a cosine in place of the steps of the
# learning rate, and Nesterov momentum.
_COHEN: dict[str, Any] = {
    "epochs": 90,
    "batch_size": 256,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 1e-4,
    "schedule": "cosine",
}
# Up to this sigma, Jeong & Shin 2020 weigh consistency twice as much.
_SMALL_SIGMA = 0.25
_CIFAR_EPOCHS = {"smoke": 3, "small": 22}
_ABLATION_EPOCHS = {"smoke": 3, "small": 10}
_CIFAR_PART = {"smoke": 100, "small": 1, "full": 1}
# Few steps on few images: an average over hundreds of steps would be of the weights that it began with.
_CIFAR_SMOKE: dict[str, Any] = {"batch_size": 50, "ema": 0.9}


def mnist(scale: str, noise: str, name: str, options: str = "") -> Model:
    """The network of Levine & Feizi 2020, Table 9, for a noise on MNIST."""
    settings = _LEVINE if scale == "full" else {**_FAST, "precision": PRECISION[scale]}
    more: dict[str, Any] = {"epochs": _MNIST_EPOCHS[scale]}
    if scale == "smoke":
        more["noise_copies"] = 1
    return Model(
        f"mnist-{name}",
        noise,
        "mnist-cnn",
        {**settings, **more},
        part=_MNIST_PART[scale],
        options=options,
        checked=CHECKED[scale],
    )


def mnist_run(scale: str, model: Model) -> Certification:
    """Levine & Feizi 2020, "Results": n0 = 1,000, n = 10,000, alpha = 0.05, all test images."""
    every = {"smoke": 500, "small": 20, "full": 1}[scale]
    n0, n = (100, 500) if scale == "smoke" else (1_000, 10_000)
    return Certification(model.name, model.name, every, n0, n, 0.05, precision=PRECISION[scale])


def mnist_gaussian(scale: str, sigma: float) -> Model:
    """The same network under Gaussian noise, which neither paper has on MNIST."""
    noise = f"gaussian:sigma={sigma:g}"
    settings = {**_FAST, "noise_copies": 1, "epochs": _MNIST_GAUSSIAN_EPOCHS[scale], "precision": PRECISION[scale]}
    name = f"mnist-sigma{sigma:g}"
    return Model(name, noise, "mnist-cnn", settings, part=_MNIST_PART[scale], checked=CHECKED[scale])


def _cifar_fast(scale: str) -> dict[str, Any]:
    """Settings below full scale."""
    return {**_CIFAR_FAST, **(_CIFAR_SMOKE if scale == "smoke" else {}), "precision": PRECISION[scale]}


def cifar_gaussian(scale: str, sigma: float) -> Model:
    """ResNet-110 as Cohen et al. 2019 trained it; ResNet-20 below full scale."""
    name, noise = f"cifar10-sigma{sigma:g}", f"gaussian:sigma={sigma:g}"
    if scale == "full":
        return Model(name, noise, "resnet110", {**_COHEN, **_AUGMENTED}, {"shortcut": "projection"})
    settings = {**_cifar_fast(scale), **_AUGMENTED, "epochs": _CIFAR_EPOCHS[scale]}
    return Model(name, noise, "resnet20", settings, part=_CIFAR_PART[scale], checked=CHECKED[scale])


def cifar_consistency(scale: str, sigma: float) -> Model:
    """The same network, epochs and optimizer with consistency regularization (Jeong & Shin 2020, Table 2)."""
    plain = cifar_gaussian(scale, sigma)
    weight = 20.0 if sigma <= _SMALL_SIGMA else 10.0
    more = {"recipe": f"consistency:weight={weight},entropy=0.5", "noise_copies": 2}
    return replace(plain, name=f"{plain.name}-consistency", training={**(plain.training or {}), **more})


def cifar_ablation(
    scale: str, noise: str, name: str, architecture: str | None = None, epochs: int | None = None
) -> Model:
    """ResNet-18 as Levine & Feizi 2020 trained it (Table 11) for ablated CIFAR-10; ResNet-20 below full scale.

    Args:
        scale: of the study.
        noise: that it is trained for.
        name: of the model, without that of the data set.
        architecture: another one.
        epochs: for a training on one image in twenty, so that it sees each of them often; None for all images, or
            at scale smoke the few of every training.
    """
    named = f"cifar10-{name}"
    if scale == "full":
        settings = {**_LEVINE, **_AUGMENTED, "weight_decay": 5e-4, "epochs": 400}
        return Model(named, noise, architecture or "resnet18", settings)
    few = epochs is not None
    passes = epochs or _ABLATION_EPOCHS[scale]
    # What is to overfit is not augmented.
    kept = _AUGMENTED if epochs is None else {"weight_decay": 0.0}
    settings = {**_cifar_fast(scale), "epochs": passes, **kept}
    part = _CIFAR_PART[scale] if scale == "smoke" else 20 if few else 1
    return Model(named, noise, architecture or "resnet20", settings, part=part, checked=CHECKED[scale])


def cifar_ablation_run(scale: str, model: Model) -> Certification:
    """n0 = 1,000, n = 10,000, alpha = 0.05, all test images."""
    every = {"smoke": 500, "small": 50, "full": 1}[scale]
    n0, n = (50, 200) if scale == "smoke" else (1_000, 10_000)
    return Certification(model.name, model.name, every, n0, n, 0.05, precision=PRECISION[scale])


def imagenet_ablation(scale: str, k: int) -> Model:
    """ResNet-50 as Levine & Feizi 2020 trained it (Table 12); with random weights below full scale."""
    settings = {**_COHEN, "epochs": 36, "flip": True, "shared_noise": True} if scale == "full" else None
    return Model(f"imagenet-k{k}", f"ablation:k={k}", "resnet50", settings)


def imagenet_ablation_run(scale: str, model: Model) -> Certification:
    """n0 = 1,000, n = 10,000, alpha = 0.05, 400 images."""
    every, limit, n0, n = {
        "smoke": (1, 1, 10, 30),
        "small": (1, 20, 50, 200),
        "full": (125, 400, 1_000, 10_000),
    }[scale]
    return Certification(model.name, model.name, every, n0, n, 0.05, limit, precision=PRECISION[scale])


def imagenet_gaussian(scale: str, sigma: float) -> Model:
    """ResNet-50 as Cohen et al. 2019 trained it; with random weights below full scale."""
    training = {**_COHEN, "flip": True} if scale == "full" else None
    return Model(f"imagenet-sigma{sigma:g}", f"gaussian:sigma={sigma:g}", "resnet50", training)


def cohen_run(scale: str, model: Model, sigma: float | None = None) -> Certification:
    """Cohen et al. 2019: n0 = 100, n = 100,000, alpha = 0.001; all images of CIFAR-10, every 100th of ImageNet.

    Args:
        scale: of the study.
        model: the base classifier.
        sigma: that it is smoothed with; None for the one that it was trained for.
    """
    noise = None if sigma is None else f"gaussian:sigma={sigma:g}"
    name = model.name if sigma is None else f"{model.name}-smoothed{sigma:g}"
    if model.name.startswith("imagenet"):
        every, limit, n0, n = {
            "smoke": (1, 1, 10, 110),
            "small": (1, 20, 20, 200),
            "full": (100, 500, 100, 100_000),
        }[scale]
    else:
        every, limit, n0, n = {
            "smoke": (500, 20, 20, 200),
            "small": (20, 500, 100, 10_000),
            "full": (1, 10_000, 100, 100_000),
        }[scale]
    return Certification(name, model.name, every, n0, n, 0.001, limit, noise=noise, precision=PRECISION[scale])
