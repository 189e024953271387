"""Attacks, one file each. `ATTACKS` in `holdfast.attacks.base` finds them by name."""
