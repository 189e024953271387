"""Refuse base classifiers that only work for some batch sizes.

The number of noisy copies per batch depends on speed and memory, the last batch is smaller, and some copies are
computed alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import torch

from holdfast.errors import ClassifierError, HoldfastError, first_line
from holdfast.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holdfast.sampling.classifier import Answers, VotingClassifier

# Batch size for random inputs, and sizes that a program may have been made for, the likeliest first.
_RANDOM = 16
_USUAL = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 10, 100, 1000, 3, 5, 6, 7, *range(9, 65), 200, 500)
# Largest batch to try, and for how long.
_MOST_BYTES, _MOST_SECONDS = 2**26, 5.0


_Found = TypeVar("_Found")


def votes_of(classifier: VotingClassifier, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Call `classifier.votes(noisy)`.

    Raises:
        ClassifierError: from `votes`, or because the base classifier fails only for batches of some sizes. Other
            exceptions of the base classifier pass through.
    """
    return _asked(classifier, classifier.votes, noisy)


def rankings_of(classifier: VotingClassifier, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """Call `classifier.rankings(noisy)`; errors are those of `votes_of`."""
    return _asked(classifier, classifier.rankings, noisy)


def answers_of(classifier: VotingClassifier, noisy: Tensor) -> Answers:
    """Call `classifier.answers(noisy)`; errors are those of `votes_of`."""
    return _asked(classifier, classifier.answers, noisy)


def settled_of(classifier: VotingClassifier, noisy: Tensor) -> Tensor:
    """Call `classifier.settled(noisy)`; errors are those of `votes_of`."""
    return _asked(classifier, classifier.settled, noisy)


def _asked(classifier: VotingClassifier, ask: Callable[[Tensor], _Found], noisy: Tensor) -> _Found:
    try:
        return ask(noisy)
    except Exception as error:
        known = isinstance(error, HoldfastError)
        if not is_out_of_memory(error) and (not known or isinstance(error, ClassifierError)):
            check_sizes(classifier, noisy, error)
        raise


@torch.inference_mode(False)
@torch.no_grad()
def check_sizes(classifier: VotingClassifier, noisy: Tensor, error: Exception) -> None:
    """Raise ClassifierError if an exception of a base classifier comes from the size of the batch.

    Args:
        classifier: the base classifier.
        noisy: the batch that it failed for, as a whole or in parts.
        error: the exception.
    """
    row = noisy[:1]
    end = time.monotonic() + _MOST_SECONDS

    def works(size: int) -> bool:
        # The same row each time: failures for one input only have nothing to do with sizes.
        try:
            classifier.outputs(row.expand(size, *row.shape[1:]))
        except Exception:
            return False
        return True

    needed = (1, min(_RANDOM, len(noisy)), len(noisy))
    found = {size: works(size) for size in needed}
    if all(found.values()):
        return
    # A ClassifierError already says what is wrong, unless it depends on the size.
    others = () if isinstance(error, ClassifierError) else _USUAL
    room = max(len(noisy), _MOST_BYTES // max(1, row.numel() * row.element_size()))
    further = (size for size in others if size <= room and size not in found and time.monotonic() < end)
    taken = next((size for size in needed if found[size]), None) or next(filter(works, further), None)
    if taken is None:
        return
    failed = next(size for size in needed if not found[size])
    message = (
        first_line(error) if isinstance(error, ClassifierError) else f"{type(error).__name__}: {first_line(error)}"
    )
    raise ClassifierError(
        f"the base classifier takes a batch of {taken}, and fails for a batch of {failed} ({message}). The number of "
        "noisy copies changes from batch to batch, so it must work for batches of any size, 1 included. Export a "
        "program with a dynamic batch size (torch.export.Dim); take out what needs several inputs, as batch "
        "normalization without running statistics does; and name axes where it squeezes them"
        + (". Or give batch_size=1" if taken == 1 else "")
    ) from error
