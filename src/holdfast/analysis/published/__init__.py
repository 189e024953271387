"""Figures that papers printed, as data, and the choice of those that a run may be compared with."""

from __future__ import annotations

from holdfast.analysis.published.published import PublishedFigure, at_radius, comparable, curve, figure

__all__ = ["PublishedFigure", "at_radius", "comparable", "curve", "figure"]
