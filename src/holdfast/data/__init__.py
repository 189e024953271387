"""Data sets: sources found by name, each giving a `DataSet` of labelled inputs in [0, 1]. No torch."""

from __future__ import annotations

from holdfast.data.base import SPLITS, DataSet
from holdfast.data.source import open_data, source, source_names

__all__ = ["SPLITS", "DataSet", "open_data", "source", "source_names"]
