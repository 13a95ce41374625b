"""One definition, two spellings: every collection method is a static function too."""

from __future__ import annotations

import inspect

import pytest
from twisted.internet.defer import succeed

from twpromise import Promise

pytestmark = pytest.mark.usefixtures("scheduler")

#: Every method that is static too: what it is called with, and what that gives.
METHODS = {
    "all": ([1, 2, 3], (), [1, 2, 3]),
    "any": ([1, 2, 3], (), 1),
    "each": ([1, 2, 3], (str,), [1, 2, 3]),
    "filter": ([1, 2, 3], (lambda x: x > 1,), [2, 3]),
    "map": ([1, 2, 3], (str,), ["1", "2", "3"]),
    "map_series": ([1, 2, 3], (str,), ["1", "2", "3"]),
    "props": ({"a": 1}, (), {"a": 1}),
    "race": ([1, 2, 3], (), 1),
    "reduce": ([1, 2, 3], (max, 0), 3),
    "some": ([1, 2, 3], (2,), [1, 2]),
}
#: Bluebird's own spellings of those that have another.
ALIASES = {"allSettled": "all_settled", "mapSeries": "map_series"}

each_name = pytest.mark.parametrize("name", METHODS)


@each_name
@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, Promise.resolve, lambda x: Promise.delay(0, x), succeed],
    ids=["value", "promise", "later", "Deferred"],
)
def test_both_spellings_are_one(scheduler, name, wrap):
    """`Promise.name(xs, ...)` gives what `Promise.resolve(xs).name(...)` does."""
    items, arguments, expected = METHODS[name]
    static = getattr(Promise, name)(wrap(items), *arguments)
    method = getattr(Promise.resolve(wrap(items)), name)(*arguments)
    scheduler.flush()
    assert [expected] * 2 == [static.value(), method.value()]


def test_all_settled_in_both_spellings(scheduler):
    """Its inspections are no values to compare."""
    promises = [Promise.all_settled([1]), Promise.resolve([1]).all_settled()]
    assert [[1]] * 2 == [[each.value() for each in promise.value()] for promise in promises]


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
@pytest.mark.parametrize("owner", [Promise, Promise.resolve()], ids=["static", "method"])
def test_bluebirds_spelling_is_the_same_function(alias, name, owner):
    """In both ways."""
    assert inspect.signature(getattr(owner, name)) == inspect.signature(getattr(owner, alias))
    assert getattr(owner, name).__doc__ is getattr(owner, alias).__doc__


@pytest.mark.parametrize("name", [*METHODS, "all_settled"])
def test_both_spellings_are_documented(name):
    """The name, the docstring and the parameters of the definition are kept."""
    static, method = getattr(Promise, name), getattr(Promise.resolve(), name)
    assert name == static.__name__ == method.__name__
    assert f"Bluebird: ``Promise.{name}"[:18] in static.__doc__
    assert static.__doc__ == method.__doc__
    first, *parameters = inspect.signature(static).parameters.values()
    assert "self" == first.name
    assert parameters == list(inspect.signature(method).parameters.values())


@each_name
def test_arguments_may_have_names(scheduler, name):
    """Both spellings take keyword arguments."""
    items, arguments, expected = METHODS[name]
    names = [*inspect.signature(getattr(Promise.resolve(), name)).parameters]
    keywords = dict(zip(names, arguments, strict=False))
    promises = [
        getattr(Promise, name)(items, **keywords),
        getattr(Promise.resolve(items), name)(**keywords),
    ]
    scheduler.flush()
    assert [expected] * 2 == [promise.value() for promise in promises]


@each_name
@pytest.mark.parametrize("wrap", [lambda x: x, Promise.resolve], ids=["value", "promise"])
def test_the_result_belongs_to_the_library_copy(scheduler, name, wrap):
    """That was asked, whatever copy the input is from; and so do promises of its class."""
    items, arguments, expected = METHODS[name]
    copy = Promise.get_new_library_copy()
    promises = [
        getattr(copy, name)(wrap(items), *arguments),
        getattr(copy.resolve(items), name)(*arguments),
        getattr(type(copy.resolve()), name)(items, *arguments),
    ]
    scheduler.flush()
    assert [expected] * 3 == [promise.value() for promise in promises]
    assert [True] * 3 == [isinstance(promise, copy) for promise in promises]
    assert [False] * 3 == [isinstance(promise, Promise) for promise in promises]


def test_join_belongs_to_the_library_copy(scheduler):
    """It is static only."""
    copy = Promise.get_new_library_copy()
    promise = copy.join(Promise.resolve(1), 2, lambda *values: values)
    scheduler.flush()
    assert ((1, 2), True) == (promise.value(), isinstance(promise, copy))


def test_a_default_can_be_read():
    """What stands for an `initial` that was left out has a name where signatures are shown."""
    assert "initial: 'Any' = <nothing>" in str(inspect.signature(Promise.reduce))


@each_name
def test_on_the_class_that_defines_it_it_is_documented(name):
    """Where documentation tools look for it: it is bound to no library copy there."""
    owner = next(base for base in Promise.__mro__ if name in vars(base))
    assert vars(owner)[name] is getattr(owner, name)
    assert inspect.getdoc(getattr(Promise, name)) == inspect.getdoc(getattr(owner, name))


@each_name
def test_without_an_input(name):
    """Python's own TypeError: that is a mistake in the program."""
    with pytest.raises(TypeError):
        getattr(Promise, name)()


def test_a_static_function_may_be_kept(scheduler):
    """Bluebird's `var join = Promise.join`: it stays what it is."""
    function = Promise.map
    promise = function([1], str)
    scheduler.flush()
    assert ["1"] == promise.value()
