"""The run store: what was promised before sampling, and the votes that were counted."""
