"""Deterministic bounds, one file each. `BOUNDS` in `holdfast.bounds.base` finds them by name."""
