"""A real Redis: txredisapi's Deferreds, through promises."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest
from twisted.trial.unittest import SkipTest, TestCase

from twpromise import CancellationError, Promise, TimeoutError

SERVER = os.environ.get("TWPROMISE_TEST_REDIS")


# txredisapi's own doing, on the Pythons and Twisteds that we test with.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:txredisapi")
class TestRedis(TestCase):
    """Run where ``TWPROMISE_TEST_REDIS`` says host:port; CI starts a server."""

    def setUp(self):
        """A key of our own."""
        if SERVER is None:
            raise SkipTest("TWPROMISE_TEST_REDIS does not name a server")
        self.host, port = SERVER.split(":")
        self.port = int(port)
        self.key = f"twpromise:{uuid4().hex}"

    def connection(self):
        """A connection as a resource."""
        import txredisapi

        connecting = txredisapi.Connection(self.host, self.port, reconnect=False)
        return Promise.from_deferred(connecting).disposer(lambda redis: redis.disconnect())

    def test_a_connection_is_a_resource(self):
        """It is there for the handler, and closed afterwards."""
        kept = []

        def use(redis):
            kept.append(redis)
            return (
                Promise.resolve(redis.set(self.key, "value"))
                .then(lambda _: redis.get(self.key))
                .finally_(lambda: redis.delete(self.key))
            )

        async def both():
            assert "value" == await Promise.using(self.connection(), use)
            # A request on a connection that is gone fails.
            failed = Promise.try_(lambda: kept[0].get(self.key)).reflect()
            assert (await failed).is_rejected()

        return Promise.resolve(both()).to_deferred()

    def test_counting_in_parallel(self):
        """Two hundred increments at once, each answered once."""

        async def count():
            async with self.connection() as redis:
                counts = await Promise.map(range(200), lambda _: redis.incr(self.key))
                assert list(range(1, 201)) == sorted(counts)
                await redis.delete(self.key)

        return Promise.resolve(count()).to_deferred()

    def test_a_blocking_request_is_given_up(self):
        """On time; the connection is closed, and its late answer is ignored."""

        async def wait():
            async with self.connection() as redis:
                popping = Promise.resolve(redis.blpop([self.key], timeout=1))
                error = await popping.timeout(0.05).catch(TimeoutError, lambda error: error)
                assert isinstance(error, TimeoutError)
                assert popping.is_cancelled()

        return Promise.resolve(wait()).to_deferred()

    def test_cancelled_while_in_use(self):
        """The connection is closed when what uses it is cancelled."""
        kept = []

        async def cancel():
            started = Promise.defer()

            def use(redis):
                kept.append(redis)
                started.resolve()
                return redis.blpop([self.key], timeout=1)

            using = Promise.using(self.connection(), use)
            await started.promise
            using.cancel()
            outcome = await using.reflect()
            assert outcome.is_cancelled()
            with pytest.raises(CancellationError):
                await using

        return Promise.resolve(cancel()).to_deferred()
