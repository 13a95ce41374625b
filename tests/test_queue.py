"""The queue: what the core fills and a scheduler empties."""

from __future__ import annotations

from _thread import get_ident

import pytest
from twisted.internet.task import Clock

from twpromise import Promise, ReactorScheduler
from twpromise._core.draining import drain
from twpromise._core.jobs import Job
from twpromise._scheduling.queue import DEFAULT_TIME_SLICE, JobQueue


class Scheduler:
    """Records the calls that it gets; fails while `fails` is set."""

    def __init__(self):
        self.asked = []
        self.failing = False

    def call_soon(self, function):
        if self.failing:
            raise RuntimeError("no turn")
        self.asked.append(function)

    call_from_thread = call_soon

    home_thread = staticmethod(get_ident)


def make(drained):
    return JobQueue(Scheduler(), drained.append)


def test_waking_asks_the_scheduler_for_a_drain():
    """What the scheduler is given empties this very queue."""
    drained = []
    queue = make(drained)
    queue.wake()
    assert queue.awake
    [function] = queue.scheduler.asked
    function()
    assert [True] == [other is queue for other in drained]


def test_a_scheduler_that_fails_leaves_the_queue_asleep():
    """The next job wakes it again, and nothing queued is lost."""
    queue = make([])
    queue.append("job")
    queue.scheduler.failing = True
    with pytest.raises(RuntimeError, match="no turn"):
        queue.wake()
    assert (False, 1) == (queue.awake, len(queue))


def test_threads_wake_the_queue_once():
    """Until it has taken their jobs; after a failure of the scheduler, again."""
    drained = []
    queue = make(drained)
    queue.append("job")
    queue.scheduler.failing = True
    with pytest.raises(RuntimeError, match="no turn"):
        queue.wake_from_thread()
    queue.scheduler.failing = False
    queue.wake_from_thread()
    queue.wake_from_thread()
    [rouse] = queue.scheduler.asked
    rouse()
    assert queue.awake
    [_, run] = queue.scheduler.asked
    queue.wake_from_thread()
    [_, _, rouse] = queue.scheduler.asked
    # No drain is scheduled twice.
    rouse()
    assert 3 == len(queue.scheduler.asked)
    run()
    assert 1 == len(drained)


def test_a_job_from_a_thread_while_others_are_taken_wakes_again():
    """It may be too late for the drain that takes them."""

    class Watched(JobQueue):
        __slots__ = ()

        def __bool__(self):
            found = len(self) > 0
            # What comes just after the look, from a thread.
            self.append("job")
            self.wake_from_thread()
            return found

    queue = Watched(Scheduler(), print)
    queue.wake_from_thread()
    [rouse] = queue.scheduler.asked
    rouse()
    assert (False, 1, 2) == (queue.awake, len(queue), len(queue.scheduler.asked))


def test_threads_wake_again_after_a_failed_wake():
    """A scheduler that fails once keeps no other thread from waking it."""
    queue = make([])
    queue.append("job")
    queue.wake_from_thread()
    [rouse] = queue.scheduler.asked
    queue.scheduler.failing = True
    with pytest.raises(RuntimeError, match="no turn"):
        rouse()
    queue.scheduler.failing = False
    queue.wake_from_thread()
    assert [rouse, rouse] == queue.scheduler.asked


@pytest.mark.parametrize("left", [0, 1])
def test_an_interrupted_drain_schedules_another(left):
    """By Ctrl-C, say: the rest is run, and the next job wakes the queue."""

    def interrupted(queue):
        raise KeyboardInterrupt

    queue = JobQueue(Scheduler(), interrupted)
    queue.extend(["job"] * left)
    queue.wake()
    with pytest.raises(KeyboardInterrupt):
        queue.scheduler.asked[0]()
    assert (1 + left, bool(left)) == (len(queue.scheduler.asked), bool(queue.awake))


def test_first_in_first_out():
    """The queue is a plain deque of jobs."""
    queue = make([])
    queue.extend("abc")
    assert ["a", "b", "c"] == [queue.popleft() for _ in range(3)]


def test_two_queues_are_two_queues():
    """Empty ones are equal deques, and still different keys."""
    first, second = make([]), make([])
    assert first != second
    assert 2 == len({first, second})
    assert first == first


def test_a_queue_starts_asleep_and_empty():
    """With the default time slice, on no thread, with nothing to report."""
    queue = make([])
    assert (False, [], None, DEFAULT_TIME_SLICE, 0.0) == (
        queue.awake,
        queue.rejections,
        queue.drained_in,
        queue.time_slice,
        queue.drains.longest,
    )


def test_the_longest_drain_is_remembered():
    """Seconds by the queue's own timer."""
    now = 0.0

    def busy(seconds):
        nonlocal now
        now += seconds

    queue = JobQueue(Scheduler(), drain, time_slice=10, timer=lambda: now)
    for seconds in (1, 3, 2):
        queue.append(Job(busy, seconds))
        drain(queue)
    assert 3 == queue.drains.longest


def test_each_queue_wakes_its_own_reactor():
    """Two schedulers have two queues; each wakes its own reactor."""
    clocks = [Clock(), Clock()]
    schedulers = [ReactorScheduler(clock) for clock in clocks]
    called = []
    previous = Promise.set_scheduler(schedulers[0])
    try:
        Promise.resolve(0).then(called.append)
        Promise.set_scheduler(schedulers[1])
        Promise.resolve(1).then(called.append)
        clocks[1].advance(0)
        assert [1] == called
        clocks[0].advance(0)
        assert [1, 0] == called
    finally:
        Promise.set_scheduler(previous)
