"""The places where Twisted takes a Deferred: each is given a promise, and returns a Deferred."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.portal import IRealm, Portal
from twisted.internet import defer
from twisted.internet.base import _ThreePhaseEvent
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock, Cooperator, LoopingCall, deferLater
from twisted.python.failure import Failure
from twisted.web.template import flattenString
from zope.interface import Interface, implementer

from twpromise import Promise

__all__ = ["CANCELLABLE", "DOORS", "VALUE"]

#: What the promises of these tests are fulfilled with; text, for templates.
VALUE = "value"

Door = Callable[[Any], "Deferred[Any]"]
#: Doors by name.
DOORS: dict[str, Door] = {}
#: Those whose Deferred, when it is cancelled, cancels what the promise was taken for.
CANCELLABLE: dict[str, Door] = {}


def door(function: Door) -> Door:
    """A door that has no cancellation of its own."""
    DOORS[function.__name__] = function
    return function


def cancellable(function: Door) -> Door:
    """A door, whose Deferred can be cancelled."""
    CANCELLABLE[function.__name__] = function
    return door(function)


def _value(_: object) -> str:
    """Twisted says that it has waited, but not for what."""
    return VALUE


@cancellable
def result_of_a_callback(promise: Any) -> Any:
    return defer.succeed(None).addCallback(lambda _: promise)


@cancellable
def result_of_an_errback(promise: Any) -> Any:
    return defer.fail(ValueError()).addErrback(lambda _: promise)


@cancellable
def yielded(promise: Any) -> Any:
    @inlineCallbacks
    def wait() -> Any:
        return (yield promise)

    return wait()


@cancellable
def returned_from_inline_callbacks(promise: Any) -> Any:
    @inlineCallbacks
    def give() -> Any:
        yield None
        return promise

    return give()


@cancellable
def awaited(promise: Any) -> Any:
    async def wait() -> Any:
        return await promise

    return defer.ensureDeferred(wait())


@cancellable
def returned_from_a_coroutine(promise: Any) -> Any:
    async def give() -> Any:
        return promise

    return Deferred.fromCoroutine(give())


@cancellable
def maybe_deferred(promise: Any) -> Any:
    return defer.maybeDeferred(lambda: promise)


@cancellable
def ensure_deferred(promise: Any) -> Any:
    return defer.ensureDeferred(promise)


@cancellable
def from_coroutine(promise: Any) -> Any:
    return Deferred.fromCoroutine(promise)


@cancellable
def fired(promise: Any) -> Any:
    deferred: Deferred[Any] = Deferred()
    deferred.callback(promise)
    return deferred


@cancellable
def succeed(promise: Any) -> Any:
    return defer.succeed(promise)


@cancellable
def member_of_a_list(promise: Any) -> Any:
    return defer.gatherResults([promise]).addCallbacks(
        lambda results: results[0], lambda failure: failure.value.subFailure
    )


@cancellable
def member_of_a_list_that_fails_not(promise: Any) -> Any:
    return defer.DeferredList([promise]).addCallback(lambda results: results[0][1])


@cancellable
def raced(promise: Any) -> Any:
    return defer.race([promise]).addCallbacks(
        lambda winner: winner[1], lambda failure: failure.value.failures[0]
    )


@cancellable
def run_with_a_lock(promise: Any) -> Any:
    return defer.DeferredLock().run(lambda: promise)


@cancellable
def run_with_a_semaphore(promise: Any) -> Any:
    return defer.DeferredSemaphore(2).run(lambda: promise)


@cancellable
def called_later(promise: Any) -> Any:
    clock = Clock()
    deferred = deferLater(clock, 1, lambda: promise)
    clock.advance(1)
    return deferred


@cancellable
def template(promise: Any) -> Any:
    return flattenString(None, promise).addCallbacks(bytes.decode, _cause)


def _cause(failure: Failure) -> Failure:
    # A FlattenerError.
    return Failure(failure.value.args[0]) if failure.value.args else failure


@door
def cooperated(promise: Any) -> Any:
    cooperator = Cooperator(scheduler=lambda step: Promise.resolve().then(lambda _: step()))
    return cooperator.coiterate(iter([promise])).addCallback(_value)


@door
def called_in_a_loop(promise: Any) -> Any:
    def call() -> Any:
        loop.stop()
        return promise

    loop = LoopingCall(call)
    loop.clock = Clock()
    return loop.start(1).addCallback(_value)


@door
def triggered(promise: Any) -> Any:
    stopped: Deferred[Any] = Deferred()
    event = _ThreePhaseEvent()
    event.addTrigger("before", lambda: promise)
    event.addTrigger("during", lambda: stopped.callback(promise))
    event.fireEvent()
    return stopped


@door
def stopped_with_its_parent(promise: Any) -> Any:
    class Stopping(Service):
        def stopService(self) -> Any:
            return promise

    parent = MultiService()
    Stopping().setServiceParent(parent)
    return parent.stopService().addCallback(lambda results: promise)


@cancellable
def logged_in(promise: Any) -> Any:
    @implementer(ICredentialsChecker)
    class Checker:
        credentialInterfaces = (IUsernamePassword,)

        def requestAvatarId(self, _: object) -> Any:
            return promise

    @implementer(IRealm)
    class Realm:
        def requestAvatar(self, avatar: Any, mind: Any, *interfaces: Any) -> Any:
            return interfaces[0], avatar, lambda: None

    portal = Portal(Realm(), [Checker()])  # type: ignore[no-untyped-call]
    login = portal.login(UsernamePassword(b"name", b"wrong"), None, Interface)  # type: ignore[no-untyped-call]
    return login.addCallback(lambda triple: triple[1])


@cancellable
def used_in_place(promise: Any) -> Any:
    promise.addCallback(lambda value: value)
    return defer.maybeDeferred(lambda: promise)
