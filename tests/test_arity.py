"""The arity rule: how many positional arguments a function must be given."""

from __future__ import annotations

import sys
from functools import partial

import pytest

from twpromise import Promise
from twpromise._util.arity import required_positionals


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
