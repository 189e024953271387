"""Double masking: a classifier that hides parts of an image from another one, against patches.

Source: Xiang, Mahloujifar & Mittal 2022, "PatchCleanser: Certifiably Robust Defense against Adversarial Patches for Any
Image Classifier". Derivation, for masks that go on at the opposite edge: docs/guarantees.md, "Double masking".
"""

from __future__ import annotations

from itertools import combinations_with_replacement, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.asking import CLEAR, Asking
from holdfast.models.networks import differentiable, one_tensor
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Pair = tuple[int, int]

_DIMENSIONS = 3
# More masks a side would take millions of passes for an image.
_MOST_MASKS = 64
# float32 cannot hold much larger values.
_LARGEST = 1e30
# Pairs of masks that are looked at before the next ones.
_TOGETHER = 128


class DoubleMasked(Asking):
    """The answer of a classifier in two rounds of masks; a square patch can be certified not to change it.

    Round 1 hides each mask of the image in turn. If all answers agree, that is the answer. Otherwise each mask whose
    answer is not that of the majority gets a second round, with each mask hidden beside it: if all of these agree with
    it, its answer is the answer. If there is no such mask, it is that of the majority.

    Every square of `patch` x `patch` pixels, also one that goes on at the opposite edge, lies within a mask. Images
    that are the same once they are masked are classified once.

    Args:
        classifier: from images to logits `(batch, classes)` or votes `(batch,)`; a function of each image alone.
        patch: side of the largest patch in pixels.
        masks: masks along each side of an image, at most; a few less where fewer are enough.
        value: of hidden pixels, in input units.

    Raises:
        UsageError: a parameter is out of range.
    """

    def __init__(self, classifier: nn.Module, patch: int, masks: int = 6, value: float = 0.5) -> None:
        super().__init__(classifier)
        patch, masks, value = plain(patch), plain(masks), plain(value)
        if type(patch) is not int or patch < 1:
            raise UsageError(f"patch is the side of a patch in pixels, a whole number from 1 on, got {patch!r}")
        if type(masks) is not int or not 1 <= masks <= _MOST_MASKS:
            raise UsageError(f"masks is the number of masks a side, from 1 to {_MOST_MASKS}, got {masks!r}")
        if not (is_real(value) and abs(value) <= _LARGEST):
            raise UsageError(
                f"value is that of hidden pixels, a number in input units up to {_LARGEST:g}, got {value!r}"
            )
        self.patch = patch
        self.masks = masks
        # Without the sign of -0.0: masked images are compared by their values.
        self.value = float(value) + 0.0

    def differentiable(self) -> nn.Module:
        """The same around a classifier with gradients."""
        return DoubleMasked(differentiable(self.classifier), self.patch, self.masks, self.value)

    def forward(self, x: Tensor) -> Tensor:
        """Images `(batch, channels, height, width)` to scores `(batch, classes)`, the largest of which is the answer.

        They are the mean log-probabilities over the first round, which have useful gradients, and more for the answer,
        which leads by 1 at least. If the classifier votes, the answers are votes `(batch,)`.
        """
        return torch.stack([self._scores(image) for image in x]) if len(x) else one_tensor(self.classifier(x))

    @torch.no_grad()
    def certify(self, x: Tensor) -> tuple[int | None, bool]:
        """The answer for an image `(channels, height, width)`, and whether it is proved that no patch changes it.

        There is no answer if one of the classifier's that it rests on is so close to a tie that another machine may
        find another. The proof: all answers of all pairs of masks agree, and none is close to a tie.
        """
        views = Views(self, x)
        answer = views.answer()
        decided = views.clear
        pairs = combinations_with_replacement(range(len(views.masks)), 2)
        sure = decided and views.agree(answer, pairs) and views.clear
        return (answer if decided else None), sure

    def covers(self, shape: Sequence[int]) -> Tensor:
        """The masks for images of a shape, `(masks, height, width)`, True where pixels are hidden.

        Raises:
            UsageError: inputs are no images, or smaller than the patch.
        """
        if len(shape) != _DIMENSIONS or self.patch > min(shape[1:]):
            raise UsageError(
                f"masks for patches of {self.patch} x {self.patch} are for images (channels, height, width) at least "
                f"as large, got inputs of shape {tuple(shape)}"
            )
        down, across = (_along(length, self.patch, self.masks) for length in shape[1:])
        return (down[:, None, :, None] & across[None, :, None, :]).flatten(0, 1)

    def _scores(self, x: Tensor) -> Tensor:
        """The scores of one image, or its vote."""
        views = Views(self, x)
        first = views.first()
        answer = views.answer()
        if first.ndim == 1:
            return torch.tensor(answer, device=x.device)
        soft = first.log_softmax(dim=1).mean(dim=0)
        values = soft.detach()
        others = values.clone()
        others[answer] = -torch.inf
        more = torch.zeros_like(values)
        more[answer] = (others.max() - values[answer]).clamp_min(0.0) + 1.0
        return soft + more


class Views:
    """One image under pairs of masks, and the classifier's answers to those that were asked for.

    Args:
        module: whose masks and classifier.
        x: the image `(channels, height, width)`.
    """

    def __init__(self, module: DoubleMasked, x: Tensor) -> None:
        self.module = module
        # Without -0.0, equal values are the same bits.
        self.x = x + 0.0
        self.masks = module.covers(x.shape).to(x.device)
        self._hidden = torch.full_like(self.x, module.value, requires_grad=False)
        # The pixels that each mask changes: views in which the same ones changed are the same image.
        changed = (self.x.detach() != self._hidden).any(dim=0)
        self._changed = np.packbits((self.masks & changed).flatten(1).cpu().numpy(), axis=1)
        self._answers: dict[bytes, int] = {}
        # Whether no answer so far is close to a tie.
        self.clear = True

    def first(self) -> Tensor:
        """What the classifier returns for each mask alone, with gradients where the image has one."""
        pairs = [(number, number) for number in range(len(self.masks))]
        if torch.is_grad_enabled() and self.x.requires_grad:
            found = self.module.ask(self._images(pairs))
            self._note(map(self._key, pairs), found)
            return found
        keys = [self._key(pair) for pair in pairs]
        place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        found = self.module.ask(self._images([pairs[keys.index(key)] for key in place]))
        self._note(place, found)
        return found[[place[key] for key in keys]]

    def answer(self) -> int:
        """The answer of the two rounds."""
        first = self._classes([(number, number) for number in range(len(self.masks))])
        counts = np.bincount(first)
        majority = int(counts.argmax())
        for number, label in enumerate(first):
            if label != majority and self.agree(label, ((number, other) for other in range(len(first)))):
                return label
        return majority

    def agree(self, label: int, pairs: Iterable[Pair]) -> bool:
        """Whether the answers to all these pairs are this class; no more are asked for after one that is not."""
        waiting = iter(pairs)
        while part := list(islice(waiting, _TOGETHER)):
            if any(found != label for found in self._classes(part)):
                return False
        return True

    @torch.no_grad()
    def _classes(self, pairs: Sequence[Pair]) -> list[int]:
        """The answer to each pair."""
        keys = [self._key(pair) for pair in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._answers}
        if new:
            self._note(new, self.module.ask(self._images(list(new.values()))))
        return [self._answers[key] for key in keys]

    def _key(self, pair: Pair) -> bytes:
        return bytes(self._changed[pair[0]] | self._changed[pair[1]])

    def _images(self, pairs: Sequence[Pair]) -> Tensor:
        one, other = (list(each) for each in zip(*pairs, strict=True))
        hidden = (self.masks[one] | self.masks[other]).unsqueeze(1)
        return torch.where(hidden, self._hidden, self.x)

    def _note(self, keys: Iterable[bytes], found: Tensor) -> None:
        """Remember classes, and whether all of them are clear."""
        values = found.detach()
        if values.ndim == 1:
            classes = values.long()
        else:
            largest, which = values.topk(2, dim=1)
            classes = which[:, 0]
            self.clear &= bool((largest[:, 0] - largest[:, 1] > CLEAR * values.abs().amax(dim=1)).all())
        self._answers.update(zip(keys, classes.tolist(), strict=True))


def _along(length: int, patch: int, masks: int) -> Tensor:
    """Which pixels of an axis each mask hides, `(masks, length)`.

    A mask begins at every multiple of a step, and is as long as a step and a patch, less one: it holds every patch that
    begins in its first step.
    """
    step = -(-length // masks)
    begins = torch.arange(0, length, step)
    # How far a pixel lies behind the beginning of a mask, around the edge.
    return (torch.arange(length) - begins.unsqueeze(1)) % length < patch + step - 1
