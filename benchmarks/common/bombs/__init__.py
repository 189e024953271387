"""Small files and short command lines that ask for more than any machine has, and how to make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common.bombs.attacks import ATTACKS
from common.bombs.bundles import BUNDLES, bundle
from common.bombs.data import FILES, plan
from common.bombs.numbers import NUMBERS
from common.bombs.pictures import PICTURES, honest_pictures
from common.bombs.runs import INFO, REPORT, RUNS, TABLE, VERIFY, gallery, run, sparse_records
from common.bombs.weights import WEIGHTS, honest_weights


@dataclass(frozen=True)
class Bomb:
    """One attempt.

    Attributes:
        name: for tables.
        make: writes its files into an empty folder and returns the arguments of `holdfast`; the last one that is a path
            within the folder is the untrusted file.
        base: the name of a similar honest command of `BASES`; the cost of the bomb is what it takes beyond that.
    """

    name: str
    make: Callable[[Path], list[str]]
    base: str


# Honest commands, for comparison.
BASES: dict[str, Callable[[Path], list[str]]] = {
    "certify": bundle,
    "import-weights": honest_weights,
    "table": partial(run, command=TABLE),
    "verify": partial(run, command=VERIFY),
    "info": partial(run, command=INFO),
    "report": partial(run, command=REPORT),
    "plan": lambda folder: plan("digits"),
    "predict": honest_pictures,
}


def _named(bombs: Sequence[tuple[str, Callable[[Path], list[str]]]], base: str) -> list[Bomb]:
    return [Bomb(name, make, base) for name, make in bombs]


def _by_command(bombs: Sequence[tuple[str, Callable[[Path], list[str]]]]) -> list[Bomb]:
    return [Bomb(name, make, name.rpartition("; ")[2]) for name, make in bombs]


BOMBS: dict[str, list[Bomb]] = {
    "Bundles": _named(BUNDLES, "certify"),
    "Weights of others": _named(WEIGHTS, "import-weights"),
    "Runs": [
        *_by_command(RUNS),
        Bomb("a terabyte of records that the disk does not hold; table", sparse_records, "table"),
        Bomb("a gallery that claims 10^12 bytes; report", partial(gallery, shape="(1, 5, 10000000, 10000, 3)", zeros=75), "report"),
        Bomb("a gallery that inflates to 600 MB; report", partial(gallery, shape="(1, 5, 40000000, 1, 3)", zeros=600_000_000), "report"),
        Bomb("a gallery of objects; report", partial(gallery, shape="(1,), 'x': (1,)", zeros=75), "report"),
    ],
    "Attacks": _by_command(ATTACKS),
    "Data": _named(FILES, "plan"),
    "Pictures": _named(PICTURES, "predict"),
    "Numbers": [Bomb(name, make, "plan" if name.startswith("plan") else "certify") for name, make in NUMBERS],
}  # fmt: skip
