"""Cohen et al. 2019, Theorem 2 and Proposition 6: how far each theorem could go at most, for every noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.noises.base import NOISES, guarantees_of
from holdfast.noises.gaussian import Gaussian
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import no_plan
from holdfast.reproductions.results import Finished
from holdfast.worst_cases import find_worst_case, known_worst_cases
from holdfast.worst_cases.base import TOP
from holdfast.worst_cases.slab import robust_everywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.noises.base import Noise
    from holdfast.worst_cases import WorstCase

# Noises with many pixels or a fine grid are shown with examples that can be counted exactly in a moment.
_NOISES = (
    "gaussian:sigma=0.5",
    "lattice-gaussian:sigma=0.5",
    "laplace:b=0.5",
    "uniform:half_width=0.5",
    "ablation:k=5",
    "partition:k=4",
    "columns:width=2",
    "blocks:size=2",
    "splitting:half_width=0.25",
    "uniform-flip:kappa=0.8,levels=2",
    "channel-flip:kappa=0.8,levels=2",
)
_WHOLE = "k", "levels", "width", "size"
_SHAPE = (1, 8, 8)
_PAIRS = ((0.9, 0.1), (0.99, 0.01), (0.7, 0.1), (0.9, 0.02))
_SLABS = (0.001, 0.1, 1.0)
_FAR = (0.0, 1.0, 10.0, 1000.0)


def page(done: Finished) -> Page:
    """A group for each noise and theorem, and one for Proposition 6."""
    cases = [case for noise in map(_noise, _NOISES) for case in _cases(noise)]
    return Page(
        title="Cohen et al. 2019, Theorem 2: worst cases of every theorem",
        intro=(
            "For each noise and theorem: the base classifier that loses its top class nearest to the input, for the "
            "class probabilities p_A and p_B. Just inside the radius the smoothed classifier still answers A, just "
            "beyond it no longer does: no theorem that knows only p_A and p_B can certify more. Where a theorem is not "
            "tight, the last column says how far it could go.",
            "Every probability is exact or enclosed by interval arithmetic; nothing is simulated. Inputs have the "
            f"shape {_SHAPE}.",
        ),
        tables=(_table(cases), _slabs()),
        statements=_statements(cases),
        notes=(
            "Discrete noises have only some probabilities: p_A is the next possible one. 'Changes at' is the exact "
            "size of the change from which on A no longer leads, in the theorem's unit. Derivations: "
            'docs/guarantees.md, "Tightness".',
        ),
    )


def _noise(spec: str) -> Noise:
    name, _, rest = spec.partition(":")
    values = {key: float(value) for key, _, value in (part.partition("=") for part in rest.split(","))}
    whole = {key: int(value) if key in _WHOLE else value for key, value in values.items()}
    return NOISES.from_dict({"name": name, **whole})


def _cases(noise: Noise) -> Iterator[WorstCase]:
    levels = noise.grid or 2
    x = np.random.default_rng(0).integers(0, levels, _SHAPE) / (levels - 1)
    for theorem in guarantees_of(noise):
        if (noise.name, theorem.name) in set(known_worst_cases()):
            for top, rival in _PAIRS:
                yield find_worst_case(noise, x, top, rival, theorem.name)


def _table(cases: list[WorstCase]) -> Table:
    groups: dict[tuple[str, str], list[Row]] = {}
    for case in cases:
        title = f"{case.noise}, {case.theorem.name} ({case.theorem.norm.value})"
        settings = "tight" if case.tight else f"not tight: {case.why}"
        digits = 0 if case.unit == 1.0 else 4
        unit = "pixels" if case.unit == 1.0 else "radius"
        inside, beyond = (case.probabilities(size) for size in (case.inside, case.beyond))
        row = Row(
            f"p_A = {case.bounds.p_lower:.4f}, p_B = {case.bounds.p_upper:.4f}",
            None,
            (
                Measured(case.radius, unit, digits=digits),
                Measured(inside[0].lower - inside[1].upper, "lead", digits=9),
                Measured(beyond[0].upper - beyond[1].lower, "lead", digits=9),
                Measured(case.turning, unit, digits=digits),
            ),
        )
        groups.setdefault((title, settings), []).append(row)
    return Table(
        "Theorem 2 for every noise",
        ("radius", "lead inside", "lead beyond", "changes at"),
        tuple(Group(title, settings, tuple(rows)) for (title, settings), rows in groups.items()),
        (
            "Leads are those of A over B, rounded outward: at least that just inside, at most that just beyond. In "
            "continuous norms 'just' is a share of 1e-8 of the radius; on a grid and in pixels it is one step.",
        ),
        published=False,
    )


def _slabs() -> Table:
    """Proposition 6."""
    x = np.zeros(_SHAPE)
    rows = []
    for radius in _SLABS:
        case = robust_everywhere(Gaussian(1.0), x, radius)
        leads = [top.lower - rival.upper for top, rival in map(case.probabilities, _FAR)]
        found = (Measured(case.radius, "radius", digits=6), *(Measured(lead, "lead") for lead in leads))
        rows.append(Row(f"tau = {radius:g}", None, found))
    return Table(
        "Proposition 6: robust everywhere, certified within tau",
        ("certified", *(f"lead at {size:g}" for size in _FAR)),
        (Group("gaussian:sigma=1", "A everywhere but in a slab around x, whose share is largest there", tuple(rows)),),
        (
            "The class never changes, and Theorem 1 certifies no more than tau: a tight theorem can be far from "
            "the truth about one classifier.",
        ),
        published=False,
    )


def _statements(cases: list[WorstCase]) -> tuple[Statement, ...]:
    tight = [case for case in cases if case.tight]
    loose = [case for case in cases if not case.tight]
    slabs = [robust_everywhere(Gaussian(1.0), np.zeros(_SHAPE), radius) for radius in _SLABS]
    return (
        Statement.compared(
            f"just inside every radius the answer stays ({len(cases)} cases)",
            all(case.answer(case.inside) == TOP for case in cases),
            len(cases),
            "cases",
            regardless=True,
        ),
        Statement.compared(
            f"just beyond every radius of a tight theorem it no longer is the same ({len(tight)} cases)",
            all(case.answer(case.beyond) != TOP for case in tight),
            len(tight),
            "cases of tight theorems",
            regardless=True,
        ),
        Statement.compared(
            f"the theorems that are not tight could certify more ({len(loose)} cases)",
            all(case.radius < case.turning for case in loose),
            len(loose),
            "cases of others",
            regardless=True,
        ),
        Statement.compared(
            "Proposition 6: the answer stays however far the input moves",
            all(case.answer(size) == TOP for case in slabs for size in _FAR),
            len(slabs),
            "slabs",
            regardless=True,
        ),
    )


STUDY = register(
    Study(
        name="cohen-tightness",
        title="Cohen et al. 2019, Theorem 2 and Proposition 6: worst cases of every theorem",
        data=(),
        cost={"any scale": "seconds"},
        plan=no_plan,
        page=page,
        items=("C39", "C41"),
    )
)
