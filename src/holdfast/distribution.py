"""What Holdfast is called and which version it is, for package managers and for manifests. Both stand here alone.

The package index has another project called `holdfast`, so the distribution has a name of its own; the command and the
package that Python imports are called `holdfast`.
"""

NAME = "holdfast-robustness"
VERSION = "0.1.0"
