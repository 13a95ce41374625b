"""The steps: what promises do for a Twisted service, one thing at a time."""

from __future__ import annotations

from hashlib import pbkdf2_hmac
from threading import get_ident
from typing import Any

from twisted.internet.threads import deferToThread

from .. import Promise, TimeoutError
from .books import BOOKS, Book
from .client import ServiceError
from .service import LEFT
from .tour import Step, Tour, expect

__all__ = ["STEPS"]

#: Seconds after which we no longer wait for an endpoint that hangs.
PATIENCE = 0.2
#: How many requests may be under way at once.
CONCURRENCY = 4

_ANSWERS = [book._asdict() for book in BOOKS]


def _store(tour: Tour) -> Promise[str]:
    """The Deferred of `runInteraction`, a transaction in a thread of adbapi's pool."""

    def stored(count: int) -> str:
        expect("books in the table", len(BOOKS), count)
        return f"{count} books stored with {tour.driver.name}, in one transaction"

    return tour.database.create(BOOKS).then(stored)


def _serve(tour: Tour) -> Promise[str]:
    """A port that is free, for a `Site` whose resources answer with promises."""
    tour.client.url = tour.service.start()
    return Promise.resolve(f"serving them at {tour.client.url}/books")


def _ask(tour: Tour) -> Promise[str]:
    """The Deferred of `Agent.request`, and a promise for the body of the response."""

    def answered(answer: Any) -> str:
        expect("/books/1", _ANSWERS[0], answer)
        return f'/books/1 is "{answer["title"]}": Agent\'s Deferred, as a promise'

    return tour.client.get("/books/1").then(answered)


def _compute(tour: Tour) -> Promise[str]:
    """The Deferred of `deferToThread`."""

    def compute() -> tuple[str, int]:
        return pbkdf2_hmac("sha256", repr(BOOKS).encode(), b"salt", 10_000).hex(), get_ident()

    def computed(result: tuple[str, int]) -> str:
        digest, thread = result
        expect("computed in the reactor's thread", False, thread == get_ident())
        return f"digest {digest[:8]}... computed beside the reactor"

    return Promise.from_deferred(deferToThread(compute)).then(computed)


def _fan_out(tour: Tour) -> Promise[str]:
    """Three sources at once: a promise, another one, and a Deferred as it is."""

    def agree(served: list[Any], stored: list[Book], counted: int) -> str:
        expect("books over HTTP", _ANSWERS, served)
        expect("books by SQL", list(BOOKS), stored)
        expect("books counted in a thread", len(BOOKS), counted)
        return f"HTTP, SQL and a thread, asked at once, agree: {counted} books"

    sources: list[Any] = [
        tour.client.get("/books"),
        tour.database.books(),
        deferToThread(len, BOOKS),
    ]
    agreed: Promise[str] = Promise.all(sources).spread(agree)
    return agreed


def _fan_out_with_a_limit(tour: Tour) -> Promise[str]:
    """A request for each book, never more than a few of them at once."""
    tour.service.peak = 0

    def answered(answers: list[Any]) -> str:
        expect("the answers", _ANSWERS, answers)
        expect("too many requests at once", False, tour.service.peak > CONCURRENCY)
        return f"{len(answers)} requests, at most {tour.service.peak} at once, answers in order"

    def ask(book: Book) -> Promise[Any]:
        return tour.client.get(f"/books/{book.id}")

    answers: Promise[list[Any]] = Promise.map(BOOKS, ask, concurrency=CONCURRENCY)
    return answers.then(answered)


def _recover_from_failure(tour: Tour) -> Promise[str]:
    """An endpoint that fails: that error is caught, and another source asked."""

    def fall_back(error: ServiceError) -> Promise[list[Book]]:
        expect("status of /broken", 503, error.status)
        return tour.database.books()

    def recovered(books: Any) -> str:
        expect("books from the fallback", list(BOOKS), books)
        return f"/broken said 503; the table gave {len(books)} books instead"

    return (
        tour.client.get("/broken")
        .catch(TimeoutError, lambda error: "not what happened")
        .catch(ServiceError, fall_back)
        .then(recovered)
    )


def _recover_from_hanging(tour: Tour) -> Promise[str]:
    """An endpoint that hangs: when time is up the request ends, and the service knows."""

    def recovered(how: Any) -> str:
        expect("the client of /hanging", LEFT, how)
        return f"/hanging given up after {PATIENCE} s; the service noticed"

    return (
        tour.client.get("/hanging")
        .timeout(PATIENCE)
        .catch(TimeoutError, lambda error: tour.service.all_left())
        .then(recovered)
    )


def _take_the_first(tour: Tour) -> Promise[str]:
    """Three mirrors, one of which works; the one that hangs is cancelled."""
    hanging = tour.client.get("/hanging").timeout(PATIENCE)

    def answered(answer: Any) -> Promise[str]:
        expect("the first answer", _ANSWERS[-1], answer)
        return tour.service.all_left().then(
            lambda _: "of three mirrors, the one that works has answered"
        )

    mirrors = [tour.client.get("/broken"), hanging, tour.client.get("/books/12")]
    first: Promise[Any] = Promise.any(mirrors)
    return first.finally_(hanging.cancel).then(answered)


def _hand_back(tour: Tour) -> Promise[str]:
    """The way back: a Deferred, for a caller that uses `addCallback`."""

    def authors(books: list[Any]) -> list[str]:
        return sorted({book["author"] for book in books})

    def counted(authors: list[str]) -> str:
        expect("authors", sorted({book.author for book in BOOKS}), authors)
        return f"{len(authors)} authors, given to a Deferred's addCallback"

    deferred = tour.client.get("/books").then(authors).to_deferred()
    return Promise.from_deferred(deferred.addCallback(counted))


STEPS = (
    Step("adbapi", _store, needed=True),
    Step("twisted.web", _serve, needed=True),
    Step("Agent", _ask),
    Step("deferToThread", _compute),
    Step("all, spread", _fan_out),
    Step("map", _fan_out_with_a_limit),
    Step("catch", _recover_from_failure),
    Step("timeout", _recover_from_hanging),
    Step("any", _take_the_first),
    Step("to_deferred", _hand_back),
)
