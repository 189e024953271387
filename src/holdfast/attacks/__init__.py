"""Adversaries: attacks find upper bounds on robustness where certificates prove lower ones. Imports torch.

Attacks of maintained libraries come through thin adapters (extra `attacks`); what none has is written here.
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
