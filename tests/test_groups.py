"""`PromiseGroup`: what is started in it has ended when it is left, whatever happens."""

from __future__ import annotations

import weakref
from concurrent.futures import Future

import pytest
from twisted.internet.defer import Deferred

from tests.support.drivers import DRIVERS, Driving
from tests.support.outcomes import outcome, reasons
from tests.support.promises import Boom, fail, quiet
from twpromise import AggregateError, CancellationError, Promise, PromiseGroup
from twpromise._coroutines import drivers
from twpromise._util.errors import CANCELLATIONS


class Work:
    """Functions to start in a group, and a log of what became of them."""

    def __init__(self):
        self.log = []

    async def work(self, name, seconds=1.0, cleaning=0.0, error=None):
        """Take some time, then give the name or raise; and take some more to clean up."""
        self.log.append(f"{name} begins")
        try:
            await Promise.delay(seconds)
            self.log.append(f"{name} done")
        finally:
            if cleaning:
                await Promise.delay(cleaning)
            self.log.append(f"{name} ends")
        if error is not None:
            raise error
        return name


@pytest.fixture
def work():
    """What is started."""
    return Work()


@pytest.fixture(params=DRIVERS)
def driving(request):
    """Runs the test's coroutine."""
    return Driving(request.param)


# --- without coroutines


def test_functions_are_called_from_the_queue(scheduler):
    """Never within `start_soon`, in the order in which they were started."""
    log = []
    group = PromiseGroup()
    promises = [group.start_soon(lambda a, *, b: log.append((a, b)), n, b=2 * n) for n in range(3)]
    assert [] == log
    scheduler.flush()
    assert [(0, 0), (1, 2), (2, 4)] == log
    assert all(promise.is_fulfilled() for promise in promises)


def test_waiting_lasts_until_all_have_ended(scheduler, work):
    """It is fulfilled with None; each promise has its own value."""
    group = PromiseGroup()
    one = group.start_soon(work.work, "one", 1)
    two = group.start_soon(work.work, "two", 3)
    waiting = group.wait()
    scheduler.advance(1)
    scheduler.flush()
    assert (("fulfilled", "one"), True) == (outcome(one), waiting.is_pending())
    scheduler.advance(2)
    assert (("fulfilled", "two"), ("fulfilled", None)) == (outcome(two), outcome(waiting))


def test_waiting_for_nothing(scheduler):
    """An empty group has ended, and so has one whose members have, and was not waited for."""
    waiting = PromiseGroup().wait()
    group = PromiseGroup()
    group.start_soon(int)
    scheduler.flush()
    late = group.wait()
    scheduler.flush()
    assert [("fulfilled", None)] * 2 == [outcome(waiting), outcome(late)]


def test_members_start_more_while_the_group_is_waited_for(scheduler, work):
    """And the group waits for them."""
    group = PromiseGroup()

    async def start():
        await Promise.delay(1)
        group.start_soon(work.work, "more", 2)

    group.start_soon(start)
    waiting = group.wait()
    scheduler.advance(1)
    assert waiting.is_pending()
    scheduler.advance(2)
    assert waiting.is_fulfilled()
    assert ["more begins", "more done", "more ends"] == work.log


def test_the_first_failure_cancels_the_others(scheduler, work):
    """And rejects what `wait` has given, when all have ended."""
    group = PromiseGroup()
    error = Boom("first")
    failing = group.start_soon(work.work, "failing", 1, error=error)
    slow = group.start_soon(work.work, "slow", 60, cleaning=2)
    waiting = quiet(group.wait())
    scheduler.advance(1)
    assert (True, True) == (failing.is_rejected(), slow.is_cancelled())
    assert waiting.is_pending()
    scheduler.advance(2)
    assert ("rejected", error) == outcome(waiting)
    assert "slow ends" == work.log[-1]


def test_several_failures_are_an_exception_group(scheduler):
    """In the order in which they failed, each once."""
    group = PromiseGroup()
    errors = [Boom("one"), Boom("two")]
    for error in errors:
        group.start_soon(Promise.reject, error)
    waiting = quiet(group.wait())
    scheduler.flush()
    aggregate = waiting.reason()
    assert isinstance(aggregate, AggregateError)
    assert (tuple(errors), "2 errors in a PromiseGroup") == (aggregate.errors, aggregate.message)


def test_a_failure_without_a_consumer_is_reported_once(scheduler, reports):
    """The group handles the rejection of the member, and rejects in its turn."""
    group = PromiseGroup()
    error = Boom("lost")
    group.start_soon(Promise.reject, error)
    scheduler.flush()
    assert [error] == reasons(reports)
    late = group.wait()
    scheduler.flush()
    assert ("rejected", error) == outcome(late)


def test_the_end_of_threads_is_waited_for(scheduler):
    """A function in a thread cannot be stopped: the group has ended when it has."""
    running = Future()
    running.set_running_or_notify_cancel()
    group = PromiseGroup()
    member = group.start_soon(lambda: running)
    scheduler.flush()
    group.cancel()
    waiting = group.wait()
    scheduler.flush()
    assert (True, True) == (member.is_cancelled(), waiting.is_pending())
    running.set_result(None)
    scheduler.flush()
    assert ("fulfilled", None) == outcome(waiting)


def test_the_end_of_what_a_member_has_given_up_is_waited_for(scheduler):
    """A timeout within the member: the thread runs on."""
    running = Future()
    running.set_running_or_notify_cancel()
    group = PromiseGroup()
    member = group.start_soon(lambda: Promise.resolve(running).timeout(5))
    waiting = quiet(group.wait())
    scheduler.advance(5)
    assert (True, True) == (member.is_rejected(), waiting.is_pending())
    running.set_result(None)
    scheduler.flush()
    assert waiting.is_rejected()


def test_a_cancelled_member_is_no_failure(scheduler, work):
    """As a cancelled task in asyncio's TaskGroup: the others go on."""
    group = PromiseGroup()
    one = group.start_soon(work.work, "one", 1)
    two = group.start_soon(work.work, "two", 2)
    three = group.start_soon(work.work, "three")
    three.cancel()
    scheduler.flush()
    one.cancel()
    waiting = group.wait()
    scheduler.advance(2)
    assert (("fulfilled", "two"), ("fulfilled", None)) == (outcome(two), outcome(waiting))
    # The third was cancelled before it was called.
    assert ["one begins", "two begins", "one ends", "two done", "two ends"] == work.log


@pytest.mark.parametrize(
    "end",
    [int, fail, lambda: Promise.delay(9), lambda: Promise.reject(Boom())],
    ids=["value", "error", "promise", "rejection"],
)
def test_a_member_that_cancels_itself(scheduler, reports, end):
    """It stays cancelled, what its function gives is cancelled, and what that raises is logged."""
    group = PromiseGroup()
    members = []
    members.append(group.start_soon(lambda: (members[0].cancel(), end())[1]))
    waiting = group.wait()
    scheduler.flush()
    assert (True, ("fulfilled", None)) == (members[0].is_cancelled(), outcome(waiting))
    assert [] == scheduler.clock.getDelayedCalls()
    assert (1 if end is fail else 0) == len(reports)


def test_a_member_that_cancels_itself_and_what_it_began(scheduler):
    """The group has ended when that has."""
    running = Future()
    running.set_running_or_notify_cancel()
    group = PromiseGroup()
    members = []
    members.append(group.start_soon(lambda: (members[0].cancel(), running)[1]))
    waiting = group.wait()
    scheduler.flush()
    assert (True, True) == (members[0].is_cancelled(), waiting.is_pending())
    running.set_result(None)
    scheduler.flush()
    assert ("fulfilled", None) == outcome(waiting)


def test_a_member_whose_rejection_is_handled_already(scheduler):
    """It is called all the same."""
    group = PromiseGroup()
    member = group.start_soon(int)
    member.suppress_unhandled_rejections()
    waiting = group.wait()
    scheduler.flush()
    assert (("fulfilled", 0), ("fulfilled", None)) == (outcome(member), outcome(waiting))


def test_the_group_is_a_consumer(scheduler, work):
    """A handler's promise that is cancelled leaves the member running."""
    group = PromiseGroup()
    member = group.start_soon(work.work, "one")
    member.then(print).cancel()
    scheduler.advance(1)
    assert ("fulfilled", "one") == outcome(member)


def test_cancel_ends_the_group_quietly(scheduler, work):
    """As trio's `cancel_scope.cancel`: what waits is fulfilled when all have ended."""
    group = PromiseGroup()
    members = [group.start_soon(work.work, name, 60, cleaning=1) for name in "ab"]
    waiting = group.wait()
    scheduler.flush()
    group.cancel()
    group.cancel()
    assert [True, True, True] == [*[one.is_cancelled() for one in members], waiting.is_pending()]
    scheduler.advance(1)
    assert ("fulfilled", None) == outcome(waiting)
    assert ["a begins", "b begins", "a ends", "b ends"] == work.log
    group.cancel()
    assert ("fulfilled", None) == outcome(waiting)


def test_cancelling_what_waits_cancels_the_group(scheduler, work):
    """The last one; that is cancelled, and finished when all have ended."""
    group = PromiseGroup()
    member = group.start_soon(work.work, "one", 60, cleaning=1)
    first, last = group.wait(), group.wait()
    after = last.finally_(lambda: work.log.append("after"))
    scheduler.flush()
    first.cancel()
    scheduler.flush()
    assert member.is_pending()
    after.cancel()
    assert (True, True) == (member.is_cancelled(), last.is_cancelled())
    scheduler.flush()
    assert ["one begins"] == work.log
    scheduler.advance(1)
    assert ["one begins", "one ends", "after"] == work.log


def test_an_empty_group_that_is_waited_for_may_be_cancelled(scheduler):
    """There is nothing to wait for."""
    group = PromiseGroup()
    member = group.start_soon(int)
    waiting = group.wait()
    member.cancel()
    waiting.cancel()
    scheduler.flush()
    assert waiting.is_cancelled()
    other = PromiseGroup()
    other._outcome.cancel()
    assert "<PromiseGroup, closed: 0 running>" == repr(other)


def test_a_failure_before_what_waits_is_cancelled_is_reported(scheduler, reports, work):
    """The cancellation cannot carry the error."""
    group = PromiseGroup()
    error = Boom("first")
    group.start_soon(work.work, "slow", 60, cleaning=1)
    group.start_soon(work.work, "failing", 1, error=error)
    waiting = group.wait()
    scheduler.advance(1)
    waiting.cancel()
    scheduler.advance(1)
    assert [error] == reasons(reports)
    assert waiting.is_cancelled()


@pytest.mark.parametrize("how", ["closed", "failing", "cancelled"])
def test_nothing_is_started_in_a_group_that_ends(scheduler, work, how):
    """`RuntimeError`, as asyncio's, and the function is not called."""
    group = PromiseGroup()
    log = []
    group.start_soon(work.work, "slow", 60, cleaning=1)
    scheduler.flush()
    if how == "failing":
        group.start_soon(fail)
        scheduler.flush()
        quiet(group.wait())
    elif how == "cancelled":
        group.cancel()
    else:
        group.wait()
        scheduler.advance(60)
        scheduler.advance(1)
    with pytest.raises(RuntimeError) as raised:
        group.start_soon(log.append, 1)
    scheduler.advance(1)
    assert str(raised.value).startswith(f"nothing can be started in a group that is {how}: <Pr")
    assert [] == log


def test_what_is_no_function_is_refused(scheduler):
    """A coroutine object, say, as asyncio takes it."""
    group = PromiseGroup()
    coroutine = Promise.resolve().then()
    with pytest.raises(TypeError, match="function must be callable, not <Promise"):
        group.start_soon(coroutine)
    scheduler.flush()
    assert "<PromiseGroup, open: 0 running>" == repr(group)


@pytest.mark.parametrize("wrong", [None, 5, object, Promise.resolve], ids=repr)
def test_what_is_no_library_copy(wrong):
    """It is refused, by its name."""
    with pytest.raises(TypeError, match="library must be a library copy, such as Promise, not"):
        PromiseGroup(library=wrong)


def test_repr(scheduler):
    """It says what the group is doing."""
    group = PromiseGroup()
    group.start_soon(Promise.delay, 1)
    assert "<PromiseGroup, open: 1 running>" == repr(group)
    group.wait()
    scheduler.advance(1)
    assert "<PromiseGroup, closed: 0 running>" == repr(group)


def test_members_of_a_library_copy():
    """Its scheduler runs them."""
    from twpromise.testing import ManualScheduler

    copy = Promise.get_new_library_copy()
    scheduler = ManualScheduler()
    copy.set_scheduler(scheduler)
    group = PromiseGroup(library=copy)
    member = group.start_soon(int, "5")
    waiting = group.wait()
    scheduler.flush()
    assert (("fulfilled", 5), copy._new, copy._new) == (
        outcome(member),
        type(member),
        type(waiting),
    )


def test_a_failure_where_only_a_member_waits_for_the_group(scheduler, reports, work):
    """The member is interrupted, and the error reported, since it is only cancelled."""
    error = Boom("failed")
    group = PromiseGroup()

    async def wait():
        try:
            await group.wait()
        finally:
            await Promise.delay(1)
            work.log.append("interrupted")

    group.start_soon(wait)
    group.start_soon(work.work, "failing", 1, error=error)
    scheduler.advance(1)
    assert "<PromiseGroup, failing: 1 running>" == repr(group)
    scheduler.advance(1)
    assert ("interrupted", [error]) == (work.log[-1], reasons(reports))
    assert "<PromiseGroup, closed: 0 running>" == repr(group)


def test_a_member_that_waits_for_the_group_is_cancelled(scheduler, work):
    """It is the only one that waits for it: the group is cancelled, and ends."""
    group = PromiseGroup()
    slow = group.start_soon(work.work, "slow", 60, cleaning=1)
    waiting = group.start_soon(lambda: group.wait().finally_(lambda: Promise.delay(2)))
    scheduler.flush()
    waiting.cancel()
    assert (True, True) == (slow.is_cancelled(), waiting.is_cancelled())
    scheduler.advance(1)
    assert "<PromiseGroup, cancelled: 1 running>" == repr(group)
    scheduler.advance(1)
    assert "<PromiseGroup, closed: 0 running>" == repr(group)


def test_without_cancellation_the_others_go_on(scheduler, config, work):
    """The group rejects when they have ended."""
    config(cancellation=False)
    group = PromiseGroup()
    group.start_soon(fail)
    slow = group.start_soon(work.work, "slow", 1)
    waiting = quiet(group.wait())
    scheduler.flush()
    assert waiting.is_pending()
    scheduler.advance(1)
    assert (True, "slow") == (waiting.is_rejected(), slow.value())


# --- async with


def test_leaving_waits(driving, work):
    """For all that was started; their promises have their values then."""

    async def main():
        async with PromiseGroup() as group:
            members = [group.start_soon(work.work, name, 2) for name in "ab"]
            assert [] == work.log
        return [member.value() for member in members]

    assert ("fulfilled", ["a", "b"]) == driving.run(main())


def test_an_empty_block(driving):
    """It is left as it was entered."""

    async def main():
        async with PromiseGroup() as group:
            pass
        return repr(group)

    assert ("fulfilled", "<PromiseGroup, closed: 0 running>") == driving.run(main())


@pytest.mark.parametrize("where", ["promise", "deferred", "nested", "leaving", "its turn"])
def test_a_failure_interrupts_the_block(driving, work, where):
    """Wherever it waits; the error is raised at the end of it, when all have ended."""
    error = Boom("failed")
    seen = []

    if (driving.driver, where) == ("task", "deferred"):
        pytest.skip("an asyncio task awaits no Deferred")

    async def deeper():
        await Promise.delay(50)

    async def body(group):
        group.start_soon(work.work, "failing", 1, error=error)
        group.start_soon(work.work, "slow", 60, cleaning=2)
        try:
            if where == "promise":
                await Promise.delay(50)
            elif where == "deferred":
                await Deferred()
            elif where == "nested":
                await deeper()
            elif where == "its turn":
                await Promise.delay(1)
        except BaseException as interruption:
            seen.append(isinstance(interruption, CANCELLATIONS))
            raise

    async def group_of_two():
        async with PromiseGroup() as group:
            await body(group)

    async def main():
        with pytest.raises(Boom) as raised:
            await group_of_two()
        work.log.append("after")
        assert (error, None) == (raised.value, raised.value.__context__)
        # No cancellation is left over.
        await Promise.delay(1)
        await Promise.delay(1)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())
    assert ["slow ends", "after"] == work.log[-2:]
    if where != "its turn":
        assert ([] if where == "leaving" else [True]) == seen


def test_a_failure_while_something_cleans_up_for_the_block(driving, work):
    """What the block awaits is cancelled, and it goes on when that has cleaned up, or at once."""
    error = Boom("failed")

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "failing", 1, error=error)
                await Promise.delay(50).finally_(lambda: Promise.delay(3))
        except Boom:
            work.log.append("after")
        await Promise.delay(10)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())
    assert "after" == work.log[-1]


def test_the_block_may_clean_up(driving, work, errors):
    """And await for it, while it handles the cancellation; then it goes on as if nothing were."""

    async def clean_up():
        async with PromiseGroup() as group:
            group.start_soon(fail)
            try:
                await Promise.delay(50)
            finally:
                await Promise.delay(1)
                await Promise.delay(1)
                work.log.append("cleaned")

    async def main():
        with pytest.raises(Boom):
            await clean_up()
        for _ in range(3):
            await Promise.delay(1)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())
    assert (["cleaned"], []) == (work.log, errors)


@pytest.mark.parametrize("also", [False, True], ids=["alone", "with a member's"])
def test_an_error_in_the_block(driving, work, also):
    """It cancels the members, and is raised when they have ended; with theirs, in a group."""
    error, other = Boom("block"), Boom("member")

    def raise_other():
        raise other

    async def main():
        async with PromiseGroup() as group:
            group.start_soon(work.work, "slow", 60, cleaning=2)
            if also:
                group.start_soon(raise_other)
            try:
                await Promise.delay(1)
            except CANCELLATIONS:
                pass
            raise error

    state, raised = driving.run(main())
    assert "rejected" == state
    if also:
        assert (error, other) == raised.errors
    else:
        assert error is raised
    assert ["slow begins", "slow ends"] == work.log


def test_the_error_of_a_member_that_the_block_raises(driving):
    """It is the same error, and raised alone."""
    error = Boom("once")

    async def main():
        async with PromiseGroup() as group:
            await group.start_soon(Promise.reject, error)

    assert ("rejected", error) == driving.run(main())


def test_the_error_of_one_of_several_members_that_the_block_raises(driving):
    """The others are raised with it."""
    errors = Boom("one"), Boom("two")

    async def main():
        async with PromiseGroup() as group:
            one, _ = [group.start_soon(Promise.reject, error) for error in errors]
            await one

    state, raised = driving.run(main())
    assert ("rejected", errors) == (state, raised.errors)


def test_the_block_waits_for_the_group(driving, work):
    """Which closes it."""
    errors = Boom("one"), Boom("two")

    async def main():
        async with PromiseGroup() as group:
            group.start_soon(work.work, "one")
            await group.wait()
            with pytest.raises(RuntimeError, match="group that is closed"):
                group.start_soon(work.work, "two")
        async with PromiseGroup() as group:
            for error in errors:
                group.start_soon(Promise.reject, error)
            await group.wait()

    state, raised = driving.run(main())
    assert ("rejected", errors) == (state, raised.errors)
    assert ["one begins", "one done", "one ends"] == work.log


@pytest.mark.parametrize("leaving", [False, True], ids=["in the block", "while it is left"])
def test_a_cancellation(driving, work, leaving):
    """It cancels the members, and goes on when they have ended."""

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "slow", 60, cleaning=2)
                if not leaving:
                    await Promise.delay(50)
        finally:
            work.log.append("after")

    driving.at(1, driving.cancel)
    assert ("cancelled", None) == driving.run(main())
    assert ["slow begins", "slow ends", "after"] == work.log


def test_a_second_cancellation_changes_nothing(driving, work, errors):
    """The members are waited for all the same."""

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "slow", 60, cleaning=4)
        finally:
            work.log.append("after")

    for second in (1, 2, 3):
        driving.at(second, driving.cancel)
    assert ("cancelled", None) == driving.run(main())
    assert (["slow begins", "slow ends", "after"], []) == (work.log, errors)


def test_a_cancellation_after_a_failure(driving, work, reports):
    """While the members end: the error is raised, as in asyncio."""
    error = Boom("failed")
    caught = []

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "slow", 60, cleaning=4)
                group.start_soon(work.work, "failing", 1, error=error)
                await Promise.delay(50)
        except BaseException as raised:
            caught.append(raised)
            raise
        finally:
            work.log.append("after")

    driving.at(2, driving.cancel)
    state, _ = driving.run(main())
    assert ([error], None) == (caught, error.__context__)
    assert ["slow ends", "after"] == work.log[-2:]
    # A promise that is cancelled has no other outcome: the error is reported.
    promise = driving.driver.startswith("promise")
    assert (("cancelled", [error]) if promise else ("rejected", [])) == (state, reasons(reports))


def test_a_cancellation_after_the_block_has_failed(driving, work, reports):
    """While the members end: the error of the block is raised, as in asyncio."""
    error = Boom("failed")
    caught = []

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "slow", 60, cleaning=4)
                await Promise.delay(1)
                raise error
        except BaseException as raised:
            caught.append(raised)
            raise

    driving.at(2, driving.cancel)
    state, _ = driving.run(main())
    assert ([error], "slow ends") == (caught, work.log[-1])
    promise = driving.driver.startswith("promise")
    assert (("cancelled", [error]) if promise else ("rejected", [])) == (state, reasons(reports))


def test_a_failure_while_a_cancelled_block_cleans_up(driving, work, reports):
    """A block that cleans up for a cancellation is not interrupted, except as asyncio does it."""
    error = Boom("failed")

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "failing", 2, error=error)
                try:
                    await Promise.delay(50)
                finally:
                    await Promise.delay(3)
                    work.log.append("cleaned")
        finally:
            work.log.append("after")

    driving.at(1, driving.cancel)
    state, raised = driving.run(main())
    if driving.on_loop:
        assert "cleaned" not in work.log
    else:
        assert "cleaned" in work.log
    if state == "cancelled":
        # The promise is only cancelled.
        assert [error] == reasons(reports)
    else:
        assert ("rejected", error, []) == (state, raised, reasons(reports))
    assert "after" == work.log[-1]


@pytest.mark.parametrize("by", ["the block", "a member", "a waiter", "another"])
def test_the_group_is_cancelled(driving, work, by):
    """The block is interrupted, and left without an error."""

    async def main():
        async with PromiseGroup() as group:
            group.start_soon(work.work, "slow", 60, cleaning=2)
            if by == "the block":
                group.cancel()
            elif by == "a member":
                group.start_soon(group.cancel)
            elif by == "a waiter":
                Promise.delay(1).then(group.wait().cancel)
            else:
                Promise.delay(1).then(lambda _: group.cancel())
            await Promise.delay(50)
            work.log.append("not reached")
        await Promise.delay(1)
        await Promise.delay(1)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())
    assert "not reached" not in work.log


@pytest.mark.parametrize("first", ["the group", "the coroutine"])
def test_the_group_and_the_coroutine_are_cancelled(driving, work, first):
    """The block cleans up for the one when the other comes: it goes on as a cancellation."""
    groups = []

    async def main():
        async with PromiseGroup() as group:
            groups.append(group)
            try:
                await Promise.delay(50)
            finally:
                await Promise.delay(3)
        work.log.append("not reached")

    one, two = driving.cancel, lambda: groups[0].cancel()
    driving.at(1, two if first == "the group" else one)
    driving.at(2, one if first == "the group" else two)
    assert ("cancelled", None) == driving.run(main())
    assert [] == work.log


def test_the_block_is_interrupted_once(driving, work):
    """It cleans up for a failure when the promise of the group's end is cancelled, too."""

    async def main():
        with pytest.raises(Boom):
            await failing()
        return "goes on"

    async def failing():
        async with PromiseGroup() as group:
            group.start_soon(fail)
            waiting = group.wait()
            # It keeps the group from its end.
            group.start_soon(lambda: Promise.delay(50).finally_(lambda: Promise.delay(9)))
            Promise.delay(2).then(lambda _: waiting.cancel())
            try:
                await Promise.delay(50)
            finally:
                await Promise.delay(3)
                work.log.append("cleaned")

    assert ("fulfilled", "goes on") == driving.run(main())
    assert ["cleaned"] == work.log


def test_the_group_is_cancelled_and_left_at_once(driving):
    """Nothing is interrupted behind the block."""

    async def main():
        async with PromiseGroup() as group:
            group.cancel()
        await Promise.delay(1)
        await Promise.delay(1)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())


def test_an_await_of_what_others_cancel(driving, work):
    """A cancellation, and none of the group's: it goes on behind it."""

    async def main():
        other = Promise.defer().promise
        async with PromiseGroup() as group:
            group.start_soon(work.work, "slow", 60, cleaning=2)
            Promise.delay(1).then(lambda _: other.cancel())
            await other

    state, error = driving.run(main())
    # asyncio's tasks know their own CancelledError only.
    assert ("rejected" if driving.driver == "task" else "cancelled") == state
    assert error is None or isinstance(error, CancellationError)
    assert ["slow begins", "slow ends"] == work.log


@pytest.mark.parametrize("inner", ["fails", "is cancelled"])
@pytest.mark.parametrize("outer", ["fails", "is cancelled"])
def test_one_group_in_another_and_both_end(driving, inner, outer):
    """In the same turn: each block ends, the outer one last."""
    errors = {"inner": Boom("inner"), "outer": Boom("outer")}

    def end(group, name, how):
        if how == "fails":
            group.start_soon(Promise.reject, errors[name])
        else:
            group.cancel()

    log = []

    async def main():
        async with PromiseGroup() as one:
            async with PromiseGroup() as two:
                end(two, "inner", inner)
                end(one, "outer", outer)
                await Promise.delay(50)
            await Promise.delay(50)
            log.append("not reached")
        return "left"

    state, value = driving.run(main(), 200)
    expected = [
        errors[name] for name, how in (("inner", inner), ("outer", outer)) if how == "fails"
    ]
    assert [] == log
    if not expected:
        assert ("fulfilled", "left") == (state, value)
    elif len(expected) == 1:
        assert ("rejected", expected[0]) == (state, value)
    else:
        assert ("rejected", set(expected)) == (state, set(value.errors))


def test_both_end_where_something_cleans_up(driving, work):
    """Two interruptions that come as one: the inner block does not take the outer one's."""

    async def main():
        async with PromiseGroup() as one:
            async with PromiseGroup() as two:
                Promise.delay(1).then(lambda _: two.cancel())
                Promise.delay(2).then(lambda _: one.cancel())
                await Promise.delay(50).finally_(lambda: Promise.delay(5))
            await Promise.delay(50)
            work.log.append("not reached")
        return "left"

    assert ("fulfilled", "left") == driving.run(main())
    assert [] == work.log


def test_a_block_that_swallows_the_interruption(driving, errors):
    """It is interrupted again where it waits next, except as a task; the error is raised."""

    async def main():
        async with PromiseGroup() as group:
            group.start_soon(fail)
            for _ in range(3):
                try:
                    await Promise.delay(1)
                except CANCELLATIONS:
                    pass

    state, error = driving.run(main())
    assert ("rejected", Boom) == (state, type(error))
    assert (0 if driving.on_loop else 1) == len(errors)


def test_a_block_that_swallows_every_interruption(driving, errors, reports):
    """Its coroutine is closed in the end, unless it is a task; the error is raised or reported."""
    error = Boom("failed")

    async def main():
        async with PromiseGroup() as group:
            group.start_soon(Promise.reject, error)
            for _ in range(9):
                try:
                    await Promise.delay(1)
                except CANCELLATIONS[:2]:
                    pass

    state, raised = driving.run(main())
    if driving.driver == "promise":
        assert ("cancelled", [error]) == (state, reasons(reports))
    else:
        assert ("rejected", error, []) == (state, raised, reasons(reports))


def test_a_group_is_entered_once(driving):
    """Nor after it was closed."""

    async def main():
        async with PromiseGroup() as group:
            with pytest.raises(RuntimeError, match="entered once, and before it is closed: <Pr"):
                await group.__aenter__()
        closed = PromiseGroup()
        closed.wait()
        with pytest.raises(RuntimeError, match="entered once, and before it is closed: <Pr"):
            await closed.__aenter__()
        return "done"

    assert ("fulfilled", "done") == driving.run(main())


def test_a_group_that_is_cancelled_before_its_block(driving, work):
    """Its members may have failed, too: the block is interrupted at its first `await`."""

    async def main():
        group = PromiseGroup()
        member = group.start_soon(lambda: Promise.delay(50).finally_(lambda: Promise.delay(1)))
        await Promise.delay(1)
        group.cancel()
        async with group:
            await Promise.delay(50)
            work.log.append("not reached")
        return member.is_cancelled()

    assert ("fulfilled", True) == driving.run(main())
    assert [] == work.log


def test_cancelled_where_the_block_begins(driving, work):
    """The block does not begin, or is cancelled where it waits first."""

    async def main():
        driving.at(0, driving.cancel)
        try:
            async with PromiseGroup() as group:
                group.start_soon(work.work, "slow", 60)
        finally:
            work.log.append("after")

    driving.at(0, driving.cancel)
    assert ("cancelled", None) == driving.run(main())
    assert "after" == work.log[-1]
    assert "slow done" not in work.log


def test_cancelled_where_a_group_with_members_is_entered(driving, work):
    """They are cancelled, and waited for, whether or not the block begins."""
    if driving.driver == "twisted":
        pytest.skip("Twisted's driver cannot cancel a coroutine that runs")

    async def main():
        group = PromiseGroup()
        group.start_soon(work.work, "slow", 60, cleaning=2)
        await Promise.delay(1)
        driving.cancel()
        try:
            async with group:
                await Promise.delay(50)
                work.log.append("not reached")
        finally:
            work.log.append(repr(group))

    assert ("cancelled", None) == driving.run(main())
    assert ["slow begins", "slow ends", "<PromiseGroup, closed: 0 running>"] == work.log


def test_what_the_block_waits_for_comes_as_it_is_cancelled(driving):
    """The block goes on, and is left: nothing is interrupted behind it."""
    if driving.driver == "task":
        pytest.skip("an asyncio task awaits no Deferred")

    async def main():
        deferred = Deferred()

        def cancel(_):
            group.cancel()
            Promise.resolve().then(lambda _: deferred.called or deferred.callback(1))

        async with PromiseGroup() as group:
            Promise.delay(1).then(cancel)
            await deferred
        await Promise.delay(1)
        await Promise.delay(1)
        return "goes on"

    assert ("fulfilled", "goes on") == driving.run(main())


def test_an_error_that_ends_the_process(driving, reports):
    """`KeyboardInterrupt` in the block goes on alone, and what has failed is reported."""

    async def main():
        try:
            async with PromiseGroup() as group:
                group.start_soon(fail)
                await Promise.delay(1)
        except Boom:
            pass
        try:
            async with PromiseGroup() as group:
                group.start_soon(fail)
                try:
                    await Promise.delay(50)
                except CANCELLATIONS:
                    raise KeyboardInterrupt from None
        except KeyboardInterrupt:
            return "interrupted"

    assert ("fulfilled", "interrupted") == driving.run(main())
    assert [Boom] == list(map(type, reasons(reports)))


@pytest.mark.parametrize("other", ["a member's", "the block's"])
@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
def test_an_error_of_a_member_that_ends_the_process(driving, reports, ends, other):
    """It goes on alone, as in asyncio, and what else has failed is reported."""
    error, last = Boom("other"), ends("last")

    async def main():
        try:
            async with PromiseGroup() as group:
                if other == "a member's":
                    group.start_soon(Promise.reject, error)
                group.start_soon(Promise.reject, last)
                try:
                    await Promise.delay(50)
                except CANCELLATIONS:
                    if other == "the block's":
                        raise error from None
                    raise
        except ends as raised:
            return raised is last

    assert ("fulfilled", True) == driving.run(main())
    assert [error] == reasons(reports)


@pytest.mark.parametrize("how", ["awaits", "follows"])
@pytest.mark.parametrize("end", ["failure", "cancelled", "group.cancel"])
def test_a_member_that_waits_for_the_group(driving, work, reports, how, end):
    """The two wait for each other, until the group is cancelled, or something in it fails."""
    errors = Boom("one"), Boom("two")

    async def wait(group):
        try:
            await group.wait()
        finally:
            await Promise.delay(2)
            work.log.append("interrupted")

    async def main():
        try:
            async with PromiseGroup() as group:
                if how == "awaits":
                    group.start_soon(wait, group)
                else:
                    group.start_soon(group.wait)
                group.start_soon(work.work, "slow", 60, cleaning=3)
                for error in errors if end == "failure" else ():
                    group.start_soon(work.work, "failing", 1, error=error)
                if end == "group.cancel":
                    Promise.delay(1).then(lambda _: group.cancel())
        finally:
            work.log.append("left")

    if end == "cancelled":
        driving.at(1, driving.cancel)
    state, raised = driving.run(main())
    if end == "failure":
        assert ("rejected", errors) == (state, raised.errors)
    else:
        assert ("fulfilled" if end == "group.cancel" else "cancelled") == state
    assert ["slow ends", "left"] == work.log[-2:]
    assert (how == "awaits") == ("interrupted" in work.log)
    assert [] == reports


@pytest.mark.parametrize("where", ["block", "leaving"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_coroutine_that_is_closed(scheduler, work, reports, where, fails):
    """It cannot wait: its members are cancelled, and what has failed is reported."""
    error = Boom("failed")

    async def main():
        async with PromiseGroup() as group:
            members.append(group.start_soon(work.work, "slow", 60, cleaning=1))
            if fails:
                group.start_soon(Promise.reject, error)
            if where == "block":
                await Promise.delay(50)

    members = []
    coroutine = main()
    # It enters its block, and waits there, or where it leaves.
    coroutine.send(None)
    coroutine.send(None)
    scheduler.flush()
    coroutine.close()
    assert members[0].is_cancelled()
    scheduler.advance(1)
    assert ["slow begins", "slow ends"] == work.log
    assert ([error] if fails else []) == reasons(reports)


def test_what_cannot_be_interrupted_is_logged(errors):
    """A driver that does not say where its coroutine waits."""
    question = drivers._Question()
    question.addBoth(lambda *_: None)
    question.driver.cancel()
    assert 0 == question.driver.uncancel()
    assert 1 == len(errors)
    assert "cannot be interrupted" in errors[0]["log_format"]


def test_a_group_is_freed(scheduler, no_collector):
    """Without the garbage collector, once it has ended."""

    async def main():
        async with PromiseGroup() as group:
            groups.append(weakref.ref(group))
            group.start_soon(fail)
            await Promise.delay(50)

    groups = []
    promise = quiet(Promise.resolve(main()))
    scheduler.flush()
    assert promise.is_rejected()
    # The traceback refers to the block.
    del promise
    assert [None] == [group() for group in groups]


@pytest.mark.parametrize("ends", ["failure", "failures", "cancelled"])
def test_a_group_is_freed_whatever_drives_it(driving, work, no_collector, ends):
    """Without the garbage collector, also where its block was interrupted."""

    async def main():
        groups = []
        try:
            await block(groups)
        except Exception:
            pass
        # What has interrupted it runs no more.
        await Promise.delay(1)
        return [group() for group in groups]

    async def block(groups):
        async with PromiseGroup() as group:
            groups.append(weakref.ref(group))
            group.start_soon(work.work, "slow", 60, cleaning=1)
            for _ in range({"failure": 1, "failures": 2, "cancelled": 0}[ends]):
                group.start_soon(fail)
            if ends == "cancelled":
                group.cancel()
            await Promise.delay(50)

    assert ("fulfilled", [None]) == driving.run(main())
