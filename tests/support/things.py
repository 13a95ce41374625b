"""Objects with weak references, for the tests that count what stays alive."""

from __future__ import annotations

import weakref
from concurrent.futures import Future
from contextvars import Context

from tests.support.promises import Boom

__all__ = ["AtOnce", "Eventual", "Things", "Value", "within"]


class AtOnce:
    """An executor that has run a function before it gives its future back."""

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        try:
            return future
        finally:
            # As a pool's own thread does: the traceback refers to this frame.
            del future, function, arguments


class Eventual:
    """A thenable that settles as a promise does."""

    def __init__(self, promise):
        self.promise = promise

    def then(self, resolve, reject):
        self.promise.then(resolve, reject)


def within(variable, value, function, *arguments):
    """Call a function in a context of its own in which a variable is set."""
    context = Context()
    context.run(variable.set, value)
    return context.run(function, *arguments)


class Value:
    """Something that can be weakly referenced."""

    def __init__(self, *attributes):
        self.attribute = attributes

    def method(self, *arguments):
        return arguments


class Things:
    """Makes values, handlers and errors, and keeps weak references to them."""

    def __init__(self):
        self.references = []
        #: Functions to call when all has settled, before `alive`.
        self.at_end = []
        #: Objects that stay alive on purpose.
        self.kept = []

    def keep(self, thing):
        self.references.append(weakref.ref(thing))
        return thing

    def value(self):
        return self.keep(Value())

    def handler(self, function=None):
        """A handler that has a value in its closure, and another among its variables."""
        closed = self.value()

        def handler(*arguments):
            local = self.value()
            return function(*arguments) if function else (closed, local)

        return self.keep(handler)

    def failing(self):
        """A handler that raises, with a value in its frame."""
        closed = self.value()

        def failing(*arguments):
            local = self.value()
            raise self.keep(Boom(local, closed))

        return self.keep(failing)

    def alive(self):
        return [reference() for reference in self.references if reference() is not None]
