"""Certified accuracy over the radius as a picture file (PNG, SVG or PDF), drawn by matplotlib."""

from __future__ import annotations

import re
import textwrap
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.analysis import choices, extras, formats
from holdfast.analysis.curves import DASHES, PALETTE, axis_title, curves, distinct_names
from holdfast.analysis.wording.imported import claims
from holdfast.errors import UsageError
from holdfast.outputs import whole_file
from holdfast.visible import visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from holdfast.analysis.curves import Curve
    from holdfast.analysis.runs import CertifiedRun

_SUFFIXES = (".png", ".svg", ".pdf")
_INK = "#222222"
_LIMIT = "largest radius n and alpha allow"
# Matplotlib's own font has the letters before this one.
_FIRST_FOREIGN = "\u0700"
# Font families for the letters of other scripts.
_FOREIGN = ("Noto Sans", "Source Han Sans", "WenQuanYi", "IPA", "Droid Sans Fallback", "Symbola")
_NO_GLYPH = re.compile(r"Glyph (\d+) ")


def write_plot(runs: Sequence[CertifiedRun], out: Path) -> None:
    """Draw certified-accuracy curves with pointwise 95% bands, published figures, and what n and alpha allow.

    Args:
        runs: at least one, each with records, all of the same norm.
        out: the file; its suffix (`.png`, `.svg` or `.pdf`) selects the format.

    Raises:
        UsageError: the file has another suffix, or there are no runs, or runs of different norms.
        RunError: a run has no records.
        MissingExtraError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    check_suffix(out)
    lines = curves(runs)

    def draw(figure: Any) -> None:
        draw_curves(figure.add_subplot(), runs, lines)
        figure.supxlabel(_caption(runs), fontsize=7.5, color="#555555", x=0.01, ha="left")

    saved(out, draw)


def draw_curves(axes: Any, runs: Sequence[CertifiedRun], lines: Sequence[Curve]) -> None:
    """Draw the curves of runs into axes, with a legend above the figure."""
    for number, (run, line) in enumerate(zip(runs, lines, strict=True)):
        _draw(axes, line, _label(run, line.name), number)
    _lay_out(axes, lines)
    axes.figure.legend(loc="outside upper left", frameon=False, fontsize=8, ncols=1 if len(lines) < 3 else 2)


def draw_run(run: CertifiedRun, axes: Any = None) -> Any:
    """Draw the curve of one run into axes, beside what is there already.

    Args:
        run: with records.
        axes: of matplotlib; None for those of a new figure.

    Returns:
        The axes.

    Raises:
        RunError: the run has no records.
        MissingExtraError: matplotlib is not installed.
    """
    (line,) = curves([run])
    if axes is None:
        pyplot = extras.load("matplotlib.pyplot", "Drawing a plot")
        axes = pyplot.subplots(figsize=(7.2, 4.6), layout="constrained")[1]
    before = [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []
    right = axes.get_xlim()[1] if before else 0.0
    _draw(axes, line, _label(run, line.name), sum(text != _LIMIT for text in before))
    _lay_out(axes, [line], marked=_LIMIT not in before)
    axes.set_xlim(0.0, max(right, _right_end(line)))
    legend = axes.legend(frameon=False, fontsize=8)
    for text in legend.get_texts():
        # A dollar sign in the name of a run begins no formula.
        text.set_parse_math(False)
        text.set_text(visible_lines(text.get_text()))
    return axes


def check_suffix(out: Path) -> None:
    """Raise UsageError unless the file's suffix is one of a plot."""
    if out.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"a plot file must end in {', '.join(_SUFFIXES)}, got {out.name!r}; rename it")


def saved(out: Path, draw: Callable[[Any], None]) -> None:
    """Write a figure that `draw` fills, completely or not at all; see `write_plot`."""
    check_suffix(out)
    figure = extras.load("matplotlib.figure", "Drawing a plot").Figure(figsize=(7.2, 4.6), layout="constrained")
    draw(figure)
    kind = out.suffix.lower().lstrip(".")
    texts = _plain_texts(figure)
    with whole_file(out) as file, _letters(texts):
        figure.savefig(file, format=kind, dpi=200, metadata=None if kind == "png" else _undated(kind))


def _plain_texts(figure: Any) -> str:
    """Turn off formulas in a figure, where a dollar sign in the name of a run would begin one; return its texts."""
    texts = figure.findobj(lambda artist: hasattr(artist, "set_parse_math"))
    for text in texts:
        text.set_parse_math(False)
        text.set_text(visible_lines(text.get_text()))
    return "".join(text.get_text() for text in texts)


@contextmanager
def _letters(texts: str) -> Iterator[None]:
    """Use this machine's fonts for letters of other scripts, and warn once about letters in none of them."""
    if max(texts, default="") < _FIRST_FOREIGN:
        yield
        return
    fonts = {font.name for font in extras.load("matplotlib.font_manager", "Drawing a plot").fontManager.ttflist}
    matplotlib = extras.load("matplotlib", "Drawing a plot")
    families = [*matplotlib.rcParams["font.sans-serif"], *sorted(name for name in fonts if name.startswith(_FOREIGN))]
    with warnings.catch_warnings(record=True) as caught, matplotlib.rc_context({"font.sans-serif": families}):
        warnings.simplefilter("always")
        yield
    missing = []
    for each in caught:
        if found := _NO_GLYPH.match(str(each.message)):
            missing.append(chr(int(found[1])))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if missing:
        letters = "".join(dict.fromkeys(missing))
        warnings.warn(
            f"no font of this machine has {visible(letters)}: the plot shows boxes instead. Install a font that has "
            "them, such as one of the Noto Sans fonts, and draw the plot again",
            RuntimeWarning,
            stacklevel=2,
        )


def _draw(axes: Any, line: Curve, label: str, number: int) -> None:
    """Draw one run in one colour: curve, band, limit and published figures."""
    colour = PALETTE[number % len(PALETTE)]
    starts = [step.start for step in line.steps] + [_right_end(line)]
    shares = [step.accuracy for step in line.steps] + [line.steps[-1].accuracy]
    lower, upper = [share.lower for share in shares], [share.upper for share in shares]
    dashes = (0, DASHES[number % len(DASHES)]) if number else "solid"
    axes.fill_between(starts, lower, upper, step="post", color=colour, alpha=0.16, linewidth=0)
    axes.step(
        starts,
        [share.value for share in shares],
        where="post",
        color=colour,
        linestyle=dashes,
        label=label,
        linewidth=1.8,
    )
    if line.whole:
        axes.plot(starts[:-1], [step.accuracy.value for step in line.steps], "o", color=colour, markersize=3.5)
    if line.attainable is not None:
        axes.axvline(line.attainable, color=colour, linestyle=(0, (4, 3)), linewidth=1.0, alpha=0.8)
    points = line.points()
    if points:
        axes.plot(
            [radius for radius, _, _ in points],
            [share for _, share, _ in points],
            linestyle="none",
            marker="oDs^v"[number % 5],
            markerfacecolor="none",
            markeredgecolor=colour,
            markersize=6.5,
            label=f"published: {points[0][2]}",
            clip_on=False,
            zorder=5,
        )
    median = line.median()
    if median is not None:
        axes.axvline(median[0], color=colour, linestyle=":", linewidth=1.6, label=f"published median: {median[1]}")


def _lay_out(axes: Any, lines: Sequence[Curve], *, marked: bool = True) -> None:
    axes.set_xlabel(axis_title(lines[0].norm), color=_INK)
    axes.set_ylabel("certified accuracy", color=_INK)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(0.0, max(_right_end(line) for line in lines))
    if lines[0].norm.whole:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if marked:
        axes.plot([], [], color="#777777", linestyle=(0, (4, 3)), linewidth=1.0, label=_LIMIT)


def _right_end(line: Curve) -> float:
    """The end of the axis, a little beyond the last mark."""
    return (line.end * 1.04) or 1.0


def _label(run: CertifiedRun, name: str) -> str:
    label = f"{name}: {run.method}"
    # Matplotlib leaves labels that begin with an underscore out of the legend.
    return f" {label}" if label.startswith("_") else label


def _caption(runs: Sequence[CertifiedRun]) -> str:
    """Subset, n and alpha of each run, once if they are the same, and what qualifies the radii."""
    about = dict.fromkeys(
        f"{run.subset.words}; n = {run.estimator.most_draws:,}, alpha = {run.alpha:g}" for run in runs
    )
    covers = dict.fromkeys(run.subset.covers for run in runs)
    bands = [f"Band: pointwise {formats.percent(0.95, 0)}% interval, covering {each}." for each in covers]
    names = distinct_names(runs)
    claimed = claims((name, run.claimed) for name, run in zip(names, runs, strict=True))
    chosen = choices.cautions([(name, run.chosen) for name, run in zip(names, runs, strict=True)])
    return "\n".join(textwrap.fill(line, 120) for line in [*about, *claimed, *chosen, *bands])


def _undated(kind: str) -> dict[str, None]:
    """Metadata without a time of writing, so that the same runs give the same file."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
