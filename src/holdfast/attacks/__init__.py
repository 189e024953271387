"""Attacks: they find upper bounds on robustness, whereas certificates prove lower bounds. Imports torch.

Thin adapters call attacks of maintained libraries (extra `attacks`); attacks that no library has are written here.
"""

from holdfast.attacks.base import Attack, Problem, attack_classes, attack_from_dict
from holdfast.attacks.check import Check, Verdict, verify
from holdfast.attacks.defended import DefendedTarget
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.attacks.target import Access, PlainTarget, Queries, Target

__all__ = [
    "Access",
    "Attack",
    "Check",
    "DefendedTarget",
    "PlainTarget",
    "Problem",
    "Queries",
    "SmoothedTarget",
    "Target",
    "Verdict",
    "attack_classes",
    "attack_from_dict",
    "verify",
]
