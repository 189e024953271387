"""Ways in which models come, one file each, which `holdfast.models.source` finds by name."""
