"""The least that promises can be in pure Python: what the features of ours cost is to be seen.

They settle once, call handlers in order and from a queue, and follow each other.  They know no
cancellation, no context variables, no other threads, no diagnostics, no bindings, nothing that is
followed but each other; rejections without a handler are lost, and so is whatever a handler does
wrong with them.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from . import awaiting, chains, coroutines

PENDING, FULFILLED, REJECTED = range(3)

queue: deque[Bare] = deque()
awake = False
#: The reactor's; set with the database.
call_later = None


def settle(promise, state, value):
    global awake
    promise.state = state
    promise.value = value
    promise.other = None
    if promise.waiter is not None:
        queue.append(promise)
        if not awake:
            awake = True
            call_later(0, drain)


def drain():
    global awake
    while queue:
        promise = queue.popleft()
        waiter, promise.waiter = promise.waiter, None
        waiter.told(promise)
    awake = False


class Bare:
    """A promise that one consumer may wait for; with its handlers, until it has settled."""

    __slots__ = ("other", "state", "value", "waiter")

    def then(self, on_fulfilled, on_rejected=None):
        child = make()
        child.value = on_fulfilled
        child.other = on_rejected
        self.wait(child)
        return child

    def wait(self, waiter):
        global awake
        self.waiter = waiter
        if self.state:
            queue.append(self)
            if not awake:
                awake = True
                call_later(0, drain)

    def told(self, parent):
        state = parent.state
        if self.other is FOLLOWS:
            settle(self, state, parent.value)
            return
        handler = self.value if state == FULFILLED else self.other
        if handler is None:
            settle(self, state, parent.value)
            return
        try:
            result = handler(parent.value)
        except BaseException as error:
            settle(self, REJECTED, error)
            return
        if type(result) is Bare:
            self.value, self.other = None, FOLLOWS
            result.wait(self)
        elif type(result) is Deferred:
            self.value = self.other = None
            adopt(self, result)
        else:
            settle(self, FULFILLED, result)

    def __await__(self):
        return (yield self)


#: In place of a handler: the outcome of what is waited for is the promise's own.
FOLLOWS = object()


def make():
    promise = Bare()
    promise.state = PENDING
    promise.value = promise.other = promise.waiter = None
    return promise


class Callback:
    """Settles a promise, once."""

    __slots__ = ("promise",)

    def __call__(self, error, value=None):
        promise, self.promise = self.promise, None
        if promise is not None:
            if error is None:
                settle(promise, FULFILLED, value)
            else:
                settle(promise, REJECTED, error)


class Source:
    """The callback and errback of a Deferred that a promise has adopted."""

    __slots__ = ("promise",)

    def __call__(self, result):
        if isinstance(result, Failure):
            settle(self.promise, REJECTED, result.value)
        else:
            settle(self.promise, FULFILLED, result)


def adopt(promise, deferred):
    source = Source()
    source.promise = promise
    deferred.addBoth(source)


class All:
    """Waits for each of several promises."""

    __slots__ = ("items", "left", "promise")

    def told(self, parent):
        if parent.state == REJECTED:
            if self.left > 0:
                self.left = 0
                settle(self.promise, REJECTED, parent.value)
            return
        self.left -= 1
        if not self.left:
            settle(self.promise, FULFILLED, [item.value for item in self.items])


def gather(promises):
    node = All()
    node.items = promises
    node.left = len(promises)
    node.promise = make()
    for promise in promises:
        promise.wait(node)
    return node.promise


class Runner:
    """Runs a generator, or a coroutine, that yields promises."""

    __slots__ = ("generator", "promise")

    def told(self, parent):
        try:
            if parent.state == FULFILLED:
                yielded = self.generator.send(parent.value)
            else:
                yielded = self.generator.throw(parent.value)
        except StopIteration as stop:
            settle(self.promise, FULFILLED, stop.value)
        except BaseException as error:
            settle(self.promise, REJECTED, error)
        else:
            yielded.wait(self)


def coroutine(function):
    def start(*arguments):
        runner = Runner()
        runner.promise = promise = make()
        runner.generator = function(*arguments)
        runner.generator.send(None).wait(runner)
        return promise

    return start


def adapt(database):
    global call_later
    call_later = database.call_later
    function = database.query

    def query(transaction, statement, parameters):
        promise = make()
        callback = Callback()
        callback.promise = promise
        function(transaction, statement, parameters, callback)
        return promise

    return query


def doxbee(query, score):
    return chains.started(chains.upload_with(query, query, score), score)


def parallel(query, score):
    return chains.started(chains.insert_with(query, score, gather), score)


def coroutine_doxbee(query, score):
    return chains.started(coroutines.upload_with(coroutine, query, score), score)


def coroutine_parallel(query, score):
    return chains.started(coroutines.insert_with(coroutine, query, score, gather), score)


def awaiting_doxbee(query, score):
    return chains.started(coroutine(awaiting.upload_with(query, score)), score)


def awaiting_parallel(query, score):
    return chains.started(coroutine(awaiting.insert_with(query, score, gather)), score)


def doxbee_over_deferreds(query, score):
    global call_later
    call_later = query.__self__.call_later

    def first_query(transaction, statement, parameters):
        promise = make()
        adopt(promise, query(transaction, statement, parameters))
        return promise

    return chains.started(chains.upload_with(query, first_query, score), score)
