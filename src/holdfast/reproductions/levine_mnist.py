"""Levine & Feizi 2020 on MNIST: Table 1 (k = 5 to 100) and the encodings of NULL in Table 8."""

from __future__ import annotations

from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.copies import copies_gallery
from holdfast.reproductions.levine import ABOUT_MEDIANS, group_of
from holdfast.reproductions.models import mnist, mnist_mixture, mnist_run
from holdfast.reproductions.pages import Chart, Group, Page, Statement, Table
from holdfast.reproductions.plans import Plan
from holdfast.reproductions.results import Finished

_KEPT = {"smoke": (15, 45), "small": (15, 25, 45, 75), "full": tuple(range(5, 101, 5))}
_MEAN = "mnist-k45-mean"
# At scale small, k = 15 has another network besides the paper's.
_MIXED = 15
# The curves drawn, since twenty could not be told apart.
_DRAWN = (5, 15, 25, 45, 75, 100)


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each k, one for k = 45 with the mean as NULL, and another network for k = 15."""
    models = [mnist(scale, f"ablation:k={k}", f"k{k}") for k in _KEPT[scale]]
    models.append(mnist(scale, "ablation:k=45,null=mean", "k45-mean"))
    if scale == "small":
        models.append(mnist_mixture(scale, _MIXED))
    return Plan(tuple(models), tuple(mnist_run(scale, model) for model in models))


def page(done: Finished) -> Page:
    """Both tables, and certified accuracy over the radius."""
    kept, another = _KEPT[done.scale], _another_network(done)
    table_1 = tuple(
        group_of(done, f"mnist-k{k}", f"k = {k}", "Table 1", "MNIST", k=k, null="multichannel") for k in kept
    )
    table_8 = tuple(
        group_of(done, name, f"{null}, k = 45", "Table 8", "MNIST", k=45, null=null)
        for null, name in (("multichannel", "mnist-k45"), ("mean", _MEAN))
    )
    return Page(
        title=f"Levine & Feizi 2020 on MNIST, scale {done.scale}",
        intro=(
            "Randomized ablation keeps k of 784 pixels. The paper trains for 400 epochs and certifies all 10,000 test "
            "images with n0 = 1,000, n = 10,000 and alpha = 0.05; the settings used here are beside the numbers. The "
            "first column is the paper's own bound (Corollary 1); the second bounds all classes (Corollary 2) on the "
            "same votes, for comparison. Accuracies are in percent, medians in pixels, 95% intervals in brackets.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table("Table 1: pixels kept", measures.COLUMNS, table_1, (ABOUT_MEDIANS,)),
            Table("Table 8: encodings of NULL", measures.COLUMNS, table_8),
            *another,
        ),
        charts=(
            Chart(
                "levine-mnist-curves.svg",
                "Certified accuracy over the radius",
                "By Corollary 1, with pointwise 95% bands; dotted: the published medians.",
                lambda: measures.picture(
                    [measures.drawn(done.runs[f"mnist-k{k}"], f"k = {k}", "mnist") for k in kept if k in _DRAWN]
                ),
            ),
        ),
        pictures=copies_gallery(
            "levine-mnist-figure-1",
            "Figure 1: ablated copies with the base classifier's labels",
            {f"k = {k}": done.runs[f"mnist-k{k}"] for k in kept if k in _DRAWN or len(kept) <= len(_DRAWN)},
        ),
        statements=(*_statements(done, table_1), *_about(another)),
        notes=(
            f"The network is the paper's (Table 9), trained with another optimizer, schedule and number of epochs, "
            f"and with {_masks(done)}; the paper shares one mask within a minibatch."
            if done.scale != "full"
            else "Training is the paper's (Tables 9 and 10), with momentum that is not Nesterov's, as in its program.",
        ),
    )


def _another_network(done: Finished) -> tuple[Table, ...]:
    """The mixture of pixels, for orientation beside the published figures."""
    name = f"mnist-k{_MIXED}-mixture"
    if name not in done.runs:
        return ()
    title = f"mixture of pixels, k = {_MIXED}"
    group = group_of(done, name, title, "Table 1", "MNIST", k=_MIXED, null="multichannel")
    return (
        Table(
            f"Another base classifier for k = {_MIXED}",
            measures.COLUMNS,
            (group,),
            (
                "Not the paper's network nor its training: Bayes' rule for mixtures of independent pixels, trained for "
                "a majority of votes on as many images as possible. The published figures are of another network, so "
                "no differences are shown.",
            ),
            differences=False,
        ),
    )


def _about(another: tuple[Table, ...]) -> tuple[Statement, ...]:
    """Whether the other network certifies as the paper's does."""
    medians = [(group.title, group.rows[2].gap) for table in another for group in table.groups]
    return tuple(
        Statement(f"{title}: median within 1 pixel of the paper's", gap is not None and abs(gap) <= 1.0)
        for title, gap in medians
    )


def _masks(done: Finished) -> str:
    """How many masks each image gets in a step."""
    paper_s = (model for model in done.models.values() if model.architecture == "mnist-cnn")
    copies = {model.training.get("noise_copies", 1) for model in paper_s}
    several = " or ".join(str(count) for count in sorted(copies))
    return f"{several} mask{'' if copies == {1} else 's'} of its own for each image in a step"


def _statements(done: Finished, groups: tuple[Group, ...]) -> tuple[Statement, ...]:
    """The goals of this study, and what the paper says about k."""
    statements = []
    for group in groups:
        accuracy, _, median, _ = group.rows
        if accuracy.gap is not None:
            near = abs(accuracy.gap) <= 2.5
            statements.append(Statement(f"{group.title}: accuracy within 2.5 points of the paper's", near))
        if median.published is not None and median.published.value is not None:
            near = median.gap is not None and abs(median.gap) <= 1.0
            statements.append(Statement(f"{group.title}: median within 1 pixel of the paper's", near))
    shares = [group.rows[0].found[0] for group in groups]
    known = [each.value for each in shares if each is not None and each.value is not None]
    grows = known == sorted(known)
    statements.append(Statement.compared("accuracy grows with k", grows, len(known) - 1, "two accuracies"))
    medians = [[None if each is None else each.value for each in group.rows[2].found] for group in groups]
    pairs = [(own, other) for own, other in medians if own is not None]
    better = all(other is not None and other >= own for own, other in pairs)
    text = "no median is smaller under the bounds on all classes"
    return (*statements, Statement.compared(text, better, len(pairs), "medians"))


STUDY = register(
    Study(
        name="levine-mnist",
        title="Levine & Feizi 2020, Tables 1 and 8: ablation on MNIST",
        data=("mnist",),
        cost={"smoke": "1 minute", "small": "1 to 1.5 hours on 2 cores", "full": "hours on a GPU"},
        plan=plan,
        page=page,
        items=("L9", "L10", "L11", "L12", "L21", "L28", "L29"),
    )
)
