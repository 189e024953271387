"""Parse the values of options: specs, which name objects of a family (`holdfast.spec`), and numbers."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.attacks import Attack
    from holdfast.bounds import Bound
    from holdfast.data.base import DataSet
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine
    from holdfast.spec import Value
    from holdfast.store.attack_manifest import Budgets
    from holdfast.store.samples import Sample
    from holdfast.training.recipes import Recipe
    from holdfast.verification import sample as replays

_COUNT = re.compile(r"[0-9]{1,12}")


def parse_noise(spec: str) -> Noise:
    """`gaussian:sigma=0.5`, `gaussian:sigma=64/255`, `ablation:k=45`, `ablation:k=45,null=mean`.

    Raises:
        UsageError: not a spec of this form, or not one of the noises.
    """
    from holdfast.noises.base import NOISES

    return NOISES.from_spec(spec)


def parse_recipe(spec: str) -> Recipe:
    """`noise`, `consistency:weight=10`, `smoothadv:epsilon=0.5,steps=4`.

    Raises:
        UsageError: not a spec of this form, or not one of the recipes.
    """
    from holdfast.training.recipes.base import RECIPES

    return RECIPES.from_spec(spec)


def parse_attack(spec: str) -> Attack:
    """`pgd:norm=linf,steps=40`, `pointwise`, `cw-l0`.

    Raises:
        UsageError: not a spec of this form, or not one of the attacks.
    """
    from holdfast.attacks.base import ATTACKS

    return ATTACKS.from_spec(spec)


def parse_bound(spec: str) -> Bound:
    """`convex:epsilon=0.1,norm=linf`, `lipschitz`, `linear:norm=l1`.

    Raises:
        UsageError: not a spec of this form, or not one of the bounds.
    """
    from holdfast.bounds.base import BOUNDS

    return BOUNDS.from_spec(spec)


def parse_budgets(text: str | None, default: str | None = None) -> Budgets:
    """`.25,.5` or `8/255` in input units or pixels, `1x,1.5x` in certified radii; None for `default`, or for none.

    Raises:
        UsageError: something else, both kinds at once, or a budget of 0.
    """
    from holdfast.store.attack_manifest import Budgets

    given = default if text is None else text
    if given is None:
        return Budgets()
    parts = [part.strip() for part in given.split(",")]
    relative = [part.endswith("x") for part in parts]
    try:
        values = sorted({_real(part.removesuffix("x")) for part in parts})
    except ValueError:
        values = []
    if not values or any(relative) != all(relative):
        raise UsageError(
            "budgets are numbers separated by commas, as in .25,.5 or 8/255, or multiples of the certified radius, as "
            f"in 1x,2x; got {given!r}"
        )
    return Budgets(tuple(values), relative[0])


def parse_architecture(spec: str) -> tuple[str, dict[str, Value]]:
    """`resnet20`, `resnet110:shortcut=projection`, as name and arguments.

    Raises:
        UsageError: not a spec of this form, or not one of the architectures.
    """
    from holdfast.models.architectures.base import architecture_from_spec

    return architecture_from_spec(spec)


def open_data_spec(spec: str, split: str, options: Mapping[str, object] | None = None) -> DataSet:
    """`digits`, `mnist:DIR`, `images:DIR,size=64`, or a path alone; notes about its files become warnings.

    Args:
        spec: as it was written.
        split: "train", "test" or "all".
        options: further options of the source.

    Raises:
        UsageError: not a spec of this form, or not one of the sources.
        DataError: the files are missing or corrupt.
    """
    from holdfast.data.source import data_from_spec

    data = data_from_spec(spec, split, options)
    for note in data.notes:
        warnings.warn(note, HoldfastWarning, stacklevel=2)
    return data


def parse_drawn(text: str | None) -> Sample | None:
    """`500`, or `500:7` with the seed 7, as a random sample of the examples; None for none.

    Raises:
        UsageError: something else.
    """
    from holdfast.store.samples import Sample

    return None if text is None else Sample.parse(text)


def parse_radii(text: str) -> list[float]:
    """`0,.25,.5` or `0,64/255` as increasing numbers from 0 on.

    Raises:
        UsageError: something else.
    """
    try:
        radii = sorted({_real(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(f"radii are numbers separated by commas, as in 0,.25,.5 or 8/255; got {text!r}") from None
    if not all(0.0 <= radius < float("inf") for radius in radii):
        raise UsageError(f"radii are finite numbers from 0 on, got {text!r}")
    return radii


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """`.08,1` or `3/4,4/3` as numbers in their order.

    Args:
        option: that they were given by, for the error.
        text: the numbers.

    Raises:
        UsageError: something else.
    """
    try:
        return tuple(_real(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} takes numbers separated by commas, as in 0.08,1 or 3/4,4/3; got {text!r}") from None


def parse_whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """`100,150` as whole numbers in their order; arguments and errors as in `parse_numbers`."""
    counts = [_count(part.strip()) for part in text.split(",")]
    if None in counts:
        raise UsageError(f"{option} takes whole numbers separated by commas, as in 100,150; got {text!r}")
    return tuple(count for count in counts if count is not None)


def parse_share(text: str) -> float:
    """`5%`, `.05` or `1/20` as a share between 0 and 1.

    Raises:
        UsageError: something else.
    """
    number = text.strip().removesuffix("%")
    try:
        share = _real(number) / (100.0 if text.strip().endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 < share < 1.0:
        raise UsageError(f"a share lies between 0 and 1, as in 5% or .05; got {text!r}")
    return share


def parse_replay(text: str) -> replays.Sample:
    """`all`, `10%` or `20`: how many records are computed again.

    Raises:
        UsageError: something else.
    """
    from holdfast.verification.sample import parse_sample

    try:
        return parse_sample(text.strip())
    except ValueError as error:
        raise UsageError(f"how many records are computed again: {error}") from None


def parse_probabilities(text: str) -> tuple[float, ...]:
    """`.6,.9,.99` as numbers in their order, or `beta:8,1` as the quantiles of that distribution.

    Raises:
        UsageError: something else, or a number that is no probability.
    """
    from holdfast.estimators import beta_quantiles

    if text.startswith("beta:"):
        parameters = parse_numbers("beta:", text.removeprefix("beta:"))
        if len(parameters) != 2:
            raise UsageError(f"a beta distribution has two parameters, as in beta:8,1; got {text!r}")
        return beta_quantiles(*parameters)
    found = parse_numbers("a list of probabilities", text)
    if not all(0.0 <= p <= 1.0 for p in found):
        raise UsageError(f"probabilities of the top class are numbers from 0 to 1, got {text!r}")
    return found


def parse_batch_size(text: str) -> int | None:
    """A number of noisy copies, or `auto` (None), which measures.

    Raises:
        UsageError: something else.
    """
    if text == "auto":
        return None
    number = _count(text)
    if not number:
        raise UsageError(f"the batch size is 'auto' or a whole number of noisy copies from 1 on, got {text!r}")
    return number


def parse_engine(spec: str, ray_address: str | None, device: str, batch_size: int | None, threads: int) -> Engine:
    """`local`, `processes:N`, `ray` or `ray:N`, with what each of its workers has.

    Raises:
        UsageError: something else, or an address for another engine than Ray.
        MissingExtraError: Ray is not installed.
    """
    name, colon, number = spec.partition(":")
    if ray_address is not None and name != "ray":
        raise UsageError(f"an address of Ray belongs to the engine ray; the engine is {spec!r}")
    count = _count(number)
    counted = not colon or bool(count)
    if name == "ray" and counted:
        from holdfast.sampling.engines.ray import RayEngine

        return RayEngine(count, device, batch_size, threads, ray_address)
    if name == "processes" and count:
        from holdfast.sampling.engines.processes import ProcessesEngine

        return ProcessesEngine(count, device, batch_size, threads)
    if spec == "local":
        from holdfast.sampling.engines.local import LocalEngine

        return LocalEngine(device, batch_size, threads)
    raise UsageError(f"an engine is local, processes:N (as in processes:4), ray or ray:N; got {spec!r}")


def _count(text: str) -> int | None:
    """A whole number as people write it; None for something else: Python reads other scripts and signs, too."""
    return int(text) if _COUNT.fullmatch(text) else None


def _real(text: str) -> float:
    """`.25` or `64/255`; ValueError for something else."""
    above, slash, below = text.partition("/")
    if slash and float(below) == 0.0:
        raise ValueError("it divides by 0")
    return float(above) / float(below) if slash else float(text)
