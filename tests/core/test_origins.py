"""The context in which a rejection is reported: the one that it came from."""

from __future__ import annotations

from concurrent.futures import Future
from contextvars import Context, ContextVar
from types import SimpleNamespace
from weakref import ref

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from tests.support.promises import Boom, Source, fail
from tests.support.threads import in_thread
from twpromise import Promise
from twpromise._core.extra import context_of

request: ContextVar[object] = ContextVar("request", default="no request")


@pytest.fixture
def seen(copy):
    """What `request` was in each report."""
    seen = []
    copy.on_possibly_unhandled_rejection(lambda reason, promise: seen.append(request.get()))
    return seen


def run_as(name, function, *arguments):
    """Call a function in a context of its own."""

    def run():
        request.set(name)
        return function(*arguments)

    return Context().run(run)


# Each makes a rejection that is unhandled.  `shared` is a promise that another request fulfils,
# which then calls all that is in `settle`.


def by_a_handler(copy, shared, settle):
    shared.then(fail)


def by_the_end_of_a_chain(copy, shared, settle):
    shared.then(fail).then(str).tap(str).finally_(str).catch(KeyError, str)


def by_a_bound_handler(copy, shared, settle):
    shared.bind("this").then(lambda this, _: fail())


def by_a_handler_beside_the_outcome(copy, shared, settle):
    shared.finally_(fail)


def by_what_a_handler_returns(copy, shared, settle):
    copy.resolve(1).then(lambda _: shared.then(fail))


def by_what_it_is_resolved_with(copy, shared, settle):
    copy(lambda resolve, _: resolve(shared.then(fail)))


def by_one_item(copy, shared, settle):
    copy.all([1, shared.then(fail)])


def by_all_items(copy, shared, settle):
    copy.any([shared.then(fail)])


def by_a_mapper(copy, shared, settle):
    copy.map([shared], fail)


def by_a_bound_mapper(copy, shared, settle):
    shared.return_([1]).bind("this").map(lambda this, item: fail())


def by_a_collection(copy, shared, settle):
    copy.map(shared, str)


def by_a_coroutine(copy, shared, settle):
    async def main():
        await shared
        fail()

    copy.resolve(main())


def by_a_coroutine_that_a_handler_returns(copy, shared, settle):
    async def main():
        await shared
        fail()

    copy.resolve(1).then(lambda _: main())


def by_a_generator(copy, shared, settle):
    @copy.coroutine
    def main():
        yield shared
        fail()

    main()


def by_a_deferred(copy, shared, settle):
    deferred = Deferred()
    copy.from_deferred(deferred)
    settle.append(lambda: deferred.errback(Boom()))


def by_a_deferred_that_a_handler_returns(copy, shared, settle):
    deferred = Deferred()
    copy.resolve(1).then(lambda _: deferred)
    settle.append(lambda: deferred.errback(Boom()))


def by_a_future(copy, shared, settle):
    future = Future()
    copy.resolve(future)
    settle.append(lambda: future.set_exception(Boom()))


def by_a_thenable(copy, shared, settle):
    class Thenable:
        def then(self, resolve, reject):
            settle.append(lambda: reject(Boom()))

    copy.resolve(Thenable())


def by_a_use_of_a_resource(copy, shared, settle):
    copy.using(shared.disposer(lambda _: None), fail)


def by_a_timeout(copy, shared, settle):
    copy(lambda *_: None).timeout(1)


WAYS = [function for name, function in list(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("async_hooks", [True, False], ids=["", "async_hooks=False"])
def test_the_report_runs_where_the_rejection_came_from(scheduler, copy, seen, way, async_hooks):
    """In the context of the request that failed, not in that of the one that ran the drain."""
    copy.config(async_hooks=async_hooks)
    source = Source(copy)
    settle = []
    names = ["first", "second", "third"]
    for name in names:
        run_as(name, way, copy, source.promise, settle)
    scheduler.flush()

    def fourth():
        source.resolve(1)
        for function in settle:
            function()
        scheduler.advance(1)

    run_as("fourth", fourth)
    assert (names if async_hooks else ["no request"] * 3) == seen


def test_what_a_failing_handler_has_set_is_seen(scheduler, copy, seen):
    """Also at the end of a chain that was attached elsewhere."""

    def failing(_):
        request.set("set by the handler")
        fail()

    failed = [copy.resolve(1).then(failing), run_as("first", copy.resolve(1).then, failing)]
    for promise in failed:
        run_as("second", promise.then, str)
    scheduler.flush()
    assert ["set by the handler"] * 2 == seen


def test_what_a_failing_coroutine_has_set_is_seen(scheduler, copy, seen):
    """In its first step and in later ones."""

    async def failing(steps):
        request.set("set by the coroutine")
        for _ in range(steps):
            await copy.delay(1)
        fail()

    for steps in range(3):
        copy.resolve(failing(steps))
        run_as("first", copy.resolve(1).then, lambda _, steps=steps: failing(steps))
    scheduler.advance(1)
    scheduler.advance(1)
    assert ["set by the coroutine"] * 6 == seen


def test_the_report_runs_where_reject_was_called(scheduler, copy, seen):
    """By whatever function; and in whichever thread."""
    source = Source(copy)
    run_as("first", copy.reject, Boom())
    run_as("second", source.reject, Boom())
    in_thread(run_as, "third", copy.defer().reject, Boom())
    scheduler.flush()
    assert ["first", "second", "third"] == seen


def test_a_branch_that_is_attached_after_the_report(scheduler, copy, seen):
    """Its rejection comes from where it was attached: the older context is gone."""
    failed = run_as("first", copy.reject, Boom())
    scheduler.flush()
    run_as("second", failed.then, str)
    failed.then(str)
    scheduler.flush()
    assert ["first", "second", "no request"] == seen


def test_variables_set_by_a_report_are_invisible_to_others(scheduler, reports):
    """Two rejections of one origin, and an observer of the log that sets something."""
    seen = []

    def observe(event):
        seen.append(request.get())
        request.set("set by the observer")

    failed = run_as("first", Promise.resolve(1).then, fail)
    failed.then(str)
    failed.then(int)
    globalLogPublisher.addObserver(observe)
    try:
        scheduler.flush()
    finally:
        globalLogPublisher.removeObserver(observe)
    assert (["first"] * 2, 2) == (seen, len(reports))


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda promise: promise.then(fail).done(), id="done"),
        pytest.param(
            lambda promise: Promise.using(promise.disposer(fail), str), id="a release that raises"
        ),
        pytest.param(
            lambda promise: Promise.using(
                promise.disposer(lambda _: Promise.delay(0).then(fail)), str
            ),
            id="a release that fails later",
        ),
    ],
)
def test_the_fatal_hook_runs_where_the_failure_came_from(scheduler, end):
    """In the context of the request that failed."""
    seen = []
    source = Source()
    Promise.on_fatal(lambda reason: seen.append(request.get()))
    try:
        for name in ("first", "second"):
            run_as(name, end, source.promise)
        run_as("third", source.resolve, 1)
        run_as("fourth", scheduler.advance, 1)
    finally:
        Promise.on_fatal(None)
    assert ["first", "second"] == seen


def test_report_when_collected(scheduler, copy, seen):
    """The policy keeps the context for as long as the rejection may be reported."""
    copy.set_rejection_policy("report_when_collected")
    copy.on_possibly_unhandled_rejection(lambda reason, promise: seen.append(request.get()))
    failed = [run_as(name, copy.reject, Boom()) for name in ("first", "second")]
    run_as("third", scheduler.flush)
    assert [] == seen
    run_as("fourth", failed.clear)
    run_as("fourth", scheduler.flush)
    assert ["first", "second"] == sorted(seen)


class Request:
    """What a server keeps of a request in a context variable."""


def handled(things):
    things.promise = things.copy.resolve(1).then(fail)
    things.promise.then(str).catch(lambda _: None)


def handled_before(things):
    things.promise = things.copy.resolve(1).then(fail)
    things.promise.suppress_unhandled_rejections()


def handled_elsewhere(things):
    things.promise = things.copy.all([things.copy.resolve(1).then(fail), things.pending])
    things.promise.catch(lambda _: None)


def reported(things):
    things.promise = things.copy.resolve(1).then(fail)


def listed(things):
    things.policy = things.copy.set_rejection_policy("live_list")
    things.promise = things.copy.resolve(1).then(fail)


def reported_when_collected(things):
    things.copy.set_rejection_policy("report_when_collected")
    things.copy.on_possibly_unhandled_rejection(lambda _, promise: things.kept.append(promise))
    things.copy.resolve(1).then(fail)


def handled_before_it_is_collected(things):
    things.copy.set_rejection_policy("report_when_collected")
    things.promise = things.copy.resolve(1).then(fail)
    things.handle = things.promise.suppress_unhandled_rejections


@pytest.mark.parametrize(
    "hold",
    [
        *(handled, handled_before, handled_elsewhere, reported, listed),
        *(reported_when_collected, handled_before_it_is_collected),
    ],
)
@pytest.mark.usefixtures("no_collector")
def test_the_context_does_not_outlive_the_report(scheduler, copy, hold):
    """Nor the drain, if there is nothing to report; the promises do."""
    things = SimpleNamespace(copy=copy, pending=Source(copy).promise, kept=[])
    things.handle = lambda: None
    copy.on_possibly_unhandled_rejection(lambda reason, promise: None)

    def attach():
        kept = Request()
        request.set(kept)
        hold(things)
        return ref(kept)

    kept = Context().run(attach)
    scheduler.flush()
    scheduler.flush()
    things.handle()
    assert kept() is None


@pytest.mark.parametrize("way", [by_a_mapper, by_a_deferred, by_a_future, by_a_timeout])
@pytest.mark.usefixtures("seen", "no_collector")
def test_no_context_is_kept_without_async_hooks(scheduler, copy, way):
    """Not even while the promise is pending."""
    copy.config(async_hooks=False)
    settle = []
    pending = copy.defer().promise

    def attach():
        kept = Request()
        request.set(kept)
        way(copy, pending, settle)
        return ref(kept)

    kept = Context().run(attach)
    scheduler.flush()
    assert kept() is None


def test_a_handled_rejection_keeps_its_origin_no_longer_than_its_subscribers_need_it(scheduler):
    """Not to the end of the drain: an endless loop of failing steps stays in constant memory."""
    kept = []

    def program():
        def look(_):
            kept.append(context_of(rejected))

        rejected = Promise.resolve().then(fail)
        rejected.catch(look)
        rejected.catch(
            lambda _: Promise.resolve().then(lambda _: kept.append(context_of(rejected)))
        )

    run_as("a request", program)
    scheduler.flush()
    during, after = kept
    assert "a request" == during[request]
    assert after is None
