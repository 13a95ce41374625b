"""Who is notified of unhandled rejections, fatal errors and events."""

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
    """The hooks and the rejection policy of a library copy, and the events of all."""

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
            handler: Called with the reason and the promise, or with as many of them as it
                declares, instead of the report in the log.  If it fails, both its error and the
                reason are logged.  It may be ``async def``.  Without one, or with something that
                is not callable, nothing is reported.

        It runs in the context, in the sense of `contextvars`, that the rejection came from: where
        the failing handler ran, or ``reject`` was called.  Only for this library copy; see `on`
        for all.

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
            handler: Called with the promise, if it declares a parameter.  It may be ``async
                def``.  Without one, or with something that is not callable, the hook is removed.

        It runs in a copy of the context in which the rejection was handled.  Only for this library
        copy; see `on` for all.

        Bluebird: ``Promise.onUnhandledRejectionHandled``.
        """
        cls._library.on_unhandled_handled = handler if callable(handler) else None

    onUnhandledRejectionHandled = on_unhandled_rejection_handled

    @classmethod
    def set_rejection_policy(cls: Class, name: str = "report") -> Any:
        """Choose when unhandled rejections of this library copy are reported; remove the hook.

        Args:
            name: ``"report"``: at the end of the drain in which they stayed unhandled;
                ``"report_when_collected"``: when the promise is collected, and can no longer
                be handled; ``"live_list"``: never, but the policy that is returned has
                ``promises``, the list of those that are unhandled at the moment;
                ``"done_only"``: never, only failures of chains that end with `done`.

        Returns:
            The policy.

        Raises:
            TypeError: *name* is no `str`.
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
        """Set the hook for failures that have no caller: in `done`, or in a disposer.

        Args:
            handler: Called with the reason; it may be ``async def``; `exit_process` is one that
                ends the process.  If it fails, both its error and the reason are logged.  None
                restores the default: the failure is logged at critical level, and the process
                goes on.

        It runs in the context that the failure came from.

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
            name: ``unhandled_rejection`` (the handler gets the reason and the promise; the
                report in the log is left out) or ``rejection_handled`` (the promise); for
                copies with ``monitoring`` on, ``promise_created``, ``promise_fulfilled``,
                ``promise_rejected``, ``promise_resolved`` and ``promise_cancelled`` (the
                promise), and ``promise_chained`` (the promise, and the one derived from it).
            handler: Gets as many of those as it declares.  What it raises is logged; and the
                reason, if no other handler or hook has got that.  Of what it does itself, no
                life-cycle events are sent, and those are for no ``async def`` function.

        It runs in a copy of the context of the moment; for ``unhandled_rejection``, of the one
        that the rejection came from.

        Raises:
            TypeError: *name* is no `str`, or *handler* is not callable, or is ``async def``
                though the event is one of the life cycle.
            ValueError: There is no such event.

        Bluebird: ``process.on``.
        """
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {shown(handler)}")
        events.on(events.event_name(name), handler)

    @staticmethod
    def off(name: str, handler: Callable[..., object]) -> bool:
        """Do not call *handler* for an event any more.

        Args:
            name: As for `on`.
            handler: As given to `on`; one `off` for each `on`.

        Returns:
            Whether it was listening.

        Raises:
            TypeError: *name* is no `str`.
            ValueError: There is no such event.

        Bluebird: ``process.removeListener``.
        """
        return events.off(events.event_name(name), handler)
