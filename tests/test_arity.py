"""The arity rule: how many positional arguments a function must be given."""

from __future__ import annotations

import sys
from functools import partial

import pytest
from twisted.internet.defer import inlineCallbacks

from twpromise import Promise
from twpromise._util.arity import declared, required_positionals


class Callables:
    def method(self, one, two, three):
        """Three, as `self` is there."""

    def with_default(self, one, two=2):
        """One."""

    @staticmethod
    def static(one, two):
        """Two."""

    @classmethod
    def of_class(cls, one):
        """One, as `cls` is there."""

    def __call__(self, one):
        """One."""

    def star(*arguments):
        """None that must be."""


class NoSignature:
    """Raises when it is asked for its signature."""

    __signature__ = "nonsense"

    def __call__(self, *arguments):
        return arguments


class FailingSignature:
    """So does this, in a way of its own."""

    @property
    def __signature__(self):
        return undefined  # noqa: F821

    def __call__(self, *arguments):
        return arguments


async def async_function(one, two, three=3):
    """Two."""


FUNCTIONS = {
    "none": (lambda: None, 0),
    "two": (lambda one, two: None, 2),
    "default": (lambda one, two=2: None, 1),
    "all-kinds": (lambda one, /, two, *rest, three, four=4, **others: None, 2),
    "star": (lambda *rest: None, 0),
    "method": (Callables().method, 3),
    "method-with-default": (Callables().with_default, 1),
    "static": (Callables().static, 2),
    "class-method": (Callables().of_class, 1),
    "object": (Callables(), 1),
    "class": (type("Class", (), {"__init__": lambda self, one, two, three=3: None}), 2),
    "async": (async_function, 2),
    "method-without-self": (Callables().star, 0),
    "partial": (partial(lambda one, two, three: None, 1), 2),
    "builtin": (len, 1),
    "no-signature": (NoSignature(), None),
    "failing-signature": (FailingSignature(), None),
}


@pytest.mark.parametrize(("function", "expected"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_required_positionals(function, expected):
    """Positional parameters without a default, whatever kind of callable it is."""
    assert expected == required_positionals(function)


#: How many of two arguments a function is called with: by the rule; and if it gets both that it
#: has a parameter for.
DECLARED = {
    "none": (lambda: None, 0, 0),
    "one": (lambda one: None, 1, 1),
    "two": (lambda one, two: None, 2, 2),
    "three": (lambda one, two, three: None, 2, 2),
    "default": (lambda one, two=2: None, 1, 2),
    "only-defaults": (lambda one=1, two=2: None, 1, 2),
    "keyword-only": (lambda one, *, two=2: None, 1, 1),
    "star": (lambda *rest: None, 2, 2),
    "one-and-star": (lambda one, *rest: None, 2, 2),
    "method": (Callables().method, 2, 2),
    "method-with-default": (Callables().with_default, 1, 2),
    "object": (Callables(), 1, 1),
    "method-without-self": (Callables().star, 2, 2),
    "partial": (partial(lambda one, two, three=3: None, 1), 1, 2),
    "partial-of-star": (partial(print, 1), 2, 2),
    "builtin": (len, 1, 1),
    "method-of-a-builtin": ([].append, 1, 1),
    "bound-class-method": (dict.fromkeys, 1, 2),
    "no-signature": (NoSignature(), 2, 2),
    "coroutine": (Promise.coroutine(Callables.static), 2, 2),
    "coroutine-of-one": (Promise.coroutine(Callables.of_class), 1, 1),
    "coroutine-of-none": (inlineCallbacks(lambda: (yield)), 0, 0),
    "coroutine-of-star": (Promise.coroutine(lambda *rest: None), 2, 2),
}


@pytest.mark.parametrize(("function", "by_rule", "taken"), DECLARED.values(), ids=DECLARED)
def test_declared(function, by_rule, taken):
    """With a default, a parameter counts only among the first ones."""
    assert (by_rule, taken) == (declared(function, 2), declared(function, 2, 2))


ANNOTATED = """
class Annotated:
    def __call__(self, one: Missing, two: Missing.Too) -> Missing[int]:
        return one, two
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="cannot be written in older Pythons")
@pytest.mark.parametrize("wrap", [lambda function: function, partial], ids=["object", "partial"])
def test_annotations_are_not_evaluated(wrap):
    """What they name need not be there."""
    namespace = {}
    # Not in this file, where annotations are text anyway.
    exec(compile(ANNOTATED, "annotated", "exec", dont_inherit=True), namespace)
    assert 2 == required_positionals(wrap(namespace["Annotated"]()))


def test_an_executor_that_does_not_tell():
    """It gets two arguments, as most do."""
    called = []

    class Executor(NoSignature):
        def __call__(self, *arguments):
            called.append(len(arguments))

    Promise(Executor())
    assert [2] == called
