"""What whoever made a run or an attack could have chosen for its result: no file shows that it was not so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.store.seeds import CHOSEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.manifest import Manifest

SEED, SUBSET = "seed", "subset"
_BEST = "the best of many looks better than it is"


def chosen_in(manifest: Manifest, *, certain: bool = False) -> tuple[str, ...]:
    """What was chosen: the seed, if it was named and anything is random; the subset, if it is not the whole split.

    Args:
        manifest: of the run or the attack.
        certain: whether nothing is random, whatever the seed.
    """
    found = [SEED] if manifest.seed_origin == CHOSEN and not certain else []
    return (*found, SUBSET) if len(manifest.data.indices()) < manifest.data.size else tuple(found)


def caution(chosen: Sequence[str], what: str = "run") -> str | None:
    """A sentence about what was chosen in a run, or an attack; None for nothing."""
    if not chosen:
        return None
    named = f"The {chosen[0]} was" if len(chosen) == 1 else f"{' and '.join(chosen).capitalize()} were"
    return f"{named} chosen by whoever made the {what}: {_BEST}."


def cautions(named: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """A sentence about several runs, by name: one for all where the same was chosen in each."""
    different = {tuple(chosen) for _, chosen in named}
    if len(different) == 1:
        sentence = caution(different.pop())
        return [] if sentence is None else [sentence]
    each = "; ".join(f"{' and '.join(chosen)} of {name}" for name, chosen in named if chosen)
    return [f"Chosen by whoever made the runs: {each}; {_BEST}."]
