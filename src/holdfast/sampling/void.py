"""The error for inputs without a vote, because the largest logit is not a finite number."""

from __future__ import annotations

from holdfast.errors import ClassifierError


def no_vote(void: int, count: int, what: str) -> ClassifierError:
    """The error for inputs without a vote.

    Args:
        void: number of inputs without a vote.
        count: number of all inputs.
        what: description of the inputs.
    """
    return ClassifierError(
        f"the base classifier returned NaN or infinite logits for {void} of {count} {what}, expected a finite number "
        "as the largest logit. Where the logits of all classes are minus infinity, the classifier rules out every one: "
        "have it leave one. Otherwise the model has diverged: train it again, or compute it in float32 if it was "
        "trained in that"
    )
