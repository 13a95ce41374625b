"""Which types promises follow, and how, decided once per type."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMock

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.components import getRegistry, registerAdapter
from twisted.python.failure import Failure
from zope.interface import Interface, implementedBy, implementer

from tests.support.promises import Boom, Source
from twpromise import IPromise, Promise
from twpromise.testing import ManualScheduler


@pytest.fixture
def register() -> Iterator[Any]:
    """`registerAdapter` to IPromise, undone at the end."""
    registered: list[Any] = []

    def register(factory: Any, original: Any) -> None:
        registerAdapter(factory, original, IPromise)
        registered.append(original)

    yield register
    for original in registered:
        if not issubclass(type(original), type(Interface)):
            original = implementedBy(original)
        getRegistry().unregister([original], IPromise, "", None)


@pytest.mark.parametrize("mock_class", [Mock, MagicMock, NonCallableMock, AsyncMock])
@pytest.mark.parametrize("spec", [None, Promise, Deferred, Failure])
def test_mocks_are_values(scheduler: ManualScheduler, mock_class: Any, spec: Any) -> None:
    """A mock has every attribute, `then` too, and is a value all the same."""
    mock = mock_class(spec=spec)
    assert mock is Promise.resolve(mock).value()
    promise = Promise.resolve().then(lambda _: mock)
    scheduler.flush()
    assert mock is promise.value()


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "text", [], {}, (), object(), Promise, lambda: None, Boom()),
        *(IPromise, type("Plain", (), {})(), (number for number in ()), b"bytes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values(scheduler: ManualScheduler, value: Any) -> None:
    """Everything else is a value: classes, functions, generators."""
    assert value is Promise.resolve(value).value()


def test_then_of_an_instance(scheduler: ManualScheduler) -> None:
    """It is the class of a value that decides, not what an instance has."""

    class Plain:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: None

    plain = Plain()
    plain.__dict__["then"] = lambda resolve, reject: resolve(1)
    assert plain is Promise.resolve(plain).value()


def test_inherited_then(scheduler: ManualScheduler) -> None:
    """A `then` that is inherited counts, from a class with slots too."""

    class Base:
        __slots__ = ()

        def then(self, resolve: Any, reject: Any) -> None:
            resolve("value")

    class Derived(Base):
        __slots__ = ()

    promise = Promise.resolve(Derived())
    scheduler.flush()
    assert "value" == promise.value()


@pytest.mark.usefixtures("reports")
def test_failures(scheduler: ManualScheduler) -> None:
    """Returning a Failure means failing, as it does to Twisted."""
    failure = Failure(Boom())
    promise = Promise.resolve().then(lambda _: failure)
    scheduler.flush()
    assert failure.value is promise.reason()
    assert failure.value is Promise.resolve(failure).reason()


class Foreign:
    """A third party's idea of something that is there later."""


class TestAdapters:
    """Adapters teach promises to follow a third party's type."""

    @pytest.mark.parametrize("seen", [False, True], ids=["new", "seen before"])
    @pytest.mark.parametrize(
        "adapted",
        [
            pytest.param(lambda foreign: Promise.resolve("value"), id="promise"),
            pytest.param(lambda foreign: succeed("value"), id="Deferred"),
            pytest.param(lambda foreign: "value", id="value"),
        ],
    )
    def test_registered(
        self, scheduler: ManualScheduler, register: Any, seen: bool, adapted: Any
    ) -> None:
        """What the adapter makes of a value is followed, even if it was plain before."""

        class Other(Foreign):
            pass

        if seen:
            foreign = Other()
            assert foreign is Promise.resolve(foreign).value()
        register(adapted, Other)
        promise = Promise.resolve().then(lambda _: Other())
        assert "value" == Promise.resolve(Other()).value()
        scheduler.flush()
        assert "value" == promise.value()

    def test_for_an_interface(self, scheduler: ManualScheduler, register: Any) -> None:
        """An adapter for an interface serves whatever provides it."""

        class ILater(Interface):
            pass

        @implementer(ILater)
        class Other:
            pass

        class Derived(Other):
            pass

        source = Source()
        register(lambda other: source.promise, ILater)
        promises = [Promise.resolve(Other()), Promise.resolve(Derived())]
        source.resolve("value")
        scheduler.flush()
        assert ["value", "value"] == [promise.value() for promise in promises]

    def test_in_a_coroutine(self, scheduler: ManualScheduler, register: Any) -> None:
        """An object that adapts itself may be awaited through a promise."""

        class Other:
            pass

        register(lambda other: Promise.resolve("value"), Other)

        async def coroutine() -> Any:
            return await Promise.resolve(Other())

        assert "value" == Promise.resolve(coroutine()).value()

    @pytest.mark.usefixtures("reports")
    def test_that_raises(self, scheduler: ManualScheduler, register: Any) -> None:
        """What an adapter raises rejects."""

        class Other:
            pass

        def adapter(other: Any) -> Any:
            raise Boom

        register(adapter, Other)
        assert isinstance(Promise.resolve(Other()).reason(), Boom)

    @pytest.mark.usefixtures("reports")
    def test_in_a_circle(self, scheduler: ManualScheduler, register: Any) -> None:
        """An adapter that gives another of its kind rejects, instead of looping."""

        class Other:
            pass

        register(lambda other: Other(), Other)
        reason = Promise.resolve(Other()).reason()
        assert isinstance(reason, TypeError)
        assert "gives another one" in str(reason)

    def test_promise_first(self, scheduler: ManualScheduler, register: Any) -> None:
        """An adapter is not used for types that promises follow already."""

        class Other(Deferred[Any]):
            pass

        register(lambda other: "adapted", Other)
        other = Other()
        other.callback("fired")
        assert "fired" == Promise.resolve(other).value()


class TestMemory:
    """Types are remembered, and not kept without bound."""

    def test_types_are_forgotten(self, scheduler: ManualScheduler) -> None:
        """A program that makes types without end (mocks do) does not keep them all."""
        count = 5000
        references = []
        for number in range(count):
            kind = type(f"Kind{number}", (), {})
            Promise.resolve(kind())
            references.append(weakref.ref(kind))
        del kind
        gc.collect()
        assert count // 2 > sum(reference() is not None for reference in references)

    def test_remembered_types_work(self, scheduler: ManualScheduler) -> None:
        """Clearing the cache changes nothing: each type is looked up anew."""
        for number in range(3000):
            Promise.resolve(type(f"Kind{number}", (), {})())
        assert "value" == Promise.resolve(succeed("value")).value()
        assert 1 == Promise.resolve(1).value()


@pytest.mark.parametrize("hooks", [False, True], ids=["plain", "with cancel hooks"])
def test_first_of_its_type(scheduler: ManualScheduler, hooks: bool) -> None:
    """A value of a type that was never seen before settles as promptly as any other."""
    value = type("New", (), {})()
    if hooks:
        source = Source()
        source.resolve(value)
        assert source.promise.is_fulfilled()
    else:
        promise: Promise[Any] = Promise(lambda resolve, reject: resolve(value))
        assert promise.is_fulfilled()
