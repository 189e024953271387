"""Levine & Feizi 2020 compared with Lee et al. 2019: equations 20 and 21 computed, and Table 7 on MNIST."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from holdfast.analysis.published import figure
from holdfast.noises.ablation import Ablation, delta
from holdfast.noises.uniform_flip import UniformFlip, threshold
from holdfast.reproductions import measures
from holdfast.reproductions.base import Finished, Plan, Study, register
from holdfast.reproductions.models import mnist, mnist_run
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table

# An ImageNet image; each colour channel counts as a pixel, as in Lee et al.
_VALUES = 3 * 224 * 224
_LEVELS = 256
_KAPPA = 0.1
# Lee et al. on MNIST: black and white pixels, kept with this probability.
_LEE = "uniform-flip:kappa=0.8,levels=2"


def plan(scale: str, kind: str) -> Plan:
    """Ablation with k = 45, and uniform flips on black and white images."""
    models = (
        mnist(scale, "ablation:k=45", "k45"),
        mnist(scale, _LEE, "lee", options="levels=2"),
    )
    return Plan(models, tuple(mnist_run(scale, model) for model in models))


def page(done: Finished) -> Page:
    """The equations and, with data, the medians."""
    equations, more = _equations()
    tables = [equations]
    information = "ablation keeps over twice the information of uniform flips at this size"
    statements = [Statement(information, more > 2.0, regardless=True)]
    if done.runs:
        tables.append(_medians(done))
        lee, own = (measures.median(done.runs[name]).value or 0.0 for name in ("mnist-lee", "mnist-k45"))
        statements.append(Statement("ablation has the larger median on MNIST", own > lee))
    measured = (
        "Table 7 on MNIST: Lee et al. make the images black and white and flip pixels, so that the base classifier "
        "does not know which pixels were kept. ImageNet is not trained here; levine-imagenet has its table."
        if done.runs
        else "Table 7 needs data: give mnist:DIR to train and certify with both noises on MNIST."
    )
    return Page(
        title=f"Levine & Feizi 2020 and Lee et al. 2019, scale {done.scale}",
        intro=(
            "The information that randomized ablation and uniform flips of pixels leave of an image, if both certify "
            "one pixel at the same probability of the top class. Computed, without data.",
            measured,
            *([measures.SMOKE] if done.scale == "smoke" and done.runs else []),
            *done.notes,
        ),
        tables=tuple(tables),
        statements=tuple(statements),
        notes=(_procedure(done),) if done.runs else (),
    )


def _procedure(done: Finished) -> str:
    """How both runs certify, from their manifests."""
    run = done.runs["mnist-lee"]
    return (
        f"Both are certified by the procedure of Levine & Feizi, here with n0 = {run.manifest.n0:,}, "
        f"n = {run.estimator.most_draws:,} and alpha = {run.alpha:g} (in the paper 1,000, 10,000 and 0.05). Lee et al. "
        "use n = 100,000 and alpha = 0.001; the paper found that this leaves the medians unchanged. Both use the "
        "network and the training of the ablation."
    )


@lru_cache
def _equations() -> tuple[Table, float]:
    """The equations as published and as computed, and how many times more information ablation keeps."""
    needed = threshold(Fraction(1, 10), _LEVELS - 1, 1)
    kept = _largest_k(needed)
    bits = Ablation(kept).information((_VALUES,), _LEVELS)
    flipped = UniformFlip(_KAPPA, _LEVELS).information((_VALUES,), _LEVELS)
    rows = (
        Row(
            "p for 1 pixel, Lee",
            figure("Levine", "Discussion", "required p_i", kappa=_KAPPA),
            (Measured(float(needed), "probability", digits=3),),
        ),
        Row("k at this p", figure("Levine", "Discussion", "largest k"), (Measured(float(kept), "", digits=0),)),
        Row("ablation (Eq. 20)", figure("Levine", "Eq. 20", "mutual information"), (Measured(bits, "bits", digits=1),)),
        Row("Lee (Eq. 21)", figure("Levine", "Eq. 21", "mutual information"), (Measured(flipped, "bits", digits=1),)),
    )
    note = (
        f"For {_VALUES:,} values of {_LEVELS} levels each, kappa = {_KAPPA}. Information in bits about a uniformly "
        "distributed image. Exact, so there are no intervals."
    )
    return Table("Discussion, Equations 20 and 21", ("here",), (Group("", "", rows),), (note,)), bits / flipped


def _largest_k(p: Fraction) -> int:
    """The largest number of kept values for which probability p certifies one changed value."""
    low, high = 1, _VALUES
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p - delta(_VALUES, middle, 1) > Fraction(1, 2) else (low, middle - 1)
    return low


def _medians(done: Finished) -> Table:
    groups = []
    for title, name, method in (
        ("Lee et al., kappa = 0.8, black and white", "mnist-lee", "Lee et al. 2019"),
        ("ablation, k = 45", "mnist-k45", "randomized ablation"),
    ):
        run = done.runs[name]
        published = figure("Levine", "Table 7", "median certified robustness", "MNIST", method=method)
        rows = (
            Row("median", published, (measures.median(run),)),
            Row("accuracy", None, (measures.accuracy(run),)),
        )
        groups.append(Group(title, measures.settings(run, done.model_of(name)), rows))
    note = (
        "The published medians are for the best of several settings in each paper, that of Lee et al. with its own "
        "network and training. They are shown for orientation."
    )
    return Table("Table 7: medians in pixels, MNIST", ("here",), tuple(groups), (note,), differences=False)


STUDY = register(
    Study(
        name="levine-lee",
        title="Levine & Feizi 2020, Table 7, Equations 20 and 21: compared with Lee et al. 2019",
        data=("mnist",),
        cost={
            "smoke": "1 minute",
            "small": "1 hour on a core, half of it if levine-mnist has made its run",
            "full": "an hour on a GPU",
        },
        plan=plan,
        page=page,
        needs_data=False,
    )
)
