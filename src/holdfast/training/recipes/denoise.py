"""A denoiser in front of a classifier trained without noise. Source: Salman, Sun, Yang, Kapoor & Kolter 2020,
"Denoised Smoothing: A Provable Defense for Pretrained Classifiers"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import cross_entropy, mse_loss

from holdfast.errors import UsageError
from holdfast.models.architectures.composed import Denoised
from holdfast.models.bundle import load_bundle
from holdfast.spec import spell_text
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_additive, check_weight, takes_the_same

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from holdfast.models.bundle import BundleInfo
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class Denoise(Recipe):
    """Mean squared error of the denoised image, and cross-entropy of its class against that of the clean image.

    Only the denoiser is trained. For noises that are added to the image; the architecture is `denoised`. It costs one
    step of the denoiser and two of the classifier for each copy.

    Args:
        classifier: bundle of the classifier, trained without noise.
        agreement: weight of the cross-entropy; 0 for the squared error alone.
    """

    name: ClassVar[str] = "denoise"
    paths: ClassVar[tuple[str, ...]] = ("classifier",)
    architecture: ClassVar[str | None] = "denoised"
    classifier: str
    agreement: float = 0.05

    def __post_init__(self) -> None:
        check_weight("agreement", self.agreement)

    def spec(self, number: Callable[[float], str]) -> str:
        """With the file's name only: the same training may find the file at another place."""
        file = spell_text(Path(self.classifier).name)
        return f"{self.name}:classifier={file},agreement={number(self.agreement)}"

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise is added to the image."""
        super().check(noise, config)
        check_additive(self, noise, "makes an image of a noisy one")

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """Drop the bundle's own normalization: the denoiser takes images, and the classifier normalizes its own inputs.

        The arguments also name the classifier by the hash of its file: only the same one can continue a training.

        Raises:
            UsageError: another architecture than `denoised`, or a classifier of other inputs or classes.
        """
        if info.architecture != "denoised":
            raise UsageError(
                f"the recipe 'denoise' trains the architecture 'denoised', got {info.architecture!r}; leave the "
                "architecture out, or write denoised:depth=17,width=64"
            )
        bundle = load_bundle(Path(self.classifier))
        known = bundle.info
        mine, theirs = info.input_space, known.input_space
        if known.noise is not None:
            raise UsageError(
                f"{self.classifier} was trained for {known.trained_for}; a denoiser goes in front of a classifier that "
                "was trained without noise (recipe standard)"
            )
        if not takes_the_same(known, info) or known.class_names != info.class_names:
            raise UsageError(
                f"{self.classifier} takes inputs of shape {theirs.shape} in [{theirs.low:g}, {theirs.high:g}] and "
                f"knows {len(known.class_names)} classes; the data have {mine.shape} in [{mine.low:g}, {mine.high:g}] "
                f"and {len(info.class_names)}, or classes of other names"
            )
        return replace(
            info,
            arguments={**info.arguments, "classifier": {**known.member(), "sha256": bundle.sha256}},
            input_space=replace(mine, mean=None, std=None),
        )

    def prepare(self, module: nn.Module) -> None:
        """Load the classifier's weights."""
        _composed(module).classifier.load_state_dict(load_bundle(Path(self.classifier)).module.state_dict())

    def outcome(self, step: Step) -> StepLoss:
        """Squared error and cross-entropy; a hit is the correct label of a denoised copy."""
        composed = _composed(step.module)
        seen: list[Tensor] = []
        hook = composed.denoiser.register_forward_hook(lambda module, inputs, image: seen.append(image))
        try:
            logits = step.model(step.noisy(step.x)).float()
        finally:
            hook.remove()
        error = mse_loss(seen[0].float(), step.x.repeat_interleave(step.copies, 0))
        targets = composed.classifier(step.x).argmax(dim=1).repeat_interleave(step.copies)
        return StepLoss(error + self.agreement * cross_entropy(logits, targets), logits, step.targets)


def _composed(module: nn.Module) -> Denoised:
    return next(part for part in module.modules() if isinstance(part, Denoised))
