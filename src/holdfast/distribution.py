"""The name and version of the distribution, for package managers and manifests. Defined only here.

The package index has another project named `holdfast`, so the distribution has its own name; the command and the
Python package are named `holdfast`.
"""

NAME = "holdfast-robustness"
VERSION = "0.1.0"
