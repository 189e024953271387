"""What lies on the disk: manifests, written before the first sample, and records of what was counted. No torch."""
