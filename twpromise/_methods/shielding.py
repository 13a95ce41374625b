"""`shield`: a consumer that leaves without cancelling."""

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
    """Passes an outcome on; when its promise is cancelled, the source is left to itself.

    It handles a rejection of the source when it passes that on, not before: so the source reports
    its own if the shield is cancelled when the source was rejected and has not notified it yet.
    """

    __slots__ = ()

    def _start(self, source: CorePromise, /, *_: object) -> None:
        # A rejection that is there already has no other way to be lost.
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

        It is a consumer of this promise until it is cancelled.  From then on a rejection of this
        promise is reported as unhandled, unless something else handles it.  When this promise is
        cancelled, the other one is, too.

        asyncio: ``asyncio.shield``; Twisted has no counterpart.
        """
        return cast("Promise[T_co]", _Shield.derive(self))
