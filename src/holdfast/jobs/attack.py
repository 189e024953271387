"""Attack a model, or the certificates of a run, from Python."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import AlarmError, HoldfastWarning, UsageError
from holdfast.jobs.given import (
    data_of,
    engine_of,
    folder_of,
    model_of,
    name_of,
    noise_of,
    sample_of,
    split_of,
    threads_kept,
    training_set,
)
from holdfast.jobs.kept import place
from holdfast.jobs.progress import of_run
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.attacks import Attack
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine


def attack(
    run: CertifiedRun | str | Path | None,
    attack: Attack | str,
    *,
    model: object,
    data: DataSet | str | Path,
    noise: Noise | str | None = None,
    budget: float | str | Sequence[float] | None = None,
    target_class: int | str | None = None,
    restarts: int = 1,
    n: int = 1_000,
    alpha: float | None = None,
    search_alpha: float = 0.5,
    soft_samples: int = 64,
    repeats: int = 50,
    confidence: float = 0.999,
    every: int = 1,
    limit: int | None = None,
    sample: int | str | None = None,
    seed: int | None = None,
    precision: str = "float32",
    backend: str = "auto",
    engine: Engine | None = None,
    out: str | Path | None = None,
    progress: bool | Callable[[Progress], None] = True,
) -> AttackResult:
    """Search for adversarial inputs, as `holdfast attack` does. The same call resumes an attack that was interrupted.

    A claimed adversarial counts once fresh noise has confirmed it. One inside a certified radius is an alarm.

    Args:
        run: the run whose certificates are attacked, or its folder; None to attack the model alone, or under `noise`.
        attack: the attack, as in "pgd:norm=linf,steps=40", or such an object.
        model: that was certified, or is to be attacked; what `load_model` gives or takes.
        data: the split, or a spec, of which the split of the run is taken, or the test split.
        noise: that smooths the model, as an object or a spec, where there is no run; "none" for the model alone, None
            for the noise that it was trained for.
        budget: largest changes: numbers in input units or pixels, or certified radii, as in "1x,2x". None for the
            attack's own choice: as small as it can find, or 1, 1.5 and 2 certified radii.
        target_class: that the attack aims at: a number, or "next"; None for any other class.
        restarts: of a randomized attack, for each example.
        n: votes for each answer of a smoothed classifier.
        alpha: failure probability of each answer; None for that of the run, or 0.001.
        search_alpha: failure probability of answers during the search.
        soft_samples: noisy copies for each gradient of a smoothed classifier.
        repeats: fresh answers that check a claimed adversarial.
        confidence: that an adversarial needs to count.
        every: without a run: attack one example in so many, from the first on.
        limit: attack so many examples at most; None for all.
        sample: a random sample of so many examples instead, as in 500 or "500:7" with a seed; None for none.
        seed: of all randomness; None for fresh entropy, or that of the attack that is resumed.
        precision: float32, bfloat16 or int8; a run decides it.
        backend: what computes the logits; a run decides it.
        engine: a `LocalEngine`, with device, threads and batch size; None for one thread of this process.
        out: folder of the attack; None for a temporary folder that goes with the object that is returned.
        progress: as for `certify`; a function is called after each example.

    Returns:
        The finished attack: its figures, its adversarials, its records.

    Warns:
        HoldfastWarning: the figures say less than they seem to.

    Raises:
        AlarmError: an adversarial lies inside a certified radius: the certificate or the program is wrong. The evidence
            is on the disk, also where no folder was named.
        UsageError: arguments that do not fit together.
        RunError: the attack in `out` has other settings, or is corrupt.
    """
    from holdfast.analysis.attack_results import AttackResult
    from holdfast.store.attack import read_attack
    from holdfast.store.data_manifest import DataManifest
    from holdfast.workflows import attack as work
    from holdfast.workflows.setup import fitted_model, warn_of_class_order

    where = _local(engine_of(engine))
    options = work.AttackOptions(
        attack=_spec_of(attack),
        budget=_budgets(budget),
        target=None if target_class is None else str(plain(target_class)),
        restarts=restarts,
        n=n,
        alpha=alpha,
        search_alpha=search_alpha,
        soft_samples=soft_samples,
        repeats=repeats,
        confidence=confidence,
        seed=seed,
    )
    computation = work.ComputeOptions(where.device, where.threads, where.batch_size, precision, backend)
    certification = None if run is None else work.attacked_run(folder_of(run))
    if certification is not None:
        named = None if noise is None else str(noise)
        taken = None if sample is None else str(sample)
        work.refuse_decided(certification, named, every, None, precision, backend, taken)
    examples = data_of(data) if certification is None else split_of(data, certification.manifest.data.split)
    fitted = fitted_model(model_of(model, where.device), examples, name_of(data))
    smoothing = None if certification is not None else work.attacked_noise(fitted, _noise(noise))
    if certification is None:
        warn_of_class_order(examples, every, limit, sample_of(sample))
        subset = DataManifest.of(examples, every, limit, sample_of(sample))
    else:
        subset = work.narrowed(certification, limit)
    folder, owner = place(out)
    try:
        with of_run(f"attack {folder.name}", progress) as show, threads_kept():
            work.attack_into(
                folder,
                options,
                fitted,
                training_set(data),
                examples,
                subset,
                computation,
                smoothing,
                certification,
                show,
            )
        found = read_attack(folder)
        work.warn_of_hidden_gradients(options.attack, fitted)
        work.check_alarms(found, str(folder_of(run)) if run is not None else "")
    except AlarmError:
        if owner is not None:
            owner.keep()
        raise
    result = AttackResult(found, certification, owner)
    for doubt in work.doubts(result.summary, found.manifest, "n", "budget", "target_class"):
        warnings.warn(doubt, HoldfastWarning, stacklevel=2)
    return result


def _local(engine: Engine) -> Engine:
    from holdfast.sampling.engines.local import LocalEngine

    if not isinstance(engine, LocalEngine):
        raise UsageError(f"an attack computes in this process: the engine is a LocalEngine, or None; got {engine!r}")
    return engine


def _noise(noise: Noise | str | None) -> Noise | str | None:
    from holdfast.workflows.attack import NO_NOISE

    return noise if noise == NO_NOISE else noise_of(noise)


def _spec_of(attack: Attack | str) -> str:
    from holdfast.attacks import Attack

    if isinstance(attack, Attack):
        return attack.written
    if not isinstance(attack, str):
        raise UsageError(f"an attack is a spec, as in 'pgd:norm=linf', or an object of an attack; got {attack!r}")
    return attack


def _budgets(budget: float | str | Sequence[float] | None) -> str | None:
    """The budgets as the command line takes them."""
    if budget is None or isinstance(budget, str):
        return budget
    given: Any = budget.tolist() if hasattr(budget, "tolist") else budget
    numbers = [plain(each) for each in given] if isinstance(given, list | tuple) else [plain(given)]
    if not numbers or not all(is_real(each) and each > 0 for each in numbers):
        raise UsageError(
            f"a budget is a positive number, or several, in input units or pixels, or a text as in '1x,2x'; got "
            f"{budget!r}"
        )
    return ",".join(map(repr, numbers))
