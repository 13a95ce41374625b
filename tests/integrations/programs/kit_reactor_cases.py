"""Tests whose promises run on the reactor, for pytest-twisted: see `test_testing_kit`."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from twpromise import Promise, PromiseService

pytestmark = pytest.mark.usefixtures("promises_on_reactor")

kept = []


def check(value):
    assert 2 == value


@pytest_twisted.ensureDeferred
async def test_passed_coroutine():
    check(await Promise.resolve(1).then(lambda n: n + 1))
    await Promise.in_thread(int)


@pytest_twisted.inlineCallbacks
def test_passed_generator():
    check((yield Promise.delay(0.001, 2).to_deferred()))


def test_passed_promise():
    return Promise.delay(0.001, 2).then(check)


def test_failed_promise():
    return Promise.delay(0.001, 1).then(check)


def test_failed_handler():
    Promise.resolve(1).then(check)


@pytest_twisted.ensureDeferred
async def test_failed_unhandled():
    Promise.reject(ValueError("unhandled"))


@pytest_twisted.ensureDeferred
async def test_failed_first():
    seen = []
    Promise.resolve(1).then(check).then(seen.append)
    await Promise.delay(0.001)
    assert [1] == seen


@pytest_twisted.ensureDeferred
async def test_failed_fatal():
    Promise.reject(ValueError("fatal")).done()


@pytest_twisted.ensureDeferred
async def test_left_pending():
    kept.append(Promise(lambda *_: None))


@pytest_twisted.ensureDeferred
async def test_left_timer():
    kept.append(Promise.delay(60))


async def hang():
    await Deferred()  # hangs here


@pytest_twisted.ensureDeferred
async def test_left_coroutine():
    kept.append(Promise.resolve(hang()))


@pytest_twisted.async_yield_fixture
async def service():
    service = PromiseService(grace=0)
    service.startService()
    yield service
    await service.stopService()


@pytest_twisted.ensureDeferred
async def test_passed_with_fixture(service):
    service.start_soon(Promise.delay, 60)


@pytest.mark.allow_pending
@pytest_twisted.ensureDeferred
async def test_passed_pending():
    kept.append(Promise(lambda *_: None))


@pytest.mark.allow_unhandled(types=ValueError)
@pytest_twisted.ensureDeferred
async def test_passed_unhandled():
    Promise.reject(ValueError())


class TestMethods:
    @pytest_twisted.ensureDeferred
    async def test_passed_method(self):
        check(await Promise.delay(0.001, 2))
