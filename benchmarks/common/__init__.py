"""Code that several benchmarks share; no programs."""
