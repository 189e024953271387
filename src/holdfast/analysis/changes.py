"""Adversarials as pictures: the unchanged input, the adversarial and the change, with labels and magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.analysis import formats
from holdfast.folders import lies
from holdfast.noises.base import grey_or_rgb, is_picture
from holdfast.store.attack import ABSTAINS
from holdfast.types import Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.store.attack import AttackRecord, AttackRun
    from holdfast.store.data_manifest import DataManifest

COLUMNS = ("unchanged", "adversarial", "change")
# What a reader of the pictures must know.
LEGEND = (
    "Change: grey where nothing changed, brighter where a value rose, darker where it fell. Each is scaled by itself, "
    "so that its largest change, which stands below it, is white or black."
)


@dataclass(frozen=True)
class Change:
    """An adversarial beside its unchanged input.

    Attributes:
        index: position of the example in its split.
        pictures: each `(height, width, 3)`: unchanged, adversarial, change.
        captions: one for each picture.
    """

    index: int
    pictures: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
    captions: tuple[str, str, str]


def changes(attack: AttackRun, most: int) -> list[Change]:
    """The first adversarials of an attack whose unchanged inputs were kept.

    Args:
        attack: at any stage.
        most: how many.

    Returns:
        Empty if inputs are not pictures (features, or other channels than grey or RGB), if the attack lies
        on no disk, or if it was made by a version of Holdfast that kept no inputs.

    Raises:
        RunError: the file of an input or of an adversarial was changed.
    """
    shape = attack.manifest.data.shape
    if not is_picture(shape) or not lies(attack.folder):
        return []
    found: list[Change] = []
    for record in attack.records:
        if len(found) == most:
            break
        if record.adversarial is None or not record.magnitude:
            continue
        original, adversarial = attack.original(record), attack.adversarial(record)
        if original is not None and adversarial is not None:
            found.append(_change(attack, record, original, adversarial))
    return found


def drawn_change(
    original: NDArray[np.float32], changed: NDArray[np.float32], low: float = 0.0, high: float = 1.0
) -> tuple[NDArray[np.uint8], float]:
    """The change of an input `(1 or 3, height, width)` as a picture `(height, width, 3)`, and the largest one.

    0 is grey; the largest change, up or down, is white or black.

    Args:
        original: the unchanged input.
        changed: the changed one.
        low, high: the range of inputs; the largest change is in these units.
    """
    change = (changed.astype(np.float64) - original) / (high - low)
    largest = float(np.abs(change).max())
    scaled = change / largest if largest else change
    return grey_or_rgb((0.5 + scaled / 2.0).astype(np.float32)), largest * (high - low)


def _change(
    attack: AttackRun, record: AttackRecord, original: NDArray[np.float32], adversarial: NDArray[np.float32]
) -> Change:
    data, norm = attack.manifest.data, Norm(attack.manifest.norm)
    picture, largest = drawn_change(original, adversarial, data.low, data.high)
    size = formats.with_unit(norm, f"{record.magnitude:.4g}")
    per_value = "" if norm is Norm.LINF else f"; largest {largest:.3g}"
    return Change(
        record.index,
        (_shown(original, data), _shown(adversarial, data), picture),
        (_class(record.label, data), _answer(record, data), f"{norm.value}: {size}{per_value}"),
    )


def _shown(x: NDArray[np.float32], data: DataManifest) -> NDArray[np.uint8]:
    return grey_or_rgb((x - np.float32(data.low)) / np.float32(data.high - data.low))


def _class(label: int, data: DataManifest) -> str:
    return f"class {data.class_names[label]}"


def _answer(record: AttackRecord, data: DataManifest) -> str:
    """What the classifier says of the adversarial."""
    if record.kind == ABSTAINS:
        return "abstains"
    return "another class" if record.answer is None else _class(record.answer, data)
