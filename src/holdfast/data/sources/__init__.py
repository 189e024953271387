"""Sources of data sets, one file each. `SOURCES` in `holdfast.data.base` finds them by name."""
