"""Certificate and attack on the same inputs: certified accuracy below, accuracy under attack above, and the gap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.analysis.attacks import attack_magnitude, reach, spelt
from holdfast.analysis.curves import Step, curves
from holdfast.analysis.radii import default_radii
from holdfast.errors import RunError
from holdfast.stats.datasets import Proportion, proportion
from holdfast.store.attack_manifest import norm_of
from holdfast.types import Norm
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.curves import Curve
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.attack import AttackRecord, AttackRun

# The axis covers this share of the adversarials: a few of them can be many times larger than the others.
_SHOWN = 0.9


@dataclass(frozen=True)
class Gap:
    """One attack and the certificates of the same inputs.

    Attributes:
        name: of the attack's folder.
        attack: as on the command line.
        norm: of both.
        examples: attacked inputs.
        certified: certified accuracy over the radius; None without a certification.
        attacked: accuracy under attack over the radius, an upper bound on what could be certified.
        budgets: shared by all inputs, whole in L0; empty without budgets, or if each input has its own.
        reaches: for each correct input that was not broken, how far it was attacked: infinity without budgets, 0 if it
            was not attacked.
        tried: the largest budget of a correct input, where accuracy under attack ends; infinity without budgets, 0 if
            no such input was attacked.
        end: of the axis.
    """

    name: str
    attack: str
    norm: Norm
    examples: int
    certified: Curve | None
    attacked: tuple[Step, ...]
    budgets: tuple[float, ...]
    reaches: tuple[float, ...]
    tried: float
    end: float

    @property
    def dots(self) -> list[float]:
        """The radii marked on the curve of the attack: the shared budgets, and its end."""
        return sorted(radius for radius in {*self.budgets, self.tried} if radius <= self.tried < math.inf)

    def untried(self, radius: float) -> int:
        """How many inputs count as unbroken within a radius but were not attacked that far."""
        return sum(far < radius for far in self.reaches)

    def rows(self) -> list[tuple[float, Proportion | None, Proportion | None, int]]:
        """Some radii, each with certified accuracy, accuracy under attack (None beyond all budgets) and `untried`."""
        radii = sorted({*default_radii(self.norm, self.end), *self.budgets})
        steps = None if self.certified is None else self.certified.steps
        return [
            (
                radius,
                None if steps is None else at(steps, radius, reached=True),
                at(self.attacked, radius, reached=False) if radius <= self.tried else None,
                self.untried(radius),
            )
            for radius in radii
        ]


def gap(attack: AttackRun, run: CertifiedRun | None) -> Gap:
    """The curves of an attack and of the run that it attacked.

    Args:
        attack: with at least one record.
        run: the certification; None for an attack on a model without certificates.

    Raises:
        RunError: the attack has no records, or attacked another run.
    """
    if not attack.records:
        raise RunError(f"{attack.folder} has no records yet: `holdfast attack` with the same settings adds them")
    norm = norm_of(attack.manifest)
    certified = None if run is None else curves([same_inputs(attack, run)])[0]
    steps = attack_steps(attack.records, norm)
    budgets = attack.manifest.budgets
    right = [record for record in attack.records if record.reference == record.label]
    tried = max((_whole(norm, reach(record, budgets)) for record in right), default=0.0)
    finite = sorted(step.start for step in steps)
    furthest = tried if tried < math.inf else finite[math.ceil(_SHOWN * len(finite)) - 1]
    return Gap(
        name=visible(attack.folder.name),
        attack=spelt(attack.manifest.attack),
        norm=norm,
        examples=len(attack.records),
        certified=certified,
        attacked=steps,
        budgets=() if budgets.relative else tuple(_whole(norm, value) for value in budgets.values),
        reaches=tuple(reach(record, budgets) for record in right if record.magnitude is None),
        tried=tried,
        end=max(furthest, certified.end if certified else 0.0) or 1.0,
    )


def _whole(norm: Norm, budget: float) -> float:
    return float(math.floor(budget)) if norm.whole and budget < math.inf else budget


def same_inputs(attack: AttackRun, run: CertifiedRun) -> CertifiedRun:
    """The run, reduced to the inputs that were attacked.

    Raises:
        RunError: the attack was made on another run, or on inputs that the run does not have.
    """
    if attack.manifest.certification != run.manifest.digest:
        raise RunError(
            f"{attack.folder} did not attack the certificates of {run.folder}: it names the manifest "
            f"{attack.manifest.certification}, but the run's is {run.manifest.digest}; name the run that it attacked"
        )
    indices = {record.index for record in attack.records}
    found = run.among(indices)
    missing = len(indices) - len(found.results)
    if missing:
        raise RunError(f"{run.folder} has no records of {missing} inputs that {attack.folder} attacked")
    return found


def attack_steps(records: Sequence[AttackRecord], norm: Norm) -> tuple[Step, ...]:
    """Accuracy under attack as a step function: at each radius, the share for which nothing was found within it."""
    magnitudes = sorted(map(attack_magnitude, records))

    @lru_cache
    def share(left: int) -> Proportion:
        return proportion(left, len(magnitudes))

    found = [value for value in magnitudes if value < math.inf]
    starts = sorted({0.0, *found})
    if norm.whole:
        starts = [float(whole) for whole in range(int(starts[-1]) + 1)]
    return tuple(Step(start, start, share(sum(value > start for value in magnitudes))) for start in starts)


def at(steps: Sequence[Step], radius: float, *, reached: bool) -> Proportion:
    """The accuracy at a radius.

    Args:
        steps: in order.
        radius: from 0 on.
        reached: True if a step holds up to and including its end, as for certified radii; False if it holds from its
            start on, as for adversarials.
    """
    if reached:
        return next((step.accuracy for step in steps if step.radius >= radius), steps[-1].accuracy)
    return [step for step in steps if step.start <= radius][-1].accuracy
