"""Context variables of handlers in one drain; `tests/test_contexts.py` has other callbacks."""

from __future__ import annotations

from contextvars import Context, ContextVar

import pytest

from tests.support.promises import pending
from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler")

variable: ContextVar[str] = ContextVar("variable", default="unset")


def seen_by(results):
    """A handler that appends what it sees to *results*, and sets something else."""

    def handler(_):
        results.append(variable.get())
        variable.set("set by a handler")

    return handler


def test_a_handler_behind_skipped_ones_runs_in_its_own_context(scheduler):
    """A rejection passes the handlers before it without changing the context."""
    results = []

    def main():
        variable.set("main")
        promise = Promise.reject(ValueError("x")).then(str).then(str)
        return promise.then(None, lambda _: results.append(variable.get()))

    Context().run(main)
    scheduler.flush()
    assert ["main"] == results


@pytest.mark.parametrize("attached_in", ["an empty context", "a context"])
def test_variables_set_by_one_handler_are_invisible_to_all_others(scheduler, attached_in):
    """In one drain, in chains and side by side, and in the scheduler's own context."""
    results = []
    expected = "unset"

    def main():
        nonlocal expected
        if attached_in == "a context":
            variable.set("main")
            expected = "main"
        promise, resolve, _ = pending()
        for _ in range(3):
            promise.then(seen_by(results)).then(seen_by(results))
            promise.finally_(lambda: seen_by(results)(None))
        Promise.resolve().then(seen_by(results))
        Promise.reject(ValueError("x")).catch(seen_by(results))
        resolve(None)

    Context().run(main)
    scheduler.flush()
    assert [expected] * 11 == results
    assert "unset" == variable.get()


def test_variables_set_by_a_failing_handler_are_invisible_to_others(scheduler):
    """The same for one that raises."""
    results = []

    def failing(_):
        variable.set("set by a handler")
        raise ValueError("x")

    def main():
        promise = Promise.resolve()
        promise.then(failing).catch(lambda _: results.append(variable.get()))
        promise.then(lambda _: results.append(variable.get()))

    Context().run(main)
    scheduler.flush()
    assert ["unset", "unset"] == results


def test_variables_set_by_a_handler_are_seen_by_handlers_that_it_attaches(scheduler):
    """Those handlers run in a copy of the context in which they were attached."""
    results = []

    def handler(_):
        variable.set("inside")
        return Promise.resolve().then(lambda _: results.append(variable.get()))

    Context().run(lambda: Promise.resolve().then(handler))
    scheduler.flush()
    assert ["inside"] == results


def test_coroutines_have_a_context_of_their_own(scheduler):
    """Variables that a coroutine sets are there in all its steps, and nowhere else."""
    results = {"a": [], "b": []}
    others = []

    async def main(name):
        results[name].append(variable.get())
        variable.set(name)
        await Promise.resolve()
        results[name].append(variable.get())
        await Promise.resolve().then(seen_by(results[name]))
        results[name].append(variable.get())

    def start():
        Promise.resolve(main("a"))
        Promise.resolve().then(seen_by(others))
        Promise.resolve().then(lambda _: main("b"))
        Promise.resolve().then(seen_by(others))

    Context().run(start)
    scheduler.flush()
    assert {"a": ["unset", "a", "a", "a"], "b": ["unset", "b", "b", "b"]} == results
    assert ["unset"] * 2 == others
    assert "unset" == variable.get()


def test_variables_set_by_a_cancel_hook_are_invisible_to_others(scheduler):
    """Also where the hooks were attached in an empty context, and keep none."""
    results = []

    def executor(resolve, reject, on_cancel):
        for _ in range(3):
            on_cancel(lambda: seen_by(results)(None))

    Promise(executor).cancel()
    Promise.resolve().then(seen_by(results))
    scheduler.flush()
    assert ["unset"] * 4 == results
