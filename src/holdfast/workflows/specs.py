"""Short specs on the command line, `NAME[:PATH][,key=value...]`, and the objects that they name."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.attacks import Attack
    from holdfast.bounds import Bound
    from holdfast.data.base import DataSet
    from holdfast.named import Named
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.attack_manifest import Budgets
    from holdfast.training.recipes import Recipe
    from holdfast.verification.sample import Sample

_COUNT = re.compile(r"[0-9]{1,12}")

Value = int | float | str | tuple[float, ...]


def parse_noise(spec: str) -> Noise:
    """`gaussian:sigma=0.5`, `gaussian:sigma=64/255`, `ablation:k=45`, `ablation:k=45,null=mean`.

    Raises:
        UsageError: not a spec of this form, or not one of the noises.
    """
    from holdfast.noises.base import noise_from_dict

    return noise_from_dict(_description(spec))


def parse_recipe(spec: str) -> Recipe:
    """`noise`, `consistency:weight=10`, `smoothadv:epsilon=0.5,steps=4`.

    Raises:
        UsageError: not a spec of this form, or not one of the recipes.
    """
    from holdfast.training.recipes import find_recipe, recipe_from_dict

    return recipe_from_dict(_description(spec, find_recipe(spec.partition(":")[0])))


def parse_attack(spec: str) -> Attack:
    """`pgd:norm=linf,steps=40`, `pointwise`, `cw-l0`.

    Raises:
        UsageError: not a spec of this form, or not one of the attacks.
    """
    from holdfast.attacks import attack_from_dict

    return attack_from_dict(_description(spec))


def parse_bound(spec: str) -> Bound:
    """`convex:epsilon=0.1,norm=linf`, `lipschitz`, `linear:norm=l1`.

    Raises:
        UsageError: not a spec of this form, or not one of the bounds.
    """
    from holdfast.bounds import bound_from_dict

    return bound_from_dict(_description(spec))


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
        UsageError: not a spec of this form.
    """
    from holdfast.models.architectures.base import argument_annotations
    from holdfast.named import Slashed

    description = _description(spec)
    name = str(description.pop("name"))
    annotations = argument_annotations(name)
    return name, {
        key: value.taken_as(annotations.get(key, "")) if isinstance(value, Slashed) else value
        for key, value in description.items()
    }


def open_data_spec(spec: str, split: str) -> DataSet:
    """`digits`, `mnist:DIR`, `images:DIR,size=64`, `parquet:FILE`; what its files are to be noted for is a warning.

    A path may have commas and equals signs: options are what stands at the end, behind commas, with the name of an
    option of the source. A path that ends so itself gets a slash at its end.

    Raises:
        UsageError: not a spec of this form, or not one of the sources.
        DataError: the files are missing or corrupt.
    """
    from holdfast.data.base import open_data, source_options

    name, colon, rest = spec.partition(":")
    path, written = _path_and_options(rest, name, source_options(name))
    options = _pairs(written, spec)
    data = open_data(name, _place(path) if colon and path else None, split, options)
    for note in data.notes:
        warnings.warn(note, HoldfastWarning, stacklevel=2)
    return data


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


def parse_replay(text: str) -> Sample:
    """`all`, `10%` or `20`: how many records are computed again.

    Raises:
        UsageError: something else.
    """
    from holdfast.verification.sample import parse_sample

    try:
        return parse_sample(text.strip())
    except ValueError as error:
        raise UsageError(f"how many records are computed again: {error}") from None


def parse_batch_size(text: str) -> int | None:
    """A number of noisy copies, or `auto` (None): measured.

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


def _path_and_options(rest: str, source: str, known: Sequence[str]) -> tuple[str, str]:
    """The path in `PATH,key=value,...`, and the options behind it, of which `known` are the names.

    Raises:
        UsageError: what looks like an option is also the end of a path that is there, or is no option and the path is
            not there.
    """
    parts = rest.split(",")
    end = len(parts)
    while end > 1 and _is_option(parts[end - 1], known):
        shorter, whole = ",".join(parts[: end - 1]), ",".join(parts[:end])
        if _is_there(whole):
            if _is_there(shorter):
                raise UsageError(
                    f"both {shorter} and {whole} are there: write {source}:{whole}/ for the second, and for the option "
                    f"{source}:{shorter}/,{parts[end - 1]}"
                )
            break
        end -= 1
    path = ",".join(parts[:end])
    key, equals, value = parts[end - 1].partition("=")
    if end > 1 and equals and key.isidentifier() and "/" not in value and not _is_there(path):
        raise UsageError(
            f"data source {source!r} has no option {key!r}; it takes {', '.join(known) or 'none'}. Nor is there a file "
            f"or folder {path}"
        )
    return path, ",".join(parts[end:])


def _is_option(part: str, known: Sequence[str]) -> bool:
    key, equals, value = part.partition("=")
    return bool(equals) and key in known and "/" not in value


def _is_there(path: str) -> bool:
    try:
        return _place(path).exists()
    except OSError:
        # Too long for a name.
        return False


def _place(path: str) -> Path:
    """A path with the home folder in the place of ~.

    Raises:
        UsageError: there is no user of that name, or a name has a zero byte.
    """
    if "\0" in path:
        raise UsageError(f"a path has no zero byte, got {path!r}")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path!r} begins with the home folder of nobody; write the path out") from None


def _description(spec: str, kind: type[Named] | None = None) -> dict[str, Value]:
    """Name and parameters; those that `kind` declares to be paths stay text, with the commas that they have."""
    name, _, rest = spec.partition(":")
    paths, known = (kind.paths, kind.parameters()) if kind else ((), ())
    parts: list[str] = []
    for part in rest.split(","):
        if parts and parts[-1].partition("=")[0] in paths and part.partition("=")[0] not in known:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    pairs = _paired(parts, spec)
    return {"name": name, **{key: text if key in paths else _value(text) for key, text in pairs.items()}}


def _pairs(text: str, spec: str) -> dict[str, str]:
    return _paired(text.split(","), spec)


def _paired(parts: Sequence[str], spec: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, parts):
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise UsageError(f"cannot read {part!r} in {spec!r}: parameters are written key=value, separated by commas")
        if key in pairs:
            raise UsageError(f"{key!r} is given twice in {spec!r}")
        pairs[key] = value
    return pairs


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if "/" in text:
        from holdfast.named import Slashed

        try:
            return Slashed(float(part) for part in text.split("/"))
        except ValueError:
            return text
    return text


def _real(text: str) -> float:
    """`.25` or `64/255`; ValueError for something else."""
    above, slash, below = text.partition("/")
    if slash and float(below) == 0.0:
        raise ValueError("it divides by 0")
    return float(above) / float(below) if slash else float(text)
