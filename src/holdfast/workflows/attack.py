"""Attack a model, or the inputs of a run, into a folder that can be interrupted, resumed and verified."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import AlarmError, HoldfastWarning, RunError, UsageError
from holdfast.workflows.commitment import Commitment
from holdfast.workflows.specs import parse_attack, parse_budgets, parse_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.analysis.attacks import AttackSummary
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.attacks import Target
    from holdfast.data.base import DataSet
    from holdfast.execution.adversary import Certified
    from holdfast.execution.session import Progress
    from holdfast.folders import Where
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.store.attack import AttackRun
    from holdfast.store.attack_manifest import AttackManifest
    from holdfast.store.data_manifest import DataManifest
    from holdfast.types import Norm

# Stands for the model alone, where a noise is named.
NO_NOISE = "none"
_DEFAULT_ALPHA = 0.001
# Precision of models with deterministic bounds.
_BOUNDED = "float64"


@dataclass(frozen=True)
class AttackOptions:
    """The attack, as the options of the command line name it.

    Attributes:
        attack: the attack, as in `pgd:norm=linf,steps=40`.
        budget: in input units or pixels, as in `.25,.5`, or in certified radii, as in `1x,2x`; None for the default.
        target: class that the attack aims at: a number, or "next"; None for any other class.
        restarts: restarts of a randomized attack for each example.
        n: votes for each answer of a smoothed classifier.
        alpha: failure probability of each answer; None for that of the run, or 0.001.
        search_alpha: failure probability of its answers while an attack searches.
        soft_samples: noisy copies for each gradient of a smoothed classifier.
        repeats: fresh answers that check a claimed adversarial.
        confidence: confidence that an adversarial needs to count.
        seed: seed of all randomness; None for that of the attack, or a fresh one.
        commitment: conditions on the manifest before anything is computed.
    """

    attack: str = ""
    budget: str | None = None
    target: str | None = None
    restarts: int = 1
    n: int = 1_000
    alpha: float | None = None
    search_alpha: float = 0.5
    soft_samples: int = 64
    repeats: int = 50
    confidence: float = 0.999
    seed: int | None = None
    commitment: Commitment = field(default_factory=Commitment)


@dataclass(frozen=True)
class ComputeOptions:
    """Where the classifier computes, and how.

    Attributes:
        device: cpu, cuda or cuda:N.
        threads: processor threads.
        batch_size: noisy copies in a batch; None for the fastest size.
        precision: float32, bfloat16 or int8.
        backend: what computes the logits, or "auto".
    """

    device: str
    threads: int
    batch_size: int | None
    precision: str
    backend: str


def attack_into(
    out: Where,
    options: AttackOptions,
    model: Model,
    training_set: Callable[[], DataSet],
    examples: DataSet,
    subset: DataManifest,
    computation: ComputeOptions,
    smoothing: Noise | None,
    certification: CertifiedRun | None,
    on_progress: Callable[[Progress], None] | None = None,
) -> None:
    """Start or resume an attack in `out`; if the commitment says so, only write its manifest.

    Args:
        out: folder of the attack; a resumed attack keeps its seed, unless the options give another.
        options: the attack.
        model: the model.
        training_set: opens the training split, on which int8 is calibrated.
        examples: the split that is attacked.
        subset: which of it.
        computation: where to compute; with a certification, its precision and backend count.
        smoothing: the noise; None for the model alone, or for that of the certification, if it has one.
        certification: run whose certificates are attacked, or None.
        on_progress: called after each example.

    Raises:
        UsageError, RunError, AlarmError: see `attack_run`.
    """
    from holdfast.attacks import Check
    from holdfast.execution.attack import attack_run, checked_adversary, describe_attack
    from holdfast.execution.replay import check_backend
    from holdfast.store.attack import AttackStore
    from holdfast.store.attack_manifest import AttackManifest

    chosen = parse_attack(options.attack)
    budgets = parse_budgets(options.budget, default="1x,1.5x,2x" if certification and not chosen.minimizes else None)
    if budgets.relative and certification is None:
        raise UsageError("budgets in certified radii (1x) need the certification RUN; give budgets in input units")
    known = None if certification is None else _certified(certification, subset, chosen.measure)
    if certification is not None:
        smoothing, computation, options = _as_certified(certification, model, examples, computation, options)
    target, backend = target_of(model, training_set, smoothing, options, computation)
    if certification is not None and smoothing is not None:
        check_backend(certification.manifest, backend)
    manifest = describe_attack(
        chosen,
        target,
        budgets,
        Check(options.repeats, options.confidence),
        data=subset,
        model={**model.describe(), "backend": backend},
        precision=computation.precision,
        seed=options.commitment.seed(out, AttackManifest, options.seed),
        target_class=_target_class(options.target, len(examples.class_names)),
        restarts=options.restarts,
        certification=None if certification is None else certification.manifest.digest,
    )
    if options.commitment.only:
        checked_adversary(manifest, target, known)
        AttackStore(out, manifest).close()
        return
    attack_run(out, manifest, target, examples.examples, known, on_progress, asdict(computation))


def target_of(
    model: Model,
    training_set: Callable[[], DataSet],
    smoothing: Noise | None,
    options: AttackOptions,
    computation: ComputeOptions,
) -> tuple[Target, dict[str, Any]]:
    """The target of the attack, and the description of its backend.

    A model that hides its gradients behind a defence is a `DefendedTarget`: attacks know of the defence, and new draws
    check a claim against a random one. Under noise its gradients are useless, and attacks get none.
    A model whose deterministic bounds are attacked computes in float64, like the bounds.
    """
    import torch

    from holdfast.attacks import Access, DefendedTarget, PlainTarget, SmoothedTarget
    from holdfast.execution.backends import AUTO, ClassifierBuilder, description
    from holdfast.models.backends import TORCH, check_precision, find, having, kind_of
    from holdfast.sampling.devices import torch_device

    torch.set_num_threads(computation.threads)
    by_decisions = not options.attack or parse_attack(options.attack).needs <= Access.SCORES
    space, classes = model.input_space, len(model.classes)
    if smoothing is None:
        double = computation.precision == _BOUNDED and not is_defended(model)
        as_it_is = by_decisions and kind_of(model.module) != TORCH
        backend = having("float32", kind_of(model.module))[0] if as_it_is else "torch"
        if not (computation.precision == "float32" or double) or computation.backend not in (AUTO, backend):
            raise UsageError(
                f"an attack on this model without noise uses {backend} in float32, got {computation.precision} and "
                f"{computation.backend}; leave out precision and backend"
            )
        module = model.module if as_it_is else model.differentiable()
        settings = (module, classes, space.shape, space.low, space.high, torch_device(computation.device))
        alone = DefendedTarget(*settings) if is_defended(model) else PlainTarget(*settings, double=double)
        return alone, {"name": backend, "version": find(backend).version()}
    check_precision(computation.precision)
    builder = ClassifierBuilder(
        model,
        smoothing,
        computation.precision,
        computation.device,
        computation.threads,
        training_set,
    )
    # The fastest one is not measured: nobody knows how many answers an attack will ask for.
    classifier = builder.classifier(builder.reference if computation.backend == AUTO else computation.backend)
    smoothed = SmoothedTarget(
        classifier,
        smoothing,
        space.shape,
        options.n,
        _DEFAULT_ALPHA if options.alpha is None else options.alpha,
        low=space.low,
        high=space.high,
        module=None if is_defended(model) or by_decisions else model.differentiable(),
        search_alpha=options.search_alpha,
        soft_samples=options.soft_samples,
        device=computation.device,
        batch_size=computation.batch_size,
        threads=computation.threads,
    )
    return smoothed, description(classifier)


def attacked_run(folder: Where) -> CertifiedRun:
    """The run whose certificates are attacked; it decides noise, inputs, precision and backend.

    Raises:
        RunError: not a run that Holdfast made, or one without records.
    """
    from holdfast.analysis.runs import ImportedRun, analyze
    from holdfast.store.run import read_run

    certification = analyze(read_run(folder))
    if isinstance(certification, ImportedRun) or not certification.results:
        raise RunError(
            f"{folder} has no certificates of a model that could be attacked: it is an imported log, or has no "
            "records; name a run of `holdfast certify` or `holdfast bound`, or leave it out"
        )
    return certification


def attacked_noise(model: Model, noise: Noise | str | None) -> Noise | None:
    """The noise that smooths a model, checked against it; None for the model alone.

    Args:
        model: the model.
        noise: the noise, or its spec, as in `gaussian:sigma=0.5`; "none" for the model alone, None for the noise of its
            training.

    Raises:
        UsageError: the first layer of the model cannot take inputs with this noise.
    """
    trained_for = model.trained_for
    given = parse_noise(noise) if isinstance(noise, str) and noise != NO_NOISE else noise
    chosen = trained_for if given is None else None if isinstance(given, str) else given
    shape = model.input_space.shape
    expected = shape if chosen is None else chosen.noisy_shape(shape)
    if model.takes not in (None, expected):
        raise UsageError(
            f"{model.name} was trained for {trained_for}: its first layer takes inputs of shape {model.takes}, "
            f"and {'inputs without noise have' if chosen is None else f'those of {chosen} have'} {expected}; leave out "
            "the noise, or give a model that was trained for it"
        )
    return chosen


def check_alarms(found: AttackRun, certification: str) -> None:
    """Raise AlarmError if an attack on a run contradicts any of its certificates.

    Args:
        found: the attack.
        certification: name of the run.
    """
    from holdfast.analysis.formats import counted
    from holdfast.store.attack import EVIDENCE

    if found.alarms:
        raise AlarmError(
            f"ALARM: {found.folder} contradicts certificates of {certification}: of "
            f"{counted(len(found.alarms), 'example')}, the first one is {found.alarms[0]}. The evidence is in "
            f'{found.folder / EVIDENCE}; see "The alarm" in docs/how-to/attacks.md'
        )


def warn_of_hidden_gradients(attack: str, model: Model) -> None:
    """Warn that an attack by gradients shows little about a model that hides them."""
    from holdfast.attacks import Access

    chosen = parse_attack(attack)
    if is_defended(model) and chosen.needs is Access.GRADIENTS:
        warnings.warn(
            f"the model rounds or randomizes its inputs, which hides its gradients from {chosen.name!r}: that it finds "
            "little shows little. bpda and nattack do not need them",
            HoldfastWarning,
            stacklevel=2,
        )


def refuse_decided(
    certification: CertifiedRun,
    noise: str | None,
    every: int,
    split: str | None,
    precision: str,
    backend: str,
    sample: str | None = None,
) -> None:
    """Raise UsageError for an option with another value than its default and than that of the run, which decides."""
    from holdfast.store.run_manifest import backend_of

    folder, manifest = certification.folder, certification.manifest
    if noise is not None:
        raise UsageError(f"the noise comes from {folder}; leave it out")
    if every != 1:
        raise UsageError(
            f"the inputs come from {folder}; leave out every = {every}, or take the first ones with a limit"
        )
    if sample is not None:
        raise UsageError(f"the inputs come from {folder}; leave out the sample {sample}, or take some with a limit")
    for name, given, default, decided in (
        ("split", split, "test", manifest.data.split),
        ("precision", precision, "float32", manifest.precision),
        ("backend", backend, "auto", backend_of(manifest)),
    ):
        if given not in (None, default, decided):
            raise UsageError(f"the {name} comes from {folder} and is {decided}, got {given}; leave it out")


def doubts(summary: AttackSummary, manifest: AttackManifest, n: str, budget: str, target: str) -> list[str]:
    """Why the figures of an attack say less than they seem to: nothing was attacked.

    Args:
        summary: its figures.
        manifest: its manifest.
        n, budget, target: what the caller calls these options.
    """
    if summary.silent == summary.examples:
        return [
            f"the classifier gave no answer for any of the {summary.examples} unchanged inputs, so there was nothing "
            f"to attack: n = {manifest.n} votes do not tell its classes apart at alpha = {manifest.alpha:g}. Take a "
            f"larger {n}, or look at the model with `holdfast predict`"
        ]
    if summary.silent + sum(summary.unattacked.values()) == summary.examples:
        return [
            f"none of the {summary.examples} inputs was attacked ({', '.join(summary.unattacked)}), so the figures say "
            f"nothing about robustness. Give {budget} in the attack's own units, or another {target}"
        ]
    return []


def narrowed(certification: CertifiedRun, limit: int | None) -> DataManifest:
    """The subset of the run, or the first examples of it."""
    data = certification.manifest.data
    return data if limit is None else data.first(limit)


def is_defended(model: Model) -> bool:
    """Whether the model has a defence: hides gradients, is random, or rejects inputs."""
    from holdfast.models.architectures.defended import DefendedClassifier

    return any(isinstance(part, DefendedClassifier) for part in model.module.modules())


def _as_certified(
    certification: CertifiedRun,
    model: Model,
    examples: DataSet,
    computation: ComputeOptions,
    options: AttackOptions,
) -> tuple[Noise | None, ComputeOptions, AttackOptions]:
    """Noise, precision, backend and alpha of the run, after a check of model and data; no noise for a bound."""
    from holdfast.execution.replay import check_origin
    from holdfast.store.run_manifest import backend_of

    manifest = certification.manifest
    check_origin(manifest, model, examples)
    where = replace(computation, precision=manifest.precision, backend=backend_of(manifest))
    noise = certification.noise
    if noise is not None and options.alpha is None:
        # That of exact certificates is 0, at which nothing could be answered by sampling.
        options = replace(options, alpha=certification.alpha or None)
    return noise, where, options


def _target_class(text: str | None, classes: int) -> int | str | None:
    from holdfast.execution.adversary import NEXT

    if text is None or text == NEXT:
        return text
    known = {str(label): label for label in range(classes)}
    if text not in known:
        raise UsageError(f"the target class is a number from 0 to {classes - 1}, or {NEXT!r}; got {text!r}")
    return known[text]


def _certified(certification: CertifiedRun, subset: DataManifest, measure: Norm) -> dict[int, Certified]:
    """What the run says of each example that is attacked.

    Raises:
        UsageError: its radii are of another norm than the attack.
        RunError: it has no record of some of the examples.
    """
    from holdfast.execution.adversary import Certified

    norm = certification.norm
    if norm is not measure:
        raise UsageError(
            f"the radii of {certification.folder} are {norm.value}, and the attack is measured in {measure.value}: "
            "they cannot be compared. Choose an attack in the run's norm (norm=NAME), or certify in "
            "another one (another theorem, or norm= of a bound)"
        )
    known = {
        each.index: Certified(each.answer, None) if each.predicted is None else Certified(each.predicted, each.radius)
        for each in certification.results
    }
    missing = [index for index in subset.indices() if index not in known]
    if missing:
        raise RunError(
            f"{certification.folder} has no record of {len(missing)} of these {len(subset.indices())} examples (the "
            f"first one is {missing[0]}): finish it, or attack fewer"
        )
    return {index: known[index] for index in subset.indices()}
