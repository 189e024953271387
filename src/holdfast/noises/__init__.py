"""Smoothing distributions, one file each, with their theorems. `NOISES` in `base` finds them by name."""
