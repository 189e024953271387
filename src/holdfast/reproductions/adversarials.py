"""Galleries of adversarials for the pages of studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.changes import COLUMNS, LEGEND, changes
from holdfast.reproductions.pages import Gallery, Picture, Strip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.store.attack import AttackRun

# Rows of a gallery.
_MOST = 6


def adversarial_gallery(
    file: str, title: str, attacks: Mapping[str, AttackRun], about: str = "", most: int = _MOST
) -> tuple[Gallery, ...]:
    """The first adversarials of some attacks, as many of each: unchanged, adversarial and the change.

    Args:
        file: how the names of the pictures' files begin.
        title: of the gallery.
        attacks: by what the titles of rows call them; an empty name is left out.
        about: a sentence before the legend.
        most: rows of all attacks together.

    Returns:
        One gallery; none if there are no such pictures, as with inputs that are features.
    """
    each = max(1, most // max(1, len(attacks)))
    strips = [
        Strip(
            ", ".join(filter(None, (name, f"test image {change.index}"))),
            tuple(map(Picture.of, change.pictures, change.captions)),
        )
        for name, attack in attacks.items()
        for change in changes(attack, each)
    ]
    if not strips:
        return ()
    return (Gallery(file, title, " ".join(filter(None, (about, LEGEND))), COLUMNS, tuple(strips[:most])),)
