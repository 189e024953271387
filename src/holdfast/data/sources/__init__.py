"""Sources of data sets, one file each. `SOURCES` in `holdfast.data.source` finds them by name."""
