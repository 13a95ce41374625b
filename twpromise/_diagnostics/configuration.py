"""The settings and the figures of a library copy."""

from __future__ import annotations

from typing import Any, ClassVar

from .._core.states import CorePromise
from .._util.types import Class
from .library import Library, check_settings
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
    def statistics(cls) -> dict[str, Any]:
        """Figures for a metrics exporter.

        Returns:
            ``created``, ``settled`` and ``pending`` (how many promises of this library copy
            there were while ``monitoring`` was on; None while it is off); ``unhandled`` (how
            many rejections have not been handled since they were reported); ``queue_length``, and
            ``longest_drain`` in seconds, of the queue.
        """
        library = cls._library
        queue = cls._queue
        created = library.created if library.monitoring else None
        settled = library.settled if library.monitoring else None
        return {
            "created": created,
            "settled": settled,
            # A promise that was made before monitoring was switched on is only counted as settled.
            "pending": None if created is None or settled is None else max(0, created - settled),
            "unhandled": library.unhandled,
            "queue_length": len(queue),
            "longest_drain": queue.longest,
        }
