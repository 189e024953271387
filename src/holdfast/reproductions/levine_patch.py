"""Levine & Feizi 2020, "(De)Randomized Smoothing for Certifiable Defense against Patch Attacks", on MNIST."""

from __future__ import annotations

from dataclasses import replace

from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.adversarials import adversarial_gallery
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.copies import copies_gallery
from holdfast.reproductions.defences import accuracy_under, images, within_radius
from holdfast.reproductions.models import mnist, mnist_run
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Certification, Model, Plan
from holdfast.reproductions.results import Finished

_PAPER = "Levine & Feizi 2020 on patches"
# Bands of columns, then blocks.
_NOISES = {
    "smoke": ("columns:width=4", "blocks:size=8"),
    "small": ("columns:width=2", "columns:width=4", "blocks:size=8"),
    "full": ("columns:width=2", "columns:width=4", "columns:width=6", "blocks:size=6", "blocks:size=8"),
}
# Of a window in an image of 28 x 28 pixels.
_POSITIONS = {"columns": 28, "blocks": 784}
# What is attacked, at the paper's side and one that no certificate here reaches.
_ATTACKED, _SIDE, _LARGE = "columns:width=4", 5, 12
_SEARCH = {"smoke": "steps=4,samples=4,places=16,tries=1", "small": "steps=30", "full": "steps=100"}
_LIMIT = {"smoke": 4, "small": 50, "full": 500}
_SIDES = (1, 2, 3, 4, 5, 6, 8)
_RADIUS = "attacked images with a radius above 0"


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each kind of window, and a patch attack on one of them."""
    models = {noise: _model(scale, noise) for noise in _NOISES[scale]}
    runs = {noise: _run(scale, model) for noise, model in models.items()}
    run = runs[_ATTACKED]
    attack = Attacking(
        f"{run.name}-patch",
        run.model,
        f"patch:norm=patch,{_SEARCH[scale]}",
        run.every,
        limit=_LIMIT[scale],
        budget=f"{_SIDE},{_LARGE}",
        run=run.name,
    )
    return Plan(tuple(models.values()), tuple(runs.values()), attacks=(attack,))


def _model(scale: str, noise: str) -> Model:
    """The network of Levine & Feizi on MNIST; the program of this paper has a weight decay."""
    model = mnist(scale, noise, _short(noise))
    if scale != "full":
        return model
    return replace(model, training={**(model.training or {}), "weight_decay": 5e-4})


def _run(scale: str, model: Model) -> Certification:
    """Every window once."""
    positions = _POSITIONS[str(model.noise).partition(":")[0]]
    return replace(mnist_run(scale, model), n0=0, n=positions, alpha=0.0, exact=True)


def _short(noise: str) -> str:
    name, _, size = noise.partition(":")
    return f"{name}{size.partition('=')[2]}"


def page(done: Finished) -> Page:
    """Certified accuracy by the side of the patch, and what an attack leaves."""
    runs = {noise: done.runs[f"mnist-{_short(noise)}"] for noise in _NOISES[done.scale]}
    attack = done.attacks[f"mnist-{_short(_ATTACKED)}-patch"]
    groups, at_side = [], []
    for noise, run in runs.items():
        shares = dict(zip(_SIDES, measures.certified(run, _SIDES), strict=True))
        at_side.append(shares[_SIDE].value or 0.0)
        rows = [Row("accuracy", figure(_PAPER, "Results", "classification accuracy"), (measures.accuracy(run),))]
        for side, share in shares.items():
            published = figure(_PAPER, "Results", "certified accuracy") if side == _SIDE else None
            rows.append(Row(f"certified at {side} x {side}", published, (share,)))
        rows.append(Row("median side", None, (measures.median(run),)))
        groups.append(Group(noise, measures.settings(run, done.model_of(run.name)), tuple(rows)))
    published = figure(_PAPER, "Results", "certified accuracy")
    bands = [row.found[0] for group in groups if group.title.startswith("columns") for row in group.rows[:1]]
    known = [each.value for each in bands if each is not None and each.value is not None]
    certified = sum(bool(record.radius) for record in attack.records)
    under = tuple(Row(f"patches of {side} x {side}", None, (accuracy_under(attack, side),)) for side in (_SIDE, _LARGE))
    about = f"{attack.manifest.attack['name']}, {images(attack.manifest.data)} attacked"
    return Page(
        title=f"Levine & Feizi 2020 against patches on MNIST, scale {done.scale}",
        intro=(
            "The base classifier sees a band of columns, or a block, of an image; each of the 28 or 784 positions is "
            "classified once and has one vote. Nothing is random. Certified at m x m: no change within any square of "
            "m x m pixels alters the answer, which is right. Accuracies are in percent, 95% intervals in brackets.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "Certified accuracy by the side of the patch",
                ("here",),
                tuple(groups),
                (
                    "The published figures are of the paper's best setting, in which a window votes for every class "
                    "whose softmax reaches a threshold, and so for none where it shows nothing. Here it votes for its "
                    "top class: they are for orientation, without differences.",
                    "They are from notes on the paper, to one decimal: its text was not at hand.",
                ),
                differences=False,
            ),
            Table(
                "Accuracy under an attack with patches",
                ("here",),
                (Group(_ATTACKED, about, under),),
                ("What an attack leaves is an upper bound on what can be certified.",),
            ),
        ),
        charts=(
            Chart(
                "levine-patch-curves.svg",
                "Certified accuracy over the side of the patch",
                "With pointwise 95% bands.",
                lambda: measures.picture([measures.drawn(run, noise) for noise, run in runs.items()]),
            ),
        ),
        pictures=(
            *copies_gallery("levine-patch-windows", "What the base classifier sees, and its labels", runs),
            *adversarial_gallery("levine-patch-adversarials", "Patches that changed the answer", {"": attack}),
        ),
        statements=(
            Statement(
                f"some windows certify at {_SIDE} x {_SIDE} what the paper's best do, {published.text}",
                published.share is not None and max(at_side) >= published.share,
            ),
            Statement.compared(
                "wider bands answer more unchanged images", known == sorted(known), len(known) - 1, "two widths"
            ),
            Statement.compared(
                "no certificate was contradicted", not attack.alarms, certified, _RADIUS, regardless=True
            ),
            Statement.compared(
                "no patch within a certified side changed an answer",
                not within_radius(attack),
                certified,
                _RADIUS,
                regardless=True,
            ),
        ),
        notes=(
            "The network is that of Levine & Feizi on MNIST (Table 9 of their paper on ablation), as in their program "
            "for patches"
            + (
                ", trained as there."
                if done.scale == "full"
                else ", trained with another optimizer, schedule and number of epochs, and masks of its own for each "
                "image in a step; the program shares one mask within a minibatch."
            ),
        ),
    )


STUDY = register(
    Study(
        name="levine-patch",
        title="Levine & Feizi 2020 (patches): bands and blocks on MNIST",
        data=("mnist",),
        cost={"smoke": "1 minute", "small": "1 to 2 hours on 2 cores", "full": "hours on a GPU"},
        plan=plan,
        page=page,
    )
)
