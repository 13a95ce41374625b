"""Channels: under pytest, on a fake clock, with a database in memory."""

import pytest

from twpromise import Deadline, Promise, PromiseService

from ..channels import Channels
from ..store import Store
from ..upstream import Refused
from .fakes import FakePool


@pytest.fixture
def pool():
    """A database."""
    pool = FakePool()
    yield pool
    pool.close()


@pytest.fixture
def channels(scheduler, pool):
    """Channels without a moderator."""
    return Channels(Store(pool))


def say(channels, channel, user, text):
    return Promise.resolve(channels.say(channel, user, text, Deadline(5)))


def history(scheduler, channels, *names):
    """The histories of some channels, asked for at the same time."""
    promise = Promise.map(names, channels.history)
    scheduler.advance(1)
    return promise.value()


def test_all_in_a_channel_hear_a_message(scheduler, channels):
    """And those in other channels do not."""
    heard = []
    for name, channel in [("ada", "lobby"), ("grace", "lobby"), ("joan", "kitchen")]:
        channels.join(channel, lambda *message, name=name: heard.append((name, *message)))
    said = say(channels, "lobby", "ada", "hello")
    scheduler.flush()
    assert said.is_fulfilled()
    assert [("ada", "ada", "hello"), ("grace", "ada", "hello")] == sorted(heard)


def test_those_who_have_left_hear_nothing(scheduler, channels):
    """A channel that is empty is forgotten, and can be entered again."""
    heard = []

    def listener(*message):
        heard.append(message)

    channels.join("lobby", listener)
    channels.leave("lobby", listener)
    say(channels, "lobby", "ada", "hello")
    scheduler.flush()
    assert ([], {}) == (heard, channels._listeners)
    channels.join("lobby", listener)
    say(channels, "lobby", "ada", "again")
    scheduler.flush()
    assert [("ada", "again")] == heard


def test_history_takes_two_queries(scheduler, channels, pool):
    """One for the messages, and one for all names; two channels at once share that one."""
    for number in range(60):
        say(channels, "lobby", f"user {number % 7}", f"message {number}")
    say(channels, "kitchen", "ada", "tea?")
    scheduler.flush()
    pool.statements.clear()
    (lobby,) = history(scheduler, channels, "lobby")
    assert 2 == pool.queries()
    expected = [
        {"user": f"user {number % 7}", "text": f"message {number}"} for number in range(10, 60)
    ]
    assert expected == lobby
    lobby, kitchen = history(scheduler, channels, "lobby", "kitchen")
    assert 2 + 3 == pool.queries()
    assert (expected, [{"user": "ada", "text": "tea?"}]) == (lobby, kitchen)


def test_a_message_that_is_refused(scheduler, pool):
    """It is neither stored nor heard."""

    class Moderator:
        async def check(self, text, deadline):
            raise Refused("be kind")

    heard, channels = [], Channels(Store(pool), Moderator())
    channels.join("lobby", heard.append)
    refused = say(channels, "lobby", "ada", "boo").catch(Refused, str)
    scheduler.flush()
    assert "be kind" == refused.value()
    assert ([], [[]]) == (heard, history(scheduler, channels, "lobby"))


def test_a_message_whose_sender_leaves(scheduler, channels, pool):
    """Once the database has it, it is sent to all, too."""
    heard = []
    channels.join("lobby", lambda *message: heard.append(message))
    pool.thread.acquire()
    said = say(channels, "lobby", "ada", "hello")
    scheduler.flush()
    said.cancel()
    scheduler.flush()
    assert (True, []) == (said.is_cancelled(), heard)
    pool.thread.release()
    scheduler.flush()
    assert [("ada", "hello")] == heard


def test_a_service_that_stops_waits_for_what_is_said(scheduler, channels, pool):
    """Else the database would be closed before the message is sent to all."""
    heard = []
    channels.join("lobby", lambda *message: heard.append(message))
    work = PromiseService(grace=0)
    work.startService()
    pool.thread.acquire()
    said = work.start_soon(say, channels, "lobby", "ada", "hello")
    scheduler.flush()
    stopped = work.stopService()
    scheduler.flush()
    assert (True, False) == (said.is_cancelled(), stopped.called)
    pool.thread.release()
    scheduler.flush()
    assert (True, [("ada", "hello")]) == (stopped.called, heard)


def test_a_query_has_ended_when_its_thread_has(scheduler, pool):
    """Though its promise was cancelled at once: a thread cannot be stopped."""
    ended = []
    pool.thread.acquire()
    query = Store(pool).messages("lobby")
    query.add_done_callback(ended.append)
    query.cancel()
    scheduler.flush()
    assert (True, []) == (query.is_cancelled(), ended)
    pool.thread.release()
    scheduler.flush()
    assert [query] == ended
