"""Metrics of promises for Prometheus: see the page *Metrics and tracing*."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, Final

from ._promise import Promise
from ._util.checks import shown

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "twpromise.metrics needs prometheus_client: pip install 'twpromise[prometheus]'"
    ) from error

__all__ = ["PromiseCollector"]

#: How long a scrape in another thread waits for the one that promises run in, in seconds.
_PATIENCE: Final = 1.0

_NAMES: Final = ["library"]
_GAUGES: Final = {
    "pending": ("twpromise_pending", "Promises that are pending."),
    "oldest_age": (
        "twpromise_oldest_pending_seconds",
        "Age of the oldest promise that is pending, while tracking is on.",
    ),
    "unhandled": (
        "twpromise_rejections_left_unhandled",
        "Rejections that are unhandled at the moment.",
    ),
}
_COUNTERS: Final = {
    "created": ("twpromise_promises_created", "Promises made while monitoring is on."),
    "settled": ("twpromise_promises_settled", "Promises settled while monitoring is on."),
    "timeouts": ("twpromise_timeouts", "Timeouts that have rejected."),
    "cancellations": ("twpromise_cancellations", "Cancellations, each with all that it reached."),
    "unhandled_total": (
        "twpromise_unhandled_rejections",
        "Rejections that were unhandled at the end of a drain.",
    ),
}
#: Those of the queue.
_QUEUE_GAUGES: Final = {
    "queue_length": ("twpromise_queue_length", "Handlers and other jobs in the queue."),
    "longest_drain": ("twpromise_longest_drain_seconds", "The longest drain of the queue."),
}
_DRAINS: Final = ("twpromise_drain_seconds", "How long drains of the queue have taken.")


class PromiseCollector(Collector):
    """A collector for a registry of ``prometheus_client``.

    It reads `Promise.statistics` when the registry is scraped; nothing has to be switched on.

    Args:
        libraries: The library copies, by the name for their label ``library``.  By default
            `Promise` alone, as ``"Promise"``.  Of copies that share a queue, only the first has the
            figures of the queue.

    A scrape in another thread (``start_http_server``, ``MetricsResource``) waits up to a second for
    the thread of promises to read the figures, and then leaves ``twpromise_pending`` out.

    Raises:
        TypeError: *libraries* is not such a mapping.

    Example::

        from prometheus_client import CollectorRegistry
        from twpromise import Promise
        from twpromise.metrics import PromiseCollector

        registry = CollectorRegistry()
        registry.register(PromiseCollector({"service": Promise}))
    """

    def __init__(self, libraries: Mapping[str, type[Promise[Any]]] | None = None) -> None:
        if libraries is None:
            libraries = {"Promise": Promise}
        if not isinstance(libraries, Mapping):
            raise TypeError(
                "libraries must be a mapping of names to library copies: "
                f'{{"service": Promise}}, not {shown(libraries)}'
            )
        for name, library in libraries.items():
            if not isinstance(name, str):
                raise TypeError(f"the name of a library copy must be a str, not {shown(name)}")
            if not (isinstance(library, type) and hasattr(library, "_library")):
                raise TypeError(f"libraries[{name!r}] must be a library copy, not {shown(library)}")
        self._libraries = dict(libraries)

    def describe(self) -> Iterator[Metric]:
        """The metrics without figures, in which a registry looks for duplicate names."""
        return self._metrics({})

    def collect(self) -> Iterator[Metric]:
        """The metrics, for a scrape."""
        return self._metrics(self._read())

    def _read(self) -> dict[str, dict[str, Any]]:
        """The figures of each library copy, read in the thread of its promises."""
        answers: dict[str, Future[dict[str, Any]]] = {}
        for name, library in self._libraries.items():
            queue, answer = library._queue, Future[dict[str, Any]]()
            answers[name] = answer
            if queue.is_home():
                _answer(answer, library)
                continue
            # Not as a job of the queue, which would be one of its figures.  A loop that is closed
            # says so.
            with suppress(RuntimeError):
                queue.scheduler.call_from_thread(partial(_answer, answer, library))
        wait(answers.values(), _PATIENCE)
        return {
            # Without an answer, the figures that another thread may read.
            name: self._libraries[name].statistics() if answer.cancel() else answer.result()
            for name, answer in answers.items()
        }

    def _metrics(self, figures: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
        # The first of those that share a queue has its figures: they would count twice in a sum.
        first: dict[Any, str] = {}
        for name in figures:
            first.setdefault(self._libraries[name]._queue, name)
        of_queues = {name: figures[name] for name in first.values()}
        yield from _families(GaugeMetricFamily, _GAUGES, figures)
        yield from _families(CounterMetricFamily, _COUNTERS, figures)
        yield from _families(GaugeMetricFamily, _QUEUE_GAUGES, of_queues)
        histogram = HistogramMetricFamily(*_DRAINS, labels=_NAMES)
        for name, each in of_queues.items():
            drains = each["drains"]
            buckets = [(str(most), count) for most, count in drains["buckets"].items()]
            histogram.add_metric([name], [*buckets, ("+Inf", drains["count"])], drains["seconds"])
        yield histogram


def _answer(answer: Future[dict[str, Any]], library: type[Promise[Any]]) -> None:
    if answer.cancelled():
        # The scrape has stopped waiting: a thread that was busy need not read for it.
        return
    figures = library.statistics()
    if answer.set_running_or_notify_cancel():
        answer.set_result(figures)


def _families(
    make: Callable[..., Any],
    metrics: Mapping[str, tuple[str, str]],
    figures: Mapping[str, Mapping[str, Any]],
) -> Iterator[Metric]:
    for key, (metric, text) in metrics.items():
        family = make(metric, text, labels=_NAMES)
        for name, each in figures.items():
            if each[key] is not None:
                family.add_metric([name], each[key])
        yield family
