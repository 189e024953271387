"""Which of the dictionaries in a checkpoint hold weights: they lie beside epochs and optimizers, and may be several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from holdfast.errors import BundleError
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Where weights lie as they were trained, the likeliest first.
_USUAL = ("state_dict", "model_state_dict", "model_state", "net", "model", "module", "network", "weights", "params")
# Beginnings of words in the names of what was averaged over training.
_AVERAGED = ("ema", "swa", "averag", "teacher", "momentum")
# Beginnings of the names of what holds tensors and is no network.
_APART = ("optim", "sched", "lr_", "scaler", "rng", "amp", "hyper")
_DEEPEST = 4
_NAMED = 6

Weights = dict[str, Tensor]


def weights_within(loaded: Any) -> dict[str, Weights]:
    """All dictionaries of tensors by name in a checkpoint, by their place, as in `model.state_dict`.

    Args:
        loaded: what was in the file.

    Returns:
        The whole file itself as the place "".
    """
    return dict(_found(loaded, (), set()))


def chosen(sets: Mapping[str, Weights], name: str | None, origin: str) -> tuple[str, Weights]:
    """The weights that are wanted: those as they were trained, where nothing is said.

    Args:
        sets: the weights of a file by their places; at least one.
        name: a place, or the beginning of names, or both joined by a dot; None for the likeliest.
        origin: the file, for messages.

    Returns:
        The place and its weights; without the beginning of names that was asked for.

    Raises:
        BundleError: there is no such place or beginning, or several are as likely.
    """
    if name is not None:
        return name, _named(sets, name, origin)
    ranks = {place: _rank(place) for place in sets}
    best = min(ranks.values())
    likeliest = [place for place, rank in ranks.items() if rank == best]
    if len(likeliest) > 1:
        raise BundleError(f"{origin} holds several sets of weights: {counted(sets)}. Choose one of them as the weights")
    return likeliest[0], sets[likeliest[0]]


def counted(sets: Mapping[str, Weights]) -> str:
    """The places of a file with the number of their tensors, in words."""
    return ", ".join(f"{place or 'the file itself'} ({len(weights)} tensors)" for place, weights in sets.items())


def described(loaded: Any) -> str:
    """What a file holds where there are no weights in it: its type and the names in it, those of dictionaries too."""
    if not isinstance(loaded, dict):
        return f"a {type(loaded).__name__} with no names"
    parts = [
        f"{name} ({some(list(part), most=_NAMED)})"
        if isinstance(part, dict) and part and not str(name).lower().startswith(_APART)
        else str(name)
        for name, part in list(loaded.items())[:_NAMED]
    ]
    return f"a {type(loaded).__name__} with {some(parts, len(loaded), _NAMED) or 'nothing in it'}"


def _named(sets: Mapping[str, Weights], name: str, origin: str) -> Weights:
    if name in sets:
        return sets[name]
    default = min(sets, key=_rank)
    for place in (each for each in sets if each and name.startswith(f"{each}.")):
        part = _beginning_with(name.removeprefix(f"{place}."), sets[place])
        if part:
            return part
    part = _beginning_with(name, sets[default])
    if part:
        return part
    beginnings = sorted({name.partition(".")[0] for name in sets[default]})
    raise BundleError(
        f"{origin} has no weights under {name!r}, and none whose names begin so. It holds {counted(sets)}; the names "
        f"in {default or 'it'} begin with {some(beginnings, most=_NAMED)}"
    )


def _beginning_with(beginning: str, weights: Weights) -> Weights:
    start = f"{beginning.removesuffix('.')}."
    return {name.removeprefix(start): tensor for name, tensor in weights.items() if name.startswith(start)}


def _rank(place: str) -> tuple[bool, int]:
    """What is taken first: as it was trained, under a usual name."""
    parts = place.lower().split(".")
    words = [word for part in parts for word in part.split("_")]
    averaged = any(word.startswith(_AVERAGED) for word in words)
    usual = [_USUAL.index(part) for part in parts if part in _USUAL]
    return averaged, min(usual, default=len(_USUAL))


def _found(part: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Weights]]:
    if not isinstance(part, dict) or not part or id(part) in seen or not all(isinstance(name, str) for name in part):
        return
    # One dictionary may stand in any number of places; it counts for the first of them.
    seen.add(id(part))
    if all(isinstance(value, Tensor) for value in part.values()):
        yield ".".join(path), dict(part)
    elif len(path) < _DEEPEST:
        for name, value in part.items():
            if not name.lower().startswith(_APART):
                yield from _found(value, (*path, name), seen)
