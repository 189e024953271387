"""What an attack found, and where its curve ends, in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.analysis.choices import caution
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.attacks import AttackSummary, Success
    from holdfast.analysis.gaps import Gap
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.attack_manifest import AttackManifest, Budgets


def attack_lines(summary: AttackSummary, manifest: AttackManifest, run: CertifiedRun | None) -> list[str]:
    """What an attack found, in sentences; `run` is the certification that it attacked, if any."""
    norm, noisy = Norm(summary.norm), manifest.noise is not None or summary.refused > 0
    chosen = caution(summary.chosen, "attack")
    lines = [
        *(each for each in (summary.caution, chosen) if each is not None),
        f"Unchanged inputs: {formats.with_interval(summary.right)} are answered right, {summary.silent} get no answer.",
        *_unattacked(summary),
        f"Adversarials that held: {summary.found} ({summary.misclassified} misclassified, "
        f"{formats.counted(summary.abstained, 'abstention')})"
        + (
            f"; {summary.refused} of {formats.counted(summary.claims, 'claim')} refused by fresh noise."
            if noisy
            else "."
        ),
    ]
    lines.append(_median_magnitude(summary, manifest.budgets))
    for each in summary.budgets:
        size = formats.with_unit(norm, formats.threshold(each.success.budget))
        lines.append(
            f"Within {size}: success on {_success(each.success)}; accuracy under attack "
            f"{formats.with_interval(each.accuracy)}; epsilon-robustness score "
            f"{formats.with_interval(each.robustness_score)}."
        )
    lines += [
        f"Within {formats.threshold(each.budget)} x the certified radius: {_success(each)}." for each in summary.factors
    ]
    if run is not None:
        # A certificate is false, or the check errs, where there is noise.
        error = 0.0 if manifest.noise is None else run.alpha + 1.0 - manifest.confidence
        expected = error * summary.certified
        lines.append(
            f"Certificates contradicted: {len(summary.alarms)} of {summary.certified} attacked"
            + (f" (examples {', '.join(map(str, summary.alarms))})" if summary.alarms else "")
            + f"; at most {expected:.2g} are to be expected by chance."
        )
    asked = ", ".join(
        formats.counted(count, name.removesuffix("s")) for name, count in summary.queries.items() if count
    )
    return [
        *lines,
        f"{formats.counted(summary.restarts, 'run')} of the attack; asked of the classifier: {asked or 'nothing'}.",
    ]


def _unattacked(summary: AttackSummary) -> list[str]:
    if not summary.unattacked:
        return []
    reasons = "; ".join(f"{reason}: {count}" for reason, count in summary.unattacked.items())
    return [
        f"Not attacked: {sum(summary.unattacked.values())} of {summary.examples} ({reasons}); of these answered right, "
        f"and so counted as unbroken in what follows: {summary.unattacked_right}."
    ]


def _median_magnitude(summary: AttackSummary, budgets: Budgets) -> str:
    norm = Norm(summary.norm)
    if summary.median_magnitude is None:
        broken = summary.examples - summary.withstood - summary.unattacked_right
        if not budgets.values:
            within = ""
        elif budgets.relative:
            within = f" within {formats.threshold(budgets.values[-1])} x the certified radius"
        else:
            within = f" within {formats.with_unit(norm, formats.threshold(budgets.values[-1]))}"
        untried = f"; not attacked: {summary.unattacked_right}" if summary.unattacked_right else ""
        return (
            f"There is no median attack magnitude: {broken} of {summary.examples} are wrong or were made wrong, fewer "
            f"than half. Attacked without success{within}: {summary.withstood}{untried}."
        )
    size = formats.with_unit(norm, f"{summary.median_magnitude:.4g}")
    if summary.median_untried:
        size = f"at most {size} (counted as larger, but not attacked as far as that: {summary.median_untried})"
    return f"Median attack magnitude ({norm.value}): {size}; an input that is wrong unchanged counts 0."


def _success(success: Success) -> str:
    kinds = f"{success.misclassified} misclassified, {formats.counted(success.abstained, 'abstention')}"
    return f"{formats.with_interval(success.share())} of {success.attacked} attacked ({kinds})"


def upper_curve(gap: Gap) -> str:
    """Where the curve of an attack ends, and how many inputs are in it that were not attacked so far."""
    if gap.tried == 0.0:
        return "The dot is all there is of the upper curve: no input that is answered right was attacked."
    found = []
    if gap.tried < math.inf:
        size = formats.with_unit(gap.norm, f"{gap.tried:.4g}")
        ends = "ends at the dot" if len(gap.dots) == 1 else "has dots at the budgets, and ends at the last one"
        found.append(f"The upper curve {ends}, at {size}: nothing was tried beyond.")
    unattacked = gap.reaches.count(0.0)
    if unattacked:
        found.append(f"Not attacked, and counted as unbroken: {unattacked} of {gap.examples} inputs.")
    less = gap.untried(gap.tried) - unattacked
    if less:
        found.append(f"Attacked less far, within budgets of their own, and counted as unbroken beyond: {less}.")
    return " ".join(found)
