"""``IPromise(x)`` and ``IDeferred(x)``: `twpromise._bridge.adapters`."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.components import getRegistry, registerAdapter
from zope.interface import Interface, implementedBy

from tests.support.outcomes import result_of
from tests.support.promises import Source
from twpromise import IPromise, Promise
from twpromise.interfaces import IDeferred
from twpromise.testing import ManualScheduler


async def _coroutine() -> str:
    return "value"


def _future() -> Any:
    future: concurrent.futures.Future[str] = concurrent.futures.Future()
    future.set_result("value")
    return future


class _Thenable:
    def then(self, resolve: Any, reject: Any) -> None:
        resolve("value")


FOLLOWED = [
    pytest.param(lambda: Promise.resolve("value"), id="promise"),
    pytest.param(lambda: succeed("value"), id="Deferred"),
    pytest.param(_coroutine, id="coroutine"),
    pytest.param(_future, id="future"),
    pytest.param(_Thenable, id="thenable"),
]


@pytest.mark.parametrize("make", FOLLOWED)
def test_whatever_is_followed(scheduler: ManualScheduler, make: Any) -> None:
    """Whatever promises follow can be adapted to either interface."""
    promise = IPromise(make())
    assert isinstance(promise, Promise)
    results = result_of(IDeferred(make()))
    scheduler.flush()
    assert "value" == promise.value()
    assert ["value"] == results


def test_what_it_is_already(scheduler: ManualScheduler) -> None:
    """A promise is its own adapter to IPromise, a Deferred to IDeferred."""
    promise = Source().promise
    deferred: Deferred[Any] = Deferred()
    assert promise is IPromise(promise)
    assert deferred is IDeferred(deferred)
    assert Deferred is type(IDeferred(promise))


@pytest.mark.parametrize("interface", [IPromise, IDeferred])
def test_others(interface: Any) -> None:
    """A value that promises do not follow cannot be adapted."""
    with pytest.raises(TypeError, match="Could not adapt"):
        interface(1)
    assert None is interface(1, None)


def test_other_interfaces(scheduler: ManualScheduler) -> None:
    """Adapting to other interfaces is left to others."""

    class IOther(Interface):
        pass

    with pytest.raises(TypeError, match="Could not adapt"):
        IOther(succeed(1))


def test_registered(scheduler: ManualScheduler) -> None:
    """A third party's adapter serves `IPromise(x)` and `IDeferred(x)` alike."""

    class Other:
        pass

    registerAdapter(lambda other: Promise.resolve("value"), Other, IPromise)
    try:
        assert "value" == IPromise(Other()).value()
        assert ["value"] == result_of(IDeferred(Other()))
    finally:
        getRegistry().unregister([implementedBy(Other)], IPromise, "")
