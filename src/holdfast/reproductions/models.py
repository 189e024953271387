"""Base classifiers shared by several studies: the papers' settings at full scale, cheaper ones below.

At a scale, models of one name have the same settings in every study, so that the studies can share an output folder.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.reproductions.plans import Answering, Certification, Model

# As in both papers on CIFAR-10.
_AUGMENTED: dict[str, Any] = {"crop": 4, "flip": True}
# For the notes of the pages about Cohen et al.
TRAINED_AS_COHEN = (
    "The paper does not say how long its networks are trained: epochs (90), minibatches (400), the learning rate and "
    "its steps, momentum and weight decay are those of its public training program and of the commands that it gives."
)

# The cost of the studies on ImageNet.
IMAGENET_COST = {
    "smoke": "2 minutes, random weights",
    "small": "10 minutes, random weights",
    "full": "days on GPUs, training included",
}

# Smoke runs are too short to measure which precision is faster; the papers compute in float32.
PRECISION = {"smoke": "float32", "small": "auto", "full": "float32"}

# After training, every CHECKED-th test image is classified once under noise.
CHECKED = {"smoke": 20, "small": 1, "full": 1}

# Not the papers' training: with three masks for each image in a step, AdamW and one cycle, a few epochs get as far as
# hundreds of theirs (docs/measurements/mnist.md).
_FAST: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.02,
    "schedule": "one-cycle",
    "noise_copies": 3,
}
# Stochastic gradient descent with momentum, as both papers name it: their programs do not ask torch for Nesterov's.
_SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "nesterov": False, "schedule": "step", "factor": 0.1}
# Levine & Feizi 2020, Table 10: the learning rate is .01 in epochs 1 to 200, and .001 in epochs 201 to 400.
_LEVINE: dict[str, Any] = {
    **_SGD,
    "batch_size": 128,
    "learning_rate": 0.01,
    "milestones": (200,),
    "weight_decay": 0.0,
    "shared_noise": True,
}
# The same, Table 12: .1 for 21 epochs, .01 for 10, .001 for 5. Random resizing and cropping is that of its program.
_LEVINE_IMAGENET: dict[str, Any] = {
    **_SGD,
    "epochs": 36,
    "batch_size": 256,
    "learning_rate": 0.1,
    "milestones": (21, 31),
    "weight_decay": 1e-4,
    "resized_crop": (0.08, 1.0),
    "flip": True,
    "shared_noise": True,
}
_MNIST_EPOCHS = {"smoke": 8, "small": 32, "full": 400}
_MNIST_GAUSSIAN_EPOCHS = {"smoke": 8, "small": 10, "full": 60}
_MNIST_PART = {"smoke": 25, "small": 1, "full": 1}

# On CIFAR-10, the settings that get furthest in few epochs with an unsaturated network.
_CIFAR_FAST: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "schedule": "one-cycle",
    "ema": 0.995,
}
# The paper does not state how long its networks are trained. These are the defaults of the training program of Cohen et
# al. (github.com/locuslab/smoothing, code/train.py) and the minibatches of the commands in its experiments.MD.
_COHEN: dict[str, Any] = {
    **_SGD,
    "epochs": 90,
    "batch_size": 400,
    "learning_rate": 0.1,
    "milestones": (30, 60),
    "weight_decay": 1e-4,
}
# Up to this sigma, Jeong & Shin 2020 double the weight of consistency.
_SMALL_SIGMA = 0.25
# The defaults of the training program of Levine & Feizi 2021, a fork of that of Yang et al. 2020 (src/train.py in
# github.com/tonyduan/rs4a).
_LEVINE_L1: dict[str, Any] = {
    "epochs": 120,
    "batch_size": 64,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 1e-4,
    "schedule": "cosine",
}
_CIFAR_EPOCHS = {"smoke": 3, "small": 22}
_ABLATION_EPOCHS = {"smoke": 3, "small": 10}
_CIFAR_PART = {"smoke": 100, "small": 1, "full": 1}
# Images, every and limit, of networks without protection; otherwise all.
_UNPROTECTED: dict[tuple[str, str], tuple[int, int | None]] = {
    ("cifar10", "smoke"): (100, None),
    ("imagenet", "smoke"): (1, 2),
    ("imagenet", "small"): (1, 100),
}
# With few steps on few images, an average over hundreds of steps would still be near the initial weights.
_CIFAR_SMOKE: dict[str, Any] = {"batch_size": 50, "ema": 0.9}


def mnist(scale: str, noise: str, name: str, options: str = "") -> Model:
    """The network of Levine & Feizi 2020, Table 9, trained for a noise on MNIST."""
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


def mnist_mixture(scale: str, k: int) -> Model:
    """Another base classifier for few pixels, which costs a processor far less than the paper's network."""
    settings = {
        "recipe": "mixture:weight=20,margin=0.06,most=0.4",
        "epochs": 8,
        "batch_size": 96,
        "noise_copies": 32,
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "weight_decay": 0.0,
        "schedule": "one-cycle",
    }
    name, arguments = f"mnist-k{k}-mixture", {"components": 100}
    return Model(name, f"ablation:k={k}", "pixel-mixture", settings, arguments, 1, checked=CHECKED[scale])


def mnist_run(scale: str, model: Model) -> Certification:
    """Levine & Feizi 2020, "Results": n0 = 1,000, n = 10,000, alpha = 0.05, all test images."""
    every = {"smoke": 500, "small": 20, "full": 1}[scale]
    n0, n = (100, 500) if scale == "smoke" else (1_000, 10_000)
    return Certification(model.name, model.name, every, n0, n, 0.05, precision=PRECISION[scale])


def mnist_gaussian(scale: str, sigma: float) -> Model:
    """The same network, trained for Gaussian noise, which neither paper does on MNIST."""
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


def resnet20_gaussian(scale: str, kind: str, sigma: float) -> Model:
    """The 20-layer network that Cohen et al. 2019, Appendix J.1, compare other defences with, on CIFAR-10 or SVHN.

    Below full scale the one on CIFAR-10 is that of `cifar_gaussian`. Digits are neither mirrored nor moved: the paper
    says that SVHN was not preprocessed, but for its range.
    """
    if kind == "cifar10" and scale != "full":
        return cifar_gaussian(scale, sigma)
    augmented = _AUGMENTED if kind == "cifar10" else {}
    name, noise = f"{kind}-resnet20-sigma{sigma:g}", f"gaussian:sigma={sigma:g}"
    if scale == "full":
        return Model(name, noise, "resnet20", {**_COHEN, **augmented}, {"shortcut": "projection"})
    settings = {**_cifar_fast(scale), **augmented, "epochs": _CIFAR_EPOCHS[scale]}
    return Model(name, noise, "resnet20", settings, part=_CIFAR_PART[scale], checked=CHECKED[scale])


def cifar_undefended(scale: str) -> Model:
    """The network of `cifar_gaussian` trained on clean images, for the dashed line of Figure 6."""
    plain = cifar_gaussian(scale, 0.25)
    training = {**(plain.training or {}), "recipe": "standard"}
    return replace(plain, name="cifar10-undefended", noise=None, training=training)


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
        noise: to train for.
        name: of the model, without the name of the data set.
        architecture: to use instead.
        epochs: train for this many epochs on one image in twenty, to overfit; None for the usual epochs on all images.
            At scale smoke, every training uses the same few images.
    """
    named = f"cifar10-{name}"
    if scale == "full":
        settings = {**_LEVINE, **_AUGMENTED, "weight_decay": 5e-4, "epochs": 400}
        network = architecture or "resnet18"
        return Model(named, noise, network, settings, {"stem": "cifar"} if network == "resnet50" else {})
    passes = epochs or _ABLATION_EPOCHS[scale]
    # Augmentation would prevent overfitting.
    regularization = _AUGMENTED if epochs is None else {"weight_decay": 0.0}
    settings = {**_cifar_fast(scale), "epochs": passes, **regularization}
    part = _CIFAR_PART[scale] if scale == "smoke" or epochs is None else 20
    return Model(named, noise, architecture or "resnet20", settings, part=part, checked=CHECKED[scale])


def cifar_splitting(scale: str, noise: str, name: str) -> Model:
    """WRN-40-2 as Levine & Feizi 2021 trained it for splitting noise on CIFAR-10; ResNet-20 below full scale."""
    named = f"cifar10-{name}"
    if scale == "full":
        settings = {**_LEVINE_L1, **_AUGMENTED}
        return Model(named, noise, "wide-resnet", settings, {"depth": 40, "width": 2})
    settings = {**_cifar_fast(scale), **_AUGMENTED, "epochs": _CIFAR_EPOCHS[scale]}
    return Model(named, noise, "resnet20", settings, part=_CIFAR_PART[scale], checked=CHECKED[scale])


def splitting_run(scale: str, model: Model, offsets: int) -> Certification:
    """All offsets of splitting noise, on all test images."""
    every = {"smoke": 1000, "small": 50, "full": 1}[scale]
    return Certification(model.name, model.name, every, 0, offsets, 0.0, precision=PRECISION[scale], exact=True)


def cifar_unprotected(scale: str) -> Model:
    """The network of the ablation on CIFAR-10 without protection: trained like it (Table 11), without noise."""
    like = cifar_ablation(scale, "ablation:k=75", "unprotected")
    epochs = _CIFAR_EPOCHS.get(scale, (like.training or {})["epochs"])
    training = {**(like.training or {}), "recipe": "standard", "epochs": epochs, "shared_noise": False}
    return replace(like, noise=None, training=training)


def imagenet_unprotected(scale: str) -> Model:
    """The network of the ablation on ImageNet without protection; with random weights below full scale."""
    like = imagenet_ablation(scale, 1000)
    training = None if like.training is None else {**like.training, "recipe": "standard", "shared_noise": False}
    return replace(like, name="imagenet-unprotected", noise=None, training=training)


def unprotected(scale: str, kind: str, model: Model) -> Answering:
    """The answers of a network without protection: all test images of CIFAR-10, all validation images of ImageNet."""
    every, limit = _UNPROTECTED.get((kind, scale), (1, None))
    return Answering(model.name, model.name, every, limit)


def cifar_ablation_run(scale: str, model: Model) -> Certification:
    """n0 = 1,000, n = 10,000, alpha = 0.05, all test images."""
    every = {"smoke": 500, "small": 50, "full": 1}[scale]
    n0, n = (50, 200) if scale == "smoke" else (1_000, 10_000)
    return Certification(model.name, model.name, every, n0, n, 0.05, precision=PRECISION[scale])


def imagenet_ablation(scale: str, k: int) -> Model:
    """ResNet-50 as Levine & Feizi 2020 trained it (Table 12, footnote 1); with random weights below full scale."""
    settings = _LEVINE_IMAGENET if scale == "full" else None
    return Model(f"imagenet-k{k}", f"ablation:k={k},null=normalized", "resnet50", settings)


def imagenet_ablation_run(scale: str, model: Model) -> Certification:
    """n0 = 1,000, n = 10,000, alpha = 0.05, 400 random images; below full scale the first ones."""
    limit, n0, n = {"smoke": (1, 10, 30), "small": (20, 50, 200), "full": (None, 1_000, 10_000)}[scale]
    sample = "400" if scale == "full" else None
    return Certification(model.name, model.name, 1, n0, n, 0.05, limit, precision=PRECISION[scale], sample=sample)


def imagenet_gaussian(scale: str, sigma: float) -> Model:
    """ResNet-50 as Cohen et al. 2019 trained it; with random weights below full scale."""
    training = {**_COHEN, "resized_crop": (0.08, 1.0), "flip": True} if scale == "full" else None
    return Model(f"imagenet-sigma{sigma:g}", f"gaussian:sigma={sigma:g}", "resnet50", training)


def imagenet_plain(scale: str) -> Model:
    """ResNet-50 without noise, for attacks; with random weights below full scale."""
    noisy = imagenet_gaussian(scale, 0.25)
    training = None if noisy.training is None else {**noisy.training, "recipe": "standard"}
    return replace(noisy, name="imagenet-plain", noise=None, training=training)


def cohen_run(scale: str, model: Model, sigma: float | None = None) -> Certification:
    """Cohen et al. 2019: n0 = 100, n = 100,000, alpha = 0.001; all images of CIFAR-10, every 100th of ImageNet.

    Args:
        scale: of the study.
        model: the base classifier.
        sigma: to smooth with; None for the sigma that the model was trained for.
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
