"""Tests that return promises, to be run by pytest-twisted: see `test_pytest_twisted`."""

from __future__ import annotations

import pytest
import pytest_twisted
from twisted.internet import defer

import twpromise
from twpromise import Promise

twpromise.install()

shared = Promise.delay(0.001).then(lambda _: 1 / 0)
shared.suppress_unhandled_rejections()


@pytest_twisted.async_fixture
async def number():
    return await Promise.delay(0.001, 1)


@pytest_twisted.async_yield_fixture
async def other():
    yield await Promise.delay(0.001, 2)
    await Promise.delay(0.001)


@pytest.fixture
def blocking():
    promise = Promise.delay(0.001, 1)
    return [pytest_twisted.blockon(promise), pytest_twisted.blockon(promise)]


def test_passed():
    return Promise.delay(0.001)


def test_failed():
    return Promise.delay(0.001).then(lambda _: 1 / 0)


def test_failed_that_is_known():
    return Promise.try_(lambda: 1 / 0)


def test_failed_each_time_a():
    return shared


def test_failed_each_time_b():
    return shared


@pytest_twisted.inlineCallbacks
def test_passed_inline(number, other):
    promise = Promise.delay(0.001, [number, other])
    assert [1, 2] == (yield promise)
    assert [1, 2] == (yield promise)


@pytest_twisted.inlineCallbacks
def test_failed_inline():
    yield Promise.delay(0.001).then(lambda _: 1 / 0)


@pytest_twisted.ensureDeferred
async def test_passed_coroutine(number, other):
    assert [1, 2] == await Promise.delay(0.001, [number, other])


@pytest_twisted.ensureDeferred
async def test_failed_coroutine():
    await Promise.delay(0.001).then(lambda _: 1 / 0)


def test_passed_list():
    return defer.DeferredList([Promise.delay(0.001), Promise.resolve()])


def test_passed_blocking(blocking):
    assert [1, 1] == blocking
