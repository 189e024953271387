"""What all fuzz tests share: how many inputs, and what a parser may do with one.

A small part runs with the suite. The whole: `HOLDFAST_FUZZ=20000 python -m pytest tests/fuzz`, where the number is that
of the inputs of all parsers together.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from hypothesis import HealthCheck, settings

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

# Inputs of all tests together, unless HOLDFAST_FUZZ names another number.
_IN_THE_SUITE = 600
# No answer within so many seconds is a hang.
_HANG = 5.0


def inputs(share: float) -> settings:
    """The settings of a test that takes this share of all inputs."""
    whole = int(os.environ.get("HOLDFAST_FUZZ", _IN_THE_SUITE))
    return settings(
        max_examples=max(5, round(share * whole)),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def answered(parse: Callable[[], _T]) -> _T | HoldfastError:
    """What a parser returns, or the error that it raises on purpose. Any other exception, or a hang, fails the test."""
    start = time.process_time()
    result: _T | HoldfastError
    try:
        result = parse()
    except HoldfastError as error:
        result = error
    assert not isinstance(result, HoldfastError) or str(result).strip(), "an error without a message"
    assert time.process_time() - start < _HANG, "no answer within five seconds"
    return result
