"""What is followed, decided once per type: `twpromise._bridge.kinds`."""

from __future__ import annotations

import gc
import weakref
from abc import ABCMeta
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock, NonCallableMock

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.components import getRegistry, registerAdapter
from twisted.python.failure import Failure
from zope.interface import Interface, implementedBy, implementer

from tests.support.promises import Boom, Source
from twpromise import IPromise, Promise
from twpromise._core import KINDS
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
        """An adapter that gives another of its kind rejects, and does not go on for ever."""

        class Other:
            pass

        register(lambda other: Other(), Other)
        reason = Promise.resolve(Other()).reason()
        assert isinstance(reason, TypeError)
        assert "gives another one" in str(reason)

    def test_promise_first(self, scheduler: ManualScheduler, register: Any) -> None:
        """What is followed anyway is followed in its own way."""

        class Other(Deferred[Any]):
            pass

        register(lambda other: "adapted", Other)
        other = Other()
        other.callback("fired")
        assert "fired" == Promise.resolve(other).value()


class Unhashable(ABCMeta):
    """A class that raises when it is hashed or compared; it may be derived from abstract ones."""

    def __hash__(cls) -> int:
        raise Boom

    def __eq__(cls, other: object) -> bool:
        raise Boom


class Hashless(ABCMeta):
    """A class that raises just when it is hashed.

    Twisted compares whatever it is given with each class that is derived from Deferred.
    """

    def __hash__(cls) -> int:
        raise Boom


class Silent(type):
    """A class that raises when it is hashed, or asked for an attribute."""

    __hash__ = Hashless.__hash__

    def __getattribute__(cls, name: str) -> Any:
        raise Boom


def fired() -> Any:
    """A Deferred, derived."""

    class Own(Deferred[Any], metaclass=Hashless):
        pass

    own = Own()
    own.callback("value")
    return own


def done() -> Any:
    """An executor's future, derived."""

    class Own(Future[Any], metaclass=Silent):
        pass

    own = Own()
    own.set_result("value")
    return own


def coroutine() -> Any:
    """A coroutine object, derived from the abstract class."""

    class Own(Coroutine[Any, Any, Any], metaclass=Unhashable):
        def __await__(self) -> Any:
            yield

        def send(self, value: object) -> None:
            raise StopIteration("value")

        def throw(self, *arguments: Any) -> None:
            raise Boom

    return Own()


def thenable() -> Any:
    """A thenable."""

    class Own(metaclass=Silent):
        def then(self, resolve: Any, reject: Any) -> None:
            resolve("value")

    return Own()


def yields(value: Any) -> Any:
    """A generator that waits for *value*."""
    return (yield value)


#: Where something that is followed may come.
WAYS: dict[str, Callable[[Any], Promise[Any]]] = {
    "resolve": Promise.resolve,
    "then": lambda value: Promise.resolve().then(lambda _: value),
    "all": lambda value: Promise.all([value]).get(0),
    "map": lambda value: Promise.map([value], lambda item: item).get(0),
    "map result": lambda value: Promise.map([1], lambda _: value).get(0),
    "reduce": lambda value: Promise.reduce([], lambda _, item: item, value),
    "map_series": lambda value: Promise.map_series([value], lambda item: item).get(0),
    "coroutine": lambda value: Promise.coroutine(lambda: value)(),
    "coroutine yield": lambda value: Promise.coroutine(yields)(value),
}


# zope.interface before its C code asked dictionaries in a way that reports errors has Python print
# what it swallows, from Python 3.13 on.
@pytest.mark.filterwarnings("ignore:Exception ignored in PyDict_GetItem")
class TestClassesThatCannotBeHashed:
    """Their objects are what others with these bases and methods are."""

    @pytest.mark.parametrize("make", [fired, done, coroutine, thenable, Foreign])
    @pytest.mark.parametrize("way", WAYS)
    def test_they_are_followed(
        self,
        scheduler: ManualScheduler,
        register: Any,
        make: Callable[[], Any],
        way: str,
    ) -> None:
        """Each time, wherever they come; by the adapter of a base, too."""
        register(lambda foreign: "value", Foreign)
        for _ in range(2):
            value: Any = Adapted() if make is Foreign else make()
            promise = WAYS[way](value)
            scheduler.flush()
            assert "value" == promise.value()

    @pytest.mark.usefixtures("reports")
    def test_adapters_in_a_circle(self, scheduler: ManualScheduler, register: Any) -> None:
        """An adapter that gives another of its kind rejects here as well."""
        register(lambda foreign: Adapted(), Foreign)
        assert "gives another one" in str(Promise.resolve(Adapted()).reason())

    def test_a_deferred_that_is_awaited(self, scheduler: ManualScheduler) -> None:
        """A coroutine goes on with its value."""

        async def awaits() -> Any:
            return await fired()

        assert "value" == Promise.resolve(awaits()).value()

    @pytest.mark.usefixtures("reports")
    def test_what_cannot_be_awaited(self, scheduler: ManualScheduler) -> None:
        """A coroutine that awaits something else is told so."""

        class Awaitable:
            def __await__(self) -> Any:
                yield Plain()

        async def awaits() -> Any:
            await Awaitable()

        assert "a value was awaited" in str(Promise.resolve(awaits()).reason())

    def test_a_deferred_with_a_result_that_is_cancelled(self, scheduler: ManualScheduler) -> None:
        """Its result is no Deferred to be cancelled in its place."""
        deferred: Deferred[Any] = Deferred()
        deferred.pause()
        deferred.callback(Plain())
        promise = Promise.resolve(deferred)
        promise.cancel()
        scheduler.flush()
        assert promise.is_cancelled()

    def test_collections(self, scheduler: ManualScheduler) -> None:
        """A list or a dict is one, whatever its class."""

        class Items(list[Any], metaclass=Silent):
            pass

        class Names(dict[str, Any], metaclass=Silent):
            pass

        promises = [Promise.all(Items([1])), Promise.map(Items([1]), lambda item: item)]
        named = Promise.props(Names(key=1))
        scheduler.flush()
        assert [[1], [1]] == [promise.value() for promise in promises]
        assert {"key": 1} == named.value()

    @pytest.mark.parametrize("equal", [True, None], ids=["equal", "raises"])
    def test_classes_with_the_hash_of_another(
        self, scheduler: ManualScheduler, equal: bool | None
    ) -> None:
        """They are not taken for each other, whichever is seen first."""

        class Sly(type):
            def __hash__(cls) -> int:
                return hash(Other)

            def __eq__(cls, other: object) -> bool:
                if equal is None:
                    raise Boom
                return equal

        class Other:
            pass

        class Thenable(metaclass=Sly):
            def then(self, resolve: Any, reject: Any) -> None:
                resolve("value")

        promise, other = Promise.resolve(Thenable()), Other()
        scheduler.flush()
        assert "value" == promise.value()
        assert other is Promise.resolve(other).value()
        assert 1 == sum(kind is Other for kind in KINDS)


class Plain(metaclass=Silent):
    """What is not followed."""


class Adapted(Foreign, metaclass=Silent):
    """Has no adapter of its own."""


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
        """Forgetting changes nothing: what is followed is decided anew."""
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
