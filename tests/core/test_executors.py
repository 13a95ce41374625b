"""Executors: how the constructor calls them, and what becomes of what they raise."""

from __future__ import annotations

import weakref

import pytest

from tests.support.promises import pending
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
    ],
    ids=["two", "three", "three-with-default", "star", "two-and-star", "one-with-default"],
)
def test_executors_get_as_many_arguments_as_they_declare(executor, expected):
    """Three arguments for three parameters without a default, two for all others."""
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


def test_an_executor_with_too_few_parameters_rejects():
    """A function that cannot be called with two arguments rejects with Python's TypeError."""
    promise = Promise(lambda resolve: resolve(1))
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


def test_promises_have_no_dict():
    """Promises have slots only, since a program makes many; weak references are possible."""
    promise = Promise.resolve(1).then()
    assert not hasattr(promise, "__dict__")
    assert promise is weakref.ref(promise)()
