"""Which types promises follow, and how, decided once per type."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMock

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.components import getRegistry, registerAdapter
from twisted.python.failure import Failure
from zope.interface import Interface, implementedBy, implementer

from tests.support.promises import Boom, Source
from twpromise import CancellationError, IPromise, Promise
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


class Call:
    """What can only be awaited, as a call of grpc's: it waits for a promise."""

    def __init__(self, promise: Promise[Any]) -> None:
        self._promise = promise

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._promise.__await__()


class Pool:
    """What gives itself when it is awaited; and only once, as a connection of SQLAlchemy's."""

    started = False

    def __await__(self) -> Generator[Any, Any, Any]:
        if self.started:
            raise Boom("started before")
        yield from Promise.delay(1).__await__()
        self.started = True
        return self


class CallInSlots(Call):
    """It is the class that decides, an inherited `__await__` counts."""

    __slots__ = ()


WAYS: dict[str, Callable[[Any], Promise[Any]]] = {
    "Promise.resolve": Promise.resolve,
    "a resolver": lambda value: Promise(lambda resolve, _: resolve(value)),
    "a handler": lambda value: Promise.resolve().then(lambda _: value),
    "a generator": lambda value: Promise.coroutine(_returning)(value),
    "an item": lambda value: Promise.race([value]),
    "Promise.try_": lambda value: Promise.try_(lambda: value),
}


def _returning(value: Any) -> Generator[Any, Any, Any]:
    yield Promise.resolve()
    return value


def _yielding(value: Any) -> Generator[Any, Any, Any]:
    return (yield value)


@pytest.mark.parametrize("way", WAYS)
class TestAwaitables:
    """Objects that can be awaited, and are no coroutines."""

    @pytest.mark.parametrize("kind", [Call, CallInSlots])
    @pytest.mark.usefixtures("reports")
    def test_followed(self, scheduler: ManualScheduler, way: str, kind: type[Call]) -> None:
        """The outcome is what the object gives or raises when it is awaited."""
        given, raised = Source(), Source()
        promises = [WAYS[way](kind(source.promise)) for source in (given, raised)]
        scheduler.flush()
        assert all(promise.is_pending() for promise in promises)
        given.resolve("value")
        raised.reject(Boom())
        scheduler.flush()
        assert "value" == promises[0].value()
        assert isinstance(promises[1].reason(), Boom)

    def test_one_that_gives_itself(self, scheduler: ManualScheduler, way: str) -> None:
        """It is awaited once, and then a value."""
        pool = Pool()
        promise = WAYS[way](pool)
        for _ in range(3):
            scheduler.advance(1)
        assert pool is promise.value()

    def test_cancelled(self, scheduler: ManualScheduler, way: str) -> None:
        """What it waits for is cancelled with the promise."""
        source = Source()
        promise = WAYS[way](Call(source.promise))
        scheduler.flush()
        promise.cancel()
        scheduler.flush()
        assert (1, True) == (source.cancelled, promise.is_cancelled())


def test_what_a_coroutine_returns_is_not_awaited_again(scheduler: ManualScheduler) -> None:
    """As by ``await`` itself."""
    pool = Pool()

    async def start() -> Any:
        return await pool

    promise = Promise.resolve(start())
    scheduler.advance(1)
    assert pool is promise.value()


@pytest.mark.usefixtures("reports")
def test_an_awaitable_that_yields_itself(scheduler: ManualScheduler) -> None:
    """It is refused, as it would wait for itself."""

    class Circle:
        def __await__(self) -> Generator[Any, Any, Any]:
            return (yield self)

    reason = Promise.resolve(Circle()).reason()
    assert isinstance(reason, TypeError)
    assert "could not be treated as a promise" in str(reason)


def test_a_thenable_that_can_be_awaited(scheduler: ManualScheduler) -> None:
    """Its `then` is called."""

    class Both(Call):
        def then(self, resolve: Any, reject: Any) -> None:
            resolve("by then")

    promise = Promise.resolve(Both(Source().promise))
    scheduler.flush()
    assert "by then" == promise.value()


def test_await_of_an_instance(scheduler: ManualScheduler) -> None:
    """It is the class of a value that decides."""
    plain = type("Plain", (), {})()
    plain.__await__ = lambda: iter(())
    assert plain is Promise.resolve(plain).value()


@types.coroutine
def _marked(value: Any, caught: list[type]) -> Generator[Any, Any, Any]:
    try:
        return (yield value)
    except BaseException as error:
        caught.append(type(error))
        raise


@pytest.mark.parametrize(
    "make",
    [
        lambda *given: Promise.resolve(_marked(*given)),
        lambda *given: Promise.resolve().then(lambda _: _marked(*given)),
        lambda *given: Promise.race([_marked(*given)]),
        Promise.coroutine(_marked),
        Promise.coroutine(types.coroutine(lambda *given: _Wrapped(*given))),
    ],
    ids=["Promise.resolve", "a handler", "an item", "Promise.coroutine", "what quacks"],
)
def test_generators_that_are_coroutines(scheduler: ManualScheduler, make: Any) -> None:
    """Those that `types.coroutine` has marked run, and are cancelled, as coroutines are."""
    source = Source()
    caught: list[type] = []
    promise = make(source.promise, caught)
    scheduler.flush()
    assert promise.is_pending()
    source.resolve("value")
    scheduler.flush()
    assert "value" == promise.value()
    cancelled = make(Source().promise, caught)
    scheduler.flush()
    cancelled.cancel()
    scheduler.flush()
    assert (True, [CancellationError]) == (cancelled.is_cancelled(), caught)


class _Wrapped(Generator[Any, Any, Any]):
    """A generator of another kind: `types.coroutine` makes a coroutine of it."""

    def __init__(self, *given: Any) -> None:
        self._generator = _marked(*given)

    def send(self, value: Any) -> Any:
        return self._generator.send(value)

    def throw(self, *raised: Any) -> Any:
        return self._generator.throw(*raised)


def test_plain_generators(scheduler: ManualScheduler) -> None:
    """They are values, wherever they come from; and collections."""
    makers = [WAYS[name] for name in ("Promise.resolve", "a resolver", "a handler", "an item")]
    generators = [_yielding(1) for _ in makers]
    promises = [make(generator) for make, generator in zip(makers, generators, strict=True)]
    scheduler.flush()
    assert generators == [promise.value() for promise in promises]
    doubled = Promise.map((number for number in (1, 2)), lambda number: 2 * number)
    scheduler.flush()
    assert [2, 4] == doubled.value()


def test_a_yield_handler_gets_plain_generators(scheduler: ManualScheduler) -> None:
    """A generator that is yielded is not followed: a handler says how it is waited for."""
    copy = Promise.get_new_library_copy()
    copy.coroutine.add_yield_handler(copy.coroutine(lambda generator: generator))
    promise = copy.coroutine(_yielding)(_yielding(copy.resolve("value")))
    scheduler.flush()
    assert "value" == promise.value()


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
