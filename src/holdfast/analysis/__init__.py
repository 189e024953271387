"""The right side of the run store: pure functions from vote counts to tables, plots and reports. No torch."""
