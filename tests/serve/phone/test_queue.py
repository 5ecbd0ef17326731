"""Callers on hold, with a clock that is set by hand."""

from voicedeploy.serve.phone.queue import GONE_S, KEPT_S, Queue


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def asks(queue: Queue, call: str, since: int) -> int:
    with queue.asking(call, since):
        return queue.place(call)


def test_first_come_first_served() -> None:
    queue = Queue(clock=Clock())
    assert [asks(queue, call, since) for call, since in (("a", 1), ("b", 1), ("c", 2))] == [0, 1, 2]
    assert asks(queue, "b", 1) == 1
    queue.leave("a")
    assert asks(queue, "c", 2) == 1
    assert len(queue) == 2


def test_who_waited_at_another_front_keeps_its_place() -> None:
    queue = Queue(clock=Clock())
    asks(queue, "new", 50)
    assert asks(queue, "old", 20) == 0
    assert asks(queue, "new", 50) == 1


def test_who_hung_up_holds_nobody_up() -> None:
    clock = Clock()
    queue = Queue(clock=clock)
    asks(queue, "a", 1)
    asks(queue, "b", 2)
    clock.now += KEPT_S
    assert asks(queue, "b", 2) == 1
    clock.now += 0.1
    assert asks(queue, "b", 2) == 0
    assert len(queue) == 2
    clock.now += GONE_S - KEPT_S
    assert asks(queue, "b", 2) == 0
    assert len(queue) == 1


def test_who_is_late_takes_its_place_again() -> None:
    clock = Clock()
    queue = Queue(clock=clock)
    asks(queue, "a", 1)
    asks(queue, "b", 2)
    clock.now += KEPT_S + 1
    assert asks(queue, "b", 2) == 0
    assert asks(queue, "a", 1) == 0
    assert asks(queue, "b", 2) == 1


def test_who_waits_for_an_answer_is_there_however_long_that_takes() -> None:
    clock = Clock()
    queue = Queue(clock=clock)
    with queue.asking("a", 1):
        clock.now += 10 * GONE_S
        assert asks(queue, "b", 2) == 1
        with queue.asking("a", 1):
            pass
        clock.now += 10 * GONE_S
        assert len(queue) == 1
