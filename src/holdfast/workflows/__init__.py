"""The jobs that Python and the command line share: one file for each, from objects to results."""
