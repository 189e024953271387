"""Summaries of runs as Markdown, LaTeX and CSV tables, and as JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from holdfast.analysis import choices, formats, markup
from holdfast.analysis.probabilities import PERCENTILES, SHOWN
from holdfast.analysis.wording.imported import claims
from holdfast.types import Norm
from holdfast.widths import padded, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.summaries import Summary
    from holdfast.stats.datasets import Proportion

Table = tuple[list[str], list[list[str]]]

# The column of the distribution of p_A.
P_A = f"p_A {'/'.join(map(str, SHOWN))}%"
_WIDTH = 80

# What the unit of a radius counts.
_COUNTED = {
    Norm.L0: ": a pixel is a position with all its channels, or a feature",
    Norm.PATCH: ": of a square patch, anywhere in the image",
}


def table_rows(summaries: Sequence[Summary], intervals_apart: bool = False) -> Table:
    """Header and rows of strings, one row for each run.

    Args:
        summaries: of the runs, in the order of the rows.
        intervals_apart: give each share three columns (value, lower and upper end, in percent) instead of one, and
            always add columns for the subset, for claims of another tool (empty if there are none), for missing
            examples and for what was chosen.
    """
    radii = sorted({radius for summary in summaries for radius in summary.certified_accuracy})
    shares: dict[str, list[Proportion | None]] = {
        "Accuracy": [summary.accuracy for summary in summaries],
        "Abstains": [summary.abstention_rate for summary in summaries],
    }
    for radius in radii:
        at = [summary.certified_accuracy.get(radius) for summary in summaries]
        shares[f"r = {formats.threshold(radius)}"] = at
    columns = _facts(summaries, intervals_apart or _subsets_differ(summaries), intervals_apart)
    if intervals_apart:
        # These tables have no caption to say it.
        columns["Claims"] = [summary.claimed or "" for summary in summaries]
        columns["Missing"] = [str(summary.missing) for summary in summaries]
        columns["Chosen"] = [" and ".join(summary.chosen) for summary in summaries]
    for name, values in shares.items():
        columns.update(_share_columns(name, values, intervals_apart))
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def unfinished(summaries: Sequence[Summary]) -> list[str]:
    """The warnings that must come first: a sentence for each run without all its records."""
    return [text for summary in summaries for text in unfinished_of(summary.run, summary.examples, summary.missing)]


def unfinished_of(run: str, examples: int, missing: int) -> list[str]:
    """The warning about one run, if examples are missing."""
    if not missing:
        return []
    promised = examples + missing
    return [f"INCOMPLETE: {run} has {examples:,} of {promised:,} promised examples; the numbers are about these alone."]


def caption(summaries: Sequence[Summary]) -> str:
    """What the numbers of a table mean, a sentence each: claims, choices, subset, intervals, units, conditions."""
    sentences = [
        *choices.cautions([(summary.run, summary.chosen) for summary in summaries]),
        "Accuracy: share of unchanged examples answered correctly. r = x: share certified correct at radius x or more.",
        intervals(summaries),
    ]
    if any(summary.probabilities for summary in summaries):
        sentences.append(p_a_words())
    if not _subsets_differ(summaries):
        sentences.insert(0, f"Subset: {summaries[0].subset}.")
    sentences[:0] = claims((summary.run, summary.claimed) for summary in summaries)
    for norm in sorted({summary.norm for summary in summaries}):
        counted = _COUNTED.get(Norm(norm), "")
        sentences.append(f"{norm} radii are in {Norm(norm).unit}, rounded down{counted}.")
    for noise, condition in sorted({(summary.noise, summary.condition) for summary in summaries if summary.condition}):
        sentences.append(f"{noise}: as long as {condition}.")
    return " ".join(sentences)


def p_a_words() -> str:
    """What the row about p_A says."""
    shown = ", ".join(map(str, SHOWN[:-1]))
    return (
        f"p_A: probability of the true class under noise, lower bounds; {shown} and {SHOWN[-1]}% of the examples have "
        "at most this, rounded down (0: another class leads)."
    )


def intervals(summaries: Sequence[Summary]) -> str:
    """What the intervals cover, for each run if it is not the same for all."""
    confidence = formats.percent(summaries[0].confidence, 0)
    covered = dict.fromkeys(summary.covers for summary in summaries)
    if len(covered) == 1:
        return f"Intervals: {confidence}%, covering {summaries[0].covers}."
    return " ".join(
        f"Intervals of {', '.join(summary.run for summary in summaries if summary.covers == covers)}: {confidence}%, "
        f"covering {covers}."
        for covers in covered
    )


def markdown(summaries: Sequence[Summary]) -> str:
    """A Markdown table and its caption, laid out as in `fitted`."""
    return markdown_of(fitted(summaries), caption(summaries), unfinished(summaries))


def markdown_of(table: Table, about: str, warnings: Sequence[str] = ()) -> str:
    """A table in Markdown, its caption below and warnings above it."""
    header, rows = table
    lines = [header, *rows]
    cells = [[markup.markdown(cell) for cell in line] for line in lines]
    widths = [max(width(line[column]) for line in cells) for column in range(len(header))]
    text = ["| " + " | ".join(map(padded, line, widths)) + " |" for line in cells]
    rule = "|" + "|".join("-" * (wide + 2) for wide in widths) + "|"
    # Keep long words whole: cut after a backslash, it would break the line instead of escaping what follows.
    below = textwrap.wrap(markup.markdown(about), _WIDTH, break_long_words=False)
    above = [line for sentence in warnings for line in (f"**{markup.markdown(sentence)}**", "")]
    return "\n".join([*above, text[0], rule, *text[1:], "", *map(markup.markdown_line, below), ""])


def latex(summaries: Sequence[Summary]) -> str:
    """A LaTeX table (package booktabs) with its caption, laid out as in `fitted`."""
    return latex_of(fitted(summaries), caption(summaries), unfinished(summaries))


def latex_of(table: Table, caption_text: str, warnings: Sequence[str] = ()) -> str:
    """A table in LaTeX (package booktabs) with its caption, and warnings as comments."""
    header, rows = table
    lines = [" & ".join(markup.latex(cell) for cell in line) + r" \\" for line in (header, *rows)]
    body = ["  " + line for line in lines]
    about = markup.latex(caption_text)
    foreign = not all(text.isascii() for text in (*body, about))
    return "\n".join(
        [
            *(f"% {sentence}" for sentence in warnings),
            r"% needs \usepackage{booktabs}",
            *(["% has letters beyond ASCII: use XeLaTeX or LuaLaTeX, with a font that has them"] if foreign else []),
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"  \toprule",
            body[0],
            r"  \midrule",
            *body[1:],
            r"  \bottomrule",
            r"\end{tabular}",
            rf"\caption{{{about}}}",
            r"\end{table}",
            "",
        ]
    )


def csv_text(summaries: Sequence[Summary]) -> str:
    """CSV with a header line, one line for each run, and the ends of each interval in columns of their own.

    A cell that would begin a formula gets an apostrophe in front.
    """
    header, rows = table_rows(summaries, intervals_apart=True)
    return "".join(map(markup.csv_line, [header, *rows]))


def as_json(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """The unrounded numbers, ready for `json.dumps`; the keys of radii are `str` of them."""
    return [_as_json(summary) for summary in summaries]


def _as_json(summary: Summary) -> dict[str, Any]:
    return {
        "run": summary.run,
        "noise": summary.noise,
        "norm": summary.norm,
        "examples": summary.examples,
        "subset": summary.subset,
        "n": summary.n,
        "mean_draws": summary.mean_draws,
        "alpha": summary.alpha,
        "accuracy": summary.accuracy.value,
        "abstention_rate": summary.abstention_rate.value,
        "average_certified_radius": summary.average_certified_radius,
        "median_certified_radius": summary.median_certified_radius,
        "p_A": None if summary.probabilities is None else summary.probabilities.to_dict(),
        "certified_accuracy": {
            str(radius): {"value": share.value, "lower": share.lower, "upper": share.upper}
            for radius, share in summary.certified_accuracy.items()
        },
        "condition": summary.condition,
        "claimed": summary.claimed,
        "seed_origin": summary.seed_origin,
        "chosen": list(summary.chosen),
        "missing": summary.missing,
        "digest": summary.digest,
        "results": summary.results,
    }


def _facts(summaries: Sequence[Summary], with_subset: bool, apart: bool) -> dict[str, list[str]]:
    """The columns before the shares."""
    columns = {
        "Run": [summary.run for summary in summaries],
        "Noise": [summary.noise for summary in summaries],
        "Norm": [summary.norm for summary in summaries],
        "Bounds": [summary.bounds for summary in summaries],
    }
    if with_subset:
        columns["Subset"] = [summary.subset for summary in summaries]
    columns["n"] = [formats.draws(summary.n, summary.mean_draws) for summary in summaries]
    columns["alpha"] = [f"{summary.alpha:g}" for summary in summaries]
    columns["ACR"] = [
        formats.mean_radius(Norm(summary.norm), summary.average_certified_radius) for summary in summaries
    ]
    columns["Median radius"] = [
        formats.radius(Norm(summary.norm), summary.median_certified_radius) for summary in summaries
    ]
    columns.update(_probabilities(summaries, apart))
    return columns


def _probabilities(summaries: Sequence[Summary], apart: bool) -> dict[str, list[str]]:
    """Lower bounds on p_A of the hardest tenth, the median and the easiest tenth; empty cells where nothing voted."""
    if not apart:
        if not any(summary.probabilities for summary in summaries):
            return {}
        return {P_A: ["/".join(_bounds(summary, SHOWN)) for summary in summaries]}
    cells = [_bounds(summary, PERCENTILES) or [""] * len(PERCENTILES) for summary in summaries]
    return {f"p_A at {each}%": [row[place] for row in cells] for place, each in enumerate(PERCENTILES)}


def _bounds(summary: Summary, percents: Sequence[int]) -> list[str]:
    if summary.probabilities is None:
        return []
    return [formats.probability(summary.probabilities.percentiles[each].bound) for each in percents]


def _share_columns(name: str, values: Sequence[Proportion | None], intervals_apart: bool) -> dict[str, list[str]]:
    if not intervals_apart:
        return {name: ["" if value is None else formats.with_interval(value) for value in values]}
    ends = [("", "") if value is None else formats.ends(value) for value in values]
    return {
        f"{name} [%]": ["" if value is None else formats.percent(value.value) for value in values],
        f"{name} lower": [lower for lower, _ in ends],
        f"{name} upper": [upper for _, upper in ends],
    }


def _subsets_differ(summaries: Sequence[Summary]) -> bool:
    return len({summary.subset for summary in summaries}) > 1


def fitted(summaries: Sequence[Summary]) -> Table:
    """One row or one column for each run, whichever is narrower: up to three runs fit a terminal as columns."""
    header, rows = table_rows(summaries)
    by_run = [header, *rows]
    by_column = [list(line) for line in zip(*by_run, strict=True)]
    first, *others = min(by_column, by_run, key=_width)
    return first, others


def _width(lines: list[list[str]]) -> int:
    return sum(max(map(width, column)) + 3 for column in zip(*lines, strict=True))
