"""Long stack traces: the places where a chain was built."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from concurrent.futures import Future
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import globalLogPublisher

import twpromise
from tests.support.outcomes import frames
from tests.support.promises import Boom, awaiting, quiet
from twpromise import Promise
from twpromise._diagnostics.traces import FRAMES, HEADING, SECTIONS, Trace, annotate, capture


@pytest.fixture
def traced(scheduler):
    """A library copy with long stack traces on."""
    copy = Promise.get_new_library_copy()
    copy.config(long_stack_traces=True)
    yield copy
    copy.config(long_stack_traces=False)


def boom(*_):
    raise Boom("reason")


def lines(error):
    """The functions of each section that Python prints behind the error."""
    text = "".join(traceback.format_exception(error))
    sections = text.split(HEADING)[1:]
    return [
        [line.rsplit(" in ", 1)[1] for line in section.splitlines() if ", in " in line]
        for section in sections
    ]


def test_nested_handlers(scheduler, traced):
    """Each section is where the handler was attached in which the next chain was built."""

    def outer(_):
        def inner(_):
            def evenMoreInner(_):
                raise Boom("reason")

            return traced.resolve().then(evenMoreInner)

        return traced.resolve().then(inner)

    promise = traced.resolve().then(outer)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    found = lines(promise.reason())
    assert [["inner"], ["outer"]] == found[:2]
    assert "test_nested_handlers" == found[2][-1]
    assert 3 == len(found)


def test_the_line_is_where_the_handler_was_attached(scheduler, traced):
    """The innermost place of the first section is the call of `then`."""
    promise = traced.resolve().then(boom)
    line = sys._getframe().f_lineno - 1
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    [note] = promise.reason().__notes__
    assert f'{__file__}", line {line}, in test_the_line' in note
    assert note.endswith("promise = traced.resolve().then(boom)")


def build_delay(copy):
    return copy.delay(1).delay(1).then(boom)


def build_map(copy):
    return copy.map([1, 2], lambda _: copy.delay(1).then(boom))


def build_all(copy):
    return copy.all([copy.delay(1).then(boom)])


def build_coroutine(copy):
    @copy.coroutine
    def step():
        yield copy.delay(1)
        yield copy.delay(1).then(boom)

    return step()


def build_deferred(copy):
    def handler(_):
        deferred = Deferred()
        copy.delay(1).then(boom).to_deferred().chainDeferred(deferred)
        return deferred

    return copy.resolve().then(handler)


def build_async(copy):
    async def step():
        await copy.delay(1).then(boom)

    return copy.try_(step)


@pytest.mark.parametrize(
    "build",
    [build_delay, build_map, build_all, build_coroutine, build_deferred, build_async],
)
def test_a_trace_survives_every_method(scheduler, traced, build):
    """The place where the chain was built is named, whatever the error passes through."""
    promise = build(traced)
    promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    scheduler.advance(1)
    found = lines(promise.reason())
    assert any(build.__name__ in section for section in found)
    assert "test_a_trace_survives_every_method" in found[-1]


def fail_async(copy):
    """A callback whose coroutine waits, and fails."""

    async def callback(*_):
        await copy.delay(1)
        raise Boom("reason")

    return callback


def fail_within_async(copy):
    """A callback whose coroutine waits for what fails, and was built there."""

    async def callback(*_):
        await copy.delay(1)
        await copy.delay(1).then(boom)

    return callback


def fail_deferred(copy):
    """A callback whose Deferred fails."""

    def callback(*_):
        deferred = Deferred()
        copy.delay(1).then(lambda _: deferred.errback(Boom("reason")))
        return deferred

    return callback


def yielding(copy, fail):
    @copy.coroutine
    def step():
        yield copy.delay(1)
        yield fail()

    return step()


def acquiring(copy, fail):
    return copy.using([copy.delay(1).then(lambda _: fail())], print)


CALLBACKS = {
    "then": lambda copy, later, fail: later.then(fail),
    "map": lambda copy, later, fail: later.map(fail),
    "map, one at a time": lambda copy, later, fail: later.map(fail, concurrency=1),
    "filter": lambda copy, later, fail: later.filter(fail),
    "each": lambda copy, later, fail: later.each(fail),
    "map_series": lambda copy, later, fail: later.map_series(fail),
    "reduce": lambda copy, later, fail: later.reduce(fail),
    "finally_": lambda copy, later, fail: later.finally_(fail),
    "tap": lambda copy, later, fail: later.tap(fail),
    "tap_catch": lambda copy, later, fail: later.throw(Boom()).tap_catch(fail),
    "all": lambda copy, later, fail: later.then(lambda _: [fail(), 2]).all(),
    "using": lambda copy, later, fail: copy.using(later.disposer(print), fail),
    "acquire": lambda copy, later, fail: acquiring(copy, fail),
    "yield": lambda copy, later, fail: yielding(copy, fail),
    "executor": lambda copy, later, fail: copy(
        lambda resolve, reject, on_cancel: resolve(later.then(fail))
    ),
}


@pytest.mark.parametrize("make", [fail_async, fail_within_async, fail_deferred])
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_that_wait(scheduler, traced, name, make):
    """So it is where a callback gives a coroutine, or a Deferred, that fails later."""

    def build():
        return CALLBACKS[name](traced, traced.delay(1, [1, 2]), make(traced))

    promise = build()
    promise.suppress_unhandled_rejections()
    for _ in range(5):
        scheduler.advance(1)
    found = lines(promise.reason())
    assert any("build" in section for section in found)
    # What only runs the handlers has built nothing.
    assert not any("advance" in section for section in found)


@pytest.mark.parametrize("make", [fail_async, fail_within_async, fail_deferred, lambda _: boom])
def test_releases_that_fail(scheduler, traced, make):
    """A fatal error names the place where the disposer was made."""
    fatal = []
    traced.on_fatal(fatal.append)

    def build():
        return traced.using(traced.delay(1).disposer(make(traced)), lambda _: traced.delay(1))

    build()
    for _ in range(5):
        scheduler.advance(1)
    [error] = fatal
    assert any("build" in section for section in lines(error))
    assert not any("advance" in section for section in lines(error))


def test_functions_that_the_package_calls_at_once_hide_no_caller(scheduler, traced):
    """The caller of a function that the package calls at once is in the section, too."""

    def load(*_):
        return traced.delay(1).then(boom)

    def request(call):
        return call()

    calls = [
        lambda: traced.try_(load),
        traced.method(load),
        lambda: traced(lambda resolve, reject: resolve(load())),
    ]
    promises = [request(call) for call in calls]
    for promise in promises:
        promise.suppress_unhandled_rejections()
    scheduler.advance(1)
    for promise in promises:
        [section] = lines(promise.reason())
        assert "load" == section[-1]
        assert "request" in section


def test_printed_by_failures_and_the_log(scheduler, traced, reports):
    """A Failure, and so Twisted's log, prints the places too."""
    traced.resolve().then(boom)
    scheduler.flush()
    [event] = reports
    assert HEADING in event["log_failure"].getTraceback()
    failed = []
    traced.resolve().then(boom).to_deferred().addErrback(failed.append)
    scheduler.flush()
    assert HEADING in failed[0].getTraceback()
    assert HEADING in failed[0].getTraceback(detail="verbose")


def test_a_failure_that_came_in_goes_out_and_tells_more(scheduler, traced):
    """The very same Failure, which prints the places where it passed."""
    from twisted.python.failure import Failure

    failure = Failure(Boom("reason"))
    failed = []
    deferred = traced.from_deferred(_failed(failure)).then(str).to_deferred()
    deferred.addErrback(failed.append)
    scheduler.flush()
    assert failure is failed[0]
    assert HEADING in failure.getTraceback()


def _failed(failure):
    from twisted.internet.defer import fail

    return fail(failure)


def test_printed_to_the_log_by_default(capsys):
    """`printTraceback` without a file writes where Twisted's does."""
    from io import StringIO

    from twpromise._bridge.outcomes import failure_of

    error = Boom("reason")
    error.add_note("a note")
    file = StringIO()
    failure_of(error, None).printTraceback(file)
    assert file.getvalue().endswith("Boom: reason\na note\n")


def test_the_same_report_for_every_consumer(scheduler, traced):
    """The places are noted once, however many consumers and chains the error goes through."""
    promise = traced.resolve().then(boom)
    for _ in range(3):
        promise.then(str).catch(boom).suppress_unhandled_rejections()
    scheduler.flush()
    assert 1 == len(promise.reason().__notes__)


def test_an_endless_loop_takes_no_more_memory(scheduler, traced):
    """A round more adds no section: each is there once, and there is a bound."""
    rounds = 0

    def step(_):
        nonlocal rounds
        rounds += 1
        if rounds == 1000:
            raise Boom("reason")
        return traced.resolve().then(step)

    promise = traced.resolve().then(step)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    found = lines(promise.reason())
    assert ["step"] == found[0]
    assert 2 == len(found)


def test_a_trace_is_bounded():
    """No more than so many sections, and so many places in each."""
    trace = None
    for number in range(3 * SECTIONS):
        trace = Trace((("file", number, "function"),), trace)
    assert SECTIONS == len(trace.sections)
    assert ("file", 3 * SECTIONS - 1, "function") == trace.place

    def deep(depth):
        return deep(depth - 1) if depth else capture(None)

    assert FRAMES == len(deep(2 * FRAMES).sections[0])


def test_a_trace_without_user_code():
    """A promise that only the package has made has a place all the same."""
    assert ("<unknown>", 0, "<unknown>") == Trace((), None).place
    assert "" == str(Trace((), None))
    error = Boom()
    annotate(error, Trace((), None))
    assert not hasattr(error, "__notes__")
    assert "line 1, in f" in str(Trace((("no such file", 1, "f"),), None))


class Unnotable(Exception):
    @property
    def __notes__(self):
        raise ValueError("no notes")


@pytest.mark.parametrize("reason", ["no exception", Unnotable("x")], ids=["str", "hostile"])
def test_a_reason_that_takes_no_note_is_left_alone(reason):
    """A reason that cannot be annotated is left as it is."""
    annotate(reason, "a note")
    assert "x" in repr(reason) or "str" == type(reason).__name__


def test_switched_off_there_is_no_note(scheduler):
    """Without long stack traces an error is left as it was raised."""
    promise = Promise.resolve().then(boom)
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert not hasattr(promise.reason(), "__notes__")


def test_the_old_name(scheduler):
    """`long_stack_traces()` switches them on, for its own copy."""
    copy = Promise.get_new_library_copy()
    copy.longStackTraces()
    assert copy.config()["long_stack_traces"]
    assert not Promise.config()["long_stack_traces"]
    copy.config(long_stack_traces=False)


def test_bindings_and_contexts_are_kept(scheduler, traced):
    """A promise that is traced is bound, and runs in its context, as any other."""
    from contextvars import ContextVar

    variable = ContextVar("variable", default="unset")
    variable.set("set")
    seen = []
    traced.bind("this", 1).then(lambda *arguments: seen.append((*arguments, variable.get())))
    variable.set("changed")
    traced.resolve(2).then(lambda value: seen.append((value, variable.get())))
    pending = traced.defer()
    pending.promise.suppress_unhandled_rejections()
    derived = pending.promise.then(lambda value: seen.append(value))
    derived.suppress_unhandled_rejections()
    pending.resolve(3)
    scheduler.flush()
    assert [("this", 1, "set"), (2, "changed"), 3] == seen


def test_nothing_is_kept_alive(scheduler, traced):
    """A trace refers to no frames and no promises."""
    import weakref

    class Local:
        pass

    def build():
        local = Local()
        return weakref.ref(local), traced.resolve().then(lambda _: None)

    gc.disable()
    try:
        reference, promise = build()
        assert reference() is None
    finally:
        gc.enable()
    scheduler.flush()
    assert promise.is_fulfilled()


def test_a_package_with_a_longer_name_is_not_ours():
    """Its frames are the user's, though its folder's name begins like ours."""
    filename = f"{Path(twpromise.__file__).parent}_app{os.sep}service.py"
    found = {}
    code = compile("found['trace'] = capture(None)", filename, "exec")
    exec(code, {"found": found, "capture": capture})
    assert (filename, 1, "<module>") == found["trace"].place


def test_made_before_the_traces_were_switched_on(scheduler):
    """Such a promise has no trace, and raises no error."""
    copy = Promise.get_new_library_copy()
    resolver = copy.defer()
    resolver.promise.suppress_unhandled_rejections()
    copy.config(long_stack_traces=True)
    resolver.reject(Boom("reason"))
    copy.config(long_stack_traces=False)
    assert not hasattr(resolver.promise.reason(), "__notes__")


def test_printed_without_a_file(monkeypatch):
    """A Failure with notes prints where Twisted's own does."""
    from io import StringIO

    from twpromise._bridge import outcomes

    file = StringIO()
    monkeypatch.setattr(outcomes, "logerr", file)
    error = Boom("reason")
    error.add_note("a note")
    outcomes.failure_of(error, None).printTraceback()
    assert file.getvalue().endswith("a note\n")


def test_a_handler_that_switches_diagnostics_off_and_raises(config, scheduler):
    """Its traceback shows the handler, and nothing of what watched it."""
    config(warnings=True)

    def handler(_):
        config(warnings=False)
        raise Boom

    promise = quiet(Promise.resolve().then(handler))
    scheduler.flush()
    assert ["handler"] == frames(promise.reason().__traceback__)


# --- one error object that fails again


BUSY = Boom("busy")


def raises_busy(*_):
    raise BUSY


async def _coroutine(copy):
    await copy.delay(1)
    raise BUSY


def _generator_function(copy):
    yield copy.delay(1)
    raise BUSY


def _gives(give):
    def errback(copy):
        deferred = Deferred()
        copy.delay(1).then(lambda _: give(deferred))
        return copy.from_deferred(deferred)

    return errback


#: How a chain fails with an error that has failed before.
FAILS = {
    "a handler": lambda copy: copy.delay(1).then(raises_busy),
    "finally_": lambda copy: copy.delay(1).finally_(raises_busy),
    "map": lambda copy: copy.delay(1, [1]).map(raises_busy),
    "using": lambda copy: copy.using(copy.delay(1), raises_busy),
    "throw": lambda copy: copy.delay(1).throw(BUSY),
    "catch_throw": lambda copy: copy.delay(1).then(int).catch_throw(BUSY),
    "reject": lambda copy: copy.reject(BUSY),
    "an executor": lambda copy: copy(raises_busy),
    "a resolver": lambda copy: copy(
        lambda resolve, reject: copy.delay(1).then(lambda _: reject(BUSY))
    ),
    "try_": lambda copy: copy.try_(raises_busy),
    "timeout": lambda copy: copy.delay(9).timeout(1, BUSY),
    "async def": lambda copy: copy.resolve(_coroutine(copy)),
    "a generator": lambda copy: copy.coroutine(_generator_function)(copy),
    "a callback": lambda copy: copy.from_callback(lambda callback: callback(BUSY)),
    "a Deferred": _gives(lambda deferred: deferred.errback(BUSY)),
}


async def _raises_busy():
    raise BUSY


def _future(error):
    future = Future()
    future.set_exception(error)
    return future


#: What comes from other drivers: these may have been handed the error, if an await has raised it.
FAILS_ELSEWHERE = {
    "a coroutine of Twisted's": lambda copy: copy.from_deferred(ensureDeferred(_raises_busy())),
    "a future": lambda copy: copy.resolve(_future(BUSY)),
}


async def _swallows(promise):
    try:
        await promise
    except Boom as error:
        return error


@Promise.coroutine
def _swallows_by_yield(promise):
    try:
        yield promise
    except Boom as error:
        return error


#: How what came before is handled.
HANDLES = {
    "catch": lambda promise: promise.catch(Boom, lambda error: error),
    "await": lambda promise: Promise.resolve(_swallows(promise)),
    "yield": _swallows_by_yield,
}


def first_request(copy, fails):
    return (FAILS | FAILS_ELSEWHERE)[fails](copy)


def second_request(copy, fails):
    return (FAILS | FAILS_ELSEWHERE)[fails](copy)


def note_of(error):
    [note] = [note for note in error.__notes__ if note.startswith(HEADING)]
    return note


@pytest.fixture
def _fresh():
    """The error has not failed yet."""
    yield
    BUSY.__dict__.clear()
    BUSY.__traceback__ = None


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize(
    ("fails", "handles"),
    [(fails, handles) for fails in FAILS for handles in HANDLES]
    + [(fails, "catch") for fails in FAILS_ELSEWHERE],
)
def test_an_error_that_fails_again_names_the_chain_that_failed_now(
    scheduler, traced, fails, handles
):
    """Not the first one in which it ever failed."""
    HANDLES[handles](first_request(traced, fails))
    scheduler.advance(1)
    scheduler.flush()
    assert "in first_request" in note_of(BUSY)
    HANDLES[handles](second_request(traced, fails))
    scheduler.advance(1)
    assert "in second_request" in note_of(BUSY)
    assert "first_request" not in note_of(BUSY)


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("fails", ["a handler", "timeout", "reject"])
def test_two_chains_that_fail_in_one_turn(scheduler, traced, reports, fails):
    """Handlers, coroutines and reports of each see its own note."""
    notes = []

    async def awaits(promise):
        try:
            await promise
        except Boom as error:
            notes.append(note_of(error))

    first_request(traced, fails).then(str).catch(lambda error: notes.append(note_of(error)))
    second_request(traced, fails).then(str).catch(lambda error: notes.append(note_of(error)))
    traced.resolve(awaits(first_request(traced, fails)))
    traced.resolve(awaits(second_request(traced, fails)))
    scheduler.advance(1)
    found = ["first" if "in first_request" in note else "second" for note in notes]
    assert sorted(found) == ["first", "first", "second", "second"]
    assert all(("first_request" in note) != ("second_request" in note) for note in notes)


@pytest.mark.usefixtures("_fresh")
def test_two_reports_of_one_error_in_one_turn(scheduler, traced, reports):
    """Each prints the chain that it is about."""
    printed = []

    def observe(event):
        printed.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(observe)
    first_request(traced, "reject")
    second_request(traced, "reject").done()
    scheduler.flush()
    globalLogPublisher.removeObserver(observe)
    found = ["first" if "in first_request" in text else "second" for text in printed]
    assert (sorted(found), 2) == (["first", "second"], len(reports))


async def _awaits_and_cleans_up(promise):
    try:
        return await awaiting(promise)
    finally:
        await Promise.delay(1)


@Promise.coroutine
def _yields(promise):
    return (yield promise)


def _in_a_future(promise):
    """A future for an error that some other driver's coroutine has seen."""
    future = Future()

    async def sees():
        try:
            await promise
        except Boom as error:
            future.set_exception(error)

    ensureDeferred(sees())
    return future


#: What hands an error on.
HANDS_ON = {
    "then": lambda copy, promise: promise.then(str),
    "a catch that raises it": lambda copy, promise: promise.catch(_raise),
    "a catch that rejects with it": lambda copy, promise: promise.catch(copy.reject),
    "catch and reject": lambda copy, promise: copy(
        lambda resolve, reject: promise.then(resolve, reject)
    ),
    "a catch that tries": lambda copy, promise: promise.catch(
        lambda error: copy.try_(lambda: _raise(error))
    ),
    "all": lambda copy, promise: copy.all([promise]),
    "async def": lambda copy, promise: copy.resolve(awaiting(promise)),
    "async def with a clean-up": lambda copy, promise: copy.resolve(_awaits_and_cleans_up(promise)),
    "a generator": lambda copy, promise: _yields(promise),
    "a Deferred": lambda copy, promise: copy.from_deferred(promise.to_deferred()),
    "a coroutine of Twisted's": lambda copy, promise: copy.from_deferred(
        ensureDeferred(awaiting(promise))
    ),
    "a future": lambda copy, promise: copy.resolve(_in_a_future(promise)),
    "another copy": lambda copy, promise: Promise.resolve(promise).then(str),
}


def _raise(error):
    raise error


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("hands_on", HANDS_ON)
@pytest.mark.parametrize("fails", ["a handler", "reject", "async def", "timeout"])
def test_an_error_that_is_handed_on_keeps_its_trace(scheduler, traced, config, hands_on, fails):
    """It names the chain in which the error was raised."""
    config(long_stack_traces=True)
    promise = HANDS_ON[hands_on](traced, first_request(traced, fails))
    caught = promise.then(str).catch(Boom, lambda error: note_of(error))
    for _ in range(3):
        scheduler.advance(1)
    assert "in first_request" in caught.value()


def test_other_notes_stay(scheduler, traced):
    """Those of the user's, in their order."""
    error = Boom()
    error.add_note("before")
    traced.reject(error).catch(lambda _: error.add_note("after"))
    scheduler.flush()
    traced.reject(error).catch(lambda _: None)
    scheduler.flush()
    assert ["before", "after", HEADING] == [note[: len(HEADING)] for note in error.__notes__]


# --- one error object for many promises

GIVES = {
    "timeout": lambda: Promise.delay(9).timeout(1, BUSY),
    "throw": lambda: Promise.delay(1).throw(BUSY),
    "catch_throw": lambda: Promise.delay(1).then(int).catch_throw(BUSY),
    "reject": lambda: Promise.reject(BUSY),
    "a resolver": lambda: Promise(lambda resolve, reject: reject(BUSY)),
    "a callback": lambda: Promise.from_callback(lambda callback: callback(BUSY)),
}


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("gives", GIVES)
@pytest.mark.parametrize("driver", ["ours", "Twisted's"])
@pytest.mark.parametrize("raised", [False, True], ids=["never raised", "raised"])
def test_the_traceback_of_an_error_for_many_promises_does_not_grow(
    scheduler, gives, driver, raised
):
    """An await shows itself, and what raised the error, and no awaits that came before."""
    seen = []
    if raised:
        with pytest.raises(Boom):
            raises_busy()

    async def awaits():
        for _ in range(5):
            try:
                await GIVES[gives]()
            except Boom as error:
                seen.append(frames(error.__traceback__))

    (Promise.resolve if driver == "ours" else ensureDeferred)(awaits())
    for _ in range(5):
        scheduler.advance(1)
    assert 5 == len(seen)
    assert all(each == seen[0] for each in seen)
    assert ["awaits", "await_promise"] == seen[0][:2]
    assert ("raises_busy" in seen[0]) is raised


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("gives", GIVES)
@pytest.mark.parametrize("passes", [False, True], ids=["caught", "passed on"])
def test_nor_does_it_where_generators_yield(scheduler, gives, passes):
    """Unless what raised the error shows, as with every error that is raised."""
    seen = []

    @Promise.coroutine
    def passes_on():
        yield GIVES[gives]()

    @Promise.coroutine
    def yields():
        for _ in range(5):
            try:
                yield passes_on() if passes else GIVES[gives]()
            except Boom as error:
                seen.append(frames(error.__traceback__))

    yields()
    for _ in range(5):
        scheduler.advance(1)
    assert [["yields", *["passes_on"] * passes, "await_promise"]] * 5 == seen
