"""Independent code that checks runs: from files to radii, by integers, fractions and interval arithmetic alone.

Nothing here shares code with the estimators, the noises, the bounds or the run store; `make check` enforces that. What
is proved, and what cannot be: docs/guarantees.md, "Verifying a run".
"""
