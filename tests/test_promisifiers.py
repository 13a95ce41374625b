"""The ready-made promisifiers: `twpromise.promisifiers`."""

from __future__ import annotations

import inspect

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from tests.support.promises import Boom, quiet
from twpromise import Promise
from twpromise.promisifiers import callback_pair, returning, threads

pytestmark = pytest.mark.usefixtures("scheduler")


@pytest.mark.parametrize("promisifier", [callback_pair, returning, threads])
def test_dressed(promisifier):
    """Name, docstring and the original are carried over."""

    def function(one):
        """Some words."""

    made = promisifier(function)
    assert ("function", "Some words.") == (made.__name__, made.__doc__)
    assert function is inspect.unwrap(made)


# --- two callbacks


async def pair_later(wait, done, failed):
    """The same, ``async def``."""
    await Promise.delay(wait)
    if wait > 1:
        raise Boom
    done("later")


def test_an_async_function_with_two_callbacks(scheduler):
    """It is run; what it raises rejects."""
    later, raised = callback_pair(pair_later)(1), quiet(callback_pair(pair_later)(2))
    scheduler.advance(1)
    scheduler.advance(1)
    assert "later" == later.value()
    assert Boom is type(raised.reason())


def pair(address, done, failed, *, more=()):
    """A function with a callback and an errback."""
    if address:
        done(f"page at {address}", *more)
    else:
        failed(Boom("no address"), *more)


@pytest.mark.parametrize("more", [(), (1, 2)], ids=["one argument", "several"])
def test_callback_pair(more):
    """The first callback fulfils, the second rejects; further arguments are dropped."""
    fetch = callback_pair(pair)
    assert "page at home" == fetch("home", more=more).value()
    assert isinstance(quiet(fetch("", more=more)).reason(), Boom)


def test_callback_pair_without_a_value():
    """A callback that is called with nothing fulfils with None."""
    assert callback_pair(lambda done, failed: done())().value() is None


def test_callback_pair_raises():
    """What the function raises rejects."""
    promise = quiet(callback_pair(lambda done, failed: 1 / 0)())
    assert isinstance(promise.reason(), ZeroDivisionError)


def test_callback_pair_first_call_wins():
    """Whichever of the two is called first counts."""

    def function(done, failed):
        done("first")
        failed(Boom())

    assert "first" == callback_pair(function)().value()


def test_callback_pair_of_deferreds(scheduler):
    """`addCallbacks` is a function of two callbacks, too."""
    deferred = Deferred()
    promise = callback_pair(deferred.addCallbacks)()
    deferred.callback("value")
    scheduler.flush()
    assert "value" == promise.value()
    failing = quiet(callback_pair(fail(Boom()).addCallbacks)())
    scheduler.flush()
    assert isinstance(failing.reason(), Boom)


def test_callback_pair_for_all():
    """With `promisify_all`, the receiver is the first argument."""

    class Chrome:
        title = "title"

        def get_title(self, done, failed):
            done(self.title)

    Promise.promisify_all(Chrome, promisifier=callback_pair)
    assert "title" == Chrome().get_titleAsync().value()


# --- Deferreds, coroutines, values


async def coroutine(value):
    """A coroutine."""
    return await succeed(value)


def raises(value):
    """Raise."""
    raise Boom(value)


@pytest.mark.parametrize(
    "function",
    [succeed, Promise.resolve, coroutine, lambda value: value],
    ids=["Deferred", "promise", "coroutine", "value"],
)
def test_returning(scheduler, function):
    """Whatever the function returns is followed."""
    promise = returning(function)("value")
    assert isinstance(promise, Promise)
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.parametrize("function", [raises, lambda value: fail(Boom(value))])
def test_returning_fails(scheduler, function):
    """What it raises, or fails with, rejects."""
    promise = quiet(returning(function)("value"))
    scheduler.flush()
    assert isinstance(promise.reason(), Boom)


def test_returning_for_all(scheduler):
    """A whole Deferred-returning API."""

    class Pool:
        def query(self, text):
            return succeed((self, text))

        @classmethod
        def connect(cls):
            return succeed(cls())

        @staticmethod
        def version():
            return 3

    Promise.promisify_all(Pool, promisifier=returning)
    pool = Pool()
    assert (pool, "text") == pool.queryAsync("text").value()
    assert isinstance(Pool.connectAsync().value(), Pool)
    assert 3 == pool.versionAsync().value()


# --- threads


@pytest.fixture
def at_once(scheduler, monkeypatch):
    """The scheduler's pool, without a thread; threads themselves: see tests/real."""
    monkeypatch.setattr(scheduler, "call_in_thread", lambda function: function())


@pytest.mark.usefixtures("at_once")
def test_threads():
    """Each call runs in the scheduler's pool."""

    def blocking(one, *, key):
        return one, key

    assert (1, 2) == threads(blocking)(1, key=2).value()
    assert isinstance(quiet(threads(raises)("x")).reason(), Boom)


@pytest.mark.usefixtures("at_once")
def test_threads_for_all():
    """A whole blocking API."""

    class Files:
        content = "content"

        def read(self):
            return self.content

    Promise.promisify_all(Files, promisifier=threads)
    assert "content" == Files().readAsync().value()
