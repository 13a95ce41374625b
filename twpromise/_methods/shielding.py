"""`shield`: a consumer whose cancellation does not reach the promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from .._core.reactions import Node
from .._core.settling import mark_handled
from .._core.states import REJECTED, CorePromise
from .._core.subscribers import remove_subscriber

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Shielding"]

T_co = TypeVar("T_co", covariant=True)


class _Shield(Node):
    """Passes an outcome on; when its promise is cancelled, the source goes on.

    It marks a rejection of the source as handled when it passes it on, not before.  So the source
    reports its rejection if the shield is cancelled before it is notified of that.
    """

    __slots__ = ()

    def _start(self, source: CorePromise, /, *_: object) -> None:
        # A rejection that has happened already is passed on at once.
        if not self.settle_if_failed(source):
            self.handle_late()
            self.wait_for_source(source)

    def _notify(self, parent: CorePromise) -> None:
        if parent._state & REJECTED:
            mark_handled(parent)
        super()._notify(parent)

    def _abandon(self, stack: list[CorePromise]) -> bool:
        remove_subscriber(self._source, self)
        self.finish()
        return False


class Shielding(CorePromise, Generic[T_co]):
    """The method that keeps cancellation away from a promise."""

    __slots__ = ()

    def shield(self) -> Promise[T_co]:
        """A promise with the same outcome; cancelling it leaves this promise running.

        It is a consumer of this promise until it is cancelled.  After that, a rejection of this
        promise is reported as unhandled, unless another consumer handles it.  When this promise is
        cancelled, so is the shield.

        asyncio: ``asyncio.shield``; Twisted has no counterpart.
        """
        return cast("Promise[T_co]", _Shield.derive(self))
