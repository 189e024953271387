"""The left side of the run store: noise, base classifier, votes. Imports torch."""
