"""Who gets which example, and what becomes of it; no processes."""

import queue
from collections.abc import Iterator
from threading import Timer

import pytest
from engine_cases import examples

from holdfast.errors import HoldfastError, InputError, MissingExtraError
from holdfast.sampling.engines.work_queue import WorkQueue
from holdfast.sampling.engines.worker import Failed, Inbox, Message, Wants
from holdfast.types import Example


def indices(given: list[Example]) -> list[int]:
    return [example.index for example in given]


def test_every_example_comes_back_once() -> None:
    handout = WorkQueue(examples(range(5)))
    assert indices(handout.take(0, 2)) == [0, 1]
    assert indices(handout.take(1, 9)) == [2, 3, 4]
    for worker, index in ((0, 1), (1, 2), (1, 3), (1, 4), (0, 0)):
        assert not handout.finished
        assert handout.done(worker, index).index == index
    assert handout.finished
    assert WorkQueue(iter(())).finished


def test_examples_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def watched() -> Iterator[Example]:
        for example in examples(range(100)):
            taken.append(example.index)
            yield example

    WorkQueue(watched()).take(0, 3)
    assert len(taken) <= 4


def test_an_idle_worker_computes_the_last_examples_too_and_the_first_answer_counts() -> None:
    handout = WorkQueue(examples(range(3)))
    handout.take(0, 3)
    assert indices(handout.take(1, 5)) == [2]
    assert handout.take(1, 5) == [], "not while it has something in hand"
    assert indices(handout.take(2, 5)) == [1], "two have example 2; that is enough"
    assert handout.done(1, 2).index == 2
    assert handout.done(0, 2) is None
    assert indices(handout.take(1, 5)) == [0], "to the last one, should worker 0 never answer"
    assert handout.done(2, 1).index == 1
    assert handout.take(2, 5) == []


def test_what_a_lost_worker_had_in_hand_goes_to_others_one_by_one() -> None:
    handout = WorkQueue(examples(range(6)))
    handout.take(0, 2)
    handout.take(1, 1)
    handout.lost(0, "killed")
    assert handout.take(1, 3) == [], "a suspect goes to a worker that has nothing else"
    handout.done(1, 2)
    assert indices(handout.take(1, 3)) == [0]
    assert handout.take(1, 3) == [], "and keeps it busy alone"
    assert indices(handout.take(2, 3)) == [1]
    handout.done(1, 0)
    assert indices(handout.take(1, 9)) == [3, 4, 5]
    handout.done(2, 1)
    assert not handout.finished


def test_a_lost_worker_is_not_held_against_what_another_one_finished() -> None:
    handout = WorkQueue(examples(range(1)))
    handout.take(0, 1)
    assert indices(handout.take(1, 1)) == [0]
    handout.lost(1, "killed")
    assert handout.done(0, 0).index == 0
    handout.lost(0, "killed")
    assert handout.finished


def test_three_lost_workers_are_blamed_on_the_example_they_had_in_hand() -> None:
    handout = WorkQueue(examples(range(9)))
    handout.take(0, 3)
    handout.lost(0, "ended by SIGKILL")
    for worker in (1, 2, 3):
        (given,) = handout.take(worker, 3)
        if worker < 3:
            handout.done(worker, given.index)
    handout.lost(3, "ended by SIGKILL")
    handout.take(4, 1)
    with pytest.raises(HoldfastError, match=r"while they computed example 2.*\(ended by SIGKILL\).*smaller batches"):
        handout.lost(4, "ended by SIGKILL")


def test_an_inbox_asks_in_time_and_waits_only_when_nothing_else_is_to_do() -> None:
    sent: list[Message] = []
    inbox = Inbox(sent.append)
    delivery = Timer(0.05, inbox.put, [list(examples(range(1)))])
    delivery.start()
    assert next(inbox).index == 0
    assert sent == [Wants(1), Wants(1)], "asked before it waited, and again when the last one was taken"
    assert next(inbox, None) is None, "an example is under way: the loop is not kept waiting"
    inbox.put(list(examples(range(1, 3))))
    assert [example.index for example in inbox] == [1, 2]
    delivery.join()


def test_a_starved_inbox_asks_for_more_up_to_a_limit() -> None:
    sent: queue.SimpleQueue[Message] = queue.SimpleQueue()
    inbox = Inbox(sent.put)
    inbox.under_way = 1
    for _ in range(20):
        assert next(inbox, None) is None
        inbox.put([])
    counts = [sent.get_nowait().count for _ in range(20)]
    assert counts == sorted(counts)
    assert counts[-1] == 64


@pytest.mark.parametrize("error", [InputError("bad"), MissingExtraError("p", "e", "that"), ValueError("bad")])
def test_exceptions_arrive_with_their_type_and_message(error: Exception) -> None:
    arrived = Failed.of(error).error()
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)


def test_exceptions_that_cannot_be_sent_are_named() -> None:
    class Own(Exception):
        pass

    arrived = Failed.of(Own("bad")).error()
    assert type(arrived) is HoldfastError
    assert str(arrived) == "a worker failed with Own: bad"
