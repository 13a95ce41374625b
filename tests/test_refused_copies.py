"""`copy` and `pickle` refuse what must not exist twice."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
from contextlib import nullcontext

import pytest
from twisted.internet.defer import Deferred

from tests.support.promises import Source, pending, quiet
from twpromise import Disposer, Promise

pytestmark = pytest.mark.usefixtures("scheduler")


@dataclasses.dataclass
class Holder:
    """What a program keeps things in."""

    thing: object


def dumps(thing):
    """Pickle by the Python implementation, which asks otherwise."""
    pickle._Pickler(io.BytesIO(), protocol=2).dump(thing)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy in a list": lambda thing: copy.deepcopy([{"a": thing}]),
    "asdict": lambda thing: dataclasses.asdict(Holder(thing)),
    "astuple": lambda thing: dataclasses.astuple(Holder(thing)),
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.dumps(thing, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "Python's pickle": dumps,
    "deepcopy of a bound method": lambda thing: copy.deepcopy(thing.__repr__),
}

PROMISES = {
    "pending": lambda: pending()[0],
    "made by the constructor": lambda: Source().promise,
    "fulfilled": lambda: Promise.resolve(3),
    "rejected": lambda: quiet(Promise.reject(ValueError())),
    "derived": lambda: pending()[0].then(),
    "of another copy": lambda: Promise.get_new_library_copy().resolve(1),
    "of a Deferred": lambda: Promise.from_deferred(Deferred()),
}

DISPOSERS = {
    "disposer": lambda: pending()[0].disposer(print),
    "Disposer.of": lambda: Disposer.of(nullcontext()),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", PROMISES)
def test_a_promise_is_refused(way, kind):
    """A copy would never be settled; the error says what to do instead."""
    promise = PROMISES[kind]()
    with pytest.raises(TypeError, match="pass on the promise itself, or its value"):
        COPIES[way](promise)


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", DISPOSERS)
def test_a_disposer_is_refused(way, kind):
    """A copy would release the resource once more."""
    with pytest.raises(TypeError, match="cannot copy or pickle a disposer"):
        COPIES[way](DISPOSERS[kind]())


def test_the_original_is_as_it_was(scheduler):
    """It can be settled, and cancelled."""
    source = Source()
    with pytest.raises(TypeError):
        copy.deepcopy(Holder(source.promise))
    source.promise.cancel()
    scheduler.flush()
    assert (1, True) == (source.cancelled, source.promise.is_cancelled())


def test_what_holds_a_promise_may_be_copied_by_itself():
    """A shallow copy has the same promise."""
    promise, resolver = Promise.resolve(1), Promise.defer()
    assert promise is copy.copy([promise])[0] is copy.copy(Holder(promise)).thing
    twin = copy.copy(resolver)
    twin.resolve(5)
    assert 5 == resolver.promise.value() == twin.promise.value()
    with pytest.raises(TypeError, match="cannot copy or pickle a promise"):
        copy.deepcopy(resolver)


@pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]
)
def test_an_inspection_is_copied(way, scheduler):
    """It is a value: the state, and the value or the reason."""
    promise, cancelled = Promise.resolve(3).reflect(), pending()[0]
    cancelled.cancel()
    twin = way(promise.value())
    assert (True, 3) == (twin.is_fulfilled(), twin.value())
    failed = way(Promise.reject(KeyError("x")).reflect().value())
    assert (KeyError, "'x'") == (type(failed.reason()), str(failed.reason()))
    scheduler.flush()
    assert way(cancelled.reflect().value()).is_cancelled()


def test_the_class_is_pickled_by_its_name():
    """As all classes are."""
    assert Promise is pickle.loads(pickle.dumps(Promise)) is copy.deepcopy(Promise)
