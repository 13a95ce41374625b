"""Outcomes as values: `reflect`, `PromiseInspection`, and rejections that are not reported.

Bluebird's pages: .reflect, PromiseInspection, Synchronous inspection,
.suppressUnhandledRejections, .done.
"""

from __future__ import annotations

import gc
import weakref

import pytest
from twisted.internet.base import _ThreePhaseEvent
from twisted.internet.defer import ensureDeferred

from tests.support.outcomes import reasons
from tests.support.promises import Boom, Source, fail, pending
from twpromise import CancellationError, Promise, PromiseInspection
from twpromise._core import hooks

pytestmark = pytest.mark.usefixtures("scheduler")


# --- reflect


def states(inspection):
    """What each of the questions is answered with."""
    return {
        name
        for name in ("pending", "fulfilled", "rejected", "cancelled")
        if getattr(inspection, f"is_{name}")()
    }


@pytest.mark.parametrize("how", ["fulfilled", "rejected", "cancelled"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_reflect_is_fulfilled_however_the_promise_settles(scheduler, how, when):
    """With an inspection, before and after the promise has settled."""
    error = Boom()
    promise, resolve, reject = pending()
    settle = {
        "fulfilled": lambda: resolve("value"),
        "rejected": lambda: reject(error),
        "cancelled": promise.cancel,
    }[how]
    if when == "after":
        settle()
    reflected = promise.reflect()
    if when == "before":
        scheduler.flush()
        assert reflected.is_pending()
        settle()
    scheduler.flush()
    inspection = reflected.value()
    assert PromiseInspection is Promise.PromiseInspection is type(inspection)
    assert {how} == states(inspection)
    if how == "fulfilled":
        assert "value" == inspection.value()
    elif how == "rejected":
        assert (error, error) == (inspection.reason(), inspection.error())


def finally_handler(clean_up):
    """A promise whose cancellation calls a function, and waits for what that gives."""
    return pending()[0].finally_(clean_up)


def tap_handler(clean_up):
    """The same: a handler that has begun is seen through."""
    return Promise.resolve(1).tap(clean_up)


def generator(clean_up):
    """The same, by the ``finally`` block of a generator."""

    @Promise.coroutine
    def run():
        try:
            yield pending()[0]
        finally:
            yield clean_up()

    return run()


def coroutine(clean_up):
    """The same, by the ``finally`` block of a coroutine."""

    async def run():
        try:
            await pending()[0]
        finally:
            await clean_up()

    return Promise.resolve(run())


def use(clean_up):
    """The same, by a release."""
    return Promise.using(Promise.resolve(1).disposer(clean_up), lambda _: pending()[0])


def use_that_acquires(clean_up):
    """The same, while another resource is pending."""
    return Promise.using(Promise.resolve(1).disposer(clean_up), pending()[0], print)


def block(clean_up):
    """The same, by the end of a block."""

    async def run():
        async with Promise.resolve(1).disposer(clean_up):
            await pending()[0]

    return Promise.resolve(run())


CLEAN_UPS = [finally_handler, tap_handler, generator, coroutine, use, use_that_acquires, block]
BEHIND = {
    "itself": lambda promise: promise,
    "derived": lambda promise: promise.then(),
    "waiting": lambda promise: promise.delay(1),
    "bound": lambda promise: promise.bind("this"),
    "following": lambda promise: Promise(lambda resolve, _: resolve(promise)),
    "following a follower": lambda promise: Promise.resolve().then(
        lambda _: Promise.resolve().then(lambda _: promise)
    ),
}


@pytest.mark.parametrize("cancels", ["itself", "what it waits for"])
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
@pytest.mark.parametrize("make", CLEAN_UPS)
def test_reflecting_a_promise_that_is_cancelling(scheduler, make, behind, cancels):
    """It waits for the clean-up, as what was attached before the cancellation does.

    So does `all_settled`; and others wait for that by a Deferred.
    """
    gate, open_gate, _ = pending()
    log = []
    source = make(lambda *_: log.append("begins") or gate.then(lambda _: log.append("ends")))
    promise = behind(source)
    early = promise.reflect()
    scheduler.flush()
    (promise if cancels == "itself" and behind is not BEHIND["itself"] else source).cancel()
    early.then(lambda *_: log.append("early"))
    for moment in ("at once", "later"):
        promise.reflect().to_deferred().addCallback(lambda _, m=moment: log.append(m))
        Promise.all_settled([1, promise]).then(lambda _, m=moment: log.append(f"all {m}"))
        scheduler.flush()
    assert ["begins"] == log
    late = [promise.reflect(), Promise.all_settled([promise]).get(0)]
    open_gate()
    scheduler.flush()
    assert ["begins", "ends"] == log[:2]
    assert sorted(["early", "at once", "later", "all at once", "all later"]) == sorted(log[2:])
    assert [{"cancelled"}] * 2 == [states(each.value()) for each in late]


def test_reflecting_what_has_nothing_to_clean_up(scheduler):
    """It does not wait."""
    source = Source().promise
    promise = source.then()
    promise.cancel()
    reflected = promise.reflect()
    scheduler.flush()
    assert {"cancelled"} == states(reflected.value()) == states(promise.reflect().value())


def test_cancelling_what_reflects_a_clean_up(scheduler):
    """Nothing stops the clean-up, and the reflection is cancelled when that has ended."""
    gate, open_gate, _ = pending()
    promise = finally_handler(lambda: gate)
    promise.cancel()
    reflected, settled = promise.reflect(), Promise.all_settled([promise])
    ended = reflected.reflect()
    reflected.cancel()
    settled.cancel()
    scheduler.flush()
    assert (True, True, True) == (
        reflected.is_cancelled(),
        settled.is_cancelled(),
        ended.is_pending(),
    )
    open_gate()
    scheduler.flush()
    assert {"cancelled"} == states(ended.value())


def test_a_shutdown_waits_for_releases(scheduler):
    """The trigger's Deferred fires when the last resource has been released."""
    log = []
    trigger = _ThreePhaseEvent()

    def release(number):
        return Promise.delay(number).then(lambda _: log.append(number))

    uses = [
        Promise.using(Promise.resolve(number).disposer(release), lambda _: pending()[0])
        for number in (1, 2)
    ]

    def stop():
        for each in uses:
            each.cancel()
        return Promise.all_settled(uses).to_deferred()

    trigger.addTrigger("before", stop)
    trigger.addTrigger("during", lambda: log.append("over"))
    scheduler.flush()
    trigger.fireEvent()
    for expected in ([], [1], [1, 2, "over"]):
        scheduler.flush()
        assert expected == log
        scheduler.advance(1)


def test_a_coroutine_of_twisted_ends_behind_its_releases(scheduler):
    """Its Deferred fires when the block that was cancelled has released its resource."""
    log = []

    async def run():
        release = lambda _: Promise.delay(1).then(lambda _: log.append("released"))  # noqa: E731
        async with Promise.resolve(1).disposer(release):
            await pending()[0]

    deferred = ensureDeferred(run())
    deferred.addBoth(lambda _: log.append("fired"))
    scheduler.flush()
    deferred.cancel()
    scheduler.flush()
    assert [] == log
    scheduler.advance(1)
    assert ["released", "fired"] == log


@pytest.mark.parametrize("how", ["fulfilled", "rejected", "cancelled"])
def test_reflecting_a_follower(scheduler, how):
    """It has the outcome of its followee, also before it has been notified."""
    root, resolve, reject = pending()
    follower = Promise(lambda resolve_it, _: resolve_it(root))
    early = follower.reflect()
    {"fulfilled": resolve, "rejected": lambda: reject(Boom()), "cancelled": root.cancel}[how]()
    late = follower.reflect()
    scheduler.flush()
    assert [{how}, {how}] == [states(early.value()), states(late.value())]


def test_settle_all(scheduler):
    """The page's example: wait until all are either fulfilled or rejected."""
    error = Boom()
    promises = [Promise.resolve(1), Promise.reject(error), Promise.delay(1, 3)]
    seen = []

    def look(inspection):
        seen.append(inspection.value() if inspection.is_fulfilled() else inspection.reason())

    Promise.all([promise.reflect() for promise in promises]).each(look)
    scheduler.advance(1)
    assert [1, error, 3] == seen


def test_settle_props(scheduler):
    """The same for the values of a mapping."""
    error = Boom()
    named = {"first": Promise.resolve(1), "second": Promise.reject(error)}
    promise = Promise.props({key: value.reflect() for key, value in named.items()})
    scheduler.flush()
    assert 1 == promise.value()["first"].value()
    assert error is promise.value()["second"].reason()


def test_a_reflected_rejection_is_handled(scheduler, reports):
    """The inspection is a consumer."""
    Promise.reject(Boom()).reflect()
    promise, _, reject = pending()
    promise.reflect()
    reject(Boom())
    scheduler.flush()
    assert [] == reports


def test_a_bound_promise_is_reflected_bound(scheduler):
    """Handlers get the bound value first, early and late."""
    seen = []
    promise, resolve, _ = pending()
    early = promise.bind("this").reflect()
    resolve("value")
    scheduler.flush()
    late = promise.bind("this").reflect()
    for reflected in (early, late):
        reflected.then(lambda this, inspection: seen.append((this, inspection.value())))
    scheduler.flush()
    assert [("this", "value")] * 2 == seen


def test_cancelling_what_reflects(scheduler):
    """It is a consumer like others: the source goes with the last of them."""
    source = Source()
    first, second = source.promise.reflect(), source.promise.reflect()
    first.cancel()
    scheduler.flush()
    assert (0, True, True) == (source.cancelled, first.is_cancelled(), second.is_pending())
    second.cancel()
    scheduler.flush()
    assert (1, True, True) == (source.cancelled, first.is_cancelled(), second.is_cancelled())


@pytest.mark.parametrize("others", [False, True], ids=["alone", "with others"])
def test_promises_behind_a_cancelled_reflection_are_cancelled(scheduler, others):
    """`finally_` down the chain runs, whether the source goes or not."""
    source = Source()
    if others:
        source.promise.then(str)
    called = []
    last = source.promise.reflect().finally_(lambda: called.append("finally"))
    last.cancel()
    scheduler.flush()
    assert (["finally"], int(not others)) == (called, source.cancelled)
    source.resolve("value")
    scheduler.flush()
    assert ["finally"] == called


def test_cancelling_a_reflection_just_after_its_source_has_settled(scheduler):
    """It is cancelled all the same."""
    source = Source()
    reflected = source.promise.reflect()
    source.resolve("value")
    reflected.cancel()
    scheduler.flush()
    assert reflected.is_cancelled()


# --- PromiseInspection


@pytest.mark.parametrize("how", ["fulfilled", "rejected", "cancelled"])
def test_reading_the_wrong_kind_of_outcome_of_an_inspection(how):
    """Raises, in the page's words, and names the state."""
    promise = {
        "fulfilled": lambda: Promise.resolve("value"),
        "rejected": lambda: Promise.reject(Boom()),
        "cancelled": lambda: pending()[0],
    }[how]()
    promise.cancel()
    inspection = promise.reflect().value()
    if how != "fulfilled":
        words = f"cannot get fulfillment value of a non-fulfilled promise.*{how}"
        with pytest.raises(TypeError, match=words):
            inspection.value()
    if how != "rejected":
        words = f"cannot get rejection reason of a non-rejected promise.*{how}"
        with pytest.raises(TypeError, match=words):
            inspection.reason()
        with pytest.raises(TypeError, match=words):
            inspection.error()


def test_an_inspection_outlives_its_promise(scheduler):
    """And does not keep it."""
    promise = Promise.resolve("value")
    reference = weakref.ref(promise)
    inspection = promise.reflect().value()
    del promise
    gc.collect()
    assert (None, "value") == (reference(), inspection.value())


def test_an_inspection_does_not_change(scheduler, reports):
    """A cancellation whose clean-up fails stays one, and the failure is reported."""
    gate, _, reject = pending()
    promise = pending()[0].finally_(lambda: gate)
    promise.catch(lambda _: None)
    promise.cancel()
    reflected = promise.reflect()
    scheduler.flush()
    reject(Boom())
    scheduler.flush()
    assert (True, {"cancelled"}) == (promise.is_cancelled(), states(reflected.value()))
    assert 1 == len(reports)


@pytest.mark.parametrize(
    "name", ["isPending", "isFulfilled", "isRejected", "isCancelled", "value", "reason"]
)
def test_promises_and_inspections_answer_to_the_interface(name):
    """Both have the six names of the page."""
    assert callable(getattr(Promise.resolve(1), name))
    assert callable(getattr(Promise.resolve(1).reflect().value(), name))


def test_inspections_in_bluebirds_spelling(scheduler):
    """As the page's examples ask."""
    inspection = Promise.resolve("value").reflect().value()
    answers = (inspection.isPending(), inspection.isFulfilled(), inspection.isRejected())
    assert (False, True, False) == answers
    assert not inspection.isCancelled()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Promise.resolve("value"), "<PromiseInspection fulfilled: 'value'>"),
        (lambda: Promise.reject(Boom("x")), "<PromiseInspection rejected: Boom('x')>"),
        (lambda: Promise.resolve("x" * 500), "<PromiseInspection fulfilled: 'xxxxxxxxx"),
    ],
    ids=["fulfilled", "rejected", "long"],
)
def test_repr_of_an_inspection(make, expected):
    """The state, and the start of the value."""
    text = repr(make().reflect().value())
    assert text.startswith(expected)
    assert 120 > len(text)


# --- synchronous inspection in a chain


def test_values_of_earlier_promises_in_a_flat_chain(scheduler):
    """The page's example: `value()` of a promise that is known to be fulfilled."""

    def authenticate():
        user = Promise.resolve("name").then(lambda name: {"name": name, "password": "secret"})
        return user.then(lambda _: Promise.delay(1, "secret")).then(
            lambda password: password == user.value()["password"]
        )

    promise = authenticate()
    scheduler.advance(1)
    assert promise.value()


# --- suppress_unhandled_rejections


@pytest.mark.parametrize("when", ["before", "after", "following"])
def test_suppressed_rejections_are_not_reported(scheduler, reports, when):
    """Whether they are suppressed before or after the rejection."""
    promise, resolve, reject = pending()
    if when == "after":
        reject(Boom())
    promise.suppress_unhandled_rejections()
    if when == "before":
        reject(Boom())
    elif when == "following":
        resolve(Promise.delay(1).throw(Boom()))
    scheduler.advance(2)
    assert (True, []) == (promise.is_rejected(), reports)


def test_suppressing_gives_nothing_and_adds_no_branch(scheduler):
    """Unlike `catch` of everything: one consumer that leaves is the last one."""
    source = Source()
    assert None is source.promise.suppress_unhandled_rejections()
    source.promise.then(str).cancel()
    scheduler.flush()
    assert 1 == source.cancelled


def test_derived_promises_are_not_suppressed(scheduler, reports):
    """Only this promise's rejection was expected."""
    error = Boom()
    promise = Promise.reject(error)
    promise.suppress_unhandled_rejections()
    promise.then(str)
    scheduler.flush()
    assert [error] == reasons(reports)


def test_handlers_attached_later_get_the_rejection(scheduler, reports):
    """The page's example: a document that is ready long after the fetching has failed."""
    error = Boom()
    promise = Promise.delay(1).throw(error)
    promise.suppress_unhandled_rejections()
    scheduler.advance(10)
    seen = []
    promise.then(fail).catch(seen.append)
    scheduler.flush()
    assert ([error], []) == (seen, reports)


def test_fulfilled_and_cancelled_promises_may_be_suppressed(scheduler):
    """Nothing changes for them."""
    fulfilled, (cancelled, *_) = Promise.resolve("value"), pending()
    cancelled.cancel()
    for promise in (fulfilled, cancelled):
        promise.suppress_unhandled_rejections()
    scheduler.flush()
    assert ("value", True) == (fulfilled.value(), cancelled.is_cancelled())


def test_a_suppressed_promise_settles_and_handles_as_others(scheduler):
    """Also one that is derived, with a handler of its own."""
    parent, resolve, _ = pending()
    child = parent.then(lambda value: value + 1)
    child.suppress_unhandled_rejections()
    other = parent.then(fail)
    other.suppress_unhandled_rejections()
    resolve(1)
    scheduler.flush()
    assert (2, True) == (child.value(), other.is_rejected())


# --- done


@pytest.fixture
def fatal(monkeypatch):
    """The calls of the fatal hook: library copies and reasons."""
    reasons = []
    monkeypatch.setattr(
        hooks.host, "fatal", lambda library, reason, aux: reasons.append((library, reason))
    )
    return reasons


def test_done_gives_nothing(scheduler, fatal):
    """It is the end of a chain."""
    assert None is Promise.resolve().done()


def test_done_without_failure(scheduler, fatal):
    """Handlers are called as by `then`; nothing is fatal."""
    seen = []
    Promise.resolve("value").done(seen.append)
    Promise.resolve("value").done(seen.append, fail)
    Promise.reject("reason").done(None, seen.append)
    Promise.reject("reason").done(fail, seen.append)
    Promise.resolve("value").done()
    scheduler.flush()
    assert (["value", "value", "reason", "reason"], []) == (seen, fatal)


@pytest.mark.parametrize(
    "how", ["unhandled", "the value's handler", "the reason's handler", "later", "async def"]
)
def test_a_rejection_at_done_is_fatal(scheduler, fatal, reports, how):
    """From up the chain or raised by its handler; it is not reported otherwise."""
    error = Boom(how)

    def raises(_):
        raise error

    async def raises_later(_):
        await Promise.delay(1)
        raise error

    {
        "unhandled": lambda: Promise.reject(error).done(fail),
        "the value's handler": lambda: Promise.resolve().done(raises),
        "the reason's handler": lambda: Promise.reject(Boom()).done(None, raises),
        "later": lambda: Promise.delay(1).throw(error).done(),
        "async def": lambda: Promise.resolve().done(raises_later),
    }[how]()
    scheduler.advance(1)
    assert ([(Promise._library, error)], []) == (fatal, reports)


def test_done_of_a_library_copy_calls_the_hook_of_that_copy(scheduler, fatal):
    """Each copy has a fatal hook of its own."""
    copy = Promise.get_new_library_copy()
    error = Boom()
    copy.reject(error).done()
    scheduler.flush()
    assert [(copy._library, error)] == fatal


def test_a_cancelled_chain_is_not_fatal(scheduler, fatal):
    """But a late observer's rejection is."""
    promise, *_ = pending()
    promise.done(fail, fail)
    promise.cancel()
    scheduler.flush()
    assert [] == fatal
    promise.done()
    scheduler.flush()
    assert [CancellationError] == [type(reason) for _, reason in fatal]


def test_done_is_a_consumer(scheduler, fatal):
    """The work is not cancelled while it waits."""
    source = Source()
    seen = []
    source.promise.done(seen.append)
    source.promise.then(str).cancel()
    scheduler.flush()
    assert 0 == source.cancelled
    source.resolve("value")
    scheduler.flush()
    assert ["value"] == seen


def test_done_of_a_bound_promise(scheduler, fatal):
    """Handlers get the bound value first."""
    seen = []
    Promise.bind("this", "value").done(lambda *arguments: seen.append(arguments))
    scheduler.flush()
    assert [("this", "value")] == seen
