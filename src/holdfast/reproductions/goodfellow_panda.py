"""Goodfellow et al. 2015: FGSM on photographs, and the picture of the panda: image, sign of the gradient, their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.analysis.attacks import success_at
from holdfast.analysis.changes import changes
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.defences import accuracy_under, clean_accuracy, images
from holdfast.reproductions.models import imagenet_plain
from holdfast.reproductions.pages import Gallery, Group, Measured, Page, Picture, Row, Statement, Strip, Table
from holdfast.reproductions.plans import Attacking, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.analysis.changes import Change
    from holdfast.reproductions.results import Asked
    from holdfast.store.attack import AttackRun

# Of the picture in the paper, and some around it; each is attacked separately, since FGSM with a larger step need not
# find what it finds with a smaller one.
_PANDA = 0.007
_EPSILONS = (0.001, 0.003, _PANDA, 0.015, 0.03)
_SUBSET = {"smoke": (20, 2), "small": (2, 100), "full": (100, 500)}
_MOST = 4
_COLUMNS = ("image", "sign of the gradient", "their sum")


def plan(scale: str, kind: str) -> Plan:
    """A classifier of photographs without noise, attacked with each epsilon."""
    model = imagenet_plain(scale)
    every, limit = _SUBSET[scale]
    attacks = tuple(
        Attacking(_folder(epsilon), model.name, "fgsm:norm=linf", every, limit, budget=f"{epsilon:g}")
        for epsilon in _EPSILONS
    )
    return Plan((model,), attacks=attacks, asked=(_folder(_PANDA),))


def _folder(epsilon: float) -> str:
    return f"imagenet-plain-fgsm-{epsilon:g}"


def page(done: Finished) -> Page:
    """Accuracy for each epsilon, and the pictures at that of the panda."""
    attacks = {epsilon: done.attacks[_folder(epsilon)] for epsilon in _EPSILONS}
    (model,) = done.models.values()
    made = f"{measures.training(model)}; {images(attacks[_PANDA].manifest.data)}"
    rows = [Row("unchanged", None, (clean_accuracy(attacks[_PANDA]), None))]
    rows += [
        Row(f"epsilon = {epsilon:g}", None, (accuracy_under(attack, epsilon), _broken(attack, epsilon)))
        for epsilon, attack in attacks.items()
    ]
    found = {epsilon: success_at(attack.records, epsilon) for epsilon, attack in attacks.items()}
    return Page(
        title=f"Goodfellow et al. 2015: FGSM on photographs, scale {done.scale}",
        intro=(
            "One step of epsilon along the sign of the gradient changes every value of a photograph by epsilon, too "
            f"little to be seen: {_PANDA:g} in the picture of the panda, where values lie in [0, 1]. In percent, with "
            "95% intervals. FGSM is a weak attack: these figures are upper bounds on robustness.",
            *([measures.SMOKE] if done.scale == "smoke" else []),
            *done.notes,
        ),
        tables=(
            Table(
                "FGSM",
                ("accuracy", "success, of images attacked"),
                (Group("ImageNet", made, tuple(rows)),),
                published=False,
            ),
        ),
        statements=(
            *(
                Statement.compared(
                    f"FGSM changes the class of every image within epsilon = {epsilon:g}",
                    each.found == each.attacked,
                    each.attacked,
                    "images attacked",
                )
                for epsilon, each in found.items()
                if epsilon in (_PANDA, max(_EPSILONS))
            ),
            Statement.compared(
                f"FGSM changes the class of more than half of the images within epsilon = {_PANDA:g}",
                2 * found[_PANDA].found > found[_PANDA].attacked,
                found[_PANDA].attacked,
                "images attacked",
            ),
        ),
        notes=(
            'The lecture by Hajri (2021) says that FGSM is "100% successful on ImageNet even for small epsilon", '
            "without a figure for epsilon; the statements try two. Its network for the panda was another one.",
            "Without a trained classifier of ImageNet the numbers mean nothing. "
            "`holdfast reproduce --model imagenet-plain=FILE.onnx,mean=...,std=...` takes any that has gradients.",
        ),
        warning=measures.UNTRAINED if done.pipeline_check else "",
        pictures=_pictures(attacks[_PANDA], done.asked.get(_folder(_PANDA), {})),
    )


def _broken(attack: AttackRun, epsilon: float) -> Measured:
    """The success rate among the images that were attacked."""
    found = success_at(attack.records, epsilon)
    return Measured.share(found.share()) if found.attacked else Measured(None, "share")


def _pictures(attack: AttackRun, asked: Mapping[int, Asked]) -> tuple[Gallery, ...]:
    strips = tuple(_strip(change, asked[change.index]) for change in changes(attack, _MOST) if change.index in asked)
    if not strips:
        return ()
    return (
        Gallery(
            "goodfellow-panda",
            f"The picture of the panda, on other photographs: epsilon = {_PANDA:g}",
            "Below each: what the classifier says, and how sure it is. The sign is drawn white for a value that rises "
            "and black for one that falls, and is grey where the step ended at the end of the range; the classifier is "
            "asked about it as it is drawn.",
            _COLUMNS,
            strips,
        ),
    )


def _strip(change: Change, said: Asked) -> Strip:
    image, adversarial, sign = change.pictures
    answers = (said.unchanged, said.change, said.adversarial)
    captions = [f"class {name}, {formats.percent(share)}%" for name, share in answers]
    pictures = map(Picture.of, (image, sign, adversarial), captions)
    return Strip(f"test image {change.index}, {change.captions[0]}", tuple(pictures))


STUDY = register(
    Study(
        name="goodfellow-panda",
        title="Goodfellow et al. 2015: FGSM on photographs, and the panda's picture",
        data=("imagenet",),
        cost={
            "smoke": "1 minute, random weights",
            "small": "15 minutes on a core, random weights unless a model is given",
            "full": "days on GPUs, training included; minutes with a model that is given",
        },
        plan=plan,
        page=page,
        items=("H74", "H77", "H78"),
    )
)
