"""`IPromise(x)` and `IDeferred(x)`, with the plugin of mypy-zope and without."""

# Lines marked as wrong must be errors for both checkers.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, assert_type

from twisted.internet.defer import Deferred
from zope.interface import implementer

from twpromise import IDeferred, IPromise, Promise


def adapting(
    promise: Promise[int], deferred: Deferred[int], either: Promise[int] | Deferred[str], thing: Any
) -> None:
    """They give a promise and a Deferred, whatever they adapt."""
    assert_type(IPromise(promise), Promise[Any])
    assert_type(IPromise(deferred), Promise[Any])
    assert_type(IPromise(either), Promise[Any])
    assert_type(IPromise(thing), Promise[Any])
    assert_type(IPromise(object()), Promise[Any])
    assert_type(IPromise(thing, None), Promise[Any])
    assert_type(IPromise(deferred).to_deferred(), Deferred[Any])
    assert_type(IDeferred(promise), Deferred[Any])
    assert_type(IDeferred(deferred), Deferred[Any])
    assert_type(IDeferred(either), Deferred[Any])
    assert_type(IDeferred(thing), Deferred[Any])
    assert_type(IDeferred(thing, None), Deferred[Any])
    IPromise(deferred).no_such_method()  # type: ignore[attr-defined]
    IDeferred(promise).then()  # type: ignore[attr-defined]


def inspecting(thing: object) -> None:
    """The methods of interfaces are there."""
    assert_type(IPromise.providedBy(thing), bool)
    assert_type(IPromise.implementedBy(Promise), bool)
    assert_type(IDeferred.providedBy(thing), bool)


@implementer(IPromise)  # pyright: ignore[reportUntypedClassDecorator]
class Mine:
    """A class that implements the interface, without a constructor."""

    def then(self, on_fulfilled: Any = None, on_rejected: Any = None) -> Any:
        """Give anything."""

    def cancel(self) -> None:
        """Do nothing."""

    def is_pending(self) -> bool:
        """Give anything."""
        return False

    is_fulfilled = is_rejected = is_cancelled = is_pending

    def value(self) -> Any:
        """Give anything."""

    reason = to_deferred = value


class Own(Mine):
    """One of those with a constructor."""

    def __init__(self, name: str) -> None:
        self.name = name


def implementing() -> None:
    """Implementing an interface does not change what the constructor of a class takes."""
    assert_type(Mine(), Mine)
    assert_type(Own("name"), Own)
    Own()  # type: ignore[call-arg]
