"""Threads that wait for promises by crochet: see `test_crochet`."""

from __future__ import annotations

import functools

import crochet
from twisted.internet.defer import CancelledError

import twpromise
from twpromise import Promise

twpromise.install()
crochet.setup()


def later(function, *arguments):
    return Promise.delay(0.001).then(lambda _: function(*arguments))


@crochet.wait_for(timeout=60)
def call(function, *arguments):
    return function(*arguments)


@crochet.run_in_reactor
def begin(function, *arguments):
    return function(*arguments)


def check_error(call, kind=ZeroDivisionError):
    try:
        call()
    except kind:
        return
    raise AssertionError("no error")


# Results and errors, of promises that pend, and of the same ones when they have settled.
good = functools.cache(lambda: later(int, "1"))
bad = functools.cache(lambda: later(lambda: 1 / 0))
for _ in range(2):
    assert 1 == call(good)
    assert 1 == begin(good).wait(60)
    check_error(lambda: call(bad))
    check_error(lambda: begin(bad).wait(60))

# A thread that gives up leaves alone what another one waits for.
waiting = call(lambda: [Promise.defer()])[0]
given_up, other = begin(lambda: waiting.promise), begin(lambda: waiting.promise)
check_error(lambda: given_up.wait(0.01), crochet.TimeoutError)
given_up.cancel()
check_error(lambda: given_up.wait(60), CancelledError)
call(waiting.resolve, "there")
assert "there" == other.wait(60)
print("done")
