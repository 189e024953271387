"""Votes: one fixed rule, the same in every batch; anything that cannot be a vote is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError
from holdfast.models.architectures.base import build
from holdfast.sampling.classifier import VotingClassifier


def noisy(count: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_logits_vote_by_their_argmax() -> None:
    x = noisy()
    votes, void = VotingClassifier(lambda z: z.flatten(1)[:, :5], 5).votes(x)
    assert torch.equal(votes, x.flatten(1)[:, :5].argmax(1))
    assert not void.any()


def test_arrays_and_integer_votes_are_taken_too() -> None:
    x = noisy()
    logits = VotingClassifier(lambda z: z.flatten(1)[:, :5].numpy(), 5).votes(x)[0]
    labels = VotingClassifier(lambda z: z.flatten(1)[:, :5].argmax(1), 5).votes(x)[0]
    assert torch.equal(logits, labels)


def test_arrays_of_another_byte_order_or_with_strides_are_taken_too() -> None:
    x = noisy()
    expected = VotingClassifier(lambda z: z.flatten(1)[:, :5], 5).votes(x)[0]
    for change in (lambda a: a.astype(">f4"), np.asfortranarray, lambda a: a[:, ::-1][:, ::-1]):
        votes, _ = VotingClassifier(lambda z, change=change: change(z.flatten(1)[:, :5].numpy()), 5).votes(x)
        assert torch.equal(votes, expected)


def test_ties_go_to_the_lowest_class_index() -> None:
    votes, _ = VotingClassifier(lambda z: torch.tensor([0.0, 2.0, 2.0, 2.0]).expand(len(z), 4), 4).votes(noisy())
    assert votes.tolist() == [1] * 40


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_logits_are_void_although_they_have_an_argmax(value: float) -> None:
    def f(z: Tensor) -> Tensor:
        logits = torch.zeros(len(z), 3)
        logits[:, 1] = 1.0
        logits[z[:, 0, 0, 0] > 0, 2] = value
        return logits

    x = noisy()
    _, void = VotingClassifier(f, 3).votes(x)
    assert torch.equal(void, x[:, 0, 0, 0] > 0)


def test_a_class_that_is_masked_by_minus_infinity_is_never_answered_and_nothing_has_diverged() -> None:
    x = noisy()
    mask = torch.tensor([0.0, -float("inf"), 0.0, -float("inf"), 0.0])
    votes, void = VotingClassifier(lambda z: z.flatten(1)[:, :5] + mask, 5).votes(x)
    assert not void.any()
    assert torch.equal(votes, 2 * x.flatten(1)[:, :5:2].argmax(1))


def test_two_classes_of_which_one_is_masked() -> None:
    mask = torch.tensor([-float("inf"), 0.0])
    votes, void = VotingClassifier(lambda z: z.flatten(1)[:, :2] + mask, 2).votes(noisy())
    assert not void.any()
    assert bool((votes == 1).all())


def test_a_row_without_any_finite_logit_is_void() -> None:
    _, void = VotingClassifier(lambda z: torch.full((len(z), 3), -float("inf")), 3).votes(noisy())
    assert bool(void.all())


def test_a_module_in_training_mode_is_refused() -> None:
    with pytest.raises(ClassifierError, match=r"training mode .* Call \.eval\(\)"):
        VotingClassifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), 2)
    half = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 2)).eval()
    half[1].train()
    with pytest.raises(ClassifierError, match="training mode \\(1\\)"):
        VotingClassifier(half, 2)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(64), nn.Dropout(0.5)], ids=["batch-norm", "dropout"])
def test_a_function_around_a_module_in_training_mode_is_noticed(layer: nn.Module) -> None:
    """With BatchNorm or Dropout in training mode, the base classifier depends on its batch, or on chance."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), layer, nn.Linear(64, 2)).train()

    def f(z: Tensor) -> Tensor:
        return network(torch.cat([z, z]))[: len(z)]

    with pytest.raises(ClassifierError, match="depends on its batch, on chance"):
        VotingClassifier(f, 2).votes(noisy())


def test_a_vote_that_depends_on_the_batch_is_noticed() -> None:
    with pytest.raises(ClassifierError, match="depends on its batch"):
        VotingClassifier(lambda z: torch.full((len(z),), len(z) % 2), 2).votes(noisy())


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda z: torch.zeros(len(z), 4), r"got \(40, 4\) of torch.float32. Is num_classes=3 right"),
        (lambda z: torch.zeros(len(z)), r"got \(40,\) of torch.float32"),
        (lambda z: torch.zeros(len(z), 3, dtype=torch.int64), r"got \(40, 3\) of torch.int64"),
        (lambda z: torch.full((len(z),), 3), r"class indices in 0\.\.2, got values from 3 to 3"),
        (lambda z: torch.full((len(z),), -1), r"class indices in 0\.\.2"),
        (lambda z: [0] * len(z), "returns a tensor or an array, got list"),
        (lambda z: torch.zeros(len(z), dtype=torch.complex64), r"got \(40,\) of torch.complex64"),
        (lambda z: torch.zeros(len(z), 3).to_sparse(), r"of torch.float32 laid out as torch.sparse_coo"),
        (lambda z: torch.zeros(len(z), 3, device="meta"), r"of torch.float32 on meta"),
        (lambda z: np.array(["cat"] * len(z)), "returns an array of numbers, got one of <U3"),
        (lambda z: np.full(len(z), 2**64 - 1, dtype=np.uint64), r"class indices in 0\.\.2, got values from -1"),
    ],
)
def test_outputs_that_no_vote_can_be_taken_from_are_refused(f, message: str) -> None:
    with pytest.raises(ClassifierError, match=message):
        VotingClassifier(f, 3).votes(noisy())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_tensors_are_refused() -> None:
    def f(z: Tensor) -> Tensor:
        return torch.quantize_per_tensor(torch.zeros(len(z), 3), 0.1, 0, torch.qint8)

    with pytest.raises(ClassifierError, match=r"got \(40, 3\) of torch.qint8"):
        VotingClassifier(f, 3).votes(noisy())


def test_one_class_is_refused() -> None:
    with pytest.raises(ClassifierError, match="at least 2 classes"):
        VotingClassifier(lambda z: z, 1)


def rounded_by_place(z: Tensor) -> Tensor:
    """Two equal logits, one of which is rounded up by a unit in the last place: which one, the place in the batch says.

    And the size of the batch, as kernels of a processor do; but it does not take such a processor to be seen. Alone it
    is the input that says which.
    """
    logits = z[:, :1].repeat(1, 2)
    raised = (torch.arange(len(z)) + len(z) + (z[:, 1] > 0)) % 2
    logits[torch.arange(len(z)), raised] = torch.nextafter(logits[:, 0], torch.tensor(torch.inf))
    return logits


def test_near_ties_do_not_depend_on_the_batch_size() -> None:
    x = torch.randn(997, 2, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([rounded_by_place(part).argmax(1) for part in x.split(1)])
    assert len(alone.unique()) == 2
    classifier = VotingClassifier(rounded_by_place, 2)
    for size in (997, 200, 32, 3, 1):
        assert torch.equal(torch.cat([classifier.votes(part)[0] for part in x.split(size)]), alone)
        naive = torch.cat([rounded_by_place(part).argmax(1) for part in x.split(size)])
        assert torch.equal(naive, alone) is (size == 1), "the plain argmax does depend on it"


def test_near_ties_of_a_matrix_product_do_not_depend_on_the_batch_size() -> None:
    """Two classes with the same weights except for one part in 10^7, as this processor rounds them."""
    torch.manual_seed(0)
    weights = torch.randn(2048, 2) / 30
    weights[:, 1] = weights[:, 0] * (1 + 1e-7)
    x = torch.randn(997, 2048)
    classifier = VotingClassifier(lambda z: z @ weights, 2)
    whole = classifier.votes(x)[0]
    for size in (1, 3, 32, 200):
        parts = torch.cat([classifier.votes(part)[0] for part in x.split(size)])
        assert torch.equal(parts, whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["digits-cnn", "resnet20"])
def test_votes_of_real_networks_do_not_depend_on_the_batch_size(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    shape = (1, 8, 8) if name == "digits-cnn" else (3, 32, 32)
    x = torch.randn(192, *shape) * 3 * torch.rand(192, 1, 1, 1) + 2 * torch.randn(192, shape[0], 1, 1)
    network = build(name, shape, 10, {}).train()
    with torch.no_grad():
        for _ in range(10):
            network(x)  # gives batch normalization statistics to work with
    network = network.to(dtype).eval()
    classifier = VotingClassifier(lambda z: network(z.to(dtype)), 10)
    whole = classifier.votes(x)[0]
    assert len(whole.unique()) > 1
    for size in (1, 17, 64):
        assert torch.equal(torch.cat([classifier.votes(part)[0] for part in x.split(size)]), whole)


def test_threads_are_restored_after_near_ties() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        VotingClassifier(lambda z: np.zeros((len(z), 3), dtype=np.float32), 3).votes(noisy())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
