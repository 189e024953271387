"""Published figures, and which of them have the same data set and noise as a run."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from holdfast.analysis.formats import NOT_AVAILABLE

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.data_manifest import DataManifest

_SHAPES = {"MNIST": (1, 28, 28), "CIFAR-10": (3, 32, 32), "ImageNet": (3, 224, 224)}
_SOURCES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar-10": "CIFAR-10", "imagenet": "ImageNet"}
_CIFAR10 = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
_AT_RADIUS = "certified accuracy at L2 radius "
_OF_ABLATION = ("classification accuracy", "abstained", "median certified robustness")


@dataclass(frozen=True)
class PublishedFigure:
    """One number in a table of a paper.

    Attributes:
        source: authors and year.
        table: its number in the paper.
        dataset: the paper's name for the data set.
        method: the paper's name for the method.
        param: the setting, as `key=value` pairs separated by semicolons.
        metric: what was measured.
        value: in `unit`; None if the paper prints N/A.
        unit: "%", "fraction", "pixels", "bits", or empty for a plain number.
        note: how to read the number; mostly empty.
    """

    source: str
    table: str
    dataset: str
    method: str
    param: str
    metric: str
    value: float | None
    unit: str
    note: str

    @property
    def radius(self) -> float | None:
        """The L2 radius of a certified accuracy; None for other metrics."""
        return float(self.metric[len(_AT_RADIUS) :]) if self.metric.startswith(_AT_RADIUS) else None

    @property
    def share(self) -> float | None:
        """The value as a fraction of 1; None if it is not a share."""
        if self.value is None or self.unit not in ("%", "fraction"):
            return None
        return self.value / 100.0 if self.unit == "%" else self.value

    @property
    def cite(self) -> str:
        """Authors, year and table."""
        return f"{self.source.partition(' (')[0]}, {self.table}"

    @property
    def text(self) -> str:
        """The number as printed: shares as 74.8%, thousands with commas, N/A if the paper has none."""
        if self.value is None:
            return NOT_AVAILABLE
        if self.unit == "%":
            return f"{self.value:g}%"
        return f"{100.0 * self.value:g}%" if self.unit == "fraction" else f"{self.value:,.10g}"


def comparable(run: CertifiedRun) -> list[PublishedFigure]:
    """The published figures for a run's data set and noise, in the order of the papers; empty if there are none.

    Gaussian noise: certified accuracies at L2 radii. Ablation: accuracy, abstentions and the median certified radius.
    Only figures for the test set; n0, n and alpha may differ: they are in `param`, as `N0`, `N` and `alpha`.
    """
    dataset, noise = _dataset(run), run.manifest.noise
    if dataset is None:
        return []
    matches = _COMPARABLE.get(noise.get("name", ""))
    if matches is None:
        return []
    chosen: dict[tuple[str, str], PublishedFigure] = {}
    for figure in _figures():
        if figure.dataset == dataset and matches(figure, noise):
            # Levine & Feizi repeat rows of Tables 1 and 3 in Table 8.
            chosen.setdefault((figure.source, figure.metric), figure)
    return list(chosen.values())


def figure(author: str, table: str, metric: str, dataset: str | None = None, **settings: object) -> PublishedFigure:
    """The figure printed in a paper for one metric under one setting.

    Args:
        author: the first author, "Levine", "Cohen", "Hajri" or "Voracek".
        table: as in "Table 1".
        metric: what was measured, as in the data.
        dataset: the paper's name for the data set, if the table covers several.
        settings: entries of `param`, where numbers are compared as numbers; also `method` and `param` themselves.

    Raises:
        KeyError: there is no such figure, or more than one.
    """
    found = [
        each
        for each in _figures()
        if each.source.startswith(author)
        and (each.table, each.metric) == (table, metric)
        and (dataset is None or each.dataset == dataset)
        and _fits(each, settings)
    ]
    if len(found) != 1:
        raise KeyError(f"{len(found)} figures of {author}, {table}, {metric!r} with {settings}")
    return found[0]


def at_radius(radius: float) -> str:
    """The metric of a certified accuracy at an L2 radius."""
    return f"{_AT_RADIUS}{radius:.2f}"


def _fits(each: PublishedFigure, settings: dict[str, object]) -> bool:
    printed = {"method": each.method, "param": each.param, **_settings(each)}
    return all(key in printed and _same(printed[key], str(value)) for key, value in settings.items())


def _same(first: str, second: str) -> bool:
    try:
        return float(first) == float(second)
    except ValueError:
        return first == second


def curve(sigma: float) -> list[PublishedFigure]:
    """Certified accuracy on CIFAR-10 by radius, counted in the published logs of Cohen et al.; empty without a log.

    The logs cover every 20th test image. Their largest radii are those of n = 100,000 and alpha = 0.01.
    """
    return [each for each in _figures("curves.csv") if _fits(each, {"sigma": sigma})]


@lru_cache
def _figures(file: str = "published.csv") -> tuple[PublishedFigure, ...]:
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return tuple(_figure(row) for row in csv.DictReader(text.splitlines()))


def _figure(row: dict[str, Any]) -> PublishedFigure:
    return PublishedFigure(**{**row, "value": None if row["value"] == "N/A" else float(row["value"])})


def _dataset(run: CertifiedRun) -> str | None:
    """The papers' name for the run's data; None for other data, the training split or other units."""
    data = run.data
    name = _name(data)
    if name is None or data.split == "train":
        return None
    # An imported log states neither shape nor range.
    same = run.space is None or (data.shape == _SHAPES[name] and run.space == (0.0, 1.0))
    return name if same else None


def _name(data: DataManifest) -> str | None:
    if set(data.class_names) == _CIFAR10:
        return "CIFAR-10"
    return _SOURCES.get(data.source.lower())


def _gaussian(figure: PublishedFigure, noise: dict[str, Any]) -> bool:
    return figure.radius is not None and float(_settings(figure)["sigma"]) == float(noise["sigma"])


def _ablation(figure: PublishedFigure, noise: dict[str, Any]) -> bool:
    if figure.metric not in _OF_ABLATION:
        return False
    settings = _settings(figure)
    encoding = settings.get("null")
    # The paper normalizes the channels of ImageNet, and of nothing else, before it doubles them.
    if (figure.dataset, encoding) == ("ImageNet", "multichannel"):
        encoding = "normalized"
    return (settings.get("k"), encoding) == (str(noise["k"]), noise.get("null", "multichannel"))


def _settings(figure: PublishedFigure) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in figure.param.split(";") if "=" in pair)


# Name of the noise -> whether a figure was measured with the same noise parameters.
_COMPARABLE = {"gaussian": _gaussian, "ablation": _ablation}
