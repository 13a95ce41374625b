"""`PromiseService`: it has stopped when what was under way has ended, or was given up."""

from __future__ import annotations

import signal
from concurrent.futures import Future

import pytest
from twisted.application.service import IService, MultiService
from zope.interface.verify import verifyObject

from tests.support.outcomes import outcome, reasons, result_of
from tests.support.processes import run_python
from tests.support.promises import Boom, fail
from tests.support.threads import in_thread
from twpromise import Promise, PromiseService
from twpromise._services import signals
from twpromise.testing import ManualScheduler


@pytest.fixture
def service(scheduler):
    """A service that runs, and lets work go on for four seconds."""
    service = PromiseService(grace=4)
    service.startService()
    return service


@pytest.fixture
def handlers():
    """Handlers of signals, as a reactor installs them; a list of what they are called with."""
    heard = []
    former = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, lambda number, _: heard.append(number))
    yield heard
    for number, handler in former.items():
        signal.signal(number, handler)


async def work(log, seconds, cleaning=0):
    """Take some time, and some more to clean up."""
    try:
        await Promise.delay(seconds)
        log.append("done")
    finally:
        if cleaning:
            await Promise.delay(cleaning)
        log.append("ended")


def test_it_is_a_service(service):
    """It has a name and a parent, and says what it is doing."""
    verifyObject(IService, service)
    parent = MultiService()
    service.setName("work")
    service.setServiceParent(parent)
    assert service is parent.getServiceNamed("work")
    assert "<PromiseService, not started: 0 under way>" == repr(PromiseService())
    service.start_soon(Promise.delay, 1)
    assert "<PromiseService, running: 1 under way>" == repr(service)
    stopped = result_of(parent.stopService())
    assert "<PromiseService, stopping: 1 under way>" == repr(service)
    service.cancel()
    assert [] == stopped
    service._library._queue.scheduler.flush()
    assert "<PromiseService, stopped: 0 under way>" == repr(service)
    assert 1 == len(stopped)


def test_a_service_with_nothing_to_do_stops_at_once(service):
    """Also one that was never started."""
    assert [None] == result_of(service.stopService())
    assert [None] == result_of(PromiseService().stopService())


def test_functions_are_called_from_the_queue(scheduler, service):
    """Unless they were cancelled before."""
    log = []
    one = service.start_soon(log.append, 1)
    two = service.start_soon(log.append, 2)
    two.cancel()
    assert [] == log
    scheduler.flush()
    assert ([1], ("fulfilled", None), True) == (log, outcome(one), two.is_cancelled())
    assert "<PromiseService, running: 0 under way>" == repr(service)


def test_the_service_is_no_consumer(scheduler, service, reports):
    """Work without a consumer is cancelled; a rejection without a handler is reported."""
    log = []
    service.start_soon(work, log, 60).then(print).cancel()
    service.start_soon(fail)
    scheduler.flush()
    assert [Boom] == list(map(type, reasons(reports)))
    assert [None] == result_of(service.stopService())


def test_what_is_under_way_ends_within_the_grace(scheduler, service):
    """Nothing is cancelled; all that stop it are notified at once."""
    log = []
    member = service.start_soon(work, log, 3)
    stopped, again = result_of(service.stopService()), result_of(service.stopService())
    scheduler.advance(2.75)
    assert ([], []) == (stopped, again)
    scheduler.advance(0.25)
    assert ([None], [None], ["done", "ended"]) == (stopped, again, log)
    assert member.is_fulfilled()
    assert [] == scheduler.clock.getDelayedCalls()


def test_what_is_under_way_after_the_grace_is_cancelled(scheduler, service, errors):
    """And waited for until it has ended."""
    log = []
    member = service.start_soon(work, log, 60, cleaning=2)
    scheduler.flush()
    stopped = result_of(service.stopService())
    scheduler.advance(3.75)
    assert member.is_pending()
    scheduler.advance(0.25)
    assert (True, []) == (member.is_cancelled(), stopped)
    scheduler.advance(2)
    assert ([None], ["ended"], []) == (stopped, log, errors)
    assert [] == scheduler.clock.getDelayedCalls()


@pytest.mark.parametrize("grace", [0, None])
def test_other_graces(scheduler, grace):
    """0 is none at all, and None has no end."""
    service = PromiseService(grace=grace)
    member = service.start_soon(Promise.delay, 1000)
    stopped = result_of(service.stopService())
    scheduler.advance(0)
    assert (grace == 0) == member.is_cancelled() == bool(stopped)
    scheduler.advance(1000)
    assert [None] == stopped


class Work:
    """Takes a second, and cleans up for one more; what became of it."""

    def __init__(self, world, fails):
        self._world = world
        self._fails = fails
        self.begun = self.ended = 0

    def __call__(self):
        self.begun += 1
        if self._world.driver != "chain":
            return self._world.begin(self._coroutine())
        return Promise.delay(1).then(self._result).finally_(self._clean_up)

    async def _coroutine(self):
        try:
            await Promise.delay(1)
            self._result(None)
        finally:
            await self._clean_up()

    def _result(self, _):
        if self._fails:
            raise Boom("failed")

    async def _clean_up(self):
        try:
            await Promise.delay(1)
        finally:
            self.ended += 1


#: When the first of three is cancelled, or after which time it is given up.
FAULTS = {
    "success": [],
    "failure": [],
    "cancelled while queued": [0],
    "cancelled while running": [0.75],
    "cancelled while ending": [1.5],
    "cancelled when it ends": [2],
    "cancelled twice": [0.75, 0.75],
    "timeout while queued": 0,
    "timeout while running": 0.75,
    "timeout while ending": 1.5,
}


@pytest.mark.parametrize("grace", [0, 0.75, 10])
@pytest.mark.parametrize("moment", [0, 0.5, 1, 1.5, 2, 4])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults(world, reports, fault, moment, grace):
    """Whatever becomes of the work, and whenever the service is stopped: it waits for the end."""
    service = PromiseService(grace=grace)
    work = Work(world, fault == "failure")

    async def scenario():
        service.startService()
        member = service.start_soon(work)
        if fault.startswith("timeout"):
            member.timeout(FAULTS[fault]).catch_return(TimeoutError, None)
        else:
            for seconds in FAULTS[fault]:
                world.call_later(seconds, member.cancel) if seconds else member.cancel()
        for _ in range(2):
            service.start_soon(work)
        stopped = []
        for step in range(40):
            if step == moment * 4:
                stopped = result_of(service.stopService())
            await world.advance(0.25)
            over = step >= moment * 4 and work.ended == work.begun
            assert ([None] if over else []) == stopped
        assert [] == world.timers()

    world.run(scenario)
    assert "<PromiseService, stopped: 0 under way>" == repr(service)
    assert fault == "failure" or [] == reports
    if moment + grace >= 2:
        assert (2 if fault == "cancelled while queued" else 3) == work.begun
        assert (3 if fault == "failure" else 0) == len(reports)


async def waits_for(future):
    """A coroutine, which has ended before a thread that it waits for."""
    await Promise.resolve(future)


@pytest.mark.parametrize("follow", [lambda future: future, waits_for], ids=["promise", "await"])
def test_a_thread_is_waited_for(scheduler, service, follow):
    """Though its promise is cancelled: it cannot be stopped."""
    running = Future()
    running.set_running_or_notify_cancel()
    member = service.start_soon(follow, running)
    scheduler.flush()
    stopped = result_of(service.stopService())
    scheduler.advance(4)
    assert (True, []) == (member.is_cancelled(), stopped)
    running.set_result(None)
    scheduler.flush()
    assert [None] == stopped


def test_what_does_not_end_is_logged(scheduler, service, errors):
    """A release that hangs, with the line where it does."""
    hanging = Promise.defer()
    never = hanging.promise

    async def hang():
        try:
            await Promise.delay(60)
        finally:
            await never

    service.start_soon(hang)
    service.start_soon(lambda: Promise.delay(60).finally_(lambda: never))
    scheduler.flush()
    stopped = result_of(service.stopService())
    scheduler.advance(4)
    scheduler.advance(4.75)
    assert [] == errors
    scheduler.advance(0.25)
    assert [] == stopped
    (event,) = errors
    assert "<PromiseService, stopping: 2 under way>" == repr(event["service"])
    assert "hang at" in event["rest"]
    assert "The coroutine was waiting here:" in event["rest"]
    assert "<lambda> at" in event["rest"]
    hanging.resolve()
    scheduler.flush()
    assert [None] == stopped


def test_further_signals(scheduler, service, errors, handlers):
    """The second one cancels, the third one gives up, and after that they are as they were."""
    never = Promise.defer().promise
    member = service.start_soon(lambda: Promise.delay(60).finally_(lambda: never))
    scheduler.flush()
    other = PromiseService()
    assert [None] == result_of(other.stopService())
    stopped = result_of(service.stopService())
    signal.raise_signal(signal.SIGTERM)
    assert member.is_pending()
    scheduler.flush()
    assert (True, [], []) == (member.is_cancelled(), stopped, errors)
    signal.raise_signal(signal.SIGINT)
    # It has stopped before the queue comes to this one.
    signal.raise_signal(signal.SIGINT)
    scheduler.flush()
    assert ([None], 1) == (stopped, len(errors))
    assert "were given up" == errors[0]["what"]
    assert [] == scheduler.clock.getDelayedCalls()
    assert [] == handlers
    signal.raise_signal(signal.SIGTERM)
    assert [signal.SIGTERM] == handlers


def test_a_signal_when_all_has_ended(scheduler, service, errors, handlers):
    """The service stops a little later, and all that stop it are notified together."""
    stops = []

    def when_ended(_):
        # After the service has been notified; before the next turn.
        scheduler.clock.callLater(0, signal.raise_signal, signal.SIGTERM)
        scheduler.clock.callLater(0, service._hurry)
        stops.append(result_of(service.stopService()))
        assert [[], []] == stops

    service.start_soon(Promise.delay, 1).add_done_callback(when_ended)
    stops.append(result_of(service.stopService()))
    scheduler.advance(1)
    assert ([[None], [None]], [], []) == (stops, errors, handlers)
    assert [] == scheduler.clock.getDelayedCalls()


def test_several_services_stop(scheduler, handlers):
    """All of them hear the signal; the former handlers are set again behind the last one."""
    services = [PromiseService(), PromiseService()]
    stopped = []
    for service in services:
        service.start_soon(Promise.delay, 60)
        stopped.append(result_of(service.stopService()))
    services[0].cancel()
    scheduler.flush()
    assert [[None], []] == stopped
    signal.raise_signal(signal.SIGTERM)
    scheduler.flush()
    assert ([[None], [None]], []) == (stopped, handlers)


def test_handlers_that_were_set_meanwhile_stay(scheduler, service, handlers):
    """They are not this library's to take away."""
    service.start_soon(Promise.delay, 1)
    service.stopService()
    own = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signals._call is own
    scheduler.advance(1)
    assert signal.SIG_IGN is signal.getsignal(signal.SIGTERM)
    assert signals._call is not signal.getsignal(signal.SIGINT)


def test_handlers_in_other_threads(scheduler, handlers):
    """Only the main thread can set them: the service stops without."""
    before = signal.getsignal(signal.SIGTERM)
    in_thread(signals.call_on_signals, "one", print)
    assert before is signal.getsignal(signal.SIGTERM)


def test_a_stopped_service_takes_nothing(scheduler, service):
    """And calls nothing, until it is started again."""
    log = []
    service.start_soon(Promise.delay, 1)
    service.stopService()
    with pytest.raises(RuntimeError, match="started in a service that is stopping"):
        service.start_soon(log.append, 1)
    with pytest.raises(RuntimeError, match="cannot be started before it has stopped: <PromiseS"):
        service.startService()
    scheduler.advance(1)
    with pytest.raises(RuntimeError, match="started in a service that is stopped"):
        service.start_soon(log.append, 1)
    assert [] == log
    service.startService()
    service.start_soon(log.append, 1)
    scheduler.flush()
    assert [1] == log
    assert service.running
    assert [None] == result_of(service.stopService())
    assert not service.running


def test_signals_after_a_second_start(scheduler, handlers):
    """What the first stop has cancelled does not count: the second signal cancels."""
    service = PromiseService(grace=0)
    service.start_soon(Promise.delay, 60)
    service.stopService()
    scheduler.advance(0)
    service.startService()
    service._grace = 60
    member = service.start_soon(lambda: Promise.delay(60).finally_(lambda: Promise.delay(1)))
    scheduler.flush()
    stopped = result_of(service.stopService())
    signal.raise_signal(signal.SIGTERM)
    scheduler.flush()
    assert (True, []) == (member.is_cancelled(), stopped)
    scheduler.advance(1)
    assert [None] == stopped


def test_signals_without_handlers(scheduler, service):
    """They end the process, or interrupt it, as before."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    # Those of a reactor that another test has run, say.
    former = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    service.start_soon(Promise.delay, 1)
    service.stopService()
    assert defaults == {number: signal.getsignal(number) for number in defaults}
    scheduler.advance(1)
    for number, handler in former.items():
        signal.signal(number, handler)


def test_cancelling_what_stop_gives(scheduler, service):
    """It has no effect on the work."""
    member = service.start_soon(Promise.delay, 1)
    stopped = service.stopService()
    results = result_of(stopped)
    stopped.cancel()
    assert (1, True) == (len(results), member.is_pending())
    scheduler.advance(1)
    assert member.is_fulfilled()


@pytest.mark.parametrize(
    ("grace", "error"), [(-1, ValueError), (float("nan"), ValueError), ("5", TypeError)]
)
def test_bad_arguments(scheduler, grace, error):
    """The error names the argument."""
    with pytest.raises(error, match="grace must be a number of seconds"):
        PromiseService(grace=grace)
    with pytest.raises(TypeError, match="function must be callable, not 5"):
        PromiseService().start_soon(5)
    with pytest.raises(TypeError, match="library must be a library copy, such as Promise, not 5"):
        PromiseService(library=5)


def test_there_are_no_warnings(scheduler, service, config, recwarn):
    """A handler need not return what it starts in a service, nor consume its value."""
    config(warnings=True)

    def handle(_):
        service.start_soon(Promise.delay, 1, "value")

    Promise.resolve().then(handle)
    scheduler.advance(1)
    assert [] == [str(warning.message) for warning in recwarn]
    assert [None] == result_of(service.stopService())


def test_a_library_copy():
    """Its scheduler runs the work, and its clock the grace."""
    copy = Promise.get_new_library_copy()
    scheduler = ManualScheduler()
    copy.set_scheduler(scheduler)
    service = PromiseService(grace=1, library=copy)
    member = service.start_soon(copy.delay, 60)
    stopped = result_of(service.stopService())
    scheduler.advance(1)
    assert (copy._new, True, [None]) == (type(member), member.is_cancelled(), stopped)


# --- on a reactor, in a process of its own

PROLOGUE = """
import os
import signal
import sys
import time

from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver

from twpromise import Promise, PromiseService

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
service = PromiseService(grace=GRACE)
answered = []


async def answer(number):
    if number == 999:
        # All of them have begun.
        kill(0)
    try:
        await Promise.delay(0.1 if number % 2 else 600)
    finally:
        await Promise.delay(0.01)
        answered.append(number)


def kill(seconds):
    reactor.callLater(seconds, os.kill, os.getpid(), signal.SIGTERM)


def begin():
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    for number in range(1000):
        service.start_soon(answer, number)


def end():
    left = [call for call in reactor.getDelayedCalls() if call.active()]
    print(len(answered), service, left, flush=True)


reactor.addSystemEventTrigger("after", "shutdown", end)
reactor.callWhenRunning(begin)
"""


def run(grace, program, reactor=""):
    """The exit status of a program with a service, and what it prints."""
    prologue = reactor + PROLOGUE.replace("GRACE", str(grace))
    process = run_python("-c", prologue + program + "\nreactor.run()")
    return process.returncode, process.stdout + process.stderr


ASYNCIO = "from twisted.internet import asyncioreactor\nasyncioreactor.install()\n"
STOPPED = "<PromiseService, stopped: 0 under way> []"


def test_a_signal_under_load():
    """Half of the requests are answered, the others are cancelled when the grace is over."""
    status, output = run(2, "service.start_soon(Promise.in_thread, time.sleep, 2.2)")
    assert (0, True) == (status, f"1000 {STOPPED}" in output), output
    assert "Traceback" not in output


@pytest.mark.parametrize("reactor", ["", ASYNCIO], ids=["default", "asyncio"])
def test_a_second_signal_under_load(reactor):
    """It cancels the rest, long before the grace is over."""
    status, output = run(600, "kill(1)", reactor)
    assert (0, True) == (status, f"1000 {STOPPED}" in output), output
    assert "Traceback" not in output


def test_a_release_that_hangs_under_load():
    """The third signal gives it up, and says where it hangs."""
    status, output = run(
        600,
        """
async def hang():
    try:
        await Promise.delay(600)
    finally:
        await Promise.defer().promise


service.start_soon(hang)
kill(1)
kill(2)
""",
    )
    assert (0, True) == (status, "1000 <PromiseService, stopped: 1 under way> []" in output), output
    assert "and these were given up:" in output
    assert "in hang" in output
    assert "Traceback" not in output


def test_twistd(tmp_path):
    """A service of a `.tac` file; twistd, once it has stopped, ends itself by the signal."""
    tac = tmp_path / "work.tac"
    tac.write_text(
        """
import os
import signal

from twisted.application.service import Application
from twisted.internet import reactor

from twpromise import Promise, PromiseService

application = Application("work")
service = PromiseService(grace=5)
service.setServiceParent(application)


async def work():
    reactor.callLater(0, os.kill, os.getpid(), signal.SIGTERM)
    await Promise.delay(0.2)
    print("work has ended", flush=True)


service.start_soon(work)
"""
    )
    process = run_python(
        *("-c", "from twisted.scripts.twistd import run; run()"),
        *("--nodaemon", "--pidfile=", "--logfile=-", f"--python={tac}"),
    )
    output = process.stdout + process.stderr
    assert -signal.SIGTERM == process.returncode, output
    assert "work has ended" in output
    assert "Traceback" not in output
