"""Cohen et al. 2019, Section 4: PGD against the smoothed classifier at 1.5 and 2 times the certified radius."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.analysis.attacks import success_at_factors
from holdfast.analysis.gap_pictures import gap_picture
from holdfast.analysis.gaps import gap
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_gaussian, cohen_run, imagenet_gaussian, mnist_gaussian
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Model, Plan
from holdfast.reproductions.results import Finished
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from holdfast.analysis.attacks import Success
    from holdfast.analysis.published import PublishedFigure
    from holdfast.store.attack import AttackRecord, AttackRun

_SIGMA = {"mnist": 0.5, "cifar10": 0.25, "imagenet": 0.25}
_MODELS = {"mnist": mnist_gaussian, "cifar10": cifar_gaussian, "imagenet": imagenet_gaussian}
_LIMIT = {"smoke": 10, "small": 100, "full": 500}
# Appendix J.3: the mean loss over noisy copies, redrawn in each step, from the unchanged image on. The numbers of steps
# and copies are not in our copy of the text; at full scale they are what a GPU does in a day.
_ATTACK = {
    "smoke": "smooth-pgd:steps=5,samples=8,objective=expected,start=input",
    "small": "smooth-pgd:objective=expected,start=input",
    "full": "smooth-pgd:samples=1000,objective=expected,start=input",
}
_FACTORS = {1.0: None, 1.5: "radius 1.5R", 2.0: "radius 2R"}


def plan(scale: str, kind: str) -> Plan:
    """The model and the run of the tables for this sigma, and an attack within each multiple of the radius.

    They are separate attacks, since one attack on all multiples would end with the first abstention that it finds.
    """
    model = _model(scale, kind)
    run = cohen_run(scale, model)
    most = _LIMIT[scale] if run.limit is None else min(_LIMIT[scale], run.limit)
    attacks = tuple(
        Attacking(
            _folder(model.name, factor),
            model.name,
            _ATTACK[scale],
            run.every,
            limit=most,
            budget=f"{factor:g}x",
            run=run.name,
            n=200 if scale == "smoke" else 1_000,
            alpha=0.001,
        )
        for factor in _FACTORS
    )
    return Plan((model,), (run,), attacks=attacks)


def _model(scale: str, kind: str) -> Model:
    return _MODELS[kind](scale, _SIGMA[kind])


def _folder(model: str, factor: float) -> str:
    return f"{model}-smooth-pgd-{factor:g}R"


def page(done: Finished) -> Page:
    """Success at each multiple of the radius."""
    kind = done.kind or "cifar10"
    model = _model(done.scale, kind).name
    run, attacks = done.runs[model], {factor: done.attacks[_folder(model, factor)] for factor in _FACTORS}
    found = {factor: _success(attack, factor) for factor, attack in attacks.items()}
    same = kind == "imagenet"
    about = f"{measures.settings(run, done.models[model])}; {_population(attacks[1.0])}"
    group = Group(
        f"sigma = {_SIGMA[kind]}", about, tuple(row for f, each in found.items() for row in _rows(f, each, same))
    )
    title = "Success of the attack"
    return Page(
        title=f"Cohen et al. 2019, Section 4: PGD on the smoothed classifier, {kind}, scale {done.scale}",
        intro=(_intro(same), *([measures.SMOKE] if done.scale == "smoke" else []), *done.notes),
        tables=(Table(title, ("here",), (group,), differences=not done.pipeline_check, published=same),),
        charts=(
            Chart(
                f"cohen-attack-{kind}.svg",
                "Certificate and attack on the same images",
                "Certified accuracy below, accuracy under attack above, abstentions counted as successes, with "
                "pointwise 95% bands. Grey: neither certified nor broken.",
                lambda: gap_picture(gap(_nearest(attacks), run)),
            ),
        ),
        statements=_statements(attacks, found),
        notes=(
            "The attack is that of Appendix J.3: projected ascent of the mean loss over noisy copies, from the "
            "unchanged image, with steps of constant length that together reach twice across the ball, and "
            f"{attacks[1.0].manifest.attack['samples']:,} copies in each of {attacks[1.0].manifest.attack['steps']} "
            "steps. The paper itself says that an attacker would want another objective; the attack of Salman et al. "
            "2019 ascends the loss of the mean prediction (`holdfast attack smooth-pgd`).",
        ),
        warning=measures.UNTRAINED if done.pipeline_check else "",
        pictures=adversarial_gallery(
            f"cohen-attack-{kind}-adversarials",
            "Adversarials of the smoothed classifier",
            {f"within {factor:g} R": attacks[factor] for factor in (1.5, 2.0)},
            "The noise is not shown.",
        ),
    )


def _intro(same: bool) -> str:
    """What is counted, among which images, and what the paper prints."""
    known = {factor: _known(factor) for factor in _FACTORS}
    printed = ", ".join(f"{each.text} within {factor:g} R" for factor, each in known.items() if each)
    return (
        "As in the paper, images certified with their own class are attacked separately within 1, 1.5 and 2 times "
        "their certified radius R. A success is another class, verified with fresh noise at confidence 95%. Images on "
        "which the smoothed classifier then abstains more often than not are shown separately. In percent of the "
        "images attacked, with 95% intervals. "
        + (
            "The published figures are for sigma = 0.25."
            if same
            else f"The paper has {printed} on ImageNet: another data set, so no differences are shown."
        )
    )


def _attacked(attack: AttackRun) -> list[AttackRecord]:
    """The paper's population: images certified with the right class at a radius above 0."""
    return [each for each in attack.records if each.radius and each.reference == each.label]


def _success(attack: AttackRun, factor: float) -> Success:
    return success_at_factors(_attacked(attack), (factor,))[0]


def _population(attack: AttackRun) -> str:
    """How many images are attacked, and how many are left out and why."""
    wrong = sum(bool(each.radius) and each.reference != each.label for each in attack.records)
    nothing = sum(not each.radius for each in attack.records)
    return (
        f"of the first {len(attack.records):,} of them, {len(_attacked(attack)):,} are certified and right; "
        f"{wrong:,} certified with a wrong class and {nothing:,} without a radius are left out"
    )


def _rows(factor: float, success: Success, same: bool) -> tuple[Row, Row]:
    """The shares of another class, beside the published figure, and of abstentions."""

    def share(count: int) -> Measured:
        total = success.attacked
        return Measured.share(proportion(count, total)) if total else Measured(None, "share")

    return (
        Row(f"{factor:g} R: another class", _known(factor) if same else None, (share(success.misclassified),)),
        Row(f"{factor:g} R: abstains", None, (share(success.abstained),)),
    )


def _nearest(attacks: dict[float, AttackRun]) -> AttackRun:
    """All attacks merged into one, with the smallest change found for each image."""
    last = attacks[max(attacks)]
    by_image: dict[int, AttackRecord] = {}
    for attack in attacks.values():
        for each in attack.records:
            known = by_image.get(each.index)
            if known is None or known.magnitude is None:
                by_image[each.index] = each
    return replace(last, records=tuple(by_image[index] for index in sorted(by_image)))


def _statements(attacks: dict[float, AttackRun], found: dict[float, Success]) -> tuple[Statement, ...]:
    at = {factor: each.misclassified for factor, each in found.items()}
    certified = sum(bool(each.radius) for each in attacks[1.0].records)
    alarms = sum(len(attack.alarms) for attack in attacks.values())
    attacked, what = found[1.0].attacked, "images that are certified and right"
    return (
        Statement.compared(
            "no certificate was contradicted", not alarms, certified, "images with a radius", regardless=True
        ),
        Statement.compared(
            "nothing succeeds within the certified radius, not even an abstention",
            found[1.0].found == 0,
            attacked,
            what,
        ),
        Statement.compared(
            "success rises from 1 R to 1.5 R, and from there to 2 R", at[1.0] < at[1.5] < at[2.0], attacked, what
        ),
    )


def _known(factor: float) -> PublishedFigure | None:
    """The published success at this multiple of the radius, on ImageNet."""
    setting = _FACTORS.get(factor)
    return None if setting is None else figure("Cohen", "Sec. 4", "attack success", "ImageNet", param=setting)


STUDY = register(
    Study(
        name="cohen-attack",
        title="Cohen et al. 2019, Section 4: PGD on the smoothed classifier at 1.5 and 2 radii",
        data=("cifar10", "mnist", "imagenet"),
        cost={"smoke": "2 minutes", "small": "1 to 2 hours on 2 cores", "full": "a day on a GPU"},
        plan=plan,
        page=page,
        items=("C59", "C60"),
    )
)
