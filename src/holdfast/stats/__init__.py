"""Pure functions on integers and floats: no torch, no files, no state."""
