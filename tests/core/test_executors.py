"""Executors: how the constructor calls them, and what becomes of what they raise."""

from __future__ import annotations

import weakref
from functools import partial
from types import coroutine

import pytest

from tests.support.outcomes import frames
from tests.support.promises import Boom, pending, quiet
from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler")


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (lambda resolve, reject: resolve(2), 2),
        (lambda resolve, reject, on_cancel: resolve(3), 3),
        (lambda resolve, reject, on_cancel=None: resolve(on_cancel), None),
        (lambda *arguments: arguments[0](len(arguments)), 2),
        (lambda resolve, reject, *rest: resolve(rest), ()),
        (lambda resolve, reject=None: resolve(reject is None), False),
        (lambda resolve=None: resolve(1), 1),
        (lambda resolve: resolve(1), 1),
        (partial(lambda value, resolve: resolve(value), 1), 1),
    ],
    ids=[
        "two",
        "three",
        "three-with-default",
        "star",
        "two-and-star",
        "second-with-default",
        "first-with-default",
        "one",
        "partial",
    ],
)
def test_executors_get_as_many_arguments_as_they_declare(executor, expected):
    """Three for three parameters without a default; of the first two, as many as they take."""
    assert expected == Promise(executor).value()


def test_executors_may_be_methods_and_objects():
    """The number of parameters of bound methods and of objects with `__call__` is found too."""

    class Executor:
        def method(self, resolve, reject, on_cancel):
            resolve(callable(on_cancel))

        def __call__(self, resolve, reject):
            resolve("called")

    assert (True, "called") == (Promise(Executor().method).value(), Promise(Executor()).value())


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit()], ids=repr)
@pytest.mark.parametrize("three", [False, True])
def test_an_exception_raised_by_an_executor_rejects(error, three):
    """Of any type; the constructor itself raises nothing."""

    def two(resolve, reject):
        raise error

    def with_hooks(resolve, reject, on_cancel):
        on_cancel(print)
        raise error

    promise = Promise(with_hooks if three else two)
    assert error is promise.reason()


def test_an_executor_without_parameters():
    """It is called, too; its promise pends, unless it raises something."""

    def raises():
        raise ValueError("x")

    assert Promise(lambda: None).is_pending()
    assert ValueError is type(Promise(raises).reason())


def test_an_executor_with_too_many_parameters_rejects():
    """A function that cannot be called with three arguments rejects with Python's TypeError."""
    promise = Promise(lambda resolve, reject, on_cancel, more: resolve(1))
    assert TypeError is type(promise.reason())


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "locked"])
def test_an_exception_raised_after_resolving_is_ignored(settled):
    """The first decision counts, also where the promise was resolved with a pending one."""
    other, settle, _ = pending()

    def executor(resolve, reject):
        resolve("value" if settled else other)
        raise ValueError("too late")

    promise = Promise(executor)
    assert promise.is_pending() != settled
    settle("value")
    assert "value" == promise.value()


def test_an_async_executor_is_run(scheduler):
    """Its promise settles when it calls one of its functions."""

    async def executor(resolve, reject):
        await Promise.delay(1)
        resolve("value")

    promise = Promise(executor)
    scheduler.flush()
    assert promise.is_pending()
    scheduler.advance(1)
    assert "value" == promise.value()


def test_an_async_executor_registers_hooks(scheduler):
    """Before it has waited for something, and behind that."""
    called = []

    async def executor(resolve, reject, on_cancel):
        on_cancel(lambda: called.append("before"))
        await Promise.delay(1)
        on_cancel(lambda: called.append("behind"))

    promise = Promise(executor)
    scheduler.advance(1)
    promise.cancel()
    scheduler.flush()
    assert ["before", "behind"] == called


@pytest.mark.parametrize("waits", [True, False], ids=["later", "at once"])
@pytest.mark.parametrize("made", ["async def", "lambda", "coroutine"])
def test_what_an_async_executor_raises_rejects(scheduler, waits, made):
    """As what any executor raises."""
    error = Boom()

    async def executor(resolve, reject):
        if waits:
            await Promise.delay(1)
        raise error

    @coroutine
    def old(resolve, reject):
        if waits:
            yield from Promise.delay(1).__await__()
        raise error

    executors = {
        "async def": executor,
        "lambda": lambda resolve, reject: executor(resolve, reject),
        "coroutine": old,
    }
    promise = quiet(Promise(executors[made]))
    scheduler.flush()
    scheduler.advance(1)
    assert error is promise.reason()
    assert made == "coroutine" or frames(error.__traceback__)[-1] == "executor"


@pytest.mark.parametrize("decided", ["settled", "locked", "cancelled"])
def test_what_an_async_executor_raises_too_late_is_logged(scheduler, reports, decided):
    """Its promise has been decided before."""
    error = Boom()
    other, settle, _ = pending()

    async def executor(resolve, reject):
        if decided != "cancelled":
            resolve("value" if decided == "settled" else other)
        await Promise.delay(1)
        raise error

    promise = Promise(executor)
    if decided == "cancelled":
        promise.cancel()
    scheduler.advance(1)
    settle("value")
    scheduler.flush()
    assert [error] == [event["log_failure"].value for event in reports]
    assert decided == "cancelled" or "value" == promise.value()


def test_an_executor_that_returns_a_promise(scheduler):
    """It is left alone: it reports for itself, and may be cancelled by others."""
    other, *_ = pending()
    promise = Promise(lambda resolve, reject: other)
    other.then(str).cancel()
    assert other.is_cancelled()
    scheduler.flush()
    assert promise.is_pending()


def test_promises_have_no_dict():
    """Promises have slots only, since a program makes many; weak references are possible."""
    promise = Promise.resolve(1).then()
    assert not hasattr(promise, "__dict__")
    assert promise is weakref.ref(promise)()
