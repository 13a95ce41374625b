"""Things that are remembered weakly, for the tests of what is freed."""

from __future__ import annotations

import weakref

__all__ = ["Boom", "Things", "Value"]


class Value:
    """Something that can be weakly referenced."""

    def __init__(self, *attributes):
        self.attribute = attributes

    def method(self, *arguments):
        return arguments


class Boom(Exception):
    pass


class Things:
    """Makes values, handlers and errors, and remembers them weakly."""

    def __init__(self):
        self.references = []
        #: What is to be done when all has settled, before one looks.
        self.at_end = []
        #: What outlives the rest.
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

    def either(self, build):
        """What *build* makes of a handler, and of one that fails."""
        return [build(self.handler()), build(self.failing())]

    def alive(self):
        return [reference() for reference in self.references if reference() is not None]
