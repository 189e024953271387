"""Which axis holds the channels: declared, or refused if pixels are counted and the input looks otherwise."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_cases import Real
from noise_cases import others

import holdfast as hf
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.attacks.target import Target
from holdfast.errors import ClassifierError, UsageError
from holdfast.noises.base import Noise
from holdfast.noises.pixels import counts_pixels, looks_channels_last
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.classifier import OwnRounding, VotingClassifier
from holdfast.sampling.engines.base import FunctionFactory
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.layouts import taking_channels_last

COUNTING: list[Noise] = [hf.Ablation(7), hf.Partition(7), UniformFlip(0.5)]
COUNTING += [noise for noise in others(COUNTING) if counts_pixels(noise)]


def pixel_seen(z: torch.Tensor) -> torch.Tensor:
    """Class 0 if one of the first three values of the last axis is near 1."""
    return (~(z[..., :3] > 0.95).flatten(1).any(1)).long()


def first_values(z: torch.Tensor) -> torch.Tensor:
    """Logits from three different values of `(batch, height, width, channels)`."""
    return torch.stack([z[:, 0, 1, 0], z[:, 1, 0, 0], z[:, 1, 1, 0]], 1)


def first_values_of_channels_first(z: torch.Tensor) -> torch.Tensor:
    return torch.stack([z[:, 0, 0, 1], z[:, 0, 1, 0], z[:, 0, 1, 1]], 1)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 255


def test_the_false_certificate_of_channels_last_images_is_refused() -> None:
    """Undeclared, one changed pixel of the user was three of those counted."""
    x = np.full((1, 8, 8, 3), 0.5, np.float32)
    smoothed = hf.SmoothedClassifier(lambda z: pixel_seen(z.movedim(1, -1)), hf.Ablation(7), 2, batch_size=256)
    with pytest.raises(UsageError, match=r"look like \(height, width, channels\)"):
        smoothed.certify(x, n=2000, alpha=0.001)


@pytest.mark.parametrize("noise", COUNTING, ids=str)
@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 8, 1), (28, 20, 4), (8, 8, 2), (3, 8, 3), (16, 16, 13)], ids=str)
def test_images_that_look_channels_last_must_be_declared(noise: Noise, shape: tuple[int, ...]) -> None:
    smoothed = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], noise, 2, batch_size=64)
    calls = [lambda x: smoothed.certify(x, n=10, alpha=0.1), lambda x: smoothed.predict(x, n=10, alpha=0.1)]
    if isinstance(noise, hf.Partition):
        calls.append(smoothed.certify_exactly)
    for call in calls:
        with pytest.raises(UsageError) as caught:
            call(images(1, *shape))
        for option in ("layout='channels-last'", "layout='channels-first'", str(shape)):
            assert option in str(caught.value)


@pytest.mark.parametrize("noise", COUNTING, ids=str)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (1, 8, 1), (1, 4, 4), (8,), (6, 7, 20)], ids=str)
def test_other_inputs_need_no_declaration(noise: Noise, shape: tuple[int, ...]) -> None:
    if isinstance(noise, hf.Columns | hf.Blocks):
        # There are patches of images alone, larger than a window.
        shape = (shape[0], 8, 9)
    smoothed = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], noise, 2, batch_size=64)
    assert len(smoothed.certify(images(2, *shape), n=10, alpha=0.1)) == 2


def test_noises_that_do_not_count_pixels_take_any_image() -> None:
    smoothed = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], hf.Gaussian(0.5), 2, batch_size=64)
    assert len(smoothed.certify(images(2, 8, 8, 3), n=10, alpha=0.1)) == 2
    assert all(counts_pixels(noise) for noise in COUNTING)
    assert {noise.name for noise in others(COUNTING)} >= {"gaussian", "lattice-gaussian", "laplace", "uniform"}
    assert not any(counts_pixels(noise) for noise in others(COUNTING))


def test_a_declaration_settles_it() -> None:
    first = hf.SmoothedClassifier(
        lambda z: z.flatten(1)[:, :2], hf.Ablation(7), 2, batch_size=64, layout="channels-first"
    )
    assert len(first.certify(images(1, 8, 8, 3), n=10, alpha=0.1)) == 1
    with pytest.raises(UsageError, match=r"layout is 'channels-first', .* got 'nhwc'"):
        hf.SmoothedClassifier(pixel_seen, hf.Ablation(7), 2, layout="nhwc")
    for shape in ((8, 8), (2, 8, 8, 3)):
        with pytest.raises(UsageError, match="inputs have the shape"):
            hf.SmoothedClassifier(pixel_seen, hf.Ablation(7), 2, layout="channels-last").certify(
                images(1, *shape), n=10, alpha=0.1
            )


@pytest.mark.parametrize(
    ("noise", "channels"),
    [(hf.Ablation(7), 6), (hf.Ablation(7, null="mean", fill=(0.1, 0.5, 0.9)), 3), (hf.Partition(7), 6),
     (UniformFlip(0.5), 3), (hf.Gaussian(0.5), 3)],
    ids=str,
)  # fmt: skip
def test_channels_last_gives_the_certificates_of_the_same_images_channels_first(noise: Noise, channels: int) -> None:
    seen: set[tuple[int, ...]] = set()

    def watched(z: torch.Tensor) -> torch.Tensor:
        seen.add(tuple(z.shape[1:]))
        # `view` needs the axes in the order of memory.
        return first_values(z.view(len(z), -1).view(z.shape))

    x = images(3, 8, 9, 3)
    last = hf.SmoothedClassifier(watched, noise, 3, batch_size=64, layout="channels-last")
    first = hf.SmoothedClassifier(first_values_of_channels_first, noise, 3, batch_size=64)
    assert last.certify(x, n=300, alpha=0.1, seed=5) == first.certify(
        np.moveaxis(x, -1, 1).copy(), n=300, alpha=0.1, seed=5
    )
    assert last.predict(torch.from_numpy(x), n=300, alpha=0.1, seed=5) == first.predict(
        np.moveaxis(x, -1, 1).copy(), n=300, alpha=0.1, seed=5
    )
    assert seen == {(8, 9, channels)}


def test_features_have_no_channels_and_those_that_the_noise_adds_come_last() -> None:
    seen: set[tuple[int, ...]] = set()

    def watched(z: torch.Tensor) -> torch.Tensor:
        seen.add(tuple(z.shape[1:]))
        return z.flatten(1)[:, :2]

    hf.SmoothedClassifier(watched, hf.Ablation(3), 2, layout="channels-last").certify(images(2, 8), n=10, alpha=0.1)
    hf.SmoothedClassifier(watched, hf.Gaussian(0.5), 2, layout="channels-last").certify(images(2, 8), n=10, alpha=0.1)
    assert seen == {(8, 2), (8,)}


def test_certificates_of_declared_images_hold_for_every_change_within_them() -> None:
    """All sets of one pixel of nine, and all changes to black or white of as many pixels as are certified."""
    x = np.full((3, 3, 2), 0.5, np.float32)

    def f(z: torch.Tensor) -> torch.Tensor:
        return (z[..., 0] > 0.9).flatten(1).any(1).long()

    smoothed = hf.SmoothedClassifier(f, hf.Ablation(1), 2, layout="channels-last", batch_size=9)
    (certificate,) = smoothed.certify_exactly(x[None])
    assert (certificate.label, certificate.radius) == (0, 4.0)
    for row, column in product(range(3), repeat=2):
        changed = x.copy()
        changed.reshape(9, 2)[[(row * 3 + column + step) % 9 for step in range(4)]] = 1.0
        assert smoothed.certify_exactly(changed[None])[0].label == 0
    changed.reshape(9, 2)[:5] = 1.0
    assert smoothed.certify_exactly(changed[None])[0].label == 1


def test_modules_and_backends_stay_what_they_are() -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(8 * 8 * 6, 2))
    with pytest.raises(ClassifierError, match="training mode"):
        hf.SmoothedClassifier(module, hf.Ablation(7), 2, layout="channels-last")
    module.eval()
    hf.SmoothedClassifier(module, hf.Ablation(7), 2, layout="channels-last").certify(
        images(1, 8, 8, 3), n=10, alpha=0.1
    )
    assert not module.training

    class Backend:
        near_tie = 0.125

        def __call__(self, z: torch.Tensor) -> torch.Tensor:
            return first_values(z)

        def alone(self, z: torch.Tensor) -> torch.Tensor:
            return first_values(z)

    moved = taking_channels_last(VotingClassifier(Backend(), 3))
    assert isinstance(moved, VotingClassifier)
    assert isinstance(moved.function, OwnRounding)
    assert moved.function.near_tie == 0.125


def made() -> object:
    return first_values


def test_channels_last_in_other_processes() -> None:
    x = images(2, 8, 9, 3)
    arguments = {"n": 100, "alpha": 0.1, "seed": 3}
    here = hf.SmoothedClassifier(first_values, hf.Ablation(7), 3, layout="channels-last").certify(x, **arguments)
    for base in (first_values, FunctionFactory(made, 3)):
        there = hf.SmoothedClassifier(
            base, hf.Ablation(7), 3, layout="channels-last", engine=ProcessesEngine(1, batch_size=64)
        )
        assert there.certify(x, **arguments) == here


class Fixed(Target):
    """A classifier of images of a given shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__(2, shape, 0.0, 1.0, torch.device("cpu"))

    def _decide(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1).sum(1) > 1).long()


def test_attacks_that_count_pixels_refuse_channels_last() -> None:
    from holdfast.attacks.methods.pointwise import Pointwise

    with pytest.raises(UsageError, match=r"x\.transpose"):
        Pointwise().run(Fixed(8, 8, 3), torch.full((8, 8, 3), 0.5), 1)
    with pytest.raises(UsageError, match=r"x\.transpose"):
        SmoothedTarget(VotingClassifier(pixel_seen, 2), hf.Ablation(7), (8, 8, 3), 100, 0.1)


def test_a_run_on_channels_last_images_is_refused(tmp_path: Path, real: Real) -> None:
    from dataclasses import replace

    from holdfast.estimators import FixedSize
    from holdfast.execution.certify import certify_run
    from holdfast.sampling.engines.local import LocalEngine

    manifest = real.manifest(FixedSize(100, 0.01))
    noise = hf.Ablation(7)
    manifest = replace(
        manifest, noise=noise.to_dict(), guarantee="levine", data=replace(manifest.data, shape=(8, 8, 3))
    )
    with pytest.raises(UsageError, match=r"x\.transpose"):
        certify_run(tmp_path / "run", manifest, real.factory(), lambda indices: iter(()), LocalEngine())


def test_what_looks_channels_last() -> None:
    assert all(map(looks_channels_last, [(32, 32, 3), (8, 8, 1), (3, 3, 3), (64, 64, 13), (4, 4, 4)]))
    assert not any(map(looks_channels_last, [(3, 32, 32), (1, 28, 28), (1, 9, 1), (512, 7, 6), (9,), (3, 5, 7)]))
