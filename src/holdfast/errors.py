"""The exceptions and warnings of Holdfast. Every message says what was found, what was expected and what to do."""

from __future__ import annotations

from holdfast.distribution import NAME
from holdfast.visible import visible


class HoldfastError(Exception):
    """Base of all errors that Holdfast raises on purpose; the command line exits with `exit_code`.

    Args:
        lines: of the message, mostly one. They may quote untrusted text, so `visible` makes them safe to show.
    """

    exit_code = 1

    def __init__(self, *lines: object) -> None:
        super().__init__(*lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the message, safe to show."""
        return tuple(visible(line) for line in self.args)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class UsageError(HoldfastError, ValueError):
    """A call that cannot be right: an unknown name, a value out of range, options that exclude each other."""

    exit_code = 2


class InputError(HoldfastError):
    """An example outside the declared input space, with a wrong shape, or not finite."""


class ClassifierError(HoldfastError):
    """A base classifier whose output cannot be turned into votes."""


class AttackError(HoldfastError):
    """An attack that its library could not finish: it says nothing about the example."""


class DataError(HoldfastError):
    """A data set that is missing, incomplete or corrupt."""


class BundleError(HoldfastError):
    """A model file that is missing, corrupt, or of another kind than expected."""


class RunError(HoldfastError):
    """A run folder that is missing, corrupt, or has another manifest than expected."""


class RunLockedError(RunError):
    """A run folder or a bundle on which another process is working."""


class AlarmError(RunError):
    """An adversarial example inside a certified radius: the certificate or the program is wrong."""


class StorageError(RunError):
    """The disk could not store a record; all earlier records are valid."""


class MissingExtraError(HoldfastError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install '{NAME}[{extra}]'"
        )


class HoldfastWarning(UserWarning):
    """A caution about the numbers, such as a decision of a data source or a subset that is not a random sample."""


def first_line(error: Exception) -> str:
    """The first line of another library's message, to quote it."""
    return (str(error).strip().splitlines() or [""])[0]
