"""Files on the disk: manifests, written before the first sample, and records of the counts. No torch."""
