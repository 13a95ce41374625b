"""The settings and the figures of a library copy."""

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
        """The settings of this library copy, after those given have been changed.

        Args:
            **settings: Each True or False: ``cancellation`` and ``async_hooks`` (both on by
                default); ``warnings``, ``long_stack_traces``, ``monitoring`` and ``tracking`` (off,
                unless the environment says otherwise); and ``w_forgotten_return``, one of the
                warnings.  ``warnings`` may be a mapping too, with ``w_forgotten_return``: all
                warnings are switched on then, but for that one if it is False.

        Raises:
            TypeError: There is no such setting, or the value is of the wrong type; then none
                of the settings is changed.

        Bluebird: ``Promise.config``.
        """
        cls._library.change(check_settings(settings))
        switch()
        return cls._library.settings()

    @classmethod
    def long_stack_traces(cls: Class) -> None:
        """Switch long stack traces on: ``config(long_stack_traces=True)``.

        Unlike in bluebird this can be done, and undone, at any time.

        Bluebird: ``Promise.longStackTraces``.
        """
        cls.config(long_stack_traces=True)

    longStackTraces = long_stack_traces

    @classmethod
    def statistics(cls, *, reset: bool = False) -> dict[str, Any]:
        """Figures for a metrics exporter.

        Args:
            reset: Have ``longest_drain`` and ``drains`` begin anew after this.

        Returns:
            Of this library copy: ``created`` and ``settled``, how many promises while
            ``monitoring`` was on (None while it is off); ``pending``, by these two, or while
            ``monitoring`` is off, as many as Python's garbage collector knows;
            ``oldest_age``, in seconds, of those that are pending (None unless ``tracking`` is on);
            ``timeouts``, how many calls of `timeout` have rejected; ``cancellations``, how often
            a promise was cancelled, or lost its last consumer (those that it waited for are
            cancelled with it, and are not counted); ``unhandled``, how many rejections have not
            been handled since they were reported, and ``unhandled_total``, how many were reported.
            Of the queue: ``queue_length``; ``longest_drain`` in seconds; ``drains``, with their
            ``count``, the ``seconds`` of all of them, and ``buckets``: how many took so many
            seconds at most.

        In another thread than that of the promises, ``oldest_age`` is None, and ``pending`` if
        ``monitoring`` is off.

        Raises:
            TypeError: *reset* is neither True nor False.
        """
        check_switch("reset", reset)
        figures = cls._figures(partial(find_pending, cls._library.promise_class))
        if reset:
            cls._queue.drains = Drains()
        return figures

    @classmethod
    def _figures(cls, find: Callable[[], Found]) -> dict[str, Any]:
        """What `statistics` returns; *find* finds the promises that are pending."""
        library = cls._library
        queue = cls._queue
        figures: dict[str, Any] = {"created": None, "settled": None, "pending": None}
        figures["oldest_age"] = None
        # What is found must not be dropped in another thread, where finalizers would run then.
        if queue.is_home() and not (library.monitoring and not library.tracking):
            found = find()
            figures["pending"] = found.total
            figures["oldest_age"] = oldest_age(found.promises)
        if library.monitoring:
            figures["created"], figures["settled"] = library.created, library.settled
            # One that was made before monitoring was switched on is only counted as settled.
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
