"""Promises in asyncio programs: `twpromise.loops`."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from tests.support.outcomes import reasons
from tests.support.processes import run_python
from tests.support.promises import Boom, Source
from tests.support.threads import in_thread
from twpromise import IScheduler, Promise, ReactorScheduler
from twpromise.interfaces import IDelayedCall
from twpromise.loops import LoopScheduler, use_running_loop

variable = ContextVar("variable", default=None)

NOT_RUNNING = "no asyncio loop is running"
CLOSED = "the asyncio loop that promises run on has closed"
ELSEWHERE = "promises run in another thread"


@pytest.fixture
def on_loop():
    """Runs a function's coroutine with promises on its loop, set by hand."""
    former = Promise.set_scheduler(lambda function: None)

    def run(main, **options):
        async def on_loop():
            Promise.set_scheduler(LoopScheduler(**options))
            return await main()

        return asyncio.run(on_loop())

    yield run
    Promise.set_scheduler(former)


# --- LoopScheduler


def test_it_provides_the_interface():
    """It has what an `IScheduler` must have, and so have its timers."""

    async def main():
        scheduler = LoopScheduler()
        verifyObject(IScheduler, scheduler)
        verifyObject(IDelayedCall, scheduler.call_later(0, print))
        assert asyncio.get_running_loop() is scheduler.event_loop()
        assert threading.get_ident() == scheduler.home_thread()
        assert f"<LoopScheduler on {asyncio.get_running_loop()!r}>" == repr(scheduler)

    asyncio.run(main())


def test_promises_settle_on_the_loop(on_loop):
    """Handlers, coroutines, timers and executors of threads, one after the other."""

    async def add(number):
        await asyncio.sleep(0)
        return number + await Promise.delay(0.001, 1)

    async def main():
        with ThreadPoolExecutor(1) as executor:
            assert 8 == await Promise.run_in(executor, pow, 2, 3)
        assert 3 == await Promise.resolve(2).then(add)
        late = Promise.delay(60).timeout(0.001)
        assert "operation timed out" == await late.catch(TimeoutError, str)

    on_loop(main)


def test_a_long_queue_leaves_the_loop_its_turns(on_loop):
    """After its time slice a drain waits for the loop's next turn."""

    async def main():
        order = []
        asyncio.get_running_loop().call_soon(order.append, "before")
        chain = Promise.resolve()
        for _ in range(100):
            chain = chain.then(order.append)
        asyncio.get_running_loop().call_soon(order.append, "between")
        await chain
        assert "before" == order[0]
        assert "between" in order[1:-1]

    on_loop(main, time_slice=0)


def test_a_timer_that_is_due_can_still_be_cancelled():
    """It is active until it is called, not until its time has come."""

    async def main():
        called = []
        scheduler = LoopScheduler()
        due = scheduler.call_later(0.001, called.append, "cancelled")
        made = scheduler.call_later(0.001, called.append, "made")
        time.sleep(0.01)
        assert due.active()
        due.cancel()
        assert not due.active()
        await asyncio.sleep(0.01)
        assert not made.active()
        assert ["made"] == called

    asyncio.run(main())


def test_a_cancelled_timer_keeps_no_context_alive(on_loop, no_collector):
    """The loop keeps cancelled timers for as long as they would have run."""

    class Request:
        pass

    async def handle():
        request = Request()
        variable.set(request)
        Promise.delay(3600).cancel()
        await asyncio.sleep(0)
        return weakref.ref(request)

    async def main():
        # The loop drops a cancelled timer at once if it is the next one.
        asyncio.get_running_loop().call_later(60, print)
        task = asyncio.create_task(handle())
        request = await task
        del task
        await asyncio.sleep(0)
        assert request() is None

    on_loop(main)


def test_threads_wake_the_loop(on_loop):
    """A promise that a thread resolves settles at once, though the loop sleeps."""

    async def main():
        source = Source()
        threading.Timer(0.01, source.resolve, ["value"]).start()
        assert "value" == await source.promise.timeout(20)

    on_loop(main)


def test_a_function_is_called_in_a_thread_of_the_loop():
    """It runs in the default executor; what that refuses is raised."""

    async def main():
        scheduler = LoopScheduler()
        threads = asyncio.Queue()
        loop = asyncio.get_running_loop()
        scheduler.call_in_thread(
            lambda: loop.call_soon_threadsafe(threads.put_nowait, threading.get_ident())
        )
        assert threading.get_ident() != await threads.get()
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="shutdown"):
            scheduler.call_in_thread(print)

    asyncio.run(main())


def test_it_needs_a_loop():
    """Outside of any loop it must be given one that is open, and not run by another thread."""
    with pytest.raises(RuntimeError, match=NOT_RUNNING):
        LoopScheduler()
    with pytest.raises(TypeError, match="loop must be an asyncio event loop, not 'loop'"):
        LoopScheduler("loop")
    loop = asyncio.new_event_loop()
    assert loop is LoopScheduler(loop).event_loop()

    async def elsewhere():
        running = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="is run by another thread"):
            await asyncio.to_thread(LoopScheduler, running)

    loop.run_until_complete(elsewhere())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    with pytest.raises(RuntimeError, match=CLOSED):
        LoopScheduler(loop)


def test_a_closed_loop_says_so(on_loop):
    """What needs the loop raises once it has closed: handlers, timers, threads."""

    async def main():
        return Source()

    source = on_loop(main)
    settled = Promise.resolve(1)
    with pytest.raises(RuntimeError, match=CLOSED):
        settled.then(print)
    with pytest.raises(RuntimeError, match=CLOSED):
        Promise.delay(1)
    with pytest.raises(RuntimeError, match=CLOSED):
        Promise._queue.scheduler.call_in_thread(print)
    source.promise.then(print)
    with pytest.raises(RuntimeError, match=CLOSED):
        in_thread(source.resolve)


# --- use_running_loop


def test_one_loop_after_the_other(scheduler):
    """Each has the promises to itself, and the former scheduler is set again each time."""

    async def main():
        async with use_running_loop():
            return await Promise.delay(0, "value")

    for _ in range(3):
        assert "value" == asyncio.run(main())
        assert "value" == in_thread(lambda: asyncio.run(main()))
        assert scheduler is Promise.set_scheduler(scheduler)


def test_the_former_scheduler_is_set_again_whatever_is_raised(scheduler):
    """So it is when the block raises, and when the task is cancelled while it is left.

    Timers are cleared then, too.
    """

    async def main():
        with pytest.raises(Boom):
            async with use_running_loop():
                raise Boom
        assert scheduler is Promise.set_scheduler(scheduler)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), use_running_loop():
                    late.extend([Promise.delay(0.3), again()])
        finally:
            left.append(True)
        assert scheduler is Promise.set_scheduler(scheduler)
        await asyncio.sleep(0.4)
        assert late[0].is_pending()

    def again(_=None):
        if not left:
            Promise.resolve().then(again)

    left, late = [], []
    asyncio.run(main())


def test_what_is_queued_runs_before_it_is_left(scheduler, reports):
    """Handlers, and what they queue, are called; unhandled rejections are reported."""

    async def main():
        async with use_running_loop():
            Promise.resolve("first").then(order.append).then(lambda _: order.append("second"))
            Promise.reject(Boom("unhandled"))
        order.append("left")

    order = []
    asyncio.run(main())
    assert ["first", "second", "left"] == order
    assert ["unhandled"] == [str(reason) for reason in reasons(reports)]


def test_threads_are_waited_for_before_it_is_left(scheduler):
    """What a thread gives is taken, and handlers for it are called."""

    async def main():
        async with use_running_loop():
            at = Promise._queue.scheduler
            source = Source()
            source.promise.then(order.append)
            at.call_in_thread(lambda: (time.sleep(0.01), source.resolve("from a thread")))
        order.append("left")

    order = []
    asyncio.run(main())
    assert ["from a thread", "left"] == order


def test_timers_are_cleared_when_it_is_left(scheduler):
    """None fires later, in a loop that goes on, to queue what never runs."""

    async def main():
        async with use_running_loop():
            promise = Promise.delay(0.001)
        await asyncio.sleep(0.01)
        assert promise.is_pending()

    asyncio.run(main())
    assert not Promise._queue


def test_coroutines_are_cancelled_before_it_is_left(scheduler):
    """Their clean-up may await promises; it would wait without end once the scheduler is gone."""

    async def clean_up():
        try:
            await asyncio.sleep(60)
        finally:
            order.append(await Promise.delay(0.001, "cleaned up"))

    async def main():
        async with use_running_loop():
            left = Promise.all([clean_up()])
            waited_for = Promise.resolve(clean_up())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waited_for, 0)
            # It has begun to clean up, and is not interrupted.
            cancelled = Promise.resolve(clean_up())
            cancelled.cancel()
            await asyncio.sleep(0)
        order.append("left")
        assert left.is_cancelled()
        assert waited_for.is_cancelled()

    order = []
    Promise.set_scheduler(ReactorScheduler(Clock()))
    asyncio.run(main())
    assert [*3 * ["cleaned up"], "left"] == order


def test_coroutines_go_on_if_the_former_scheduler_is_on_the_same_loop(scheduler):
    """Promises run on this loop after the block, too."""

    async def main():
        Promise.set_scheduler(LoopScheduler().call_soon)
        async with use_running_loop():
            pass
        async with use_running_loop():
            promise = Promise.resolve(asyncio.sleep(0.001, "went on"))
        assert "went on" == await promise

    asyncio.run(main())


def test_what_was_queued_before_runs_on_the_loop(scheduler):
    """A promise of a module that was imported before settles; it does not stay pending."""

    async def main():
        async with use_running_loop():
            return await early

    early = Promise.resolve(1).then(lambda number: number + 1)
    queue = Promise._queue
    assert 2 == asyncio.run(main())
    assert not queue


def test_what_was_rejected_before_is_reported(scheduler, reports):
    """So it is though nothing else is queued."""

    async def main():
        async with use_running_loop():
            pass

    Promise.reject(Boom("unhandled"))
    asyncio.run(main())
    assert ["unhandled"] == [str(reason) for reason in reasons(reports)]


def test_inside_of_itself_it_changes_nothing(scheduler):
    """What was begun inside goes on outside."""

    async def main():
        async with use_running_loop():
            outer = Promise.set_scheduler(scheduler)
            Promise.set_scheduler(outer)
            async with use_running_loop():
                promise = Promise.delay(0.001, "value")
            assert outer is Promise.set_scheduler(outer)
            assert "value" == await promise

    asyncio.run(main())


def test_library_copies_are_named(scheduler):
    """Those that are given, even twice, are moved to the loop, in one queue; no other is."""

    async def main():
        async with use_running_loop(one, other, one):
            order = []
            last = one.resolve(1).then(order.append)
            other.resolve(2).then(order.append)
            await one.resolve(3).then(order.append)
            assert [1, 2, 3] == order
            assert last.is_fulfilled()
            assert scheduler is Promise.set_scheduler(scheduler)
        assert scheduler is one.set_scheduler(scheduler)
        assert scheduler is other.set_scheduler(scheduler)

    one, other = Promise.get_new_library_copy(), Promise.get_new_library_copy()
    asyncio.run(main())


@pytest.mark.parametrize("wrong", [int, "Promise"])
def test_it_takes_library_copies(scheduler, wrong):
    """Anything else raises; then nothing has been moved."""

    async def main():
        with pytest.raises(TypeError, match=r"use_running_loop\(\) takes library copies"):
            async with use_running_loop(Promise, wrong):
                pass

    asyncio.run(main())
    assert scheduler is Promise.set_scheduler(scheduler)


@pytest.mark.parametrize("copy", [True, False])
def test_a_loop_of_another_thread_is_refused(scheduler, copy):
    """Promises run in one thread at a time, those of all library copies."""

    async def second():
        async with use_running_loop(Promise.get_new_library_copy() if copy else Promise):
            pass

    async def main():
        async with use_running_loop():
            with pytest.raises(RuntimeError, match=ELSEWHERE):
                await asyncio.to_thread(asyncio.run, second())
            assert "first" == await Promise.delay(0, "first")

    asyncio.run(main())


def test_a_loop_that_stands_still_may_be_followed_by_another(scheduler):
    """A loop that is not running just now does not keep promises from the one that runs."""

    async def main():
        async with use_running_loop():
            return await Promise.delay(0, "other loop")

    block = use_running_loop()
    with asyncio.Runner() as runner:
        runner.run(block.__aenter__())
        assert "other loop" == in_thread(lambda: asyncio.run(main()))
        runner.run(block.__aexit__(None, None, None))
    assert scheduler is Promise.set_scheduler(scheduler)


# --- in processes of their own


def run(program, *arguments):
    """What a program prints; it ends by itself, and warns of nothing."""
    done = run_python("-X", "dev", "-W", "error", "-c", program, *arguments)
    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout.splitlines()


def test_no_reactor_is_imported():
    """A program that uses promises on asyncio's loop, from its start to its end, needs none."""
    program = """
import asyncio, sys
from twpromise import Promise
from twpromise.loops import use_running_loop

@Promise.coroutine
async def add(number):
    return number + await Promise.delay(0.001, 1)

@use_running_loop()
async def main():
    print(await Promise.map([1, 2], add))
    print(await Promise.delay(60).timeout(0.001).catch(TimeoutError, str))
    print(await Promise.in_thread(str, 5))

asyncio.run(main())
assert "twisted.internet.reactor" not in sys.modules
"""
    assert ["[2, 3]", "operation timed out", "5"] == run(program)


def test_promises_of_a_reactor_in_another_thread_are_refused():
    """They stay on that reactor, and it still settles them."""
    program = """
import asyncio, threading
from twisted.internet import reactor
from twpromise import Promise
from twpromise.loops import use_running_loop

async def main():
    try:
        async with use_running_loop():
            pass
    except RuntimeError as error:
        return str(error)

def say(error):
    print(error)
    reactor.stop()

reactor.callWhenRunning(lambda: Promise.resolve().then(begin).then(say))

def begin(_):
    return Promise(lambda resolve, reject: threading.Thread(
        target=lambda: resolve(asyncio.run(main()))).start())

reactor.run()
"""
    [refused] = run(program)
    assert refused.startswith(ELSEWHERE)


IN_LOOP = """
import asyncio, sys
from twpromise import Promise
from twpromise.loops import reactor_in_loop, use_running_loop
from twisted.internet import asyncioreactor, task

def say_later(seconds, what):
    from twisted.internet import reactor
    return task.deferLater(reactor, seconds, print, what)
"""


@pytest.mark.parametrize("installed", ["by itself", "before the loop", "in the loop"])
def test_a_reactor_lives_in_the_loop_of_a_server(installed):
    """It runs inside the block; shutdown triggers are waited for, and the loop goes on."""
    program = (
        IN_LOOP
        + """
if sys.argv[1] == "before the loop":
    asyncioreactor.install(asyncio.new_event_loop())

async def main():
    if sys.argv[1] == "in the loop":
        asyncioreactor.install()
    async with reactor_in_loop() as reactor:
        assert reactor.running and sys.modules["twisted.internet.reactor"] is reactor
        reactor.addSystemEventTrigger("before", "shutdown", say_later, 0.01, "trigger")
        print(await Promise.delay(0.001, "promise"))
        print(await say_later(0.001, "Deferred").asFuture(asyncio.get_running_loop()))
        async with use_running_loop():
            print(await Promise.delay(0.001, "without it"))
    assert not reactor.running
    await asyncio.sleep(0.001)
    print("loop")

asyncio.run(main())
"""
    )
    lines = ["promise", "Deferred", "None", "without it", "trigger", "loop"]
    assert lines == run(program, installed)


def test_what_a_reactor_was_asked_for_before():
    """Modules that were imported before the loop ran may listen, connect and wait."""
    program = (
        IN_LOOP
        + """
# Without a loop, the oldest Twisted asks asyncio for one, in a way that newer Pythons warn of.
asyncioreactor.install(asyncio.new_event_loop())
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

def a_while():
    return Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0.01)))

class Greeting(Protocol):
    def connectionMade(self):
        self.transport.write(b"hello")
        self.transport.loseConnection()

reactor.callLater(0, print, "timer")
reactor.addSystemEventTrigger("before", "startup", a_while)
port = reactor.listenTCP(0, Factory.forProtocol(Greeting), interface="127.0.0.1")

async def main():
    async with reactor_in_loop():
        assert reactor.running
        reader, writer = await asyncio.open_connection("127.0.0.1", port.getHost().port)
        print((await asyncio.wait_for(reader.read(), 20)).decode())
        writer.close()

asyncio.run(main())
"""
    )
    assert ["timer", "hello"] == run(program)


def test_a_reactor_can_be_in_a_loop_once():
    """While it runs, and after that, a second time says so."""
    program = (
        IN_LOOP
        + """
async def again():
    try:
        async with reactor_in_loop():
            print("twice")
    except RuntimeError as error:
        print(type(error).__name__, str(error)[:51])

async def main():
    async with reactor_in_loop():
        await again()
    await again()

asyncio.run(main())
asyncio.run(again())
"""
    )
    said = "ReactorNotRestartable Twisted's reactor can be started once in a process,"
    assert 3 * [said] == run(program)


def test_a_service_may_stop_the_reactor():
    """Then triggers are called at once; the server's loop goes on, and promises with it."""
    program = (
        IN_LOOP
        + """
async def main():
    async with reactor_in_loop() as reactor:
        stopped = asyncio.Event()
        reactor.addSystemEventTrigger("after", "shutdown", stopped.set)
        reactor.stop()
        await stopped.wait()
        print(await Promise.delay(0.001, "promise"))
    print("left")

asyncio.run(main())
"""
    )
    assert ["promise", "left"] == run(program)


def test_another_reactor_is_refused():
    """The error says how to have asyncio's."""
    program = """
import asyncio
from twisted.internet import selectreactor
selectreactor.install()
from twpromise.loops import reactor_in_loop

async def main():
    async with reactor_in_loop():
        print("entered")

try:
    asyncio.run(main())
except RuntimeError as error:
    print(error)
"""
    (line,) = run(program)
    assert line.startswith("reactor_in_loop() needs Twisted's asyncio reactor, and SelectReactor")
    assert "`from twisted.internet import asyncioreactor; asyncioreactor.install()`" in line


@pytest.mark.parametrize("thread", ["main", "other"])
def test_child_processes_of_the_reactor(thread):
    """They are noticed when they end, in the main thread; elsewhere the block works without."""
    program = (
        IN_LOOP
        + """
import signal, threading
from twisted.internet.utils import getProcessValue

async def main():
    async with reactor_in_loop() as reactor:
        if sys.argv[1] == "main":
            # Its output is closed long before it ends.
            shell = getProcessValue("/bin/sh", ["-c", "exec >&- 2>&- <&-; sleep 0.05; exit 3"])
            print(await asyncio.wait_for(shell.asFuture(asyncio.get_running_loop()), 20))
        else:
            print(await Promise.delay(0.001, 3))

if sys.argv[1] == "main":
    asyncio.run(main())
else:
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
"""
    )
    assert ["3"] == run(program, thread)
