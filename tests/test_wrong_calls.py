"""A wrong call raises a TypeError that names the public function."""

from __future__ import annotations

import inspect
import pickle
import pydoc
import re

import pytest

from twpromise import Promise
from twpromise._bridge.in_place import _NotInstalled

pytestmark = pytest.mark.usefixtures("scheduler")

#: The public functions; not the errors and other classes that are attributes, nor the methods of
#: a Deferred, which are not there without `install`.
NAMES = [
    name
    for name in dir(Promise)
    if not name.startswith("_") and not isinstance(getattr(Promise, name), type | _NotInstalled)
]
MIXINS = [kind.__name__ for kind in Promise.__mro__ if kind not in (Promise, object)]
INTERNAL = re.compile("|".join([r"(?<!\w)_\w+", *(rf"\b{name}\." for name in MIXINS)]))

each_name = pytest.mark.parametrize("name", NAMES)


@each_name
@pytest.mark.parametrize("owner", [Promise, Promise.resolve()], ids=["class", "promise"])
@pytest.mark.parametrize("arguments", [(), [None] * 12], ids=["none", "twelve"])
def test_a_wrong_number_of_arguments(name, owner, arguments):
    """Python's error has the public name of the function, and none of the implementation."""
    function = getattr(owner, name)
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        with pytest.raises(TypeError, match=r"Promise\.[a-z]") as raised:
            function(*arguments)
        assert not INTERNAL.search(str(raised.value))


def test_the_name_of_what_is_missing():
    """The static function and the method say the same."""
    expected = re.escape("Promise.map() missing 1 required positional argument: 'mapper'")
    for wrong in (lambda: Promise.map([1]), lambda: Promise.resolve([1]).map()):
        with pytest.raises(TypeError, match=expected):
            wrong()


@pytest.mark.parametrize("name", ["then", "catch", "cancel", "timeout", "is_"])
def test_functions_can_be_pickled(name):
    """By their public name, as those of other classes."""
    function = getattr(Promise, name)
    assert function is pickle.loads(pickle.dumps(function))


@pytest.mark.parametrize("name", ["then", "map", "delay", "resolve", "cancel"])
def test_help_shows_a_function(name):
    """With its name and its docstring."""
    text = pydoc.plain(pydoc.render_doc(getattr(Promise, name)))
    assert f"\n{name}(" in text
    assert "Bluebird: ``" in text
