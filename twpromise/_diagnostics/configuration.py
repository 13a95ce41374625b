"""The settings and statistics of a library copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from .._core.states import CorePromise
from .._debugging.finding import Found, find_pending
from .._scheduling.drains import Drains
from .._util.checks import check_switch
from .._util.types import Class
from .library import Library, check_settings
from .tracking import oldest_age
from .watching import switch

__all__ = ["Configuration"]


class Configuration(CorePromise):
    """`config` and `statistics`."""

    __slots__ = ()

    _library: ClassVar[Library]  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def config(cls, **settings: Any) -> dict[str, Any]:
        """Change settings of this library copy, and return all of them.

        Args:
            **settings: Each True or False: ``cancellation`` and ``async_hooks`` (on by default);
                ``warnings``, ``long_stack_traces``, ``monitoring`` and ``tracking`` (off, unless
                environment variables switch them on); and ``w_forgotten_return``, one of the
                warnings.  ``warnings`` may be a mapping with ``w_forgotten_return``: all
                warnings are switched on then, except that one if it is False.

        Raises:
            TypeError: There is no such setting, or a value is of the wrong type.  Then no setting
                is changed.

        Bluebird: ``Promise.config``.
        """
        cls._library.change(check_settings(settings))
        switch()
        return cls._library.settings()

    @classmethod
    def long_stack_traces(cls: Class) -> None:
        """Switch long stack traces on: ``config(long_stack_traces=True)``.

        Unlike in bluebird, you can do and undo this at any time.

        Bluebird: ``Promise.longStackTraces``.
        """
        cls.config(long_stack_traces=True)

    longStackTraces = long_stack_traces

    @classmethod
    def statistics(cls, *, reset: bool = False) -> dict[str, Any]:
        """Figures for a metrics exporter.

        Args:
            reset: Start ``longest_drain`` and ``drains`` anew after this call.

        Returns:
            A `dict`.  The figures of this library copy are ``created`` and ``settled``, how many
            promises while ``monitoring`` was on (None while it is off); ``pending``, counted by
            these, or by Python's garbage collector while ``monitoring`` is off; ``oldest_age``
            of the pending ones, in seconds (None unless ``tracking`` is on); ``timeouts``, how
            many calls of `timeout` have rejected; ``cancellations``, how often a promise was
            cancelled or lost its last consumer (promises cancelled along with it are not
            counted); ``unhandled``, how many reported rejections are still unhandled, and
            ``unhandled_total``, how many were reported.

            The figures of its queue are ``queue_length``; ``longest_drain``, in seconds; and
            ``drains``, with their ``count``, their total ``seconds``, and ``buckets``: how many
            took at most so many seconds.

        Another thread than that of the promises gets None for ``oldest_age``, and for ``pending``
        if ``monitoring`` is off.

        Raises:
            TypeError: *reset* is not True or False.
        """
        check_switch("reset", reset)
        figures = cls._figures(partial(find_pending, cls._library.promise_class))
        if reset:
            cls._queue.drains = Drains()
        return figures

    @classmethod
    def _figures(cls, find: Callable[[], Found]) -> dict[str, Any]:
        """The result of `statistics`; *find* returns the pending promises."""
        library = cls._library
        queue = cls._queue
        figures: dict[str, Any] = {"created": None, "settled": None, "pending": None}
        figures["oldest_age"] = None
        # Found promises must not be dropped in another thread: their finalizers would run there.
        if queue.is_home() and not (library.monitoring and not library.tracking):
            found = find()
            figures["pending"] = found.total
            figures["oldest_age"] = oldest_age(found.promises)
        if library.monitoring:
            figures["created"], figures["settled"] = library.created, library.settled
            # A promise made before monitoring was switched on is only counted as settled.
            figures["pending"] = max(0, library.created - library.settled)
        return figures | {
            "timeouts": library.timeouts,
            "cancellations": library.cancellations,
            "unhandled": library.unhandled,
            "unhandled_total": library.unhandled_total,
            "queue_length": len(queue),
            "longest_drain": queue.drains.longest,
            "drains": queue.drains.histogram(),
        }
