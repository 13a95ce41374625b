"""Global events: rejections and the life cycle of promises."""

from __future__ import annotations

import pytest
from twisted.internet.defer import ensureDeferred, succeed

from tests.support.promises import Boom
from twpromise import Promise
from twpromise._diagnostics.events import EVENTS, MONITORING, off, on


@pytest.fixture
def listen():
    """Subscribes, and takes it back at the end."""
    subscribed = []

    def subscribe(name, listener):
        Promise.on(name, listener)
        subscribed.append((name, listener))

    yield subscribe
    for name, listener in subscribed:
        Promise.off(name, listener)


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


# --- subscribing


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("spell", [str, camel], ids=["snake", "camel"])
def test_both_spellings(name, spell):
    """An event is subscribed to, and left, in either spelling."""
    first, second = [], []
    Promise.on(name, first.append)
    Promise.on(spell(name), second.append)
    assert Promise.off(spell(name), second.append)
    assert not Promise.off(name, second.append)
    assert Promise.off(name, first.append)


@pytest.mark.parametrize("method", [Promise.on, Promise.off])
@pytest.mark.parametrize(("name", "error"), [("nothing", ValueError), (3, TypeError)])
def test_unknown_events(method, name, error):
    """The error names the unknown event, and all known ones."""
    with pytest.raises(error, match="name must be"):
        method(name, print)


def test_a_listener_must_be_callable():
    """Something that is not callable is refused at once."""
    with pytest.raises(TypeError, match="handler must be callable"):
        Promise.on("unhandled_rejection", None)


def test_a_listener_subscribed_twice_is_notified_twice(scheduler, listen):
    """Each subscription counts, and is ended by one `off`."""
    events = []
    listen("unhandled_rejection", listener := lambda reason, promise: events.append(reason))
    listen("unhandled_rejection", listener)
    error = Boom()
    Promise.reject(error)
    scheduler.flush()
    assert [error, error] == events
    Promise.off("unhandled_rejection", listener)
    Promise.reject(error)
    scheduler.flush()
    assert [error] * 3 == events


# --- rejections


def test_unhandled_then_handled(scheduler, listen, reports):
    """First the one, with reason and promise, then the other, with the promise: each once."""
    events = []
    listen("unhandled_rejection", lambda *arguments: events.append(("unhandled", *arguments)))
    listen("rejection_handled", lambda *arguments: events.append(("handled", *arguments)))
    error = Boom()
    promise = Promise.reject(error)
    scheduler.flush()
    scheduler.flush()
    assert [("unhandled", error, promise)] == events
    promise.catch(lambda _: None)
    promise.catch(lambda _: None)
    scheduler.flush()
    assert [("unhandled", error, promise), ("handled", promise)] == events
    assert [] == reports


def test_handled_in_time_is_no_event(scheduler, listen):
    """A rejection that is handled before the end of the drain notifies no listener."""
    events = []
    listen("unhandled_rejection", lambda *arguments: events.append(arguments))
    listen("rejection_handled", lambda *arguments: events.append(arguments))
    Promise.reject(Boom()).catch(lambda _: None)
    scheduler.flush()
    assert [] == events


def test_the_hook_of_the_copy_comes_before_the_event(scheduler, listen, reports):
    """First the copy's own hook, then the event; neither leaves anything for the log."""
    events = []
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(lambda *arguments: events.append(("hook", *arguments)))
    copy.on_unhandled_rejection_handled(lambda *arguments: events.append(("hook", *arguments)))
    listen("unhandled_rejection", lambda *arguments: events.append(("event", *arguments)))
    listen("rejection_handled", lambda *arguments: events.append(("event", *arguments)))
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    assert [("hook", error, promise), ("event", error, promise)] == events
    events.clear()
    promise.catch(lambda _: None)
    scheduler.flush()
    assert [("hook", promise), ("event", promise)] == events
    assert [] == reports


def test_a_hook_is_for_its_own_copy(scheduler, reports):
    """The hooks of one library copy are not called for promises of another."""
    events = []
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(lambda *arguments: events.append(arguments))
    Promise.reject(Boom())
    scheduler.flush()
    assert [] == events
    assert 1 == len(reports)


@pytest.mark.parametrize("nothing", [(), (None,), (5,)])
def test_no_hook_no_report(scheduler, reports, nothing):
    """Without a function the hook removes any kind of report."""
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(*nothing)
    copy.on_unhandled_rejection_handled(*nothing)
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda _: None)
    assert [] == reports


def test_a_hook_that_raises_is_logged(scheduler, reports, listen):
    """The error of a hook or listener is logged; the others are notified all the same."""
    events = []

    def bad(*_):
        raise ValueError("bad listener")

    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(bad)
    copy.on_unhandled_rejection_handled(bad)
    for name in ("unhandled_rejection", "rejection_handled"):
        listen(name, bad)
        listen(name, lambda *_: events.append("notified"))
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda _: None)
    assert ["notified", "notified"] == events
    assert ["bad listener"] * 4 == [str(event["log_failure"].value) for event in reports]


HOOKS = {
    "none": lambda seen: lambda: seen.append(()),
    "one": lambda seen: lambda reason: seen.append((reason,)),
    "two": lambda seen: lambda reason, promise: seen.append((reason, promise)),
    "a default": lambda seen: lambda reason, log=None: seen.append((reason, log)),
    "star": lambda seen: lambda *arguments: seen.append(arguments),
    "a builtin": lambda seen: Recorder(seen).append,
}


class Recorder(list):
    """A list whose `append`, which is built in, fills another one."""

    def __init__(self, seen):
        self.seen = seen

    def append(self, reason):
        self.seen.append((reason,))


@pytest.mark.parametrize("where", ["hook", "event"])
@pytest.mark.parametrize("name", HOOKS)
def test_hooks_get_what_they_declare(scheduler, listen, reports, where, name):
    """The reason, and the promise, for parameters without a default."""
    seen = []
    copy = Promise.get_new_library_copy()
    if where == "hook":
        copy.on_possibly_unhandled_rejection(HOOKS[name](seen))
    else:
        listen("unhandled_rejection", HOOKS[name](seen))
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    expected = {"none": (), "two": (error, promise), "star": (error, promise)}
    assert [expected.get(name, (error, None) if "default" in name else (error,))] == seen
    assert [] == reports


def test_hooks_without_parameters(scheduler, listen):
    """Those of other events may have none, too."""
    seen = []
    copy = Promise.get_new_library_copy()
    copy.on_unhandled_rejection_handled(lambda: seen.append("hook"))
    copy.on_possibly_unhandled_rejection()
    listen("rejection_handled", lambda: seen.append("event"))
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda _: None)
    assert ["hook", "event"] == seen
    copy.config(monitoring=True)
    listen("promise_created", lambda: seen.append("created"))
    listen("promise_chained", lambda parent: seen.append(parent))
    parent = copy.resolve(1)
    parent.then(str)
    copy.config(monitoring=False)
    assert ["created", parent] == seen[2:]


def bad(*_):
    raise ValueError("bad hook")


async def bad_later(*_):
    await Promise.delay(1)
    raise ValueError("bad hook")


def bad_promise(*_):
    return Promise.delay(1).then(bad)


def bad_deferred(*_):
    return bad_promise().to_deferred()


BAD = {
    "raises": bad,
    "too many parameters": lambda one, two, three: None,
    "async": bad_later,
    "a promise": bad_promise,
    "a Deferred": bad_deferred,
}


@pytest.mark.parametrize("where", ["hook", "event", "both", "no hook"])
@pytest.mark.parametrize("name", BAD)
def test_a_hook_that_fails_does_not_have_the_reason(scheduler, listen, reports, where, name):
    """The reason is logged as without hooks, and what the hook failed with as well."""
    copy = Promise.get_new_library_copy()
    if where in ("hook", "both"):
        copy.on_possibly_unhandled_rejection(BAD[name])
    if where == "no hook":
        copy.on_possibly_unhandled_rejection()
    if where != "hook":
        listen("unhandled_rejection", BAD[name])
    error = Boom()
    copy.reject(error)
    scheduler.flush()
    scheduler.advance(1)
    kinds = [type(event["log_failure"].value) for event in reports]
    assert 1 == kinds.count(Boom)
    failures = [kind for kind in kinds if kind is not Boom]
    assert [TypeError if "many" in name else ValueError] * (1 + (where == "both")) == failures
    assert {"Unhandled rejection in Promise", "Unhandled error in a job of a Promise"} == {
        event["log_format"] for event in reports
    }


@pytest.mark.parametrize("name", ["raises", "async"])
def test_a_hook_that_fails_beside_one_that_does_not(scheduler, listen, reports, name):
    """The reason has gone to the other one."""
    seen = []
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection(BAD[name])
    listen("unhandled_rejection", lambda reason: seen.append(reason))
    error = Boom()
    copy.reject(error)
    scheduler.flush()
    scheduler.advance(1)
    assert [error] == seen
    assert ["bad hook"] == [str(event["log_failure"].value) for event in reports]


@pytest.mark.parametrize("where", ["hook", "event"])
def test_async_hooks_are_run(scheduler, listen, reports, where):
    """To their end, in the context of the rejection."""
    seen = []

    async def unhandled(reason):
        await Promise.delay(1)
        seen.append(reason)

    async def handled(promise):
        await Promise.delay(1)
        seen.append(promise)

    copy = Promise.get_new_library_copy()
    if where == "hook":
        copy.on_possibly_unhandled_rejection(unhandled)
        copy.on_unhandled_rejection_handled(handled)
    else:
        listen("unhandled_rejection", unhandled)
        listen("rejection_handled", handled)
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    scheduler.advance(1)
    assert [error] == seen
    promise.catch(lambda _: None)
    scheduler.advance(1)
    assert [error, promise] == seen
    assert [] == reports


def test_a_hook_that_returns_a_rejected_promise(scheduler, reports):
    """The promise is not handed to the same hook, which would never end."""
    seen = []
    copy = Promise.get_new_library_copy()

    def hook(reason):
        seen.append(reason)
        return copy.reject(ValueError())

    copy.on_possibly_unhandled_rejection(hook)
    error = Boom()
    copy.reject(error)
    scheduler.flush()
    assert [error] == seen
    assert [Boom, ValueError] == [type(event["log_failure"].value) for event in reports]


def test_a_hook_that_is_cancelled(scheduler, reports):
    """It has not done its work, either."""
    copy = Promise.get_new_library_copy()
    waits = Promise.delay(1)
    copy.on_possibly_unhandled_rejection(lambda: waits)
    error = Boom()
    copy.reject(error)
    scheduler.flush()
    waits.cancel()
    scheduler.flush()
    assert [error] == [event["log_failure"].value for event in reports][:1]
    assert "cancelled" in str(reports[1]["log_failure"].value)


@pytest.mark.parametrize("name", MONITORING)
def test_life_cycle_events_are_for_no_async_function(scheduler, reports, listen, name):
    """What it waits for would be such events; a coroutine that comes all the same is not run."""
    seen = []

    async def listener(*promises):
        seen.append(promises)

    with pytest.raises(TypeError, match=f"a handler of {name} must not be async def"):
        Promise.on(name, listener)
    copy = Promise.get_new_library_copy()
    copy.on_possibly_unhandled_rejection()
    copy.config(monitoring=True)
    listen(name, lambda *promises: listener(*promises))
    copy.resolve(1).then(str)
    copy.reject(Boom())
    copy(lambda: None).cancel()
    copy.resolve(1).then(lambda _: copy.delay(1))
    scheduler.advance(1)
    copy.config(monitoring=False)
    assert [] == seen
    assert {TypeError} == {type(event["log_failure"].value) for event in reports}


# --- the life cycle


@pytest.fixture
def monitored(scheduler, listen):
    """A library copy with monitoring on, and the events that its listeners got."""
    copy = Promise.get_new_library_copy()
    copy.config(monitoring=True)
    events = []
    for name in MONITORING:
        listen(name, lambda *promises, name=name: events.append((name, *promises)))
    yield copy, events
    copy.config(monitoring=False)


def test_a_chain(scheduler, monitored):
    """Made, chained and fulfilled, in this order."""
    copy, events = monitored
    promise = copy.resolve(1)
    child = promise.then(str)
    scheduler.flush()
    assert [
        ("promise_created", promise),
        ("promise_fulfilled", promise),
        ("promise_chained", promise, child),
        ("promise_fulfilled", child),
    ] == events


DERIVED = {
    "then": lambda promise: promise.then(str),
    "catch": lambda promise: promise.catch(ValueError, str),
    "finally": lambda promise: promise.finally_(int),
    "tap": lambda promise: promise.tap(str),
    "tap_catch": lambda promise: promise.tap_catch(str),
    "return": lambda promise: promise.return_(1),
    "get": lambda promise: promise.get(0),
    "bind": lambda promise: promise.bind("this"),
    "bind to a promise": lambda promise: promise.bind(Promise.delay(1, "this")),
    "reflect": lambda promise: promise.reflect(),
    "delay": lambda promise: promise.delay(1),
    "timeout": lambda promise: promise.timeout(1),
    "all": lambda promise: promise.all(),
    "any": lambda promise: promise.any(),
    "map": lambda promise: promise.map(str),
    "reduce": lambda promise: promise.reduce(max),
}


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "pending"])
@pytest.mark.parametrize("method", DERIVED)
def test_chaining(scheduler, monitored, method, settled):
    """Whatever is derived from a promise, by whichever method, is chained to it: once."""
    copy, events = monitored
    resolver = copy.defer()
    if settled:
        resolver.resolve([1, 2])
    events.clear()
    child = DERIVED[method](resolver.promise)
    made = ("promise_created", "promise_chained")
    assert [("promise_chained", resolver.promise, child)] == [
        event for event in events if event[0] in made and event[-1] is child
    ]
    resolver.resolve([1, 2])
    child.suppress_unhandled_rejections()
    scheduler.advance(1)
    assert child.is_fulfilled()
    assert 1 == events.count(("promise_fulfilled", child))


def test_a_rejection(scheduler, monitored):
    """A rejected promise, and what recovers from it."""
    copy, events = monitored
    promise = copy(lambda resolve, reject: reject(Boom()))
    child = promise.catch(lambda _: None)
    scheduler.flush()
    assert [
        ("promise_created", promise),
        ("promise_rejected", promise),
        ("promise_chained", promise, child),
        ("promise_fulfilled", child),
    ] == events


def test_following(scheduler, monitored):
    """A promise that adopts the state of another is resolved."""
    copy, events = monitored
    other = copy.defer()
    promise = copy(lambda resolve, reject: resolve(other.promise))
    other.resolve(1)
    scheduler.flush()
    assert [
        ("promise_created", other.promise),
        ("promise_created", promise),
        ("promise_resolved", promise),
        ("promise_fulfilled", other.promise),
        ("promise_fulfilled", promise),
    ] == events


def test_cancelling(scheduler, monitored):
    """A cancelled promise is cancelled, and so is what it was derived from."""
    copy, events = monitored
    promise = copy.defer().promise
    child = promise.then(str)
    events.clear()
    child.cancel()
    scheduler.flush()
    assert [("promise_cancelled", promise), ("promise_cancelled", child)] == events


def test_without_monitoring_there_are_no_life_cycle_events(scheduler, listen):
    """Without ``monitoring`` there are no life-cycle events."""
    events = []
    for name in MONITORING:
        listen(name, lambda *promises: events.append(promises))
    Promise.resolve(1).then(str)
    Promise.defer().promise.cancel()
    scheduler.flush()
    assert [] == events


def test_only_the_copies_that_are_monitored(scheduler, monitored):
    """Monitoring one copy sends no events for the others."""
    _, events = monitored
    Promise.resolve(1).then(str)
    scheduler.flush()
    assert [] == events


def test_a_listener_may_use_promises(scheduler, monitored, listen):
    """A listener that makes and resolves promises gets no events of its own, and no loop."""
    copy, events = monitored
    made = []
    listen("promise_created", lambda promise: made.append(copy.resolve(2).then(str)))
    copy.resolve(1)
    scheduler.flush()
    assert 1 == len(made)
    assert "2" == made[0].value()
    # The promise that was settled later, from the queue, causes an event again.
    assert ["promise_created", "promise_fulfilled", "promise_fulfilled"] == [
        name for name, *_ in events
    ]


MADE = {
    "a value": lambda copy, promise: copy.resolve(1),
    "the constructor": lambda copy, promise: copy(lambda resolve, reject, on_cancel: None),
    "following": lambda copy, promise: copy.try_(lambda: promise),
    "deferify": lambda copy, promise: copy.deferify(lambda: promise)().addErrback(str),
    "a coroutine": lambda copy, promise: copy.coroutine(lambda: (yield promise))(),
    "using": lambda copy, promise: copy.using(promise.disposer(str), str),
    **{
        name: lambda copy, promise, derive=derive: derive(promise)
        for name, derive in DERIVED.items()
    },
}
MEDDLING = {
    "cancels it": lambda promise: promise.cancel(),
    "cancels a branch": lambda promise: promise.then(lambda *_: None).cancel(),
    "handles it": lambda promise: promise.then(lambda *_: None, lambda *_: None),
    "reflects": lambda promise: promise.reflect(),
}


@pytest.mark.parametrize("meddling", MEDDLING)
@pytest.mark.parametrize("made", MADE)
def test_a_listener_may_settle_a_promise_in_the_making(
    scheduler, monitored, listen, reports, meddling, made
):
    """It is notified while the promise is still being made."""
    copy, events = monitored
    resolver = copy.defer()
    kept = resolver.promise.reflect()
    events.clear()

    def meddle(*promises):
        MEDDLING[meddling](promises[-1])

    for event in "promise_created", "promise_chained", "promise_resolved":
        listen(event, meddle)
    MADE[made](copy, resolver.promise)
    scheduler.flush()
    resolver.resolve([1, 2])
    scheduler.advance(1)
    scheduler.advance(1)
    assert kept.is_fulfilled()
    pending = [promise for _, *promises in events for promise in promises if promise.is_pending()]
    # Only the listener settles that.
    assert pending == [] or made == "the constructor"
    assert [] == reports


def test_a_listener_that_cancels(scheduler, monitored, listen):
    """The promise is cancelled in the next turn, and all other listeners are notified."""
    copy, events = monitored
    listen("promise_created", lambda promise: promise.cancel())
    promise = copy.defer().promise
    assert promise.is_pending()
    scheduler.flush()
    assert promise.is_cancelled()
    assert [("promise_created", promise), ("promise_cancelled", promise)] == events


def _ends(events, promise):
    """The events of a promise's end."""
    ends = {"promise_fulfilled", "promise_rejected", "promise_cancelled"}
    return [name for name, *of in events if name in ends and of[0] is promise]


def _generator(copy):
    yield copy.delay(1)


async def _waits(promise):
    await promise


@pytest.mark.parametrize(
    "leave",
    [
        lambda promise: promise.to_deferred(),
        lambda promise: ensureDeferred(_waits(promise)),
    ],
    ids=["to_deferred", "await"],
)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("promise_created", lambda copy: copy(lambda resolve, reject: resolve(copy.delay(1)))),
        ("promise_created", lambda copy: copy.coroutine(_generator)(copy)),
        ("promise_chained", lambda copy: copy.resolve(1).delay(1)),
        ("promise_chained", lambda copy: copy.resolve([1, 2]).map(str)),
        ("promise_chained", lambda copy: copy.defer().promise.then(str)),
    ],
    ids=["executor", "coroutine", "delay", "map", "then"],
)
def test_a_listener_that_drops_the_last_consumer(
    scheduler, monitored, listen, reports, name, make, leave
):
    """The promise is cancelled in the next turn: it may still be in the making."""
    copy, events = monitored
    left = []

    def listener(*promises):
        if not left:
            left.append(promises[-1])
            leave(promises[-1]).addErrback(lambda failure: failure.trap(Exception)).cancel()

    listen(name, listener)
    promise = make(copy)
    assert promise is left[0]
    assert promise.is_pending()
    scheduler.flush()
    assert promise.is_cancelled()
    assert ["promise_cancelled"] == _ends(events, promise)
    assert [] == reports
    counts = copy.statistics()
    scheduler.advance(1)
    assert counts["created"] - counts["settled"] == counts["pending"] == 0


@pytest.mark.parametrize("make", ["resolve", "reject"])
@pytest.mark.parametrize("leave", ["to_deferred", "reflect"])
def test_a_listener_that_drops_the_last_consumer_of_a_settling_promise(
    scheduler, monitored, listen, reports, make, leave
):
    """It settles, and there is one event for that."""
    copy, events = monitored

    def listener(promise):
        copy.off("promise_created", listener)
        getattr(promise, leave)().cancel()

    copy.on("promise_created", listener)
    promise = getattr(copy, make)(Boom())
    promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert [f"promise_{'fulfilled' if promise.is_fulfilled() else 'rejected'}"] == _ends(
        events, promise
    )
    assert [] == reports


def test_a_listener_that_raises_disturbs_nothing(scheduler, monitored, listen, reports):
    """The error is logged, and the promise settles."""
    copy, events = monitored

    def bad(*_):
        raise ValueError("bad listener")

    listen("promise_fulfilled", bad)
    child = copy.resolve(1).then(str)
    scheduler.flush()
    assert "1" == child.value()
    assert 4 == len(events)
    assert ["bad listener"] * 2 == [str(event["log_failure"].value) for event in reports]


# --- figures


def test_statistics(scheduler, monitored):
    """Created, settled and pending are counted while monitoring is on."""
    copy, _ = monitored
    copy.resolve(1).then(str)
    copy.defer()
    assert {"created": 3, "settled": 1, "pending": 2, "queue_length": 1} == {
        name: copy.statistics()[name] for name in ("created", "settled", "pending", "queue_length")
    }
    scheduler.flush()
    assert {"created": 3, "settled": 2, "pending": 1, "queue_length": 0} == {
        name: copy.statistics()[name] for name in ("created", "settled", "pending", "queue_length")
    }


#: Calls of static functions that take a value, each of which makes one promise.
STATIC = {
    "delay": lambda cls, wrap: cls.delay(0, wrap(1)),
    "all": lambda cls, wrap: cls.all(wrap([1, 2])),
    "all_settled": lambda cls, wrap: cls.all_settled(wrap([1, 2])),
    "props": lambda cls, wrap: cls.props(wrap({"a": 1})),
    "any": lambda cls, wrap: cls.any(wrap([1, 2])),
    "some": lambda cls, wrap: cls.some(wrap([1, 2]), 1),
    "race": lambda cls, wrap: cls.race(wrap([1, 2])),
    "map": lambda cls, wrap: cls.map(wrap([1, 2]), str),
    "filter": lambda cls, wrap: cls.filter(wrap([1, 2]), str),
    "each": lambda cls, wrap: cls.each(wrap([1, 2]), str),
    "map_series": lambda cls, wrap: cls.map_series(wrap([1, 2]), str),
    "reduce": lambda cls, wrap: cls.reduce(wrap([1, 2]), lambda a, b: a),
    "bind": lambda cls, wrap: cls.bind("this", wrap(1)),
    "resolve": lambda cls, wrap: cls.resolve(wrap(1)),
}


@pytest.mark.parametrize("way", STATIC)
@pytest.mark.parametrize("wrap", [lambda value: value, succeed, Promise.resolve])
def test_a_static_function_announces_one_promise(scheduler, monitored, way, wrap):
    """The one that the user gets, made and settled once, whatever the function was given."""
    copy, events = monitored
    promise = STATIC[way](copy, wrap)
    scheduler.advance(0)
    assert promise.is_fulfilled()
    own = [(name, *each) for name, *each in events if type(each[-1]) is type(promise)]
    assert [("promise_created", promise), ("promise_fulfilled", promise)] == own
    assert (1, 1, 0) == tuple(copy.statistics()[name] for name in ("created", "settled", "pending"))


@pytest.mark.parametrize("handler", [(), (lambda a, b: a + b,)], ids=["", "with a handler"])
def test_join_announces_one_promise(scheduler, monitored, handler):
    """Also if it calls a handler."""
    copy, events = monitored
    promise = copy.join(1, 2, *handler)
    scheduler.flush()
    assert [("promise_created", promise), ("promise_fulfilled", promise)] == events


def test_join_reports_a_rejection_for_the_promise_that_one_has(scheduler, monitored):
    """As if no other had been made for it."""
    copy, events = monitored
    error = Boom()
    item = copy.reject(error)
    events.clear()
    promise = copy.join(item, 2, lambda a, b: a + b).catch(Boom, lambda error: error)
    scheduler.flush()
    assert error is promise.value()
    assert ["promise_created", "promise_chained", "promise_rejected", "promise_fulfilled"] == [
        name for name, *_ in events
    ]


@pytest.mark.parametrize("pends", [False, True])
def test_a_static_function_given_a_promise_that_pends(scheduler, monitored, pends):
    """What stands between the two is not announced, either: neither made, nor resolved."""
    copy, events = monitored
    source = copy.defer()
    before = copy.statistics()["created"]
    promise = copy.all(copy.all(source.promise)) if pends else copy.all(source.promise)
    made = 2 if pends else 1
    source.resolve([1])
    scheduler.flush()
    assert [1] == promise.value()
    assert made == copy.statistics()["created"] - before
    assert "promise_resolved" not in [name for name, *_ in events]
    assert 0 == copy.statistics()["pending"]


def test_statistics_of_an_endless_loop_of_functions(scheduler, monitored):
    """The same where each round is resolved with a promise that follows another already."""
    copy, _ = monitored
    rounds = 0

    @copy.method
    def step():
        nonlocal rounds
        rounds += 1
        return copy.resolve().then(lambda _: step()) if rounds < 100 else last.promise

    last = copy.defer()
    promise = step()
    scheduler.flush()
    # The first, which follows the last.  And the last.
    assert 2 == copy.statistics()["pending"]
    last.resolve("value")
    scheduler.flush()
    assert "value" == promise.value()
    statistics = copy.statistics()
    assert (0, statistics["created"]) == (statistics["pending"], statistics["settled"])


def test_statistics_of_an_endless_loop(scheduler, monitored):
    """A bypassed promise does not count as pending, so the number does not grow."""
    copy, _ = monitored
    rounds = 0
    middle = []

    def step(_):
        nonlocal rounds
        rounds += 1
        if rounds == 100:
            return last.promise
        promise = copy.resolve().then(step)
        if rounds in (20, 40, 60):
            middle.append(promise)
        return promise

    last = copy.defer()
    promise = copy.resolve().then(step)
    scheduler.flush()
    # Of the loop: the first promise, which follows the last.  And the last.
    assert 2 == copy.statistics()["pending"]
    consumed, looked_at, _ = middle
    consumed.then(str)
    assert looked_at.is_pending()
    assert 3 == copy.statistics()["pending"]
    last.resolve("value")
    scheduler.flush()
    assert ("value", "value") == (looked_at.value(), promise.value())
    statistics = copy.statistics()
    assert (0, statistics["created"]) == (statistics["pending"], statistics["settled"])


def test_statistics_of_a_cancelled_loop(scheduler, monitored):
    """Nor is anything counted twice that is cancelled together."""
    copy, _ = monitored
    rounds = 0

    def step(_):
        nonlocal rounds
        rounds += 1
        return last.promise if rounds == 100 else copy.resolve().then(step)

    last = copy.defer()
    promise = copy.resolve().then(step)
    scheduler.flush()
    promise.cancel()
    scheduler.flush()
    assert promise.is_cancelled()
    statistics = copy.statistics()
    assert (0, statistics["created"]) == (statistics["pending"], statistics["settled"])


def test_statistics_after_a_pause(scheduler, monitored):
    """What was counted before monitoring was switched off is not counted on."""
    copy, _ = monitored
    resolver = copy.defer()
    copy.config(monitoring=True)
    assert 1 == copy.statistics()["pending"]
    copy.config(monitoring=False)
    resolver.resolve(1)
    copy.config(monitoring=True)
    copy.resolve(1)
    assert (1, 1, 0) == tuple(copy.statistics()[name] for name in ("created", "settled", "pending"))


def test_unhandled_rejections_are_counted(scheduler, reports):
    """One more with each that is reported, one less when it is handled."""
    copy = Promise.get_new_library_copy()
    promise = copy.reject(Boom())
    copy.reject(Boom())
    scheduler.flush()
    assert 2 == copy.statistics()["unhandled"]
    promise.catch(lambda _: None)
    assert 1 == copy.statistics()["unhandled"]


def test_the_longest_drain_is_measured():
    """In seconds, by the scheduler's own timer."""
    from twisted.internet.task import Clock

    from twpromise import ReactorScheduler

    clock = Clock()
    time = [0.0]
    copy = Promise.get_new_library_copy()
    copy.set_scheduler(ReactorScheduler(clock, timer=lambda: time[0]))
    copy.resolve().then(lambda _: time.__setitem__(0, 0.25))
    clock.advance(0)
    copy.resolve().then(lambda _: time.__setitem__(0, 0.3))
    clock.advance(0)
    assert 0.25 == copy.statistics()["longest_drain"]


def test_off_returns_whether_there_was_a_subscription():
    """True if a subscription was ended."""
    on("promise_created", print)
    assert off("promise_created", print)
    assert not off("promise_created", print)


@pytest.mark.parametrize("what", ["settles it", "follows it", "attaches", "cancels"])
@pytest.mark.parametrize("follows", [False, True])
def test_a_listener_acts_when_a_promise_follows(scheduler, listen, what, follows):
    """Whatever a listener does with the followee, the follower settles in the end."""
    root, between, follower = (Promise.defer() for _ in range(3))
    given = between if follows else root
    called = []
    acts = {
        "settles it": lambda _: root.resolve("value"),
        "follows it": lambda _: Promise(lambda resolve, _: resolve(given.promise)),
        "attaches": lambda _: given.promise.then(called.append),
        "cancels": lambda promise: promise.cancel(),
    }
    if follows:
        between.resolve(root.promise)
    once = [acts[what]]
    listen("promise_resolved", lambda promise: once.pop()(promise) if once else None)
    Promise.config(monitoring=True)
    try:
        follower.resolve(given.promise)
    finally:
        Promise.config(monitoring=False)
    follower.promise.then(called.append)
    scheduler.flush()
    root.resolve("value")
    scheduler.flush()
    if what == "cancels":
        assert follower.promise.is_cancelled()
        assert [] == called
    else:
        assert "value" == follower.promise.value()
        assert ["value"] * (1 + (what == "attaches")) == called
