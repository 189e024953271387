"""Figures printed in papers, as data, and the selection of those comparable with a run."""

from __future__ import annotations

from holdfast.analysis.published.published import PublishedFigure, at_radius, comparable, curve, figure

__all__ = ["PublishedFigure", "at_radius", "comparable", "curve", "figure"]
