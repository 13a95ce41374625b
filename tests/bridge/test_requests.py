"""Three requests that fail in a drain which a fourth has caused, under the real reactor."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from tests.support.promises import Boom, Source, fail
from twpromise import Promise

request: ContextVar[str] = ContextVar("request", default="no request")

log = structlog.wrap_logger(
    structlog.ReturnLogger(),
    processors=[structlog.contextvars.merge_contextvars, structlog.processors.LogfmtRenderer()],
)


def serve(name: str, function: Callable[..., object], *arguments: Any) -> None:
    """Serve a request: call a function in a context that has its name."""

    def run() -> None:
        request.set(name)
        structlog.contextvars.bind_contextvars(request=name)
        function(*arguments)

    Context().run(run)


class Requests(TestCase):
    """Each report has the id of the request that failed."""

    async def fail_all(self) -> None:
        """Let three requests fail in one drain; the handler, the coroutine, and the Deferred."""
        from twisted.internet import reactor

        source = Source()
        deferred: Deferred[Any] = Deferred()

        async def coroutine() -> None:
            await source.promise
            fail()

        def fourth() -> None:
            source.resolve()
            deferred.errback(Boom())

        serve("first", source.promise.then, fail)
        serve("second", lambda: Promise.all([coroutine()]))
        serve("third", lambda: Promise.resolve().then(lambda _: deferred))
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        serve("fourth", fourth)
        await deferLater(reactor, 0.001)  # type: ignore[arg-type]

    async def test_twisteds_log(self) -> None:
        """An observer of Twisted's log sees it."""
        seen: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "twpromise":
                seen.append(request.get())

        globalLogPublisher.addObserver(observe)
        try:
            await self.fail_all()
        finally:
            globalLogPublisher.removeObserver(observe)
        assert [Boom] * 3 == [failure.type for failure in self.flushLoggedErrors()]
        assert {"first", "second", "third"} == set(seen)
        assert 3 == len(seen)

    async def test_listeners(self) -> None:
        """A listener sees it; and structlog, with which it logs."""
        seen: list[str] = []
        logged: list[Any] = []

        def listener(*_: Any) -> None:
            seen.append(request.get())
            logged.append(log.error(event="failed"))

        Promise.on("unhandled_rejection", listener)
        try:
            await self.fail_all()
        finally:
            Promise.off("unhandled_rejection", listener)
        assert ["first", "second", "third"] == sorted(seen)
        assert [{f"request={name}", "event=failed"} for name in seen] == [
            set(line.split()) for line in logged
        ]
