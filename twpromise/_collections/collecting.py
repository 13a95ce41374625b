"""The base of nodes that wait for several promises, and may cancel those not needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._core.cancelling import drop_all
from .._core.reactions import Node
from .._core.resolving import new_rejected
from .._core.settling import mark_handled
from .._core.states import CorePromise, is_promise
from .._util.checks import shown

__all__ = ["Collecting", "derive_cancelling"]


class Collecting(Node):
    """Waits for several promises.

    Subclasses set `_cancels_rest` in `_start`, and return what they wait for from `_wanted`.
    """

    __slots__ = ("_cancels_rest",)

    #: Whether what is still waited for is cancelled when the node settles its promise.
    _cancels_rest: bool

    if TYPE_CHECKING:

        def _wanted(self) -> list[Any]:
            """The items to wait for: promises, and other values."""
            ...

    def settle(self, how: Callable[..., None], *arguments: Any) -> None:
        rest = self._wanted() if self._cancels_rest else []
        promise = self.finish()
        # Settle first: the outcome does not wait for the cancellation, which may call user code.
        how(promise, *arguments)
        self._drop_rest(rest, promise)

    def _drop_rest(self, items: list[Any], promise: CorePromise) -> None:
        """Cancel the pending items that have no other consumer.

        Args:
            items: Promises, and other values.
            promise: The promise that the node has settled; see `ending`.
        """
        if self._cancels_rest:
            rest = [item for item in items if is_promise(item)]
            for item in rest:
                # If it goes on, its other consumers handle a rejection.
                if not item._library.cancellation:
                    mark_handled(item)
            drop_all(rest, promise)


def derive_cancelling(
    kind: type[Collecting], source: CorePromise, cancel_rest: object, *arguments: Any
) -> Any:
    """Check *cancel_rest*, and derive a promise that a node of a kind settles.

    Args:
        kind: The kind of node.
        source: The promise to derive from.
        cancel_rest: The last argument of the node.
        *arguments: The arguments before it.
    """
    if not isinstance(cancel_rest, bool):
        error = TypeError(f"cancel_rest must be True or False, not {shown(cancel_rest)}")
        return new_rejected(type(source), error)
    return kind.derive(source, *arguments, cancel_rest)
