"""The exceptions and warnings of Holdfast. Every message says what was found, what was expected and what to do."""

from __future__ import annotations

from holdfast.distribution import NAME
from holdfast.visible import visible


class HoldfastError(Exception):
    """Base of all errors that Holdfast raises on purpose; the command line exits with `exit_code`.

    Args:
        lines: of the message, mostly one. What they quote may come from strangers: they are shown as `visible` says.
    """

    exit_code = 1

    def __init__(self, *lines: object) -> None:
        super().__init__(*lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, line by line, as it may be shown."""
        return tuple(visible(line) for line in self.args)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class UsageError(HoldfastError, ValueError):
    """A call that cannot be right: an unknown name, a value out of range, options that exclude each other."""

    exit_code = 2


class InputError(HoldfastError):
    """An example outside the declared input space, with a wrong shape, or not finite."""


class ClassifierError(HoldfastError):
    """A base classifier that returns something no vote can be taken from."""


class AttackError(HoldfastError):
    """An attack that its library could not finish: nothing is known of the example."""


class DataError(HoldfastError):
    """A data set that is missing, incomplete or corrupt."""


class BundleError(HoldfastError):
    """A model file that is missing, corrupt, or of another kind than expected."""


class RunError(HoldfastError):
    """A run folder that is missing, corrupt, or promised something else."""


class RunLockedError(RunError):
    """A run folder or a bundle on which another process is working."""


class AlarmError(RunError):
    """An adversarial example inside a certified radius: the certificate or the program is wrong."""


class StorageError(RunError):
    """The disk refused to take a record; all earlier records are valid."""


class MissingExtraError(HoldfastError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install '{NAME}[{extra}]'"
        )


class HoldfastWarning(UserWarning):
    """What a reader must know before using the numbers: a decision of a data source, a subset that is no sample."""


def first_line(error: Exception) -> str:
    """The first line of what another library says, to be quoted in a message."""
    return (str(error).strip().splitlines() or [""])[0]
