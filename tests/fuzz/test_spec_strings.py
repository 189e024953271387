"""Specs of the command line: each is understood, or an error of ours says why not; none takes long."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit import answered, inputs

from holdfast.attacks import attack_classes
from holdfast.bounds import bound_classes
from holdfast.data.source import source_names
from holdfast.errors import HoldfastError
from holdfast.models.architectures import build
from holdfast.models.architectures.base import architecture_names
from holdfast.noises.base import noise_names
from holdfast.reproductions import find_study
from holdfast.sampling.devices import torch_device
from holdfast.training.recipes import recipe_names
from holdfast.workflows.attack import _target_class
from holdfast.workflows.question import Question
from holdfast.workflows.specs import (
    open_data_spec,
    parse_architecture,
    parse_attack,
    parse_batch_size,
    parse_bound,
    parse_budgets,
    parse_engine,
    parse_noise,
    parse_radii,
    parse_recipe,
    parse_share,
)

_VALUES = [
    "0", "1", "2", "-1", "3", "45", "0.5", "1.5", "-0.0", "1e400", "-1e400", "1e-400", "nan", "inf", "-inf", "1e308",
    "1e-300", "1/2", "1/0", "0/0", "1/2/3", "/", "1/", "/2", "1e400/2", "1/1e400", "nan/1", "mean", "multichannel",
    "strided", "random", "l0", "l1", "l2", "linf", "L2", "true", "True", "None", "null", "1_0", "\u0663", "\u00b2",
    "1" * 5000, "9" * 30, "1" * 300, "0." + "1" * 5000, "1e" + "9" * 20, "x", "", " ", "1 ", "x" * 10_000, "\x00", "\n",
    "\x1b[31m", "\ud800", "/".join("1" * 300), "0x10", "1e5", "1e15", "1000000000000000", "1.0000001",
    "in-range", "all",
]  # fmt: skip
_KEYS = [
    "sigma", "b", "half_width", "k", "kappa", "levels", "null", "fill", "pattern", "norm", "steps", "epsilon", "weight",
    "inputs", "width", "widths", "shortcut", "size", "mode", "rescale", "radius", "samples", "restarts", "name",
    "scale", "members", "classifier", "x", "",
]  # fmt: skip


def _specs(names: list[str]) -> st.SearchStrategy[str]:
    """`NAME:key=value,...` with something wrong, mostly."""
    pair = st.tuples(st.sampled_from(_KEYS), st.sampled_from(_VALUES)).map("=".join)
    options = st.lists(st.one_of(pair, pair, pair, st.sampled_from(_VALUES)), max_size=4).map(",".join)
    name = st.one_of(*[st.sampled_from(names)] * 4, st.sampled_from(_VALUES))
    whole = st.tuples(
        name, st.sampled_from([":", ":", ":", "", "::", ",", ":/nowhere,", ":\x00", ":~nobody/"]), options
    ).map("".join)
    return st.one_of(whole, whole, whole, st.text(max_size=60))


_LISTS = st.one_of(
    st.lists(st.sampled_from([*_VALUES, "1x", ".5x", "5%", "100%", "auto", "x", "%"]), max_size=5).map(",".join),
    st.text(max_size=40),
)
_ENGINES = st.one_of(
    st.tuples(
        st.sampled_from(["local", "processes", "ray", "x", ""]), st.sampled_from([":", ""]), st.sampled_from(_VALUES)
    ).map("".join),
    st.text(max_size=30),
)
_DEVICES = st.tuples(st.sampled_from(["cpu", "cuda", "cuda:", "CPU", "mps", ""]), st.sampled_from(_VALUES)).map("".join)


def _network(spec: str) -> Any:
    """An architecture is known only when it is built; those that a number makes large are not of interest here."""
    name, arguments = parse_architecture(spec)
    small = all(not isinstance(value, int | float) or abs(value) < 50 for value in arguments.values())
    return build(name, (1, 4, 4), 3, arguments) if small else None


def _estimator(text: str) -> Any:
    """What the options `--estimator --n0 --n --alpha --until-radius --until-precision` ask for."""
    name, n0, n, alpha, radii, precision, noise = (*text.split("|"), *[""] * 7)[:7]
    try:
        # As typer reads them.
        numbers = int(n0), int(n), float(alpha), "split", tuple(parse_radii(radii)) if radii else ()
        question = Question(*numbers, float(precision) if precision else None)
    except ValueError:
        return None
    return question.estimator(name, parse_noise(noise), (1, 4, 4))


_QUESTIONS = st.tuples(
    st.sampled_from(["auto", "fixed", "looks", "bets", "eprocess", "exact", "x"]),
    *[st.sampled_from(["100", "1000", *_VALUES])] * 2,
    st.sampled_from(["0.001", "1e-90", *_VALUES]),
    *[st.sampled_from(["", "0.1", *_VALUES])] * 2,
    st.sampled_from(
        [
            "gaussian:sigma=0.5",
            "ablation:k=3",
            "partition:k=4",
            "partition:k=4,decision=runoff",
            "splitting:half_width=0.5",
            "columns:width=2",
            "blocks:size=2",
            "uniform-flip:kappa=0.9",
            "laplace:b=1",
        ]
    ),
).map("|".join)

_PARSERS: dict[str, tuple[Callable[[str], Any], st.SearchStrategy[str]]] = {
    "noise": (parse_noise, _specs(noise_names())),
    "recipe": (parse_recipe, _specs(recipe_names())),
    "attack": (parse_attack, _specs([*attack_classes()])),
    "bound": (parse_bound, _specs([*bound_classes()])),
    "architecture": (_network, _specs(architecture_names())),
    "data": (lambda spec: open_data_spec(spec, "test"), _specs(source_names())),
    "budgets": (parse_budgets, _LISTS),
    "radii": (parse_radii, _LISTS),
    "share": (parse_share, _LISTS),
    "batch size": (parse_batch_size, _LISTS),
    "target": (lambda text: _target_class(text, 10), _LISTS),
    "engine": (lambda spec: parse_engine(spec, None, "cpu", None, 1), _ENGINES),
    "estimator": (_estimator, _QUESTIONS),
    "device": (torch_device, _DEVICES),
    "study": (find_study, st.one_of(st.sampled_from(_VALUES), st.text(max_size=30))),
}


@st.composite
def specs(draw: st.DrawFn) -> tuple[str, str]:
    """What is parsed, and the text."""
    kind = draw(st.sampled_from(sorted(_PARSERS)))
    return kind, draw(_PARSERS[kind][1])


def fault_of_spec(case: tuple[str, str]) -> str | None:
    """What is wrong with how a spec is understood; None if nothing is."""
    kind, text = case
    parse, _ = _PARSERS[kind]
    with contextlib.redirect_stderr(io.StringIO()):
        found = answered(lambda: parse(text))
        if not isinstance(found, HoldfastError) and kind in ("noise", "attack", "bound", "recipe"):
            # What is understood is spelt, and understood the same again.
            again = answered(lambda: parse(found.written))
            if again != found:
                return f"{found.written} is understood as {again}"
    return None


@inputs(0.12)
@given(specs())
def test_specs(case: tuple[str, str]) -> None:
    assert fault_of_spec(case) is None
