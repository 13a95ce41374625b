"""The warnings: each says what it should, where it should, and no other time."""

from __future__ import annotations

import gc
import warnings
from collections import deque
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from weakref import ref

import pytest
from twisted.internet import base as twisted_base
from twisted.internet import defer

from tests.support.promises import Boom
from twpromise import OperationalError, Promise, PromiseWarning, background


@pytest.fixture
def warned(scheduler):
    """A library copy with warnings on, and the list of what it warns about."""
    copy = Promise.get_new_library_copy()
    copy.config(warnings=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield copy, caught
        gc.collect()
        copy.config(warnings=False)


def messages(caught):
    return [str(warning.message) for warning in caught]


def test_a_handler_that_is_not_callable(scheduler, warned):
    """It is ignored, with a warning at the user's line."""
    copy, caught = warned
    promise = copy.resolve(1).then(5, "x")
    scheduler.flush()
    assert 1 == promise.value()
    assert [
        ".then() only accepts functions but was passed: int",
        ".then() only accepts functions but was passed: str",
    ] == messages(caught)
    assert {__file__} == {warning.filename for warning in caught}
    assert all(issubclass(warning.category, PromiseWarning) for warning in caught)


def test_none_is_no_handler(scheduler, warned):
    """Leaving a handler out is no mistake."""
    copy, caught = warned
    copy.resolve(None).then(None, None).done()
    scheduler.flush()
    assert [] == messages(caught)


def test_a_reason_that_is_no_exception(scheduler, warned):
    """It is passed on as it is, with a warning."""
    copy, caught = warned
    seen = []
    copy.reject("reason").catch(seen.append)
    copy.reject(Boom()).catch(lambda _: None)
    scheduler.flush()
    assert ["reason"] == seen
    assert ["a promise was rejected with a non-error: str is not an exception"] == messages(caught)


def clock(copy):
    return copy._queue.scheduler


@pytest.mark.parametrize(
    "rejecting",
    [
        lambda copy: copy.delay(1).throw("reason"),
        lambda copy: copy.delay(1).throw(Boom()).catch_throw("reason"),
        lambda copy: copy(lambda resolve, reject: clock(copy).call_later(1, partial(reject, "x"))),
    ],
    ids=["throw", "catch_throw", "reject"],
)
def test_a_reason_from_the_reactor_names_the_promises_line(scheduler, warned, rejecting):
    """Only Twisted's code is running: the line that made the promise is named."""
    copy, caught = warned
    promise = rejecting(copy)
    promise.suppress_unhandled_rejections()
    # In the reactor's place.
    exec(compile("advance(1)", twisted_base.__file__, "exec"), {"advance": scheduler.advance})
    [warning] = caught
    assert "non-error: str" in str(warning.message)
    assert (__file__, rejecting.__code__.co_firstlineno) == (warning.filename, warning.lineno)


def test_a_reason_from_the_reactor_for_a_promise_without_a_line(scheduler, warned):
    """It was made before warnings were on: the reactor's line is named."""
    copy, caught = warned
    copy.config(warnings=False)
    promise = copy.delay(1).throw("reason")
    promise.suppress_unhandled_rejections()
    copy.config(warnings=True)
    exec(compile("advance(1)", twisted_base.__file__, "exec"), {"advance": scheduler.advance})
    [warning] = caught
    assert twisted_base.__file__ == warning.filename


def test_cancel_while_disabled(scheduler, warned):
    """It does nothing, and is warned about."""
    copy, caught = warned
    copy.config(cancellation=False)
    promise = copy.defer().promise
    promise.suppress_unhandled_rejections()
    promise.cancel()
    assert promise.is_pending()
    assert ["cancellation is disabled: cancel() does nothing"] == messages(caught)


def test_no_function_for_finally(scheduler, warned):
    """It is warned about once."""
    copy, caught = warned
    promise = copy.resolve(1).finally_("x")
    scheduler.flush()
    assert 1 == promise.value()
    assert [".then() only accepts functions but was passed: str"] == messages(caught)


# --- warnings that cannot be shown


@pytest.fixture
def _broken(warned, monkeypatch):
    """Whatever shows warnings raises, as it does when standard error is closed."""

    def showwarning(*arguments, **keywords):
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(warnings, "showwarning", showwarning)
    monkeypatch.setattr(warnings, "_showwarnmsg_impl", showwarning)


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize(
    ("warn_of", "state"),
    [
        (lambda copy: copy.resolve(1).then(forget(copy, lambda copy: copy.delay(1))), "fulfilled"),
        (lambda copy: copy.reject("reason"), "rejected"),
        (lambda copy: copy.delay(0).throw("reason"), "rejected"),
        (lambda copy: copy.resolve(1).then("x"), "fulfilled"),
    ],
    ids=["forgotten return", "non-error", "non-error later", "no function"],
)
def test_an_error_while_showing_a_warning_is_logged(scheduler, warned, reports, warn_of, state):
    """Everything else goes on."""
    copy, _ = warned
    promise, other = warn_of(copy), copy.resolve(2).then(str)
    promise.suppress_unhandled_rejections()
    scheduler.advance(0)
    assert (state, "2") == (str(promise).split()[1].strip(":>"), other.value())
    [event] = reports
    assert isinstance(event["log_failure"].value, ValueError)
    assert event["message"]


def test_a_chain_of_followers_keeps_nothing(scheduler, warned):
    """Followers without other subscribers are freed, bypassed or not."""
    copy, caught = warned
    root = copy.defer()

    def forgets(_):
        between, last = copy.defer(), copy.defer()
        last.resolve(between.promise)
        between.resolve(root.promise)

    copy.resolve(1).then(forgets)
    scheduler.flush()
    [message] = messages(caught)
    assert "was not returned from it" in message


def test_a_handler_whose_attributes_raise(scheduler, warned, reports):
    """It is warned about like any other."""
    copy, caught = warned

    class Handler:
        @property
        def __wrapped__(self):
            raise Boom

        def __call__(self, _):
            copy.delay(1)

    promise = copy.resolve(1).then(Handler())
    scheduler.flush()
    assert promise.is_fulfilled()
    assert [] == reports
    [message] = messages(caught)
    assert "was not returned from it" in message


# --- forgotten returns


def forget(copy, start):
    """A handler that forgets to return what *start* gives."""

    def handler(_):
        start(copy)

    return handler


@pytest.mark.parametrize(
    "start",
    [
        lambda copy: copy.delay(1),
        lambda copy: copy.delay(1).then(str),
        lambda copy: copy.delay(1).then(str).catch(str),
        lambda copy: copy.all([copy.delay(1)]),
        lambda copy: copy(lambda resolve, reject: None),
        lambda copy: copy.resolve(1).then(str),
        lambda copy: keep.append(copy.defer().resolve),
    ],
    ids=["timer", "chain", "long chain", "collection", "executor", "queued", "resolver"],
)
def test_a_forgotten_return(scheduler, warned, start):
    """A pending promise without a consumer: the handler's file and line are named."""
    copy, caught = warned
    handler = forget(copy, start)
    copy.resolve(1).then(handler)
    scheduler.flush()
    [warning] = [each for each in caught if "not returned" in str(each.message)]
    assert "a promise was created in handler forget.<locals>.handler at" in str(warning.message)
    assert "but was not returned from it" in str(warning.message)
    assert (__file__, handler.__code__.co_firstlineno) == (warning.filename, warning.lineno)
    scheduler.advance(1)


def test_a_method_that_forgets(scheduler, warned):
    """The same for a method."""
    copy, caught = warned

    class Service:
        def handle(self, _):
            copy.delay(1)

    copy.resolve().then(Service().handle)
    scheduler.flush()
    assert "Service.handle" in messages(caught)[0]


def test_a_callable_that_forgets(scheduler, warned):
    """A handler without code of its own: the promise's line is named."""
    copy, caught = warned

    class Service:
        def __call__(self, _):
            copy.delay(1)

    copy.resolve().then(Service())
    scheduler.flush()
    [warning] = caught
    assert "Service.__call__" in str(warning.message)
    assert (__file__, Service.__call__.__code__.co_firstlineno) == (
        warning.filename,
        warning.lineno,
    )


def test_a_builtin_that_forgets(scheduler, warned):
    """A handler that has no code of its own: the promise's line is named."""
    copy, caught = warned

    class Pages(dict):
        def __missing__(self, key):
            copy.delay(1)

    copy.resolve(1).then(Pages().__getitem__)
    scheduler.flush()
    assert [(__file__, Pages.__missing__.__code__.co_firstlineno + 1)] == [
        (warning.filename, warning.lineno) for warning in caught
    ]


def forgetful(copy):
    """A handler that forgets, whatever it is given."""

    def handler(*_):
        copy.delay(1)

    return handler


def decorated(handler):
    @wraps(handler)
    def decorated(*arguments):
        return handler(*arguments)

    return decorated


def round_and_round(handler):
    """A handler that says that it wraps itself: its own code will do."""
    handler.__wrapped__ = handler
    return handler


ATTACHED = {
    "catch": lambda copy, handler: copy.reject(Boom()).catch(handler),
    "a filter": lambda copy, handler: copy.reject(Boom()).catch(Boom, handler),
    "error": lambda copy, handler: copy.reject(OperationalError("", None)).error(handler),
    "spread": lambda copy, handler: copy.resolve([1, 2]).spread(handler),
    "join": lambda copy, handler: copy.join(1, 2, handler),
    "done": lambda copy, handler: copy.resolve(1).done(handler),
    "partial": lambda copy, handler: copy.resolve(1).then(partial(handler, 1)),
    "decorated": lambda copy, handler: copy.resolve(1).then(decorated(handler)),
    "bound": lambda copy, handler: copy.bind("this", 1).then(handler),
    "round": lambda copy, handler: copy.resolve(1).then(round_and_round(handler)),
    "finally": lambda copy, handler: copy.resolve(1).finally_(handler),
    "tap": lambda copy, handler: copy.resolve(1).tap(handler),
    "tap_catch": lambda copy, handler: copy.reject(Boom()).tap_catch(Boom, handler),
    "map": lambda copy, handler: copy.map([1], handler),
    "filter": lambda copy, handler: copy.filter([1], handler),
    "each": lambda copy, handler: copy.each([1], handler),
    "reduce": lambda copy, handler: copy.reduce([1, 2], handler),
    "using": lambda copy, handler: copy.using(copy.resolve(1).disposer(print), handler),
}


@pytest.mark.parametrize("way", ATTACHED)
def test_whichever_way_it_was_attached(scheduler, warned, way):
    """The handler itself is named, and not what is wrapped around it."""
    copy, caught = warned
    handler = forgetful(copy)
    attached = ATTACHED[way](copy, handler)
    if attached is not None:
        attached.suppress_unhandled_rejections()
    scheduler.flush()
    assert [(__file__, handler.__code__.co_firstlineno)] == [
        (warning.filename, warning.lineno) for warning in caught
    ]
    assert "handler forgetful.<locals>.handler at" in str(caught[0].message)


@pytest.mark.parametrize("way", [way for way in ATTACHED if way != "round"])
def test_opting_out_whichever_way_it_was_attached(scheduler, warned, way):
    """What is marked by `background` may be wrapped in other things."""
    copy, caught = warned
    attached = ATTACHED[way](copy, background(forgetful(copy)))
    if attached is not None:
        attached.suppress_unhandled_rejections()
    scheduler.flush()
    assert [] == messages(caught)


def test_callbacks_whose_results_are_not_used_cannot_forget_a_return(scheduler, warned):
    """Cancel hooks, callbacks and predicates."""
    copy, caught = warned
    handler = forgetful(copy)
    copy(lambda resolve, reject, on_cancel: on_cancel(handler)).cancel()
    copy.resolve(1).as_callback(handler)
    copy.reject(Boom()).tap_catch(handler, print).suppress_unhandled_rejections()
    scheduler.flush()
    assert [] == messages(caught)


def returns_it(copy):
    return lambda _: copy.delay(1)


def returns_something_else(copy):
    def handler(_):
        copy.delay(1)
        return False

    return handler


def awaits_it(copy):
    async def handler(_):
        await copy.delay(1)

    return handler


def awaits_and_starts(copy):
    async def handler(_):
        await copy.delay(1)
        keep.append(copy.delay(1))

    return handler


keep: list[object] = []


def keeps_it(copy):
    # Not in `keep` itself, which is frozen: the collector does not know of it any more.
    kept = []
    keep.append(kept)

    def handler(_):
        kept.append(copy.delay(1))

    return handler


def hands_it_to_twisted(copy):
    def handler(_):
        copy.delay(1).to_deferred()

    return handler


def ends_it(copy):
    def handler(_):
        copy.delay(1).done()

    return handler


def has_settled_it(copy):
    def handler(_):
        copy.resolve(1)

    return handler


def has_suppressed_it(copy):
    def handler(_):
        copy.delay(1).suppress_unhandled_rejections()

    return handler


def has_cancelled_it(copy):
    def handler(_):
        copy.delay(1).cancel()

    return handler


def raises(copy):
    def handler(_):
        copy.delay(1).suppress_unhandled_rejections()
        raise Boom

    return handler


def makes_none(copy):
    return lambda _: None


def in_the_background(copy):
    return background(lambda _: copy.delay(1) and None)


@pytest.mark.parametrize(
    "make",
    [
        returns_it,
        returns_something_else,
        awaits_it,
        awaits_and_starts,
        keeps_it,
        hands_it_to_twisted,
        ends_it,
        has_settled_it,
        has_suppressed_it,
        has_cancelled_it,
        raises,
        makes_none,
        in_the_background,
    ],
)
def test_no_false_alarm(scheduler, warned, make):
    """A promise that is returned, kept, waited for, or left alone on purpose."""
    copy, caught = warned
    copy.resolve(None).then(make(copy)).suppress_unhandled_rejections()
    scheduler.flush()
    scheduler.advance(1)
    scheduler.advance(1)
    assert not [message for message in messages(caught) if "not returned" in message]
    keep.clear()


def test_it_is_kept_in_a_deque(scheduler, warned):
    """A queue of the user's own keeps it, and not only a list."""
    copy, caught = warned
    kept = deque()
    copy.resolve().then(lambda _: kept.append(copy.delay(1)))
    scheduler.flush()
    assert [] == messages(caught)
    kept.pop().cancel()


def test_forgotten_returns_alone(scheduler, warned):
    """Without warnings there is not this one either, though traces are taken."""
    copy, caught = warned
    copy.config(warnings=False, w_forgotten_return=True, long_stack_traces=True)
    copy.resolve().then(forget(copy, lambda copy: copy.delay(1)))
    scheduler.flush()
    copy.config(long_stack_traces=False)
    assert [] == messages(caught)


def test_forgotten_returns_can_be_left_out(scheduler, warned):
    """It is the one warning that is switched by itself."""
    copy, caught = warned
    copy.config(warnings={"wForgottenReturn": False})
    copy.resolve().then(forget(copy, lambda copy: copy.delay(1)))
    scheduler.flush()
    assert [] == messages(caught)


def test_a_forgotten_return_where_warnings_are_errors(scheduler, warned, reports):
    """The handler has made no error: its promise is fulfilled, and the warning logged."""
    copy, _ = warned
    warnings.simplefilter("error")
    promise = copy.resolve().then(forget(copy, lambda copy: copy.delay(1)))
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert promise.is_fulfilled()
    [event] = reports
    assert isinstance(event["log_failure"].value, PromiseWarning)


def test_a_forgotten_promise_of_another_file(scheduler, warned):
    """Where the promise was made elsewhere, that place is named as a whole."""
    copy, caught = warned
    namespace = {"copy": copy}
    exec(compile("def load():\n    return copy.delay(1)", "library.py", "exec"), namespace)
    copy.resolve().then(forget(copy, lambda copy: namespace["load"]()))
    scheduler.flush()
    [message] = messages(caught)
    assert f"created in handler forget.<locals>.handler at {__file__}:" in message
    assert ", at library.py:2, but was not returned from it" in message


def test_a_forgotten_rejection(scheduler, warned):
    """A promise that is rejected already is forgotten like one that is pending."""
    copy, caught = warned
    copy.on_possibly_unhandled_rejection(lambda *_: None)
    copy.resolve().then(forget(copy, lambda copy: copy.reject(Boom())))
    scheduler.flush()
    assert ["not returned" in message for message in messages(caught)] == [True]


def test_background_of_a_method(scheduler, warned):
    """It decorates methods, static and class methods, and what is no function, too."""
    copy, caught = warned
    seen = []

    class Service:
        @background
        def method(self, value):
            seen.append((self, value))
            copy.delay(1)

        @classmethod
        @background
        def class_method(cls, value):
            seen.append((cls, value))
            copy.delay(1)

        @background
        @staticmethod
        def static_method(value):
            seen.append((None, value))
            copy.delay(1)

        collect = background(Appends(seen))

    service = Service()
    for handler in service.method, service.class_method, service.static_method, service.collect:
        copy.resolve(1).then(handler)
    copy.resolve(1).then(Service.static_method)
    scheduler.flush()
    assert [(service, 1), (Service, 1), (None, 1), 1, (None, 1)] == seen
    assert [] == messages(caught)


class Appends:
    """Something that can be called, and is no function."""

    def __init__(self, where):
        self.where = where

    def __call__(self, value):
        self.where.append(value)


def test_background_calls_the_handler(scheduler, warned):
    """What is marked behaves as before, bound values and all."""
    copy, caught = warned
    seen = []
    copy.bind("this", 1).then(background(lambda *arguments: seen.append(arguments)))
    scheduler.flush()
    assert [("this", 1)] == seen
    assert [] == messages(caught)


def test_background_declares_what_the_handler_does(scheduler):
    """It gets the arguments that the handler would get."""
    promise = Promise.map(["a", "b"], background(lambda item, index: (item, index)))
    scheduler.flush()
    assert [("a", 0), ("b", 1)] == promise.value()


def test_background_wants_a_function():
    """Something that is not callable is refused at once."""
    with pytest.raises(TypeError, match="handler must be callable"):
        background(None)


def test_a_forgotten_return_belongs_to_the_context_of_the_handler(scheduler, warned, monkeypatch):
    """The warning is shown there: Python may keep its filters in that context."""
    copy, _ = warned
    seen = []

    def attach():
        variable.set("where the handler was attached")
        copy.resolve().then(forget(copy, lambda copy: copy.delay(1)))

    variable = ContextVar("variable", default="elsewhere")
    with warnings.catch_warnings():
        monkeypatch.setattr(warnings, "showwarning", lambda *_: seen.append(variable.get()))
        copy_context().run(attach)
        scheduler.flush()
    assert ["where the handler was attached"] == seen


# --- never consumed


def test_never_consumed(scheduler, warned):
    """A promise without a consumer is collected: the line that made it is named."""
    copy, caught = warned
    copy.resolve(5)
    gc.collect()
    [warning] = caught
    assert f"a promise was never consumed: it was made at {__file__}:" in str(warning.message)
    assert __file__ == warning.filename


def test_never_consumed_and_pending(scheduler, warned):
    """Nor has it ever settled."""
    copy, caught = warned
    copy(lambda resolve, reject: None)
    gc.collect()
    assert 1 == len(caught)


USES = {
    "then": lambda promise: promise.then(lambda _: None),
    "finally": lambda promise: promise.finally_(lambda: None).then(lambda _: None),
    "to_deferred": lambda promise: promise.to_deferred(),
    "reflect": lambda promise: promise.reflect().then(lambda _: None),
    "suppress": lambda promise: promise.suppress_unhandled_rejections(),
    "as_callback": lambda promise: promise.as_callback(lambda *_: None),
    "all": lambda promise: Promise.all([promise]),
    "race": lambda promise: Promise.race([promise]),
    "resolve": lambda promise: Promise.resolve(promise),
    "map": lambda promise: Promise.map([promise], str),
    "each": lambda promise: Promise.each([promise], str),
    "try_": lambda promise: Promise.try_(lambda: promise),
    "cancel": lambda promise: promise.cancel(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "pending"])
def test_consumed(scheduler, warned, use, settled):
    """Every method that uses the outcome consumes the promise."""
    copy, caught = warned
    resolver = copy.defer()
    if settled:
        resolver.resolve(5)
    USES[use](resolver.promise)
    resolver.resolve(5)
    del resolver
    scheduler.flush()
    gc.collect()
    assert [] == messages(caught)


@pytest.mark.parametrize("look", ["value", "reason"])
def test_looked_at(scheduler, warned, look):
    """Reading the value or the reason consumes the promise."""
    copy, caught = warned
    promise = copy.resolve(5) if look == "value" else copy.reject(Boom())
    getattr(promise, look)()
    del promise
    scheduler.flush()
    gc.collect()
    assert [] == messages(caught)


def test_the_end_of_a_chain_need_not_be_consumed(scheduler, warned):
    """If it is fulfilled with None: there is nothing to take."""
    copy, caught = warned
    copy.resolve(1).then(lambda _: None)
    copy.resolve(1).then(lambda: None)
    copy.resolve(None).finally_(lambda: None)
    copy.resolve()
    copy.delay(1)
    scheduler.advance(1)
    gc.collect()
    assert [] == messages(caught)


async def numbers():
    """Read one by one."""
    yield 1


HANDED_OVER = {
    "an async iterable": lambda copy: copy.map(numbers(), str).then(lambda _: None),
    "a hook of on_cancel": lambda copy: copy(
        lambda resolve, reject, on_cancel: on_cancel(copy.coroutine(works))
    ).cancel(),
    "a callback": lambda copy: copy.resolve().as_callback(copy.coroutine(lambda *_: works())),
}


@pytest.mark.parametrize("way", HANDED_OVER)
def test_what_this_library_runs_need_not_be_consumed(scheduler, warned, way):
    """The user has no promise for it: the end of reading, or what a callback returns."""
    copy, caught = warned
    HANDED_OVER[way](copy)
    scheduler.flush()
    scheduler.advance(1)
    gc.collect()
    assert [] == messages(caught)


async def works():
    """Work that has no result."""
    await Promise.delay(1)


WORK = {
    "coroutine": lambda copy: copy.coroutine(works)(),
    "method": lambda copy: copy.method(works)(),
    "try_": lambda copy: copy.try_(works),
    "resolve": lambda copy: copy.resolve(works()),
    "from_deferred": lambda copy: copy.from_deferred(defer.succeed(None)),
    "executor": lambda copy: copy(lambda resolve, reject: resolve()),
    "async executor": lambda copy: copy(lambda resolve: Promise.delay(1).then(resolve).done()),
    "promisify": lambda copy: copy.promisify(lambda callback: callback(None))(),
    "using": lambda copy: copy.using(copy.resolve(1).disposer(lambda _: None), lambda _: works()),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("waits", [False, True], ids=["forgotten", "waited for"])
def test_work_without_a_result_is_waited_for(scheduler, warned, name, waits):
    """What does something, and has no value, is what one forgets to wait for."""
    copy, caught = warned
    promise = WORK[name](copy)
    if waits:
        promise.then(lambda: None)
    del promise
    scheduler.advance(1)
    scheduler.flush()
    gc.collect()
    assert [not waits] * (not waits) == [
        "never consumed" in message for message in messages(caught)
    ]


@pytest.mark.parametrize("value", [None, "a result"])
def test_a_forgotten_return_has_one_warning(scheduler, warned, value):
    """Not another one when the promise is collected."""
    copy, caught = warned
    copy.resolve().then(forget(copy, lambda copy: copy.delay(1).then(lambda _: value)))
    scheduler.advance(1)
    gc.collect()
    assert ["not returned" in message for message in messages(caught)] == [True]


@pytest.mark.parametrize("forgotten_return", [True, False])
@pytest.mark.parametrize("how", ["returns 0", "returns a promise", "background"])
def test_what_runs_beside_a_chain_on_purpose(scheduler, warned, how, forgotten_return):
    """The handler says so: there is no warning, now or when the promise is collected."""
    copy, caught = warned
    copy.config(warnings={"w_forgotten_return": forgotten_return})

    def handler(_):
        copy.delay(1, "a result")
        copy.coroutine(works)()
        if how == "returns a promise":
            return copy.delay(1)
        return 0 if how == "returns 0" else None

    copy.resolve().then(background(handler) if how == "background" else handler).then(lambda: None)
    scheduler.advance(1)
    scheduler.advance(1)
    gc.collect()
    assert [] == messages(caught)


@pytest.mark.parametrize("way", ["raises", "as_callback"])
def test_what_else_leaves_a_promise_behind(scheduler, warned, way):
    """A handler that fails, or whose result has no use, does not say that this is meant."""
    copy, caught = warned

    def handler(*_):
        copy.delay(1, "a result")
        if way == "raises":
            raise Boom
        return 0

    if way == "raises":
        copy.resolve(1).then(handler).catch(Boom, lambda: None)
    else:
        copy.resolve(1).as_callback(handler)
    scheduler.advance(1)
    gc.collect()
    assert ["never consumed" in message for message in messages(caught)] == [True]


@pytest.mark.parametrize("kind", ["generator", "async"])
def test_an_awaited_promise_is_consumed(scheduler, kind):
    """Also if it is the coroutine that has turned the warnings on."""
    copy = Promise.get_new_library_copy()

    @copy.coroutine
    def generator():
        yield copy.delay(1)
        copy.config(warnings=True)
        yield copy.delay(1, "wanted")

    @copy.coroutine
    async def awaits():
        await copy.delay(1)
        copy.config(warnings=True)
        await copy.delay(1, "wanted")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (generator if kind == "generator" else awaits)().done()
        for _ in range(3):
            scheduler.advance(1)
        gc.collect()
        copy.config(warnings=False)
    assert [] == messages(caught)


def test_a_rejection_is_reported_otherwise(scheduler, warned, reports):
    """An unhandled rejection has its own report."""
    copy, caught = warned
    copy.reject(Boom())
    scheduler.flush()
    gc.collect()
    assert [] == messages(caught)
    assert 1 == len(reports)


def test_a_promise_that_was_never_finished(warned):
    """A constructor that fails leaves nothing to warn about."""
    copy, caught = warned
    with pytest.raises(TypeError):
        copy(None)
    gc.collect()
    assert [] == messages(caught)


def test_without_warnings_nothing_is_shown(scheduler):
    """Warnings are errors in these tests: there are none."""
    Promise.resolve(5)
    Promise.resolve(1).then(5)
    Promise.reject("x").catch(lambda _: None)
    Promise.resolve(1).then(forget(Promise, lambda copy: copy.delay(1)))
    scheduler.flush()
    scheduler.advance(1)
    gc.collect()


def test_switched_off_and_on_by_handlers(scheduler):
    """A handler that ends while warnings are off is not taken for one that ends later."""
    copy = Promise.get_new_library_copy()
    copy.config(warnings=True)

    def switches_off(_):
        copy.delay(1)
        copy.config(warnings=False)
        return "nothing forgotten"

    def switches_on(_):
        copy.config(warnings=True)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Promise.resolve().then(switches_off).then(switches_on)
        scheduler.flush()
        copy.config(warnings=False)
    assert [] == messages(caught)


def test_consumed_while_warnings_were_off(scheduler, warned):
    """It is not known whether the promise was consumed, so there is no warning."""
    copy, caught = warned
    promise = copy.resolve(1).then(str)
    copy.config(warnings=False)
    promise.then(str)
    copy.config(warnings=True)
    scheduler.flush()
    del promise
    gc.collect()
    assert [] == messages(caught)


@pytest.mark.parametrize("setting", ["warnings", "long_stack_traces"])
def test_a_promise_made_under_diagnostics_holds_no_handler(scheduler, setting):
    """Though they were switched off while that handler was running."""
    copy = Promise.get_new_library_copy()
    copy.config(**{setting: True})
    promises = []

    def attach():
        thing = Appends([])

        def handler(_):
            promises.append(copy.delay(1).then(thing))
            copy.config(**{setting: False})
            return 1

        copy.resolve().then(handler)
        return ref(handler)

    handler = attach()
    gc.disable()
    try:
        scheduler.advance(2)
        assert handler() is None
        made = ref(promises[0])
        promises.clear()
        assert made() is None
    finally:
        gc.enable()


def test_hooks_are_no_part_of_a_handler(scheduler, warned):
    """A promise that a hook makes while a handler drops a reference is not the handler's."""
    copy, caught = warned
    copy.set_rejection_policy("report_when_collected")
    copy.on_possibly_unhandled_rejection(lambda *_: copy.delay(1).then(lambda _: None) and None)
    kept = [copy.reject(Boom())]
    scheduler.flush()
    copy.resolve(1).then(lambda _: kept.clear())
    scheduler.advance(2)
    assert [] == [each for each in messages(caught) if "not returned" in each]


def test_switched_on_by_a_handler(scheduler):
    """The handler that switches diagnostics on is not watched itself."""
    copy = Promise.get_new_library_copy()
    promise = copy.resolve().then(lambda _: copy.config(long_stack_traces=True) and None)
    scheduler.flush()
    copy.config(long_stack_traces=False)
    assert promise.is_fulfilled()
