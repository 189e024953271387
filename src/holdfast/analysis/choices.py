"""What the author of a run or an attack could have picked for its result: no file can rule that out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.store.seeds import CHOSEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.manifest import Manifest

SEED, SUBSET = "seed", "subset"
_BEST = "the best of many looks better than it is"


def chosen_in(manifest: Manifest, *, certain: bool = False) -> tuple[str, ...]:
    """What could have been picked: the seed, if given and anything is random; the subset, if not the whole split.

    Args:
        manifest: of the run or the attack.
        certain: whether the result does not depend on the seed.
    """
    chosen = [SEED] if manifest.seed_origin == CHOSEN and not certain else []
    return (*chosen, SUBSET) if len(manifest.data.indices()) < manifest.data.size else tuple(chosen)


def caution(chosen: Sequence[str], what: str = "run") -> str | None:
    """A warning about what was chosen in a run or an attack; None if nothing was."""
    if not chosen:
        return None
    named = f"The {chosen[0]} was" if len(chosen) == 1 else f"{' and '.join(chosen).capitalize()} were"
    return f"{named} chosen by whoever made the {what}: {_BEST}."


def cautions(named: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """The warning for several runs: one for all if the same was chosen in each, else naming the runs."""
    different = {tuple(chosen) for _, chosen in named}
    if len(different) == 1:
        sentence = caution(different.pop())
        return [] if sentence is None else [sentence]
    each = "; ".join(f"{' and '.join(chosen)} of {name}" for name, chosen in named if chosen)
    return [f"Chosen by whoever made the runs: {each}; {_BEST}."]
