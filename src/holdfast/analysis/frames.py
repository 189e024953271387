"""Records of runs and attacks as data frames of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.analysis import extras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.attack import AttackRecord
    from holdfast.types import Example, Prediction

# Types of pandas that have a place for what is missing.
_WHOLE, _REAL, _TEXT = "Int64", "Float64", "string"

_OF_RESULTS: dict[str, tuple[str, Callable[[Result], object]]] = {
    "index": ("int64", lambda each: each.index),
    "label": ("int64", lambda each: each.label),
    "predicted": (_WHOLE, lambda each: each.predicted),
    "radius": ("float64", lambda each: each.radius),
    "p_lower": (_REAL, lambda each: each.certificate.bounds.p_lower if each.certificate else None),
    "p_upper": (_REAL, lambda each: each.certificate.bounds.p_upper if each.certificate else None),
    "n": (_WHOLE, lambda each: each.certificate.estimation.total if each.certificate else None),
    "correct": ("bool", lambda each: each.correct),
}
_OF_ATTACKS: dict[str, tuple[str, Callable[[AttackRecord], object]]] = {
    "index": ("int64", lambda each: each.index),
    "label": ("int64", lambda each: each.label),
    "reference": (_WHOLE, lambda each: each.reference),
    "radius": (_REAL, lambda each: each.radius),
    "magnitude": (_REAL, lambda each: each.magnitude),
    "kind": (_TEXT, lambda each: each.kind),
    "answer": (_WHOLE, lambda each: each.answer),
    "alarm": ("bool", lambda each: each.alarm),
}
_OF_ANSWERS: dict[str, tuple[str, Callable[[tuple[Example, Prediction]], object]]] = {
    "index": ("int64", lambda pair: pair[0].index),
    "label": ("int64", lambda pair: pair[0].label),
    "predicted": (_WHOLE, lambda pair: pair[1].label),
    "p_value": (_REAL, lambda pair: pair[1].p_value),
    "n": (_WHOLE, lambda pair: pair[1].counts.total),
    "correct": ("bool", lambda pair: pair[1].label == pair[0].label),
}


def frame_of_run(run: CertifiedRun) -> Any:
    """See `CertifiedRun.to_dataframe`."""
    return _frame(run.results, _OF_RESULTS)


def frame_of_attack(attack: AttackResult) -> Any:
    """See `AttackResult.to_dataframe`."""
    return _frame(attack.run.records, _OF_ATTACKS)


def frame_of_answers(pairs: Iterable[tuple[Example, Prediction]]) -> Any:
    """See `Answers.to_dataframe`."""
    return _frame(pairs, _OF_ANSWERS)


def _frame(records: Iterable[Any], columns: Mapping[str, tuple[str, Callable[[Any], object]]]) -> Any:
    pandas = extras.load("pandas", "Making a data frame", "pandas")
    listed = list(records)
    return pandas.DataFrame(
        {name: pandas.array([read(each) for each in listed], dtype=kind) for name, (kind, read) in columns.items()}
    )
