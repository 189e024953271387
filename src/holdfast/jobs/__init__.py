"""The jobs as Python calls them, with progress, and folders where nobody names one: one file for each."""
