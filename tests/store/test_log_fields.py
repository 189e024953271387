"""Fields of logs: whole numbers written as floats, and times in the forms that programs print."""

import math

import pytest

from holdfast.store.log_fields import least_meant, real, seconds, truth, whole
from holdfast.types import Norm


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("2.0", 2),
        ("2.", 2),
        (" 7 ", 7),
        ("-1.0", -1),
        ("-0", 0),
        ("2.000e+00", 2),
        ("12e1", 120),
        ("0e-999", 0),
    ],
)
def test_a_whole_number_may_be_written_as_a_float(text: str, number: int) -> None:
    assert whole(text, "label") == number
    assert type(whole(text, "label")) is int


@pytest.mark.parametrize(
    "text",
    [
        "2.5",
        "2.0000000000000000001",
        "2,0",
        "",
        " ",
        "nan",
        "inf",
        "1_0",
        "0x2",
        "2.0.0",
        "1e19",
        "1e999999999",
        "1e-9",
        "٢",
    ],
)
def test_what_is_no_whole_number_is_neither_cut_nor_rounded(text: str) -> None:
    with pytest.raises(ValueError, match="label is a whole number, found"):
        whole(text, "label")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15.4", 15.4),
        ("1e-3", 0.001),
        ("0:00:15.4", 15.4),
        ("1:02:03", 3723.0),
        ("100:00:00", 360_000.0),
        ("1 day, 0:00:01", 86_401.0),
        ("2 days, 1:00:00.5", 176_400.5),
        ("0 days 00:00:15.400000", 15.4),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_times(text: str | None, expected: float | None) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("-0:00:01", "0:-00:01", "0:00:-1", "-1 day, 23:59:59", "-1 days +23:59:59", "-1"),
        *("0:00:60", "0:60:00", "1:05", "0:00:00:01", "0:00:", ":", "1 day", "0:0.5:1", "0:00:1e1", "1 week, 0:00:01"),
        *("nan", "inf", "0:inf:3", "15.4s", "1_0"),
    ],
)
def test_times_that_are_negative_or_not_clear_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time is in seconds from 0 on, or h:m:s .* found"):
        seconds(text)


def test_minus_nothing_is_nothing() -> None:
    assert math.copysign(1.0, real("-0.0", "radius")) == 1.0
    assert math.copysign(1.0, seconds("-0.0") or 0.0) == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", True),
        ("0", False),
        ("1.0", True),
        ("0.", False),
        ("True", True),
        ("false", False),
        ("2", None),
        ("", None),
    ],
)
def test_what_correct_says(text: str, said: bool | None) -> None:
    assert truth(text) is said


def test_a_count_of_pixels_means_itself() -> None:
    assert least_meant("11", Norm.L0) == 11.0
    assert least_meant("11", Norm.L2) == 10.5
