"""Modules in eval mode are accepted, in whatever form; modules in training mode are not."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import holdfast as hf
from holdfast.errors import ClassifierError
from holdfast.sampling.modes import check_eval_mode


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 2)
    )


def exported(module: nn.Module) -> nn.Module:
    shapes = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(module, (torch.rand(4, 1, 4, 4),), dynamic_shapes=shapes).module()


def scripted(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated.
        return torch.jit.script(module)


def frozen(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(scripted(module))


@pytest.mark.parametrize("form", [exported, scripted, frozen])
def test_other_forms_of_a_module_certify_as_the_module_does(form) -> None:
    module = network().eval()
    x = torch.rand(2, 1, 4, 4)
    settings = {"n0": 50, "n": 300, "alpha": 0.01, "seed": 3}
    right = hf.SmoothedClassifier(module, hf.Gaussian(sigma=0.5), 2, batch_size=64).certify(x, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smoothed = hf.SmoothedClassifier(form(module), hf.Gaussian(sigma=0.5), 2, batch_size=64)
        assert smoothed.certify(x, **settings) == right


@pytest.mark.parametrize("form", [exported, scripted])
def test_other_forms_of_a_module_in_training_mode_are_refused(form) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = form(network().train())
    with pytest.raises(ClassifierError, match=r"training mode .* and before it is exported"):
        check_eval_mode(made)


def test_a_part_that_was_exported_in_training_mode_is_named() -> None:
    part = exported(network().train())
    outer = nn.Module()
    outer.training = False
    outer.add_module("inner", part)
    with pytest.raises(ClassifierError, match=r"aten\.(batch_norm|dropout)"):
        check_eval_mode(outer)


def test_a_traced_module_with_layers_that_train_is_refused() -> None:
    traced = torch.fx.symbolic_trace(network().train())
    with pytest.raises(ClassifierError, match="training mode"):
        check_eval_mode(traced)
    check_eval_mode(traced.eval())
