"""When to stop sampling, and what to conclude then: one object, since a stopping rule is valid only with its bounds.

One file for each estimator; this package loads all of them, so that a manifest can name any of them.
"""

from holdfast.estimators.answers import AllVotes, AnswerRule, TopTwo, prediction
from holdfast.estimators.base import Estimator, Scale, check_samples, estimator_from_dict, radii_of, scale_of
from holdfast.estimators.bets import Bets
from holdfast.estimators.conclude import (
    best_radius,
    certain,
    certificate,
    concluded,
    exhaustive,
    exhaustive_rule,
    fitting_alpha,
)
from holdfast.estimators.eprocess import EProcess
from holdfast.estimators.exact import Exact
from holdfast.estimators.expected import Assumed, Expected, beta_quantiles, expected
from holdfast.estimators.fixed import FixedSize
from holdfast.estimators.looks import Looks
from holdfast.estimators.proved import Proved
from holdfast.estimators.runoff import AllRankings, RunOff
from holdfast.estimators.schedule import Schedule, outlook

__all__ = [
    "AllRankings",
    "AllVotes",
    "AnswerRule",
    "Assumed",
    "Bets",
    "EProcess",
    "Estimator",
    "Exact",
    "Expected",
    "FixedSize",
    "Looks",
    "Proved",
    "RunOff",
    "Scale",
    "Schedule",
    "TopTwo",
    "best_radius",
    "beta_quantiles",
    "certain",
    "certificate",
    "check_samples",
    "concluded",
    "estimator_from_dict",
    "expected",
    "exhaustive",
    "exhaustive_rule",
    "fitting_alpha",
    "outlook",
    "prediction",
    "radii_of",
    "scale_of",
]
