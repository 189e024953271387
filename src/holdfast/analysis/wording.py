"""What a run's numbers mean, in sentences for a reader who must show them to an auditor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import choices, formats
from holdfast.analysis import proved as deterministic
from holdfast.analysis.accuracy import assumption_of, noise_of, outcomes, subset_of, theorem_of
from holdfast.analysis.choices import SEED, SUBSET
from holdfast.analysis.claims import reach_known
from holdfast.stats.datasets import robust_share_cohen, robust_share_exact
from holdfast.stats.rounding import show_down
from holdfast.store.run_manifest import BOUND, IMPORTED, estimator_of
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.accuracy import Summary
    from holdfast.stats.datasets import Proportion
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import Run
    from holdfast.store.run_manifest import RunManifest


# Failure probability of statements about the very examples of a run.
_RHO = 0.001


_NOT_NOTED = "Holdfast draws a fresh one by default; if this one was given by hand, say who knew it."
_ORIGINS = {
    CHOSEN: "This one was given by hand: say who knew it.",
    ENTROPY: "This one was drawn afresh, as whoever made the run says.",
    DERIVED: "This one was not known before the auditor's nonce, when data and subset were promised already.",
}
_SEED_REMEDY = "a seed that is derived from an auditor's nonce cannot be chosen"
_SUBSET_REMEDY = "a subset that a reader names, or all of the split, was not chosen for its result"
_REMEDIES = {
    (SEED,): f"Nothing here shows that it was the only one; {_SEED_REMEDY}.",
    (SUBSET,): f"Nothing here shows that it was the only one; {_SUBSET_REMEDY}.",
    (SEED, SUBSET): f"Nothing here shows that they were the only ones; {_SEED_REMEDY}, and {_SUBSET_REMEDY}.",
}


def headline(run: Run, summary: Summary) -> str:
    """The main result in one sentence: at the largest radius that still holds for most examples."""
    radius, share = _telling(summary)
    source = "Another tool claims: of " if run.manifest.kind == IMPORTED else "Of "
    confidence = formats.percent(summary.confidence, 0)
    answered = "answered correctly while unchanged" if radius == 0.0 else "certified correct against"
    kept = "" if summary.condition is None else f", as long as {summary.condition}"
    against = "" if radius == 0.0 else f" {_every_change(Norm(summary.norm), radius)}{kept}"
    return (
        f"{source}{summary.subset}, {formats.percent(share.value)}% [{confidence}% interval: "
        f"{' to '.join(formats.ends(share))}] are {answered}{against}."
    )


def second_line(summary: Summary) -> str:
    """Accuracy without an adversary, and abstentions."""
    return (
        f"Unchanged inputs: {formats.with_interval(summary.accuracy)} are answered correctly, and "
        f"{formats.with_interval(summary.abstention_rate)} get no answer (abstention). "
        f"{_median(summary)}"
    )


def adversary(norm: Norm, data: DataManifest | None) -> str:
    """What an adversary may do in this norm, and how far a radius reaches."""
    if norm is Norm.L0:
        return (
            "The adversary may change some pixels of the input, to any values whatever; the radius is the number of "
            "changed pixels. All colour channels of a pixel count as one; for tabular data, a pixel is a feature."
        )
    span = "" if data is None else f", in which every value lies between {data.low:g} and {data.high:g}"
    return (
        f"The adversary may change every value of the input a little; the radius is the {norm.value} length of the "
        f"change as a whole, in input units{span}."
    )


def limits(manifest: RunManifest, attainable: float | None) -> str:
    """What n and alpha allow at best."""
    if manifest.kind == BOUND:
        return deterministic.limits(manifest)
    estimator, norm = estimator_of(manifest), theorem_of(manifest).norm
    if not reach_known(manifest, norm):
        return (
            "What n and alpha allow at most depends on the number of pixels of an input, which the log does not tell. "
            "`holdfast import-log --data-name` takes it from the name of a published data set."
        )
    if estimator.exhaustive and attainable is not None:
        best = formats.with_unit(norm, formats.radius(norm, attainable))
        return f"{best} is the largest radius that all {estimator.most_draws:,} votes together can certify."
    setting = f"With n = {estimator.most_draws:,} samples and alpha = {estimator.alpha:g}"
    if attainable is None:
        return f"{setting}, nothing can be certified even if every vote agrees: n is too small for this alpha."
    best = formats.with_unit(norm, formats.radius(norm, attainable))
    return f"{setting}, {best} is the largest radius that {noise_of(manifest)} can certify, even if every vote agrees."


def speed(run: Run) -> str | None:
    """How long it took, from the session log or the imported seconds; None where nobody measured it."""
    if run.manifest.kind == BOUND:
        seconds, examples = sum(each.seconds for each in run.sessions), sum(each.examples for each in run.sessions)
        return f"{examples:,} examples in {_duration(seconds)}." if seconds > 0 else None
    if run.sessions:
        samples, seconds = sum(each.samples for each in run.sessions), sum(each.seconds for each in run.sessions)
        examples = sum(each.examples for each in run.sessions)
        if seconds > 0 and examples > 0:
            times = "one session" if len(run.sessions) == 1 else f"{len(run.sessions)} sessions"
            return (
                f"{samples:,} noisy samples for {examples:,} examples in {_duration(seconds)} ({times}): "
                f"{_short(samples / seconds)} samples a second, {_short(seconds / examples)} seconds an example."
            )
    claimed = [result.seconds for result in outcomes(run) if result.seconds is not None]
    if claimed:
        return f"{_short(sum(claimed) / len(claimed))} seconds an example on average, as the imported log says."
    return None


def spent(summary: Summary) -> str:
    """What early stopping saved; empty where every input took all its samples."""
    if summary.mean_draws is None or summary.mean_draws == summary.n:
        return ""
    return (
        f"Sampling stopped as soon as the questions were decided: {_short(summary.mean_draws)} of at most "
        f"{summary.n:,} estimation samples on average, {_short(summary.n / summary.mean_draws)} times fewer."
    )


def warnings(run: Run) -> list[str]:
    """What a reader must know before using the numbers."""
    found = []
    asked = run.manifest.estimator.get("radii") or run.manifest.estimator.get("radius")
    precision = run.manifest.estimator.get("precision")
    if precision is not None:
        found.append(
            f"Sampling stopped once each input's radius was within {formats.percent(precision, 1)}% of the largest "
            "that all samples could be expected to give: average and median radius are valid, and up to that smaller."
        )
    if asked:
        radii = ", ".join(map(formats.threshold, asked if isinstance(asked, list | tuple) else [asked]))
        found.append(
            f"Sampling stopped once each input was decided at radius {radii}. Certified accuracy is meant to be read "
            "at these radii; at others, and in the average and median radius, it is valid but smaller than it could "
            "be. An input that was given up at a radius is undecided there: that says nothing against it."
        )
    data, have = run.manifest.data, len(run.records)
    if run.manifest.kind == IMPORTED:
        found.append(
            "These radii are claims of another tool. Its log holds no vote counts, so Holdfast could not recompute or "
            "check a single radius; only the accuracies and intervals below are computed here, from the claims."
        )
    if run.missing > 0:
        found.append(
            f"This run is not finished: {have} so far of {have + run.missing} examples. The numbers are about these "
            f"{have} alone; if they were taken in order, they need not be like the rest."
        )
    caution = subset_of(run).caution
    if caution is not None:
        found.append(caution)
    chosen = choices.chosen_in(run.manifest)
    if chosen:
        found.append(f"{choices.caution(chosen)} {_REMEDIES[chosen]}")
    if data.split == "train":
        found.append("These are training examples: the numbers say little about inputs that the classifier never saw.")
    return found


def proved(run: Run, summary: Summary) -> list[str]:
    """What follows from the numbers, and with which probability."""
    if run.manifest.kind == BOUND:
        return deterministic.proved(run, summary)
    alpha, norm = summary.alpha, Norm(summary.norm)
    false = _short(alpha * summary.examples)
    how = (
        "as the other tool's log claims; Holdfast has no votes to check it by"
        if run.manifest.kind == IMPORTED
        else "and every radius in this report was computed anew from the stored vote counts"
    )
    condition = (
        ["All of this holds only if the other tool kept to the procedure, the n and the alpha that its log names."]
        if run.manifest.kind == IMPORTED
        else []
    )
    return [
        *condition,
        f"For each single input that is certified: whatever the adversary does within the certified radius "
        f"({norm.value}, {norm.unit}), the smoothed classifier's answer stays the certified class. This rests on "
        f"{summary.guarantee}, {how}.",
        "Every realization of the noise was taken once, so nothing was estimated: no certificate is false (alpha = 0)."
        if alpha == 0.0
        else f"Each certificate is false with probability at most alpha = {alpha:g}, over the random noise. Among "
        f"{summary.examples} examples that is {false} false ones at most, on average.",
        *_together(run),
        *_on_these(summary),
        _intervals(summary),
        f"{_answers(alpha)} An abstention is never counted as correct, and radii are shown rounded down.",
    ]


def _intervals(summary: Summary) -> str:
    """What both ends of an interval bound: a share of the examples themselves where they are no sample."""
    about = "all such inputs" if summary.sampled else f"these {summary.examples} examples"
    certifies = "this procedure certifies" if summary.sampled else "this procedure certifies on average"
    return (
        f"Each interval holds with {formats.percent(summary.confidence, 0)}% probability, for one radius at a time, "
        f"and covers {summary.covers}. The lower end bounds the share of {about} on which the smoothed classifier "
        f"truly is right and robust, the upper end the share that {certifies}."
    )


def _answers(alpha: float) -> str:
    if alpha == 0.0:
        return "Accuracy on unchanged inputs counts the smoothed classifier's own answers."
    return (
        "Accuracy on unchanged inputs counts answers of the procedure Predict on the estimation votes, each of which "
        f"is another than the smoothed classifier's with probability at most {alpha:g}."
    )


def _together(run: Run) -> list[str]:
    alpha = run.manifest.joint_alpha
    if alpha is None:
        return []
    return [
        f"All certificates of this run hold together with probability at least 1 - {alpha:g}, whatever the dependence "
        f"between them: alpha for each is {alpha:g} divided by the {len(run.manifest.data.indices())} examples."
    ]


def _on_these(summary: Summary) -> list[str]:
    """Both bounds on how many of the very examples are robust, at the headline's radius; none if it is certain."""
    if summary.alpha == 0.0:
        return []
    radius, share = _telling(summary)
    certified = round(share.value * summary.examples)
    exact, formula = (
        100.0 * bound(certified, summary.examples, summary.alpha, _RHO)
        for bound in (robust_share_exact, robust_share_cohen)
    )
    at = "while unchanged" if radius == 0.0 else f"up to {formats.threshold(radius)}"
    return [
        f"On these {summary.examples} examples themselves, with probability {100 * (1 - _RHO):g}% over the noise: the "
        f"smoothed classifier is right and robust {at} on at least {show_down(exact, 1)}% by the exact binomial "
        f"quantile of false certificates, and on at least {show_down(formula, 1)}% by the formula of Cohen et al. "
        "2019, Appendix D."
    ]


def not_proved(run: Run) -> list[str]:
    """What is assumed, and what no number here says."""
    if run.manifest.kind == BOUND:
        return deterministic.not_proved(run)
    found = [
        "The guarantee is for the smoothed classifier: the one that adds this noise and takes the vote. The base "
        "classifier alone has no guarantee. In use, the noise must be added in the same input space.",
        "A larger change than the certified radius, or a change measured in another norm, is not covered. That an "
        "input is not certified does not mean that an attack on it exists.",
        f"{subset_of(run).assumed} Neither can be seen from the votes.",
        assumption_of(run.manifest),
        "The base classifier is the model as the backend named above computes it, at the precision named above. "
        "Another backend rounds otherwise: it makes another base classifier, for which nothing is certified here. The "
        "base classifier must treat each input by itself (no batch statistics).",
    ]
    if run.manifest.kind != IMPORTED:
        found.insert(
            4,
            "Whoever chose the inputs must not have known the seed beforehand. "
            f"{_ORIGINS.get(run.manifest.seed_origin or '', _NOT_NOTED)} Now that it is printed here, it serves to "
            "repeat the run, not to defend another one.",
        )
    return found


def _telling(summary: Summary) -> tuple[float, Proportion]:
    """The largest radius above 0 that at least half of the examples reach; else radius 0."""
    reached = [radius for radius, share in summary.certified_accuracy.items() if radius > 0 and share.value >= 0.5]
    return (max(reached), summary.certified_accuracy[max(reached)]) if reached else (0.0, summary.accuracy)


def _every_change(norm: Norm, radius: float) -> str:
    size = formats.with_unit(norm, formats.threshold(radius))
    if norm is Norm.L0:
        return f"every change of {'' if radius == 1 else 'up to '}{size}, whatever the new values"
    return f"every change of {norm.value} length up to {size}"


def _median(summary: Summary) -> str:
    norm = Norm(summary.norm)
    if summary.median_certified_radius is None:
        return "Fewer than half are certified correct, so there is no median certified radius."
    size = formats.with_unit(norm, formats.radius(norm, summary.median_certified_radius))
    return f"Half of these examples or more are certified correct at {size} (median certified radius)."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{_short(seconds)} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _short(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
