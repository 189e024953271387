"""Levine & Feizi 2020 on CIFAR-10: Table 3, the overfitting of Tables 4 and 5, and the encodings of Table 8."""

from __future__ import annotations

from holdfast.analysis.published import figure
from holdfast.reproductions import levine_unprotected, measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.levine import ABOUT_MEDIANS, group_of
from holdfast.reproductions.models import cifar_ablation, cifar_ablation_run, cifar_unprotected, unprotected
from holdfast.reproductions.pages import Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Model, Plan
from holdfast.reproductions.results import Finished, Trained

_KEPT = {"smoke": (75,), "small": (25, 75, 150), "full": (25, 50, 75, 100, 125, 150)}
# Below full scale, Tables 4 and 5 use separate trainings with many passes over few images: small networks trained for
# few epochs on all images would not overfit, with or without ablation.
_FITTED = {"smoke": (75,), "small": (25, 75), "full": _KEPT["full"]}
_LARGER = {"smoke": (), "small": (75,), "full": _KEPT["full"]}
_PASSES = {"smoke": 4, "small": 80, "full": None}
# For the intervals of the two terms of a difference, so that its own interval has 95%.
_CONFIDENCE_OF_TERMS = 0.975


def plan(scale: str, kind: str) -> Plan:
    """Models with runs for Tables 3 and 8, and models without runs for Tables 4 and 5."""
    certified = [_model(scale, k) for k in _KEPT[scale]]
    certified.append(cifar_ablation(scale, "ablation:k=75,null=mean", "k75-mean"))
    fitted = [_fitted(scale, k) for k in _FITTED[scale]]
    larger = [_larger(scale, k) for k in _LARGER[scale]]
    plain = cifar_unprotected(scale)
    models = {model.name: model for model in (*certified, *fitted, *larger, plain)}
    runs = tuple(cifar_ablation_run(scale, model) for model in certified)
    return Plan(tuple(models.values()), runs, answers=(unprotected(scale, kind, plain),))


def _model(scale: str, k: int) -> Model:
    return cifar_ablation(scale, f"ablation:k={k}", f"k{k}")


def _fitted(scale: str, k: int) -> Model:
    if scale == "full":
        return _model(scale, k)
    return cifar_ablation(scale, f"ablation:k={k}", f"k{k}-fitted", epochs=_PASSES[scale])


def _larger(scale: str, k: int) -> Model:
    network = "resnet50" if scale == "full" else "resnet56"
    return cifar_ablation(scale, f"ablation:k={k}", f"k{k}-{network}", network, _PASSES[scale])


def page(done: Finished) -> Page:
    """All four tables."""
    scale = done.scale
    table_3 = tuple(
        group_of(done, f"cifar10-k{k}", f"k = {k}", "Table 3", "CIFAR-10", k=k, null="multichannel")
        for k in _KEPT[scale]
    )
    table_8 = tuple(
        group_of(done, name, f"{null}, k = 75", "Table 8", "CIFAR-10", k=75, null=null)
        for null, name in (("multichannel", "cifar10-k75"), ("mean", "cifar10-k75-mean"))
    )
    fitted = tuple(_overfitting(done, _fitted(scale, k), "Table 4", "ResNet18", k) for k in _FITTED[scale])
    larger = tuple(_overfitting(done, _larger(scale, k), "Table 5", "ResNet50", k) for k in _LARGER[scale])
    about_fit = (
        "Training accuracy is the mean over the last epoch, test accuracy that of one ablation of each test image, "
        "both of the base classifier."
    )
    tables = [
        _compared("Table 3: pixels kept", (*table_3, levine_unprotected.group_of(done, "cifar10")), scale),
        _compared("Table 8: encodings of NULL", table_8, scale),
        Table("Table 4: accuracy of the base classifier", ("here",), fitted, (about_fit,), differences=scale == "full"),
    ]
    if larger:
        title = "Table 5: a larger base classifier"
        tables.append(Table(title, ("here",), larger, (about_fit,), differences=scale == "full"))
    return Page(
        title=f"Levine & Feizi 2020 on CIFAR-10, scale {scale}",
        intro=(
            "Randomized ablation keeps k of 1,024 pixels. The paper trains ResNet-18 for 400 epochs and certifies all "
            "10,000 test images with n0 = 1,000, n = 10,000 and alpha = 0.05; the settings used here are beside the "
            "numbers. First column: the paper's own bound (Corollary 1). Second: bounds on all classes (Corollary 2), "
            "from the same votes, for comparison. 95% intervals in brackets.",
            *([measures.SMOKE] if scale == "smoke" else []),
            *done.notes,
        ),
        tables=tuple(tables),
        statements=(_cost(done), *_statements(fitted, larger)),
        notes=_notes(done),
    )


def _compared(title: str, groups: tuple[Group, ...], scale: str) -> Table:
    """A table of certifications; it shows differences only for the paper's network."""
    same = scale == "full"
    return Table(
        title, measures.COLUMNS, groups, (ABOUT_MEDIANS, *(() if same else (measures.OTHER_NETWORK,))), differences=same
    )


def _overfitting(done: Finished, model: Model, table: str, network: str, k: int) -> Group:
    """Training and test accuracy of a base classifier on ablated images, and their difference."""
    trained = done.models[model.name]
    method = f"base classifier {network}"
    training, test = _accuracies(trained)
    printed = [
        figure("Levine", table, f"{split} accuracy on ablated images", "CIFAR-10", method=method, k=k)
        for split in ("training", "test")
    ]
    apart = 100.0 * ((training.value or 0.0) - (test.value or 0.0))
    published_gap = (printed[0].value or 0.0) - (printed[1].value or 0.0)
    low, high = _far_ends(*_accuracies(trained, _CONFIDENCE_OF_TERMS))
    return Group(
        f"k = {k}",
        f"{measures.training(trained)}; the paper's two are {published_gap:.1f} points apart",
        (
            Row("training", printed[0], (training,)),
            Row("test", printed[1], (test,)),
            Row("apart (points)", None, (Measured(apart, "points", low, high, True),)),
        ),
    )


def _accuracies(trained: Trained, confidence: float = 0.95) -> tuple[Measured, Measured]:
    return measures.under_noise(trained, "training", confidence), measures.under_noise(trained, "held_out", confidence)


def _far_ends(first: Measured, second: Measured) -> tuple[float, float]:
    """An interval for a difference, from the intervals of its terms."""
    return (
        100.0 * ((first.lower or 0.0) - (second.upper or 0.0)),
        100.0 * ((first.upper or 0.0) - (second.lower or 0.0)),
    )


def _cost(done: Finished) -> Statement:
    """The paper: accuracy on unchanged images is somewhat reduced."""
    best = max(
        ((measures.accuracy(done.runs[f"cifar10-k{k}"]).upper or 0.0, k) for k in _KEPT[done.scale]),
    )
    plain = measures.clean(done.answers[cifar_unprotected(done.scale).name])
    text = f"without protection, accuracy exceeds that of k = {best[1]}, the best of these, at 95% confidence"
    return Statement(text, (plain.lower or 0.0) > best[0])


def _statements(fitted: tuple[Group, ...], larger: tuple[Group, ...]) -> tuple[Statement, ...]:
    """What the paper says about overfitting."""
    statements = []
    for group in fitted:
        apart = group.rows[2].found[0]
        overfits = apart is not None and (apart.lower or 0.0) > 0.0
        statements.append(
            Statement(f"{group.title}: training accuracy exceeds test accuracy, at 95% confidence", overfits)
        )
    smaller = {group.title: group.rows[2].found[0] for group in fitted}
    for group in larger:
        one, two = smaller.get(group.title), group.rows[2].found[0]
        if one is not None and two is not None:
            less = (two.value or 0.0) < (one.value or 0.0)
            statements.append(Statement(f"{group.title}: the larger network overfits less", less))
    return tuple(statements)


def _notes(done: Finished) -> tuple[str, ...]:
    scale = done.scale
    if scale == "full":
        return (
            "Training is the paper's (Table 11), with momentum that is not Nesterov's, as in its program. The "
            "ResNet-50 of Table 5 begins with the first layer of the ResNet-18, for images of 32 x 32 pixels.",
        )
    few = done.models[_fitted(scale, _FITTED[scale][0]).name].training["data"]["size"]
    return (
        "The base classifier of Tables 3 and 8 is ResNet-20, with a fortieth of the parameters of ResNet-18, after "
        "few epochs: accuracies and medians are lower.",
        f"Tables 4 and 5 show only the direction of overfitting, without differences: {few:,} training images and many "
        "passes over them (in the paper all images and 400 passes), ResNet-20 instead of ResNet-18, ResNet-56 instead "
        "of ResNet-50.",
    )


STUDY = register(
    Study(
        name="levine-cifar10",
        title="Levine & Feizi 2020, Tables 3, 4, 5 and 8: ablation on CIFAR-10",
        data=("cifar10",),
        cost={"smoke": "2 minutes", "small": "1 to 1.5 hours on 2 cores", "full": "days on a GPU"},
        plan=plan,
        page=page,
        items=("L9", "L16", "L17", "L18", "L19", "L21", "L29", "L30", "L32"),
    )
)
