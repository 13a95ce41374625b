"""Context variables, as real libraries use them, across everything that calls back."""

from __future__ import annotations

import gc
from contextvars import Context, ContextVar, copy_context
from types import SimpleNamespace
from weakref import ref

import pytest
import structlog
from opentelemetry import context as otel
from twisted.internet.defer import Deferred, succeed

from twpromise import Disposer, Promise

variable: ContextVar[str] = ContextVar("variable", default="unset")
kept: ContextVar[object] = ContextVar("kept", default=None)


def through_then(copy, callback):
    return copy.resolve(1).then(callback)


def through_catch(copy, callback):
    return copy.reject(ValueError()).catch(callback)


def through_finally(copy, callback):
    return copy.resolve(1).finally_(lambda: callback(1))


def through_tap(copy, callback):
    return copy.resolve(1).tap(callback)


def through_delay(copy, callback):
    return copy.delay(1, 1).then(callback)


def through_map(copy, callback):
    return copy.map([copy.delay(1)], callback)


def through_each(copy, callback):
    return copy.each([copy.delay(1)], callback)


def through_reduce(copy, callback):
    return copy.reduce([1, copy.delay(1)], lambda total, item: callback(item))


def through_deferred(copy, callback):
    deferred = Deferred()
    copy.delay(1).then(deferred.callback).done()
    return copy.resolve(deferred).then(callback)


def through_coroutine(copy, callback):
    @copy.coroutine
    def step():
        yield copy.delay(1)
        callback(1)

    return step()


def through_async(copy, callback):
    async def step():
        await copy.delay(1)
        callback(1)

    return copy.try_(step)


def through_using(copy, callback):
    return copy.using(copy.delay(1).disposer(lambda _: None), callback)


def through_disposer(copy, callback):
    return copy.using(copy.delay(1).disposer(callback), lambda _: None)


def through_callback(copy, callback):
    return copy.delay(1).as_callback(lambda error, value: callback(value))


def through_cancel_hook(copy, callback):
    promise = copy(lambda resolve, reject, on_cancel: on_cancel(lambda: callback(1)))
    promise.cancel()
    return promise


WAYS = [
    through_then,
    through_catch,
    through_finally,
    through_tap,
    through_delay,
    through_map,
    through_each,
    through_reduce,
    through_deferred,
    through_coroutine,
    through_async,
    through_using,
    through_disposer,
    through_callback,
    through_cancel_hook,
]


def run(scheduler):
    scheduler.advance(1)
    scheduler.advance(1)


@pytest.mark.parametrize("way", WAYS)
def test_a_callback_runs_in_the_context_in_which_it_was_attached(scheduler, way):
    """Whatever context the promise is settled in."""
    seen = []
    for name in ("one", "two"):

        def attach(name=name):
            variable.set(name)
            way(Promise, lambda *_: seen.append(variable.get()))

        Context().run(attach)
    way(Promise, lambda *_: seen.append(variable.get()))
    run(scheduler)
    assert ["one", "two", "unset"] == seen


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("outer", ["unset", "set"])
def test_variables_set_by_a_callback_are_invisible_outside(scheduler, way, outer):
    """To other callbacks, and to the code that runs the reactor."""
    seen = []

    def attach():
        if outer == "set":
            variable.set("set")
        for name in ("one", "two"):

            def callback(*_, name=name):
                seen.append(variable.get())
                variable.set(name)

            way(Promise, callback)

    Context().run(attach)
    run(scheduler)
    assert [outer, outer] == seen
    assert "unset" == variable.get()


@pytest.mark.parametrize("way", [through_then, through_delay, through_map, through_deferred])
def test_structlog(scheduler, way):
    """What structlog has bound when a callback is attached is bound when it runs."""
    seen = []
    for request in ("first", "second"):

        def handle(request=request):
            structlog.contextvars.bind_contextvars(request=request)
            way(Promise, lambda *_: seen.append(structlog.contextvars.get_contextvars()))

        copy_context().run(handle)
    run(scheduler)
    assert [{"request": "first"}, {"request": "second"}] == seen


@pytest.mark.parametrize("way", [through_then, through_delay, through_map, through_deferred])
def test_opentelemetry(scheduler, way):
    """OpenTelemetry's current context is that in which a callback was attached."""
    seen = []
    for span in ("first", "second"):
        token = otel.attach(otel.set_value("span", span))
        way(Promise, lambda *_: seen.append(otel.get_value("span")))
        otel.detach(token)
    run(scheduler)
    assert ["first", "second"] == seen


def test_async_hooks_switched_off(scheduler):
    """With ``async_hooks=False`` callbacks run in a context where nothing is set."""
    copy = Promise.get_new_library_copy()
    copy.config(async_hooks=False)
    seen = []

    def attach():
        variable.set("set")
        copy.resolve(1).then(lambda _: seen.append(variable.get()))
        copy.map([1], lambda _: seen.append(variable.get()))

    Context().run(attach)
    scheduler.flush()
    assert ["unset", "unset"] == seen


def test_a_coroutine_keeps_its_own_context(scheduler):
    """Variables that it sets are there in its later steps, and nowhere else."""
    seen = []

    async def step(name):
        variable.set(name)
        await Promise.delay(1)
        seen.append(variable.get())

    for name in ("one", "two"):
        Promise.resolve(step(name))
    assert "unset" == variable.get()
    scheduler.advance(1)
    assert ["one", "two"] == seen


def test_a_disposer_of_a_context_manager(scheduler):
    """A context manager is entered and left as it would be by the handler itself."""
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def manager():
        seen.append(variable.get())
        yield
        seen.append(variable.get())

    def use():
        variable.set("set")
        Promise.using(Disposer.of(manager()), lambda _: succeed(None))

    Context().run(use)
    scheduler.flush()
    assert ["set", "set"] == seen


def test_variables_set_by_a_release_are_invisible_to_the_coroutine(scheduler):
    """What a release sets, the coroutine that leaves the ``async with`` does not see."""

    def release(_):
        variable.set("release")

    async def use():
        async with Promise.resolve(1).disposer(release):
            pass
        return variable.get()

    promise = Promise.resolve(use())
    scheduler.flush()
    assert "unset" == promise.value()


def test_listeners_run_in_the_context_of_the_event(scheduler):
    """Not in the one in which they were set; so does the hook for what is handled late."""
    copy = Promise.get_new_library_copy()
    copy.config(monitoring=True)
    seen = []

    def handled(_):
        seen.append(("handled", variable.get()))

    def listener(_):
        seen.append(("listener", variable.get()))

    names = ["promise_created", "promise_cancelled", "rejection_handled"]

    def start():
        variable.set("where they were set")
        copy.on_unhandled_rejection_handled(handled)
        for name in names:
            copy.on(name, listener)

    def cause():
        variable.set("where it happens")
        copy.defer().promise.cancel()
        reported.suppress_unhandled_rejections()

    Context().run(start)
    try:
        reported = copy.reject(ValueError())
        copy.on_possibly_unhandled_rejection()
        scheduler.flush()
        Context().run(cause)
    finally:
        for name in names:
            assert copy.off(name, listener)
        copy.config(monitoring=False)
    expected = [("listener", "unset")]
    expected += [
        (name, "where it happens") for name in ("listener", "listener", "handled", "listener")
    ]
    assert expected == seen


def test_variables_set_by_hooks_and_listeners_are_invisible_outside(scheduler):
    """To the code that runs just then, and to later callbacks."""
    copy = Promise.get_new_library_copy()
    copy.config(monitoring=True)

    def leak(*_):
        leaks.append(variable.get())
        variable.set("leaked")

    leaks = []
    copy.on_possibly_unhandled_rejection(leak)
    copy.on_unhandled_rejection_handled(leak)
    copy.on_fatal(leak)
    copy.on("promise_created", leak)
    try:
        promise = copy.reject(ValueError())
        scheduler.flush()
        promise.suppress_unhandled_rejections()
        promise.done()
        scheduler.flush()
    finally:
        copy.off("promise_created", leak)
        copy.config(monitoring=False)
    assert {"unset"} == set(leaks)
    assert "unset" == variable.get()


async def _seen():
    seen = variable.get()
    variable.set("what it has awaited sets")
    return seen


def _yields(turns):
    for _ in range(turns):
        yield Promise.delay(1)
    before = yield _seen()
    variable.set("the generator's")
    after = yield _seen()
    return [before, after, variable.get()]


def _returns(turns):
    for _ in range(turns):
        yield Promise.delay(1)
    variable.set("the generator's")
    return _seen()


@pytest.mark.parametrize("turns", [0, 1], ids=["at once", "later"])
@pytest.mark.parametrize("set_before", [False, True], ids=["", "the maker's"])
def test_coroutines_of_a_generator_run_in_its_context(scheduler, turns, set_before):
    """Those that it yields or returns; variables that they set are invisible outside."""
    maker = Context()
    if set_before:
        maker.run(variable.set, "the maker's")
    yielded = maker.run(Promise.coroutine(_yields), turns)
    returned = maker.run(Promise.coroutine(_returns), turns)
    scheduler.advance(1)
    scheduler.flush()
    before = "the maker's" if set_before else "unset"
    assert [before, "the generator's", "the generator's"] == yielded.value()
    assert "the generator's" == returned.value()
    assert before == maker.run(variable.get)


@pytest.mark.parametrize("set_before", [False, True], ids=["", "the maker's"])
@pytest.mark.parametrize("ends", [False, True], ids=["yields", "returns"])
def test_firing_a_deferred_lends_its_context_to_no_generator(scheduler, set_before, ends):
    """The generator that waits for the Deferred goes on in its own context."""
    maker, another = Context(), Context()
    if set_before:
        maker.run(variable.set, "the maker's")
    another.run(variable.set, "another's")
    deferred = Deferred()

    @Promise.coroutine
    def generator():
        yield deferred
        return _seen() if ends else (yield _seen())

    made = maker.run(generator)
    another.run(deferred.callback, None)
    scheduler.flush()
    assert ("the maker's" if set_before else "unset") == made.value()
    assert "another's" == another.run(variable.get)


def test_variables_set_by_a_generator_stay_its_own(scheduler):
    """Set and reset between any two steps, with whatever it waits for in between."""
    seen = []

    @Promise.coroutine
    def generator(name):
        yield Promise.delay(1)
        token = variable.set(name)
        yield succeed(1)
        seen.append(variable.get())
        yield Promise.delay(1)
        seen.append(variable.get())
        variable.reset(token)
        yield Promise.resolve(1)
        seen.append(variable.get())
        token = variable.set(name * 2)
        yield Promise.resolve(1)
        variable.reset(token)
        return variable.get()

    both = Promise.all([generator("a"), generator("b")])
    for _ in range(3):
        scheduler.advance(1)
    assert ["unset", "unset"] == both.value()
    assert ["a", "b"] * 2 + ["unset"] * 2 == seen


@pytest.mark.parametrize("kind", ["generator", "async"])
@pytest.mark.parametrize("on_cancel", [False, True], ids=["canceller", "on_cancel"])
def test_a_coroutine_that_cancels_itself_lends_no_context(scheduler, kind, on_cancel):
    """Cancelled promises neither see its variables nor set any in its context."""
    seen = []

    def canceller(*_):
        seen.append(variable.get())
        variable.set("the canceller's")

    def waited_for():
        if on_cancel:
            return Promise(lambda resolve, reject, on_cancel: on_cancel(canceller))
        return Promise.resolve(Deferred(canceller))

    @Promise.coroutine
    def generator():
        yield Promise.delay(1)
        variable.set("its own")
        made.cancel()
        try:
            yield waited_for()
        finally:
            seen.append(variable.get())

    @Promise.coroutine
    async def awaits():
        await Promise.delay(1)
        variable.set("its own")
        made.cancel()
        try:
            await waited_for()
        finally:
            seen.append(variable.get())

    made = generator() if kind == "generator" else awaits()
    scheduler.advance(1)
    assert made.is_cancelled()
    # The hook was attached in there.
    assert ["its own", "its own" if on_cancel else "unset"] == sorted(seen)


@pytest.mark.usefixtures("scheduler")
def test_variables_set_by_predicates_are_invisible_to_the_handler(scheduler):
    """Of `catch`, and of `tap_catch`."""
    seen = []

    def predicate(_):
        seen.append(variable.get())
        variable.set("the predicate's")
        return True

    def handler(_):
        seen.append(variable.get())

    def attach():
        variable.set("here")
        Promise.reject(ValueError()).catch(predicate, handler)
        Promise.reject(ValueError()).tap_catch(predicate, handler).catch(lambda _: None)

    Context().run(attach)
    Context().run(Promise.reject(ValueError()).catch, KeyError, predicate, handler)
    scheduler.flush()
    assert ["here"] * 4 + ["unset"] * 2 == sorted(seen)
    assert "unset" == variable.get()


@pytest.mark.parametrize("async_hooks", [True, False])
def test_cancellers_called_by_a_timeout_run_in_their_own_context(scheduler, async_hooks):
    """A Deferred that `timeout` cancels runs in its context, and leaks into no other."""
    seen = []
    copy = Promise.get_new_library_copy()
    copy.config(async_hooks=async_hooks)

    def canceller(_):
        seen.append(variable.get())
        variable.set("the canceller's")

    def attach():
        variable.set("here")
        copy.from_deferred(Deferred(canceller)).timeout(1).suppress_unhandled_rejections()

    Context().run(attach)
    scheduler.advance(1)
    assert ["here" if async_hooks else "unset"] == seen
    assert "unset" == variable.get()


@pytest.mark.parametrize("wrap", [lambda deferred: deferred, Promise.from_deferred])
def test_cancelling_an_awaited_deferred_runs_in_its_own_context(scheduler, wrap):
    """What a coroutine waits for is cancelled in its context, and sets nothing there."""
    seen = []

    def canceller(_):
        seen.append(variable.get())
        variable.set("the canceller's")

    async def waits():
        try:
            await wrap(Deferred(canceller))
        finally:
            seen.append(variable.get())

    def attach():
        variable.set("here")
        Promise.try_(waits).timeout(1).suppress_unhandled_rejections()

    Context().run(attach)
    scheduler.advance(1)
    assert ["here", "here"] == seen


class Request:
    """What a context may hold."""


def _by_a_timeout(things):
    things.timed = things.shared.promise.timeout(1)
    things.timed.catch(lambda _: None)


def _by_a_timeout_that_is_cancelled(things):
    _by_a_timeout(things)
    things.timed.cancel()


def _by_a_canceller_that_raises(things):
    def canceller(_):
        raise ValueError

    Promise.from_deferred(Deferred(canceller)).timeout(1).suppress_unhandled_rejections()


def _by_a_thenable_that_raises(things):
    class Thenable:
        def then(self, resolve, reject):
            raise ValueError

    things.promise = Promise.resolve(Thenable())
    things.promise.suppress_unhandled_rejections()


@pytest.mark.parametrize(
    "hold",
    [
        _by_a_timeout,
        _by_a_timeout_that_is_cancelled,
        _by_a_canceller_that_raises,
        _by_a_thenable_that_raises,
    ],
)
def test_contexts_are_freed(scheduler, reports, hold):
    """What has ended, and what it raised, keeps nothing of the request."""
    things = SimpleNamespace(shared=Promise.defer())

    def attach():
        request = Request()
        kept.set(request)
        hold(things)
        return ref(request)

    gc.disable()
    try:
        # Those who go on waiting, before it and behind it.
        before = things.shared.promise.then(lambda _: None)
        request = Context().run(attach)
        behind = things.shared.promise.then(lambda _: None)
        scheduler.advance(2)
        things.timed = None
        assert request() is None
        assert before.is_pending()
        assert behind.is_pending()
    finally:
        gc.enable()


@pytest.mark.parametrize("async_hooks", [True, False])
def test_thenables(scheduler, async_hooks):
    """Their `then` runs in the context of the handler that returned them, or of who resolved."""
    seen = []
    copy = Promise.get_new_library_copy()
    copy.config(async_hooks=async_hooks)

    class Thenable:
        def then(self, resolve, reject):
            seen.append(variable.get())
            variable.set("the thenable's")
            resolve(1)

    def attach():
        variable.set("here")
        copy.resolve(1).then(lambda _: Thenable())
        copy.resolve(Thenable())

    Context().run(attach)
    scheduler.flush()
    assert ["here" if async_hooks else "unset"] * 2 == seen
    assert "unset" == variable.get()
