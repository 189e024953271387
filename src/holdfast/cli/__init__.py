"""The command line: one file a command. Strings become objects here and nowhere else."""
