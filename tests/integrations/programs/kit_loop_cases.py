"""Tests whose promises run on asyncio's loop, for both plugins: see `test_testing_kit`."""

from __future__ import annotations

import asyncio
import threading

import pytest
from twisted.internet.defer import Deferred

from twpromise import Promise, loops

pytestmark = [
    pytest.mark.usefixtures("promises_on_loop"),
    # pytest-asyncio runs them all, or anyio does: whichever is loaded.
    pytest.mark.asyncio,
    pytest.mark.anyio,
]

kept = []
used = set()


@pytest.fixture
def anyio_backend():
    return "asyncio"


def check(value):
    assert 2 == value


@pytest.mark.parametrize("number", range(20))
async def test_passed_many(number):
    # Each has a loop of its own.
    loop = asyncio.get_running_loop()
    assert loop not in used
    used.add(loop)
    check(await Promise.resolve(1).then(lambda n: n + 1))
    await Promise.delay(0.001)
    assert threading.get_ident() != await Promise.in_thread(threading.get_ident)


async def test_passed_inside_of_the_loop():
    async with loops.use_running_loop():
        check(await Promise.delay(0.001, 2))


async def test_failed_unhandled():
    Promise.reject(ValueError("unhandled")).then()


async def test_failed_handler():
    Promise.resolve(1).then(check)


async def test_failed_first():
    seen = []
    Promise.resolve(1).then(check).then(seen.append)
    await asyncio.sleep(0)
    assert [1] == seen


async def test_failed_pending():
    kept.append(Promise(lambda *_: None))


async def test_failed_timer():
    kept.append(Promise.delay(60))


async def hang():
    await Deferred()  # hangs here


async def test_failed_coroutine():
    kept.append(Promise.resolve(hang()))


async def test_failed_fatal():
    Promise.reject(ValueError("fatal")).done()


@pytest.mark.allow_pending
async def test_passed_pending():
    kept.append(Promise(lambda *_: None))


@pytest.mark.allow_unhandled(types=ValueError)
async def test_passed_unhandled():
    Promise.reject(ValueError())


class TestMethods:
    async def test_passed_method(self, tmp_path):
        check(await Promise.delay(0.001, 2))

    async def test_failed_method(self):
        check(await Promise.delay(0.001, 1))


async def test_passed_at_last():
    # What others have left is gone.
    assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    check(await Promise.delay(0.001, 2))
