"""The second step: the engine against the loop of published code, for one network in every precision."""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from common.card.conditions import clocks
from common.card.plan import Outcome
from common.card.results import trace
from common.card.waits import waits_of
from common.ceiling import PRECISIONS as CEILINGS
from common.ceiling import Ceiling
from common.plain_loop import plain_loop
from common.speed_cases import ALL, IMAGES, Case, images, network_for
from common.timed import STAGES, TimedBackend, TimedNoise, stage_seconds, wait_for
from holdfast.memory import is_out_of_memory
from holdfast.models.backends import PRECISIONS, Job, find, prepare, usable
from holdfast.noises.ablation import Ablation
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.sampling.settings import computing

if TYPE_CHECKING:
    from torch import nn

    from common.card.plan import Plan
    from holdfast.models.backends import Backend
    from holdfast.noises.base import Noise
    from holdfast.types import Example

# The batch of published code, and rounds; fewer where the time is up.
LOOP_BATCH, ROUNDS = 1000, 5
# Seconds of one measurement at most, and the share of a network's time that its rounds take.
_SECONDS, _SHARE = 1.0, 0.6
# Seconds that must be left to begin with another backend.
_LEAST_LEFT = 2.0
# Changes of a smoke run: small pictures, and few steps of training.
_TINY: dict[str, dict[str, Any]] = {
    "mnist-cnn": {"shape": (1, 8, 8), "noise": Ablation(16), "steps": 2},
    "resnet20": {"shape": (3, 8, 8)},
}
_LOOPS = {"plain": "float32, TF32 off", "plain_tf32": "float32, with torch's own settings, which allow TF32"}
# Samples of a quick look.
SOME = 64


@dataclass
class _Row:
    """A backend in a precision, and its measurements, one a round."""

    backend: str
    precision: str
    prepared: Backend
    classifier: VotingClassifier
    batch: int
    samples: int
    speeds: list[float] = field(default_factory=list)
    # Why it is not measured any further.
    failed: str = ""


class _Bench:
    """A network under a noise on the device."""

    def __init__(self, plan: Plan, case: Case, network: nn.Module, examples: list[Example]) -> None:
        self.plan, self.case, self.network, self.examples = plan, case, network, examples
        self.noise, self.device = case.noise, plan.device
        self.loop_batch = 2 * SOME if plan.smoke else LOOP_BATCH

    def plain_speed(self, samples: int, *, tf32: bool) -> float:
        """Samples a second of the loop, one image after another, in whole batches; smaller ones if memory lacks."""
        setting: AbstractContextManager[None] = nullcontext() if tf32 else computing(self.plan.threads)
        while True:
            try:
                return self._plain_speed(samples, setting)
            except RuntimeError as error:
                if not is_out_of_memory(error) or self.loop_batch == 1:
                    raise
            self.loop_batch //= 2
            setting = nullcontext() if tf32 else computing(self.plan.threads)

    def _plain_speed(self, samples: int, setting: AbstractContextManager[None]) -> float:
        batches = max(1, round(samples / self.loop_batch))
        with setting:
            start = time.perf_counter()
            for number in range(batches):
                example = self.examples[number % len(self.examples)]
                batch, classes = self.loop_batch, self.case.classes
                plain_loop(self.network, self.noise, example, batch, batch, classes, self.device)
            return batches * self.loop_batch / (time.perf_counter() - start)

    def engine_speed(self, row: _Row) -> float:
        """Samples a second of the engine: pictures together, checks of the base classifier included."""
        start = time.perf_counter()
        drawn = self._run(row.classifier, self.noise, row)
        return drawn / (time.perf_counter() - start)

    def timed(self, row: _Row, *, warm: bool = False) -> None:
        """Measure a row once more; an error leaves the others as they are."""
        if row.failed:
            return
        try:
            found = self.engine_speed(row)
        except Exception as error:
            row.failed = trace(error)
        else:
            row.speeds += [] if warm else [found]

    def _run(self, classifier: VotingClassifier, noise: Noise, row: _Row) -> int:
        each = max(SOME, -(-row.samples // (IMAGES * SOME)) * SOME)
        engine = LocalEngine(self.device, row.batch, self.plan.threads)
        return sum(
            votes.total
            for _, found in engine.run(classifier, noise, Burst(each), 0, self.examples)
            for votes in found.values()
        )

    def row(self, backend: str, precision: str) -> _Row:
        """The backend made ready, with the batch size that its search finds."""
        shape = self.noise.noisy_shape(self.case.shape)
        job = Job(self.network, shape, precision, torch.device(self.device), self.plan.threads)
        prepared = prepare(backend, job)
        classifier = VotingClassifier(prepared, self.case.classes)
        engine = LocalEngine(self.device, None, self.plan.threads)
        batch, speed = engine.fastest_batch(classifier, self.noise, self.examples[0])
        return _Row(backend, precision, prepared, classifier, batch, max(batch, round(speed)))

    def shares(self, row: _Row) -> dict[str, Any]:
        """Shares of the engine's time where each part waits for the card, and how much longer it then takes."""
        network, noise = TimedBackend(row.prepared, self.device), TimedNoise(self.noise, self.device)
        classifier = VotingClassifier(network, self.case.classes)

        def run() -> None:
            self._run(classifier, cast("Noise", noise), row)

        # The first run also learns the size of the logits.
        run()
        times, total = stage_seconds(network, noise, run)
        wait_for(self.device)
        start = time.perf_counter()
        drawn = self._run(row.classifier, self.noise, row)
        free = time.perf_counter() - start
        waits = waits_of(self.device, lambda: self._run(row.classifier, self.noise, row))
        return {
            "waits_a_batch": sum(waits.values()) / max(1, round(drawn / row.batch)),
            "waits": waits,
            "shares": {stage: times[stage] / total for stage in STAGES},
            "alone": network.alone_rows / drawn,
            "waiting_costs": total / free,
        }


def network_speed(plan: Plan, name: str, end: float) -> Outcome:
    """One network of the table."""
    case = replace(ALL[name], **_TINY.get(name, {})) if plan.smoke else ALL[name]
    examples = images(case)
    with computing(plan.threads):
        network = network_for(name, case, examples, plan.device)
    operations = _operations(network, case, plan.device)
    bench = _Bench(plan, case, network, examples)
    ceilings, found = _ceilings(plan), {"network": name, "noise": str(case.noise), "shape": list(case.shape)}
    rows, absent = _rows(bench, end)
    rounds = _rounds(bench, rows, ceilings, end)
    measured = [_measured(bench, row, rounds, operations, end) for row in rows]
    peak = torch.cuda.max_memory_allocated(plan.device) if torch.device(plan.device).type == "cuda" else None
    return Outcome(
        {
            **found,
            "mflop_a_sample": operations / 1e6,
            "rounds": len(rounds),
            "loop_batch": bench.loop_batch,
            "loops": {
                kind: {"what": what, "samples_per_second": _median(each[kind] for each in rounds)}
                for kind, what in _LOOPS.items()
            },
            "ceilings": {
                precision: {"reason": each}
                if isinstance(each, str)
                else {
                    "size": each.sizes[precision],
                    "flop_per_second": _median(one["ceilings"][precision] for one in rounds),
                }
                for precision, each in ceilings.items()
            },
            "rows": [*measured, *absent],
            "peak_bytes": peak,
        }
    )


def _operations(network: nn.Module, case: Case, device: str) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *case.noise.noisy_shape(case.shape), device=device))
    return float(counter.get_total_flops())


def _ceilings(plan: Plan) -> dict[str, Ceiling | str]:
    """Large products in each precision, or why there are none."""
    made: dict[str, Ceiling | str] = {}
    with computing(plan.threads):
        for precision in CEILINGS:
            try:
                made[precision] = Ceiling((precision,), 128 if plan.smoke else None, plan.device)
            except Exception as error:
                # Whatever torch raises where the card or the release lacks the product.
                made[precision] = trace(error).splitlines()[-1]
    return made


def _rows(bench: _Bench, end: float) -> tuple[list[_Row], list[dict[str, Any]]]:
    """Every backend that computes on a card, in each precision; and why others are missing."""
    rows, absent = [], [{"precision": "fp8", "reason": "Holdfast has no precision fp8"}]
    for precision in PRECISIONS:
        # On a processor, too, only those of a card: a smoke run does what will be done there.
        names = [each for each in usable(precision, torch.device(bench.device)) if "cuda" in find(each).devices]
        if not names:
            absent.append({"precision": precision, "reason": f"no backend computes {precision} on a card"})
        for name in names:
            if end - time.monotonic() < _LEAST_LEFT:
                absent.append({"backend": name, "precision": precision, "reason": "the time was up"})
                continue
            try:
                rows.append(bench.row(name, precision))
            except Exception as error:
                absent.append({"backend": name, "precision": precision, "reason": trace(error)})
    return rows, absent


def _rounds(bench: _Bench, rows: list[_Row], ceilings: dict[str, Ceiling | str], end: float) -> list[dict[str, Any]]:
    """Rounds of all measurements in turn: at least one, then as many as there is time for."""
    each = min(_SECONDS, _SHARE * (end - time.monotonic()) / (ROUNDS * (len(rows) + len(_LOOPS))))
    each = 0.01 if bench.plan.smoke else max(each, 0.05)
    first = bench.plain_speed(bench.loop_batch, tf32=True)
    first = max(first, bench.plain_speed(bench.loop_batch, tf32=False))
    loop_samples = round(first * each)
    for row in rows:
        row.samples = max(SOME, round(row.samples * each))
        bench.timed(row, warm=True)
    found: list[dict[str, Any]] = []
    longest = 0.0
    while len(found) < (1 if bench.plan.smoke else ROUNDS):
        start = time.monotonic()
        if found and end - start < 1.5 * longest:
            break
        with computing(bench.plan.threads):
            limits = {name: made.measure()[name] for name, made in ceilings.items() if isinstance(made, Ceiling)}
        now = {kind: bench.plain_speed(loop_samples, tf32=kind == "plain_tf32") for kind in _LOOPS}
        for row in rows:
            bench.timed(row)
        found.append({**now, "ceilings": limits, "clocks": clocks(bench.device)})
        longest = max(longest, time.monotonic() - start)
    return found


def _measured(bench: _Bench, row: _Row, rounds: list[dict[str, Any]], operations: float, end: float) -> dict[str, Any]:
    """A row of the table."""
    if row.failed:
        return {"backend": row.backend, "precision": row.precision, "batch": row.batch, "reason": row.failed}
    ratios = [speed / one["plain"] for speed, one in zip(row.speeds, rounds, strict=True)]
    found: dict[str, Any] = {
        "backend": row.backend,
        "precision": row.precision,
        "batch": row.batch,
        "samples_per_second": _median(row.speeds),
        "all_samples_per_second": row.speeds,
        "times_plain": _median(ratios),
        "times_plain_range": [min(ratios), max(ratios)],
        "times_plain_tf32": _median(speed / one["plain_tf32"] for speed, one in zip(row.speeds, rounds, strict=True)),
        "clocks": rounds[-1]["clocks"],
    }
    limits = [one["ceilings"].get(row.precision) for one in rounds]
    if all(limits):
        found["of_ceiling"] = _median(
            operations * speed / limit for speed, limit in zip(row.speeds, limits, strict=True)
        )
    if end - time.monotonic() < _LEAST_LEFT / 2:
        return {**found, "shares_reason": "the time was up"}
    try:
        return {**found, **bench.shares(row)}
    except Exception as error:
        return {**found, "shares_reason": trace(error)}


def _median(values: Any) -> float:
    return float(statistics.median(values))
