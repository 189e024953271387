"""Architectures of base classifiers, one file a family. `ARCHITECTURES` in `base` finds them by name."""

from __future__ import annotations

from holdfast.models.architectures.base import architecture, architecture_names, build

__all__ = ["architecture", "architecture_names", "build"]
