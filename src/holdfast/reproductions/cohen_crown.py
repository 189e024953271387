"""Cohen et al. 2019, Figure 13 and Appendix J.1: CROWN on a fully connected network of 7 layers, beside smoothing."""

from __future__ import annotations

from typing import Any

from holdfast.reproductions.base import Study, register
from holdfast.reproductions.cohen_baselines import Baseline
from holdfast.reproductions.defences import plain
from holdfast.reproductions.plans import Model

_HIDDEN = 6
_WIDTH = {"smoke": 48, "small": 256, "full": 1024}
_EVERY = {"smoke": 1000, "small": 100, "full": 4}
# The largest radius that is looked for.
_MOST = {"mnist": 2.0, "cifar10": 0.5}
_SEARCH = {"smoke": 7, "small": 9, "full": 12}
# The program of Zhang et al. (github.com/IBM/CROWN-Robustness-Certification, train_nlayer.py, defaults). Its rate falls
# by a tenth over the training, which is left out.
_PROGRAM: dict[str, Any] = {
    "epochs": 50,
    "batch_size": 256,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "nesterov": True,
    "schedule": "constant",
    "weight_decay": 0.0,
}


def _model(scale: str, kind: str) -> Model:
    """Six hidden layers of 1,024 units, trained without a defence; narrower below full scale."""
    return plain(
        scale,
        f"crown-{kind}",
        "fc",
        arguments={"widths": [_WIDTH[scale]] * _HIDDEN, "activation": "relu"},
        **(_PROGRAM if scale == "full" else {"precision": "float32"}),
    )


BASELINE = Baseline(
    study="cohen-crown",
    title="Cohen et al. 2019, Figure 13: CROWN beside smoothing",
    method="CROWN",
    own="cifar10",
    model=_model,
    bound=lambda scale, kind: f"crown:epsilon={_MOST[kind]},norm=l2,search={_SEARCH[scale]}",
    every=lambda scale, kind: _EVERY[scale],
    radii={"mnist": (0.0, 0.1, 0.25, 0.5, 1.0), "cifar10": (0.0, 0.02, 0.05, 0.1, 0.25)},
    intro=(
        "Zhang et al. 2018 (CROWN) certify networks that were trained in the usual way, here a fully connected one of "
        "7 layers, by lines around each activation. Beside it stands a smoothed network, which was trained for its "
        "noise."
    ),
    notes=(
        "The paper compares with a network that the authors published (7 layers of 1,024 units) and certifies every "
        "fourth test image with CROWN, all of them with smoothing. Here that network is trained by the settings of the "
        "authors' program. They subtract 0.5 from each pixel, which changes no radius; here a normalization of the "
        "channels stands in front, and radii are in pixel values from 0 to 1.",
        "The radius is found by halving, so it is up to the last step too small.",
    ),
)

STUDY = register(
    Study(
        name="cohen-crown",
        title="Cohen et al. 2019, Figure 13: CROWN on 7 layers beside smoothing",
        data=("cifar10", "mnist"),
        cost={"smoke": "a minute", "small": "half an hour on a core (MNIST), or 2 hours", "full": "days on a GPU"},
        plan=BASELINE.plan,
        page=BASELINE.page,
        items=("C55",),
    )
)
