"""Cohen et al. 2019, Section 4: PGD against the smoothed classifier at 1.5 and 2 times the certified radius."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.attacked import success_at_factors
from holdfast.analysis.gap_pictures import gap_picture
from holdfast.analysis.gaps import gap
from holdfast.analysis.published import figure
from holdfast.reproductions import measures
from holdfast.reproductions.base import Attacking, Finished, Model, Plan, Study, register
from holdfast.reproductions.defences import images
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.recipes import cifar_gaussian, cohen_run, imagenet_gaussian, mnist_gaussian

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure

_SIGMA = {"mnist": 0.5, "cifar10": 0.25, "imagenet": 0.25}
_MODELS = {"mnist": mnist_gaussian, "cifar10": cifar_gaussian, "imagenet": imagenet_gaussian}
_LIMIT = {"smoke": 10, "small": 100, "full": 500}
_FACTORS = {1.5: "radius 1.5R", 2.0: "radius 2R"}


def plan(scale: str, kind: str) -> Plan:
    """The model and the run of the tables for this sigma, and the attack on it."""
    model = _model(scale, kind)
    run = cohen_run(scale, model)
    most = _LIMIT[scale] if run.limit is None else min(_LIMIT[scale], run.limit)
    attack = Attacking(
        f"{model.name}-smooth-pgd",
        model.name,
        "smooth-pgd" if scale != "smoke" else "smooth-pgd:steps=5,samples=8",
        run.every,
        limit=most,
        budget="1x,1.5x,2x",
        run=run.name,
        n=200 if scale == "smoke" else 1_000,
        alpha=0.001,
    )
    return Plan((model,), (run,), attacks=(attack,))


def _model(scale: str, kind: str) -> Model:
    return _MODELS[kind](scale, _SIGMA[kind])


def page(done: Finished) -> Page:
    """Success at each multiple of the radius."""
    ((name, attack),) = done.attacks.items()
    model, kind = name.removesuffix("-smooth-pgd"), done.kind or "cifar10"
    run = done.runs[model]
    found = {each.budget: each for each in success_at_factors(attack.records, (1.0, *_FACTORS))}
    published = kind == "imagenet"
    rows = [
        Row(
            f"{factor:g} R",
            _known(factor),
            (Measured.share(success.share()) if success.attacked else Measured(None, "share"),),
        )
        for factor, success in found.items()
    ]
    about = f"{measures.settings(run, done.models[model])}; {images(attack.manifest.data)} attacked"
    sizes = [success.found for success in found.values()]
    warning = measures.UNTRAINED if done.pipeline_check else ""
    return Page(
        title=f"Cohen et al. 2019, Section 4: PGD on the smoothed classifier, {kind}, scale {done.scale}",
        intro=(
            "Each image is attacked within 1, 1.5 and 2 times its own certified radius R by projected gradient ascent "
            "through soft votes. A success is verified with fresh noise: the smoothed classifier fails there more "
            "often than not. In percent of the images with a radius above 0, with 95% intervals"
            + ("." if published else "; the published figures are for ImageNet."),
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(Table("Success of the attack", ("here",), (Group(f"sigma = {_SIGMA[kind]}", about, tuple(rows)),)),),
        charts=(
            Chart(
                f"cohen-attack-{kind}.svg",
                "Certificate and attack on the same images",
                "Certified accuracy below, accuracy under attack above, with pointwise 95% bands. Grey: what is "
                "neither proved nor broken.",
                lambda: gap_picture(gap(attack, run)),
            ),
        ),
        statements=(
            Statement("no certificate was contradicted", not attack.alarms),
            Statement("nothing at all succeeds within the certified radius", sizes[0] == 0),
            Statement("success rises from 1 R to 1.5 R, and from there to 2 R", sizes[0] < sizes[1] < sizes[2]),
        ),
        notes=(
            "The paper climbs the mean loss over noisy copies (Appendix J.3); here it is the loss of the mean "
            "prediction (Salman et al. 2019).",
        ),
        warning=warning,
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
    )
)
