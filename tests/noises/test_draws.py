"""Noise is a function of (seed, example, stream, draw): in any parts, with or without the kernel, on any device."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noise_cases import others
from scipy.stats import chisquare, kstest

from holdfast.noises import base, draws, kernel, subsets
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.channel_flip import ChannelFlip
from holdfast.noises.draws import Draws, philox
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.noises.splitting import Splitting
from holdfast.noises.subsets import random_subsets
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip, random_steps
from holdfast.noises.windows import Windows

NAMED: list[Noise] = [
    Gaussian(0.5),
    Uniform(0.5),
    Laplace(0.3),
    LatticeGaussian(0.25),
    LatticeGaussian(4.0),
    UniformFlip(0.5),
    ChannelFlip(0.5),
    Ablation(5),
    Ablation(9),
    Partition(5),
    Splitting(0.5),
]
NOISES = [*NAMED, *others(NAMED)]
SHAPES = [(1, 8, 8), (3, 5, 7), (1, 6, 6), (11,), (3, 32, 32), (1, 27, 29)]
NUM = 70
# Key, counter and words: the answers published with the generator (Random123, kat_vectors), and more from numpy below.
PUBLISHED = [
    ((0, 0), (0, 0, 0, 0), "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    (
        (2**64 - 1, 2**64 - 1),
        (2**64 - 1,) * 4,
        "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
    ),
    (
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


class Elsewhere(torch.Tensor):
    """A tensor of this processor that calls itself one of another device: noises look at the name only."""

    device = torch.device("meta")


def some_input(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)) / 255


def skip_unless_fit(noise: Noise, shape: tuple[int, ...]) -> None:
    if isinstance(noise, Windows) and len(shape) == 1:
        pytest.skip("windows are of images")


def at(num: int = NUM, first: int = 0, example: int = 3) -> Draws:
    return Draws(7, example, 1, num, first)


KERNEL_NOISES = [Gaussian(0.5), Uniform(0.5), Laplace(0.3), LatticeGaussian(0.5), Ablation(20), UniformFlip(0.8, 256)]


def without_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "kernel", lambda: None)


def signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


@pytest.mark.parametrize(("key", "counter", "words"), PUBLISHED)
def test_the_generator_gives_the_published_answers(
    key: tuple[int, int], counter: tuple[int, int, int, int], words: str
) -> None:
    first, *rest = counter
    found = philox(key, (torch.tensor([signed(first)]), *rest))[0].tolist()
    assert [each % 2**64 for each in found] == [int(word, 16) for word in words.split()]


def test_words_are_those_of_numpy_with_and_without_the_kernel_and_on_other_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, upper, lower = torch.zeros(1), 2**63 + 5, 2**64 - 2
    drawn = Draws(2**63 - 1, upper * 2**64 + lower, 6, 3, 2**40)
    # A lane of 9 words takes 3 blocks; numpy counts before it computes.
    counter = np.array([3 * 2**40, 2, 6, lower], dtype=np.uint64)
    numpys = np.random.Philox(key=np.array([2**63 - 1, upper], dtype=np.uint64), counter=counter)
    expected = numpys.random_raw(36).view(np.int64).reshape(3, 12)[:, :9].tolist()
    assert drawn.words64(x, 9, lane=2).tolist() == expected
    assert drawn.words64(x.as_subclass(Elsewhere), 9, lane=2).tolist() == expected
    assert drawn.words(x, 18, lane=2).reshape(3, 9, 2).tolist() == (
        np.array(expected).view(np.int32).reshape(3, 9, 2).tolist()
    )
    without_kernel(monkeypatch)
    assert drawn.words64(x, 9, lane=2).tolist() == expected


def test_every_part_of_the_key_matters() -> None:
    """Every image with the noise of seed 0, or streams that coincide, would show here."""
    base_key = (7, 3, 1, 2, 0)
    keys = {base_key}
    for position in range(5):
        for value in (4, 5, 2**64 + 3 if position == 1 else 6):
            keys.add((*base_key[:position], value, *base_key[position + 1 :]))
    found = {
        tuple(Draws(seed, example, stream, 1, first).words64(torch.zeros(1), 4, lane)[0].tolist())
        for seed, example, stream, first, lane in keys
    }
    assert len(found) == len(keys) == 16


def test_words_fill_all_64_bits_evenly() -> None:
    """Each bit, and each of the 65,536 values of every 16; failure rate 5e-5, fixed seed."""
    words = Draws(3, 0, 1, 500).words64(torch.zeros(1), 1000).flatten().numpy()
    for bit in range(64):
        ones = int(((words >> bit) & 1).sum())
        # 5 standard deviations.
        assert abs(ones - 250_000) < 5 * 354
    for part in range(4):
        counts = np.bincount((words >> (16 * part)) & 0xFFFF, minlength=2**16)
        assert chisquare(counts).pvalue > 1e-5


def test_first_values_of_many_draws_and_examples_are_uniform_and_all_different() -> None:
    """Neighbouring counters give unrelated values."""
    x, noise = torch.zeros(1), Uniform(0.5)
    by_draw = noise.draw(x, at(2000)).flatten().tolist()
    by_example = [float(noise.draw(x, at(1, example=example))) for example in range(2000)]
    for found in (by_draw, by_example):
        assert kstest(np.array(found) + 0.5, "uniform").pvalue > 1e-4
        assert len(set(found)) >= 1995
    assert abs(np.corrcoef(by_draw[:-1], by_draw[1:])[0, 1]) < 5 / np.sqrt(2000)


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_any_draws_alone_are_those_of_all(
    noise: Noise, shape: tuple[int, ...], compiled: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_unless_fit(noise, shape)
    if not compiled:
        without_kernel(monkeypatch)
    x = some_input(shape)
    whole = noise.sample(x, at())
    monkeypatch.setattr(base, "_PART_BYTES", rows * x.numel() * x.element_size())
    for first, end in ((0, 1), (3, 4), (2, 9), (63, 65), (1, NUM), (0, NUM)):
        for part in (at()[first:end], at(end - first, first)):
            assert torch.equal(noise.sample(x, part), whole[first:end])
            noisy = torch.full((end - first, *noise.noisy_shape(shape)), torch.nan)
            noise.sample_into(noisy, x, part)
            assert torch.equal(noisy, whole[first:end])


KNOWN: dict[str, list[float]] = json.loads((Path(__file__).parent / "known_draws.json").read_text())


@pytest.mark.parametrize("spec", KNOWN)
@pytest.mark.parametrize("compiled", [True, False])
def test_noise_is_what_it_was_when_runs_were_made_with_it(
    spec: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second draw of some for each noise, of a large example: whoever changes it cannot draw older runs again."""
    if not compiled:
        without_kernel(monkeypatch)
    found = base.NOISES.from_spec(spec).draw(torch.zeros(1, 5, 7), Draws(7, 2**70 + 3, 1, 2, 5))[1].flatten().tolist()
    whole = all(type(value) is int for value in KNOWN[spec])
    assert found == (KNOWN[spec] if whole else pytest.approx(KNOWN[spec], rel=1e-4))


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("how", ["no kernel", "another device"])
def test_every_way_of_drawing_gives_the_same_noise(
    noise: Noise, shape: tuple[int, ...], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integers bit for bit; normal and Laplace values up to the rounding of logarithms, sines and cosines."""
    skip_unless_fit(noise, shape)
    x = some_input(shape)
    expected = noise.draw(x, at())
    without_kernel(monkeypatch)
    other = x if how == "no kernel" else x.as_subclass(Elsewhere)
    found = noise.draw(other, at()).as_subclass(torch.Tensor)
    if isinstance(noise, Gaussian | Laplace):
        scale = noise.sigma if isinstance(noise, Gaussian) else noise.b
        assert float((found - expected).abs().max()) < 2e-6 * scale
    else:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(0.5), Laplace(0.3)], ids=str)
def test_float64_inputs_get_noise_of_their_precision(noise: Noise) -> None:
    found = noise.draw(torch.zeros(1000, dtype=torch.float64), at())
    assert found.dtype == torch.float64
    assert not torch.equal(found, found.float().double())
    deviation = {"gaussian": 0.5, "uniform": 0.5 / 3**0.5, "laplace": 0.3 * 2**0.5}[noise.name]
    assert float(found.std()) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("size", "k"), [(784, 45), (784, 700), (50_000, 40), (7, 5), (6, 3), (2, 1)])
@pytest.mark.parametrize("width", [None, 1])
def test_sets_do_not_depend_on_the_kernel_however_many_rows_fail(
    size: int, k: int, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one word more than places, nearly every row of many places is drawn anew."""
    subsets._layout.cache_clear()
    if width is not None and k < 100:
        monkeypatch.setattr(subsets, "draws_for", lambda size, k: k + width)
    few = 20 if width and size == 784 else 300
    found = random_subsets(torch.zeros(1), at(few), size, k)
    without_kernel(monkeypatch)
    assert torch.equal(random_subsets(torch.zeros(1), at(few), size, k), found)
    subsets._layout.cache_clear()


@pytest.mark.parametrize("others", [1, 2, 255, 2**24 - 1, 2**62 + 5, 2**63 - 1])
def test_steps_do_not_depend_on_the_kernel_however_many_integers_are_drawn_anew(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 63 bits modulo 2^62 + 5 nearly a half is drawn anew."""
    steps = random_steps(torch.zeros(1), at(300), 55, others, 0.8)
    assert abs(float((steps == 0).float().mean()) - 0.8) < 0.02
    assert int(steps.max()) <= others
    without_kernel(monkeypatch)
    assert torch.equal(random_steps(torch.zeros(1), at(300), 55, others, 0.8), steps)


def test_more_undecided_steps_than_a_lane_has_words_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With sigma = 4, a tenth of all steps are undecided, and a lane has words for a sixteenth."""
    noise, x = LatticeGaussian(4.0), some_input((3, 32, 32))
    expected = noise.draw(x, at(5))
    assert expected.unique().numel() > 3000
    without_kernel(monkeypatch)
    assert torch.equal(noise.draw(x, at(5)), expected)


@pytest.mark.skipif(kernel.kernel() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("noise", KERNEL_NOISES, ids=str)
def test_a_kernel_with_wrong_values_is_not_used(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the first 256 values is wrong, by one unit of its last place; normal and Laplace values by a hundredth."""
    compiled = kernel.kernel()
    assert compiled is not None
    x = some_input((1, 9, 7))
    with monkeypatch.context() as without:
        without_kernel(without)
        expected = noise.draw(x, at())
    right = compiled.values

    def wrong(kind: str, where: int, *rest: Any) -> None:
        right(kind, where, *rest)
        # The fifth integer, or the ninth float32.
        ctypes.c_int32.from_address(where + 32).value ^= 2**16 if kind in ("normal", "laplace") else 1

    monkeypatch.setattr(compiled, "values", wrong)
    monkeypatch.setattr(compiled, "right", {})
    with pytest.warns(RuntimeWarning, match="HOLDFAST_COMPILER"):
        assert torch.equal(noise.draw(x, at()), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(noise.draw(x, at()), expected)


PROGRAM = """
import json, torch
from holdfast.noises import kernel
from holdfast.noises.draws import Draws
found = kernel.kernel()
print(json.dumps([found is not None, Draws(1, 2, 3, 4).words64(torch.zeros(1), 5).tolist()]))
"""


def printed(cache: Path, **variables: str) -> list[object]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), **variables}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    found: list[object] = json.loads(ended.stdout)
    return found


def test_a_compiler_that_is_missing_fails_or_lies_changes_nothing(tmp_path: Path) -> None:
    expected = Draws(1, 2, 3, 4).words64(torch.zeros(1), 5).tolist()
    assert printed(tmp_path / "empty", HOLDFAST_COMPILER="") == [False, expected]
    assert printed(tmp_path / "absent", HOLDFAST_COMPILER="no-such-compiler") == [False, expected]
    failing, lying = tmp_path / "failing", tmp_path / "lying"
    failing.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    # Writes a file that is no library.
    lying.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho nonsense > "$2"\n')
    for program in (failing, lying):
        program.chmod(0o755)
        assert printed(tmp_path / f"{program.name}-cache", HOLDFAST_COMPILER=str(program)) == [False, expected]


@pytest.mark.skipif(kernel.kernel() is None, reason="no C compiler on this machine")
def test_the_kernel_is_compiled_once_and_only_into_a_folder_of_ones_own(tmp_path: Path) -> None:
    expected = Draws(1, 2, 3, 4).words64(torch.zeros(1), 5).tolist()
    assert printed(tmp_path) == [True, expected]
    (library,) = (tmp_path / "holdfast").iterdir()
    before = library.stat().st_mtime_ns
    assert printed(tmp_path) == [True, expected]
    assert [each.stat().st_mtime_ns for each in (tmp_path / "holdfast").iterdir()] == [before]
    # Anybody could have written a library there.
    (tmp_path / "holdfast").chmod(0o777)
    assert printed(tmp_path) == [False, expected]


# By the first version with this definition, for seed 7, example 3, stream 1: the first and the last value of 70 draws.
RECORDED = {
    "gaussian:sigma=0.5": (-0.5405303835868835, 0.15765342116355896),
    "uniform:half_width=0.5": (0.20300792157649994, 0.5787819027900696),
    "laplace:b=0.3": (0.7918140292167664, 1.252741813659668),
    "lattice-gaussian:sigma=0.25,levels=256": (-0.08235294371843338, 0.25882354378700256),
    "lattice-gaussian:sigma=4.0,levels=256": (-3.486274480819702, -3.8705883026123047),
    "uniform-flip:kappa=0.5,levels=256": (0.14509804546833038, 0.3333333432674408),
    "channel-flip:kappa=0.5,levels=256": (0.14509804546833038, 0.25882354378700256),
    "ablation:k=5,null=multichannel": (0.5490196347236633, 0.6078431606292725),
    "ablation:k=9,null=multichannel": (0.5490196347236633, 0.7764706015586853),
    "partition:k=5,pattern=strided,null=multichannel": (0.14509804546833038, 0.46666663885116577),
    "splitting:half_width=0.5,levels=256,shift=0": (0.43431371450424194, 0.2872548997402191),
}


def test_values_never_change() -> None:
    """Stored runs can be drawn again only as long as noise is what it was."""
    x = some_input((3, 5, 7))
    found = {}
    for noise in NAMED:
        noisy = noise.sample(x, at()).flatten()
        shown = noisy[noisy.nonzero().flatten()]
        found[str(noise)] = (float(shown[0]), float(shown[-1]))
    assert found == {noise: pytest.approx(values, rel=2e-6) for noise, values in RECORDED.items()}
