"""Sentences about what an attack found and where its curve ends."""

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
    """The sentences about an attack; `run` is the certification that it attacked, if any."""
    norm, noisy = Norm(summary.norm), manifest.noise is not None or summary.refused > 0
    chosen = caution(summary.chosen, "attack")
    lines = [
        *(each for each in (summary.caution, chosen) if each is not None),
        f"Unchanged inputs: {formats.with_interval(summary.right)} are answered correctly, {summary.silent} get no "
        "answer.",
        *_unattacked(summary),
        f"Confirmed adversarials: {summary.found} ({summary.misclassified} misclassified, "
        f"{formats.counted(summary.abstained, 'abstention')})"
        + (f"; fresh noise refuted {summary.refused} of {formats.counted(summary.claims, 'claim')}." if noisy else "."),
    ]
    lines += [_median_magnitude(summary, manifest.budgets), *_mean_magnitude(summary)]
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
        # With noise, either the certificate may be false or the check may err.
        error = 0.0 if manifest.noise is None else run.alpha + 1.0 - manifest.confidence
        expected = error * summary.certified
        lines.append(
            f"Certificates contradicted: {len(summary.alarms)} of {summary.certified} attacked"
            + (f" (examples {', '.join(map(str, summary.alarms))})" if summary.alarms else "")
            + f"; at most {expected:.2g} are expected by chance."
        )
    queries = ", ".join(
        formats.counted(count, name.removesuffix("s")) for name, count in summary.queries.items() if count
    )
    return [
        *lines,
        f"{formats.counted(summary.restarts, 'run')} of the attack; queries to the classifier: {queries or 'none'}.",
    ]


def _unattacked(summary: AttackSummary) -> list[str]:
    if not summary.unattacked:
        return []
    reasons = "; ".join(f"{reason}: {count}" for reason, count in summary.unattacked.items())
    return [
        f"Not attacked: {sum(summary.unattacked.values())} of {summary.examples} ({reasons}); of these, "
        f"{summary.unattacked_right} are answered correctly and count as unbroken below."
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
        size = f"at most {size} (counted as larger, but not attacked that far: {summary.median_untried})"
    return f"Median attack magnitude ({norm.value}): {size}; inputs that are wrong unchanged count 0."


def _mean_magnitude(summary: AttackSummary) -> list[str]:
    """The mean beside the median; nothing to say where nothing was broken."""
    found, norm = summary.mean_magnitude, Norm(summary.norm)
    if found is None:
        return []
    size = formats.with_unit(norm, f"{found.value:.4g}")
    if found.lower is not None and found.upper is not None:
        size += f" (95% t interval {found.lower:.4g} to {found.upper:.4g})"
    left = summary.mean_left_out
    out = f"; left out, since nothing was found for them: {left}, so that the mean of all is larger" if left else ""
    return [
        f"Mean attack magnitude ({norm.value}) of the inputs that were right unchanged and were broken: {size}{out}."
    ]


def _success(success: Success) -> str:
    kinds = f"{success.misclassified} misclassified, {formats.counted(success.abstained, 'abstention')}"
    return f"{formats.with_interval(success.share())} of {success.attacked} attacked ({kinds})"


def upper_curve(gap: Gap) -> str:
    """Where the curve of an attack ends, and how many of its inputs were not attacked that far."""
    if gap.tried == 0.0:
        return "The upper curve is only the dot: no input that is answered correctly was attacked."
    sentences = []
    if gap.tried < math.inf:
        size = formats.with_unit(gap.norm, f"{gap.tried:.4g}")
        ends = "ends at the dot" if len(gap.dots) == 1 else "has dots at the budgets and ends at the last one"
        sentences.append(f"The upper curve {ends}, at {size}: no larger change was tried.")
    unattacked = gap.reaches.count(0.0)
    if unattacked:
        sentences.append(f"Not attacked, and counted as unbroken: {unattacked} of {gap.examples} inputs.")
    less = gap.untried(gap.tried) - unattacked
    if less:
        sentences.append(f"Attacked only within smaller budgets of their own, and counted as unbroken beyond: {less}.")
    return " ".join(sentences)
