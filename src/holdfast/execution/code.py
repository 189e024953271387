"""The code that results depend on, besides the model's: the loop, and the noise, rule and search in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.code_digest import code_of, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Under which a manifest has it, among the versions.
CODE = "code"

# Where votes are drawn and counted.
_LOOP = tuple(f"holdfast.sampling.{name}" for name in ("classifier", "counts", "procedure", "rng"))
# What of Holdfast decides a result. Errors are only words, architectures belong to the model.
_OURS = (
    "holdfast.attacks",
    "holdfast.bounds",
    "holdfast.estimators",
    "holdfast.models.backends",
    "holdfast.models.onnx_graph",
    "holdfast.named",
    "holdfast.noises",
    "holdfast.execution.adversary",
    "holdfast.sampling",
    "holdfast.stats",
    "holdfast.types",
)


def code_at_work(*kinds: type) -> dict[str, str]:
    """Digests of the modules of the loop and of some classes, by module name.

    Args:
        kinds: classes of the noise, the estimator, the backend, the attack, the bound: whichever take part.
    """
    modules = {base.__module__ for kind in kinds for base in kind.__mro__}
    return code_of({*_LOOP, *modules}, _OURS, packages=False)


def code_version(*kinds: type) -> dict[str, str]:
    """One digest of `code_at_work`, as an entry beside versions: it tells versions of one number apart."""
    return {CODE: together(code_at_work(*kinds))}


def other_code(expected: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The names of the modules in which the code of two models differs; none if one of them does not name its code.

    Args:
        expected: what a manifest says of the model.
        given: the same, of another one.
    """
    there, here = expected.get(CODE), given.get(CODE)
    if there is None or here is None:
        return []
    return [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]


def of_holdfast(names: Iterable[str]) -> bool:
    """Whether all these modules belong to Holdfast."""
    return all(name.partition(".")[0] == "holdfast" for name in names)
