"""An attack on the disk as an object: its numbers, its adversarials, its alarms."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis.attacks import summarize_attack
from holdfast.analysis.shown import html_lines
from holdfast.analysis.wording.attacks import attack_lines
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.analysis.attack_comparison import AttackComparison
    from holdfast.analysis.attacks import AttackSummary
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.folders import Where
    from holdfast.store.attack import AttackRecord, AttackRun


@final
@dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """What an attack found: what `attack` and `load_run` return. Its figures bound robustness from above.

    `print(result)` tells it in sentences, as `holdfast attack` does.

    Attributes:
        run: the attack as it lies on the disk.
        certification: the run whose certificates were attacked, where it is known here; None otherwise.
        owner: what removes its temporary folder when it is gone; None for a folder that stays.
    """

    run: AttackRun
    certification: CertifiedRun | None = None
    owner: object | None = None

    @property
    def folder(self) -> Where:
        """Where it lies."""
        return self.run.folder

    @property
    def name(self) -> str:
        """Of its folder."""
        return visible(self.folder.name)

    @property
    def records(self) -> tuple[AttackRecord, ...]:
        """One for each example that was attacked, in the order of the indices."""
        return self.run.records

    @property
    def alarms(self) -> tuple[int, ...]:
        """Indices of the examples whose certificate is contradicted."""
        return self.run.alarms

    @cached_property
    def summary(self) -> AttackSummary:
        """The attack in numbers.

        Raises:
            RunError: it has no records.
        """
        return summarize_attack(self.run)

    @cached_property
    def adversarials(self) -> dict[int, NDArray[np.float32]]:
        """The adversarial of each example that has one: index -> `(*event)`, float32 in input units.

        Raises:
            RunError: a file is missing, or was changed after it was written.
        """
        found = ((record.index, self.run.adversarial(record)) for record in self.run.records)
        return {index: values for index, values in found if values is not None}

    def to_dict(self) -> dict[str, Any]:
        """The numbers as `holdfast attack --json` prints them.

        Raises:
            RunError: there are no records.
        """
        return asdict(self.summary)

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row for each record.

        Its columns: `index`, `label`, `reference` (the class that the attack leads away from), `radius` (certified for
        it), `magnitude` (distance of the smallest adversarial that held), `kind` ("misclassified" or "abstains"),
        `answer` (the class there) and `alarm`. What there is not is missing.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        from holdfast.analysis.frames import frame_of_attack

        return frame_of_attack(self)

    def compare(self, *others: AttackResult, epsilon: float | Iterable[float] | None = None) -> AttackComparison:
        """Which of several attacks is stronger, pair by pair, as `holdfast table` shows it of their folders.

        Args:
            others: attacks on the same inputs of the same classifier.
            epsilon: a budget or several, in the norm of the attacks, within which success is compared; without it all
                that the attacks with budgets have in common. Attacks without budgets are compared by size, too.

        Raises:
            UsageError: no other attack, one given twice, or an epsilon that is no finite number above 0.
            RunError: they are on different classifiers, images or classes, in different norms, or their budgets do not
                allow the comparison.
        """
        from holdfast.analysis.attack_comparison import compare_attacks

        epsilons = [epsilon] if isinstance(epsilon, int | float) else epsilon
        return compare_attacks([self.run, *(other.run for other in others)], epsilons)

    def save(self, folder: str | Path) -> AttackResult:
        """Copy the attack into a folder that stays, which is not there yet or is empty, and return it.

        Raises:
            StorageError: something is there already, or the disk refuses.
        """
        from holdfast.store.attack import read_attack
        from holdfast.store.copies import copy_folder

        return AttackResult(read_attack(copy_folder(self.folder, folder)), self.certification)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        found = f"{len(self.records):,} examples" if not self.run.missing else f"{len(self.records):,} so far"
        alarms = f", {len(self.alarms)} ALARMS" if self.alarms else ""
        kept = "" if self.owner is None else "; a temporary folder, which goes with this object: save(FOLDER) keeps it"
        attack = visible(self.run.manifest.attack["name"])
        return f"<AttackResult '{visible(self.folder)}': {attack}, {found}{alarms}{kept}>"

    def _repr_html_(self) -> str:
        return html_lines([repr(self), *(self._lines() if self.records else [])])

    def _lines(self) -> list[str]:
        first = f"{self.summary.attack} on {self.summary.subset}"
        return [first, *attack_lines(self.summary, self.run.manifest, self.certification)]
