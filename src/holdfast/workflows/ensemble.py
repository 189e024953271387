"""Make one base classifier of several: the mean of their logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.models.bundle import BundleInfo


def make_ensemble(models: Sequence[Path], out: Path) -> BundleInfo:
    """Write a bundle that computes the mean of the logits of others.

    Args:
        models: at least two bundles for the same noise, inputs and classes.
        out: file to write.

    Raises:
        UsageError: fewer than two models, or they are not alike.
    """
    from holdfast.models.bundle import BundleInfo, load_bundle, save_bundle
    from holdfast.models.model import InputSpace

    if len(models) < 2:
        raise UsageError(f"an ensemble has at least two members, got {len(models)}")
    members = [load_bundle(path) for path in models]
    first = members[0].info
    for path, member in zip(models[1:], members[1:], strict=True):
        _check_alike(models[0], first, path, member.info)
    space = first.input_space
    info = BundleInfo(
        architecture="ensemble",
        arguments={"members": [member.info.member() for member in members]},
        input_space=InputSpace(space.shape, space.low, space.high),
        noise=first.noise,
        class_names=first.class_names,
        training={
            "recipe": "ensemble",
            "members": [
                {"file": path.name, "sha256": member.sha256, "training": member.info.training}
                for path, member in zip(models, members, strict=True)
            ],
        },
    )
    module = info.build()
    # Behind the normalization, which an ensemble leaves to its members.
    for part, member in zip(module.get_submodule("1.members").children(), members, strict=True):
        part.load_state_dict(member.module.state_dict())
    save_bundle(out, info, module)
    return info


def _check_alike(path: Path, info: BundleInfo, other_path: Path, other: BundleInfo) -> None:
    """Raise UsageError unless two bundles are for the same noise, inputs and classes."""
    here, there = info.input_space, other.input_space
    for what, mine, theirs in (
        ("noise", info.trained_for or "none", other.trained_for or "none"),
        ("shape of inputs", here.shape, there.shape),
        ("range of inputs", (here.low, here.high), (there.low, there.high)),
        ("classes", info.class_names, other.class_names),
    ):
        if mine != theirs:
            raise UsageError(
                f"members of an ensemble have the same {what}: {path} has {mine}, {other_path} has {theirs}"
            )
