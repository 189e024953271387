"""Smoothing distributions with their theorems, one file each. `NOISES` in `base` finds them by name."""
