"""Cohen et al. 2019, Figure 13 and Appendix J.1: Lipschitz-margin training on SVHN, beside smoothing."""

from __future__ import annotations

from typing import Any

from holdfast.reproductions.base import Study, register
from holdfast.reproductions.cohen_baselines import Baseline
from holdfast.reproductions.defences import plain
from holdfast.reproductions.plans import Model

# c of the paper, in input units: on SVHN that of the program's configuration for this network.
_MARGIN = {"svhn": 0.1, "cifar10": 0.1, "mnist": 0.5}
_EPOCHS = {"smoke": 6, "small": 20}
_BATCH = {"smoke": 50, "small": 128}
_WARM_UP = {"smoke": 0.5, "small": 0.3, "full": 0.03125}
# WRN-16-4 with the settings of the program of Tsuzuku et al. (github.com/ytsmiling/lmt, config/svhn_avg); c rises for 5
# of 160 epochs.
_WIDE = {"depth": 16, "width": 4, "dropout": 0.4, "shortcut": "average"}
_PROGRAM: dict[str, Any] = {
    "epochs": 160,
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "nesterov": True,
    "schedule": "step",
    "milestones": (80, 120),
    "factor": 0.1,
    "weight_decay": 0.0,
}


def _model(scale: str, kind: str) -> Model:
    """WRN-16-4 as its authors trained it; below full scale a small network, which needs a few epochs alone."""
    recipe = f"lipschitz-margin:margin={_MARGIN[kind]},first=0.0001,warm_up={_WARM_UP[scale]},iterations=10,last=rows"
    name = f"lipschitz-{kind}"
    if scale == "full":
        return plain(scale, name, "wide-resnet", recipe, _WIDE, **_PROGRAM)
    return plain(scale, name, "wong-small", recipe, epochs=_EPOCHS[scale], batch_size=_BATCH[scale], weight_decay=0.0)


BASELINE = Baseline(
    study="cohen-lipschitz",
    title="Cohen et al. 2019, Figure 13: Lipschitz-margin training beside smoothing",
    method="Lipschitz margin",
    own="svhn",
    model=_model,
    bound=lambda scale, kind: "lipschitz",
    every=lambda scale, kind: None,
    radii={
        "mnist": (0.0, 0.25, 0.5, 1.0, 1.5),
        "cifar10": (0.0, 0.05, 0.1, 0.2, 0.4),
        "svhn": (0.0, 0.05, 0.1, 0.2, 0.4),
    },
    intro=(
        "Tsuzuku et al. 2018 train a network for a margin c, with an upper bound of its Lipschitz constant in the "
        "loss. Divided by that bound, the lead of its answer is a certified L2 radius. Beside it stands a smoothed "
        "network."
    ),
    notes=(
        "The paper compares with a network that the authors gave it. Their program's configuration for SVHN with this "
        "network (WRN-16-4, shortcuts by averages) has c = 0.1; settings at full scale are that configuration's, but "
        "for two: a normalization of the channels stands in front, which the Lipschitz constant includes, and factors "
        "of batch normalizations may be negative.",
        "The bound is the product of the stages' spectral norms, and the sum over branches, rounded up; the program's "
        "has a coarser bound of convolutions, from their kernels.",
        "Below full scale the network is the small one of Wong & Kolter 2018.",
    ),
)

STUDY = register(
    Study(
        name="cohen-lipschitz",
        title="Cohen et al. 2019, Figure 13: Lipschitz-margin training beside smoothing",
        data=("svhn", "cifar10", "mnist"),
        cost={"smoke": "a minute", "small": "half an hour on a core (MNIST), or 2 hours", "full": "a day on a GPU"},
        plan=BASELINE.plan,
        page=BASELINE.page,
        items=("C54",),
    )
)
