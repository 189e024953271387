"""What the tests of the command line say about the program: how to call it, and settings for a short certification."""

from collections.abc import Callable

# Exit code, standard output, and standard error without line breaks, of the program called with these arguments.
Call = Callable[..., tuple[int, str, str]]

CERTIFY = ("--n", 200, "--n0", 50, "--alpha", 0.01, "--every", 30, "--seed", 5, "--quiet", "--batch-size", 500)
