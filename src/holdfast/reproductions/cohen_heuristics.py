"""Cohen et al. 2019, Section 2: random self-ensemble and region-based classification, which resemble randomized
smoothing and prove nothing, beside a smoothed classifier and its certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import accuracy_under, clean_accuracy, images, plain, wrong_within
from holdfast.reproductions.models import cohen_run, mnist_gaussian
from holdfast.reproductions.pages import Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Certification, Model, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from holdfast.store.attack import AttackRun

_SIGMA, _EPSILON = 0.5, 1.0
_EPOCHS = {"smoke": 8, "small": 8, "full": 60}
_LIMIT = {"smoke": 5, "small": 50, "full": 500}
_COPIES = {"smoke": 5, "small": 20, "full": 100}
_SAMPLES = {"smoke": 4, "small": 16, "full": 64}
_STEPS = {"smoke": 8, "small": 40, "full": 100}
# Fresh draws that verify a claim against a heuristic defence, as in the study athalye.
_REPEATS = 100
_TITLES = {"self-ensemble": "random self-ensemble", "region-based": "region-based classification"}
_NAIVE, _EOT, _SMOOTHED = "PGD", "EOT", "smooth PGD"


def plan(scale: str, kind: str) -> Plan:
    """Two heuristic defences, and a smoothed classifier with a run, under attacks on the same images."""
    smoothed, run = _smoothed(scale)
    heuristic = [_model(scale, name) for name in _TITLES]
    attacks = [
        Attacking(
            _folder(model.name, attack),
            model.name,
            spec,
            run.every,
            limit=_limit(scale, run),
            budget=f"{_EPSILON}",
            repeats=_REPEATS,
        )
        for model in heuristic
        for attack, spec in _attacks(scale).items()
    ]
    attacks.append(
        Attacking(
            _folder(smoothed.name, _SMOOTHED),
            smoothed.name,
            f"smooth-pgd:norm=l2,steps={_STEPS[scale]},samples={4 * _SAMPLES[scale]}",
            run.every,
            limit=_limit(scale, run),
            budget=f"{_EPSILON}",
            run=run.name,
            n=200 if scale == "smoke" else 1_000,
            alpha=run.alpha,
        )
    )
    return Plan((*heuristic, smoothed), (run,), attacks=tuple(attacks))


def _attacks(scale: str) -> dict[str, str]:
    return {
        _NAIVE: f"pgd:norm=l2,steps={_STEPS[scale]}",
        _EOT: f"bpda:norm=l2,steps={_STEPS[scale]},samples={_SAMPLES[scale]}",
    }


def _smoothed(scale: str) -> tuple[Model, Certification]:
    model = mnist_gaussian(scale, _SIGMA)
    return model, cohen_run(scale, model)


def _limit(scale: str, run: Certification) -> int:
    return _LIMIT[scale] if run.limit is None else min(_LIMIT[scale], run.limit)


def _model(scale: str, name: str) -> Model:
    arguments: dict[str, object] = {"copies": _COPIES[scale], "classifier": "mnist-cnn"}
    arguments |= {"radius": 0.3} if name == "region-based" else {"first": 0.2, "inner": 0.1}
    return plain(scale, f"heuristic-mnist-{name}", name, arguments=arguments, epochs=_EPOCHS[scale])


def _folder(model: str, attack: str) -> str:
    return f"{model}-l2-{attack.lower().replace(' ', '-')}"


def page(done: Finished) -> Page:
    """Accuracy, accuracy under attack, and what is certain."""
    smoothed, wanted = _smoothed(done.scale)
    run, attack = done.runs[wanted.name], done.attacks[_folder(smoothed.name, _SMOOTHED)]
    found = {
        name: {each: done.attacks[_folder(_model(done.scale, name).name, each)] for each in (_NAIVE, _EOT)}
        for name in _TITLES
    }
    groups = [_heuristic(done, name, runs) for name, runs in found.items()]
    certified = measures.certified(run, [_EPSILON])[0]
    rows = (
        Row("unchanged", None, (clean_accuracy(attack),)),
        Row(_SMOOTHED, None, (accuracy_under(attack, _EPSILON),)),
        Row("certified", None, (certified,)),
    )
    about = f"{measures.settings(run, done.models[smoothed.name])}; attacked: {images(attack.manifest.data)}"
    groups.append(Group(f"randomized smoothing, sigma = {_SIGMA}", about, rows))
    return Page(
        title=f"Cohen et al. 2019, Section 2: heuristics that resemble smoothing, scale {done.scale}",
        intro=(
            f"Accuracy within L2 epsilon = {_EPSILON:g} in percent, with 95% intervals. Random self-ensemble (Liu et "
            "al. 2018) adds noise inside the network and averages probabilities; region-based classification (Cao & "
            "Gong 2017) takes the majority among random points of a cube. Neither proves anything: what is left under "
            "an attack may fall to the next one. The last row of randomized smoothing cannot. The paper prints no "
            "figure for this comparison.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Accuracy under attack, and certified", ("here",), tuple(groups), published=False),),
        statements=_statements(done, found, attack),
        notes=(
            "PGD attacks the network without its noise, EOT takes the mean gradient over draws of it. A claimed "
            "adversarial of the heuristics counts if it is wrong more often than not under fresh draws; of the "
            "smoothed classifier, also if Predict abstains more often than not.",
            "Points of a cube, by the thousand and with confidence bounds, give certificates for L1 (`holdfast certify "
            "--noise uniform:...`), and noise on the input alone those for L2.",
            "Smilkov et al. 2017 (SmoothGrad), which the paper names beside them, averages gradients over noisy copies "
            "of an image to explain an answer. It changes no answer, so there is nothing to attack; the mean gradient "
            "over noisy copies is what EOT ascends.",
        ),
    )


def _heuristic(done: Finished, name: str, runs: dict[str, AttackRun]) -> Group:
    rows = [Row("unchanged", None, (clean_accuracy(runs[_EOT]),))]
    rows += [Row(attack, None, (accuracy_under(run, _EPSILON),)) for attack, run in runs.items()]
    rows.append(Row("certified", None, (None,)))
    model = _model(done.scale, name)
    tested = images(runs[_EOT].manifest.data)
    about = f"{_COPIES[done.scale]} copies; {measures.training(done.models[model.name])}; {tested}"
    return Group(_TITLES[name], about, tuple(rows))


def _statements(done: Finished, found: dict[str, dict[str, AttackRun]], attack: AttackRun) -> tuple[Statement, ...]:
    _, wanted = _smoothed(done.scale)
    attacked = {each.index for each in attack.records}
    safe = {each.index for each in done.runs[wanted.name].results if each.certified_radius >= _EPSILON} & attacked
    left = {
        name: {each: accuracy_under(run, _EPSILON).value or 0.0 for each, run in runs.items()}
        for name, runs in found.items()
    }
    return (
        Statement.compared(
            "no image that is certified at epsilon was made wrong within it",
            not safe & wrong_within(attack, _EPSILON),
            len(safe),
            "attacked images that are certified at epsilon",
            regardless=True,
        ),
        *(
            Statement(
                f"{title}: EOT leaves no more accuracy than PGD without the noise", shares[_EOT] <= shares[_NAIVE]
            )
            for (name, title) in _TITLES.items()
            for shares in (left[name],)
        ),
        *(
            Statement(
                f"{title}: EOT leaves less accuracy than the attack on the smoothed classifier",
                left[name][_EOT] < (accuracy_under(attack, _EPSILON).value or 0.0),
            )
            for name, title in _TITLES.items()
        ),
    )


STUDY = register(
    Study(
        name="cohen-heuristics",
        title="Cohen et al. 2019, Section 2: heuristic forerunners of smoothing, beside a certificate",
        data=("mnist",),
        cost={"smoke": "a minute", "small": "an hour on a core", "full": "hours on a GPU"},
        plan=plan,
        page=page,
        items=("C71",),
    )
)
