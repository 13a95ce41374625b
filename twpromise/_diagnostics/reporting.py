"""The hooks for unhandled rejections and fatal errors, and the events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._core.states import CorePromise
from .._util.checks import shown
from .._util.types import Class
from . import events
from .policies import POLICIES

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Reporting"]


class Reporting(CorePromise):
    """The hooks and the rejection policy of a library copy, and the events of all copies."""

    __slots__ = ()

    @classmethod
    def on_possibly_unhandled_rejection(
        cls: Class,
        handler: Callable[[Any, Promise[Any]], object]
        | Callable[[Any], object]
        | Callable[[], object]
        | None = None,
    ) -> None:
        """Set the hook for rejections that stay unhandled to the end of a drain.

        Args:
            handler: Called with the reason and the promise, or with as many of them as it declares,
                instead of the report in the log.  It may be ``async def``.  If it fails, its
                error and the reason are logged.  If it is left out or not callable, nothing is
                reported.

        The hook runs in the `contextvars` context of the rejection: that of the failing handler, or
        of the call of ``reject``.  It is for this library copy only; `on` is for all copies.

        Bluebird: ``Promise.onPossiblyUnhandledRejection``.
        """
        cls._library.on_unhandled = handler if callable(handler) else False

    onPossiblyUnhandledRejection = on_possibly_unhandled_rejection

    @classmethod
    def on_unhandled_rejection_handled(
        cls: Class,
        handler: Callable[[Promise[Any]], object] | Callable[[], object] | None = None,
    ) -> None:
        """Set the hook for rejections that are handled after they were reported.

        Args:
            handler: Called with the promise, if it declares a parameter.  It may be ``async def``.
                If it is left out or not callable, the hook is removed.

        The hook runs in a copy of the context in which the rejection was handled.  It is for this
        library copy only; `on` is for all copies.

        Bluebird: ``Promise.onUnhandledRejectionHandled``.
        """
        cls._library.on_unhandled_handled = handler if callable(handler) else None

    onUnhandledRejectionHandled = on_unhandled_rejection_handled

    @classmethod
    def set_rejection_policy(cls: Class, name: str = "report") -> Any:
        """Choose when unhandled rejections of this library copy are reported; remove the hook.

        Args:
            name: ``"report"``: at the end of the drain in which the promise was rejected.
                ``"report_when_collected"``: when the promise is garbage-collected, and can no
                longer be handled.  ``"live_list"``: never; the attribute ``promises`` of the
                returned policy lists those that are unhandled now.  ``"done_only"``: never, except
                for chains that end with `done`.

        Returns:
            The policy.

        Raises:
            TypeError: *name* is not a `str`.
            ValueError: There is no such policy.

        Bluebird: the page on error management configuration.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be the name of a policy, not {shown(name)}")
        if name not in POLICIES:
            raise ValueError(f"name must be one of {', '.join(POLICIES)}, not {name!r}")
        cls._library.on_unhandled = None
        cls._library.policy = POLICIES[name]()
        return cls._library.policy

    setRejectionPolicy = set_rejection_policy

    @classmethod
    def on_fatal(
        cls: Class, handler: Callable[[Any], object] | Callable[[], object] | None = None
    ) -> None:
        """Set the hook for failures that no caller can handle: of `done`, or of a disposer.

        Args:
            handler: Called with the reason; it may be ``async def``.  `exit_process` is a handler
                that ends the process.  If it fails, its error and the reason are logged.  None
                restores the default: the failure is logged at critical level, and the process
                goes on.

        The hook runs in the context of the failure.

        Raises:
            TypeError: *handler* is neither callable nor None.
        """
        if handler is not None and not callable(handler):
            raise TypeError(f"handler must be callable or None, not {shown(handler)}")
        cls._library.on_fatal = handler

    onFatal = on_fatal

    @classmethod
    def on(cls, name: str, handler: Callable[..., object]) -> None:
        """Call *handler* for each event of a kind, in any library copy.

        Args:
            name: ``unhandled_rejection`` (arguments: the reason and the promise; replaces the
                report in the log) or ``rejection_handled`` (the promise).  For copies with
                ``monitoring`` on, the life-cycle events ``promise_created``,
                ``promise_fulfilled``, ``promise_rejected``, ``promise_resolved``,
                ``promise_cancelled`` (the promise) and ``promise_chained`` (the promise, and the
                one derived from it).
            handler: Called with as many of the arguments as it declares.  What it raises is
                logged; so is the reason, if no other handler or hook has got it.  A life-cycle
                handler must not be ``async def``, and its own promises send no such events.

        The handler runs in a copy of the current context, for ``unhandled_rejection`` in that of
        the rejection.

        Raises:
            TypeError: *name* is not a `str`; *handler* is not callable, or is ``async def`` and the
                event one of the life cycle.
            ValueError: There is no such event.

        Bluebird: ``process.on``.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {shown(handler)}")
        events.on(events.event_name(name), handler)

    @staticmethod
    def off(name: str, handler: Callable[..., object]) -> bool:
        """Stop calling *handler* for an event.

        Args:
            name: As for `on`.
            handler: As for `on`; each `off` undoes one `on`.

        Returns:
            Whether the handler was registered.

        Raises:
            TypeError: *name* is not a `str`.
            ValueError: There is no such event.

        Bluebird: ``process.removeListener``.
        """
        return events.off(events.event_name(name), handler)
