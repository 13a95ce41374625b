"""The example `serving`: its parts on a fake clock, its programs with TensorFlow over real HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactor
from twisted.logger import formatEvent, globalLogPublisher

from examples.serving.languages import features
from examples.serving.predictor import LONG, Predictor
from examples.serving.service import LONGEST, Api, Serving
from tests.integrations.pages import paste
from twpromise import Deadline, LimitExceeded, Promise, PromiseService
from twpromise.testing import ManualScheduler

ROOT = Path(__file__).parents[2]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
#: What TensorFlow logs before it can be kept from it, and on which processor it runs.
NOISE = re.compile(
    r"WARNING: All log messages before absl.*|[IW]\d{4} .*|To enable the following instructions.*"
)
#: The start of code that imports the example.
FIND = f"import sys; sys.path.insert(0, {str(ROOT / 'examples')!r})"


class FakeExecutor:
    """Runs a call when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.stopped = False

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append((future, function, args))
        return future

    def run(self) -> None:
        """Run the calls that are there, unless they are cancelled."""
        calls, self.calls = self.calls, []
        for future, function, args in calls:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*args))
                except Exception as error:
                    future.set_exception(error)

    def shutdown(self, cancel_futures: bool) -> None:
        self.stopped = True


class FakeModel:
    """Answers with how many different groups of letters a text has.

    A text of one group has no answer; a batch with a text of two fails.
    """

    def __init__(self) -> None:
        #: The batches.
        self.batches: list[list[int]] = []

    def predict(self, rows: list[Any]) -> list[Any]:
        batch = [sum(number > 0 for number in row) for row in rows]
        self.batches.append(batch)
        if 2 in batch:
            raise ArithmeticError("two groups")
        return [LookupError("no answer") if number == 1 else number for number in batch]


def text(groups: int) -> str:
    """A text with so many groups of letters."""
    return "abcdefghijklmnopqrstuvw"[:groups]


class World:
    """A predictor whose model, thread, processes and clock are the test's."""

    def __init__(self, scheduler: ManualScheduler) -> None:
        self.scheduler = scheduler
        self.model = FakeModel()
        self.thread = FakeExecutor()
        #: Executors for texts that are long.
        self.processes: list[FakeExecutor] = []
        self.predictor = Predictor(
            lambda: self.model, self.thread, self.new_processes, size=4, wait=0.002, at_once=6
        )

    def new_processes(self) -> FakeExecutor:
        self.processes.append(FakeExecutor())
        return self.processes[-1]

    def start(self) -> None:
        Promise.resolve(self.predictor.start())
        self.scheduler.flush()
        self.run()

    def predict(self, groups: int, seconds: float = 1) -> Any:
        """A promise for an answer; its rejection is looked at by the test."""
        promise = self.predictor.predict(text(groups), Deadline(seconds))
        promise.suppress_unhandled_rejections()
        return promise

    def run(self) -> None:
        """Have the thread do what it has to do."""
        self.thread.run()
        self.scheduler.flush()

    def wait(self) -> None:
        """Let the time pass in which a batch is collected."""
        self.scheduler.advance(0.002)


@pytest.fixture
def scheduler() -> Generator[ManualScheduler]:
    scheduler = ManualScheduler()
    previous = Promise.set_scheduler(scheduler)
    yield scheduler
    scheduler.flush()
    assert [] == scheduler.clock.getDelayedCalls()
    Promise.set_scheduler(previous)


@pytest.fixture
def world(scheduler: ManualScheduler) -> World:
    world = World(scheduler)
    world.start()
    return world


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow logs little, and uses no GPU, in processes that the test starts."""
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def logged() -> Generator[list[str]]:
    """What is logged at error level."""
    texts: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"].name == "error":
            texts.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield texts
    globalLogPublisher.removeObserver(observe)


class TestPredictor:
    """Without HTTP: a fake model, fake executors and a fake clock."""

    def test_calls_become_batches(self, world: World) -> None:
        """Up to `size` calls in a batch, one batch at a time, and the rest in the next."""
        promises = [world.predict(groups) for groups in (3, 4, 5, 6, 7)]
        world.scheduler.flush()
        world.run()
        world.wait()
        world.run()
        assert [[3, 4, 5, 6], [7]] == world.model.batches
        assert [3, 4, 5, 6, 7] == [promise.value() for promise in promises]

    def test_the_deadline_passes_in_the_queue(self, world: World) -> None:
        """The call is taken out of the queue: the model does not see it."""
        world.predict(3)
        world.wait()
        waiting = [world.predict(4, seconds=0.5), world.predict(5)]
        world.scheduler.advance(0.5)
        assert "no time left for the model" == str(waiting[0].reason())
        world.run()
        world.run()
        assert [[3], [5]] == world.model.batches
        assert 5 == waiting[1].value()

    def test_the_deadline_passes_in_the_model(self, world: World) -> None:
        """The others of the batch get their answers."""
        late, patient = world.predict(3, seconds=0.5), world.predict(4, seconds=5)
        world.wait()
        world.scheduler.advance(1)
        world.run()
        assert isinstance(late.reason(), TimeoutError)
        assert 4 == patient.value()

    def test_a_client_leaves_while_its_text_waits(self, world: World) -> None:
        """Its item is taken out of the batch."""
        staying, leaving = world.predict(3), world.predict(4)
        leaving.cancel()
        world.wait()
        world.run()
        assert [[3]] == world.model.batches
        assert leaving.is_cancelled()
        assert 3 == staying.value()

    def test_all_clients_of_a_batch_leave(self, world: World) -> None:
        """A batch that the thread has not begun is never begun."""
        leaving = [world.predict(3), world.predict(4)]
        world.wait()
        for each in leaving:
            each.cancel()
        world.scheduler.flush()
        world.run()
        assert [] == world.model.batches

    def test_no_answer_for_one(self, world: World) -> None:
        """The others have theirs."""
        promises = [world.predict(groups) for groups in (1, 3)]
        world.wait()
        world.run()
        assert "no answer" == str(promises[0].reason())
        assert 3 == promises[1].value()

    def test_a_batch_fails(self, world: World, logged: list[str]) -> None:
        """Each of its texts is tried alone, and the one at fault fails alone."""
        promises = [world.predict(groups) for groups in (3, 2, 4)]
        world.wait()
        world.run()
        world.run()
        assert [[3, 2, 4], [3], [2], [4]] == world.model.batches
        assert [3, 4] == [promises[0].value(), promises[2].value()]
        assert isinstance(promises[1].reason(), ArithmeticError)
        failed = "failed: ArithmeticError('two groups')"
        assert [f"a batch of 3 {failed}"] == logged

    def test_a_batch_of_one_fails(self, world: World) -> None:
        """It is not tried again."""
        promise = world.predict(2)
        world.wait()
        world.run()
        assert [[2]] == world.model.batches
        assert isinstance(promise.reason(), ArithmeticError)

    def test_a_client_leaves_while_texts_are_tried_alone(self, world: World) -> None:
        """Its text is not tried."""
        promises = [world.predict(groups) for groups in (3, 2, 4)]
        world.wait()
        world.run()
        promises[2].cancel()
        world.scheduler.flush()
        world.run()
        assert [[3, 2, 4], [3], [2]] == world.model.batches

    def test_too_many(self, world: World) -> None:
        """Calls beyond `at_once` are refused until others have ended."""
        promises = [world.predict(3) for _ in range(7)]
        world.scheduler.flush()
        assert isinstance(promises[6].reason(), LimitExceeded)
        promises[0].cancel()
        world.scheduler.flush()
        another = world.predict(3)
        for _ in range(2):
            world.wait()
            world.run()
        assert [3] * 6 == [promise.value() for promise in (*promises[1:6], another)]

    def test_long_texts_go_to_a_process(self, world: World) -> None:
        """Text by text, and the result to the model."""
        promise = world.predictor.predict("abc " * LONG, Deadline(1))
        world.scheduler.flush()
        [(_, function, args)] = world.processes[0].calls
        assert (features, ("abc " * LONG,)) == (function, args)
        world.processes[0].run()
        world.scheduler.flush()
        world.wait()
        world.run()
        assert 4 == promise.value()

    def test_a_long_text_keeps_its_slot(self, world: World) -> None:
        """A process cannot be stopped: its slot is free when it has ended."""
        promise = world.predictor.predict("abc " * LONG, Deadline(0.5))
        world.scheduler.flush()
        [(future, _, _)] = world.processes[0].calls
        future.set_running_or_notify_cancel()
        late = promise.catch(TimeoutError, str)
        world.scheduler.advance(0.5)
        assert "no time left to prepare the text" == late.value()
        others = [world.predict(3) for _ in range(6)]
        world.scheduler.flush()
        assert isinstance(others[5].reason(), LimitExceeded)
        future.set_result(features("abc"))
        world.scheduler.flush()
        assert world.predict(3).is_pending()
        for _ in range(2):
            world.wait()
            world.run()

    def test_a_process_dies(self, world: World) -> None:
        """Its executor is replaced once, whatever the number of texts that it has lost."""
        lost = [world.predictor.predict("abc " * LONG, Deadline(1)) for _ in range(2)]
        world.scheduler.flush()
        for future, _, _ in world.processes[0].calls:
            future.set_exception(BrokenProcessPool("a process died"))
        lost = [promise.catch(BrokenProcessPool, str) for promise in lost]
        world.scheduler.flush()
        assert ["a process died"] * 2 == [promise.value() for promise in lost]
        assert 2 == len(world.processes)
        world.predictor.predict("abc " * LONG, Deadline(1)).cancel()
        world.scheduler.flush()
        assert 1 == len(world.processes[1].calls)

    def test_it_is_ready_when_the_model_is(self, scheduler: ManualScheduler) -> None:
        """Not before it is loaded."""
        world = World(scheduler)
        Promise.resolve(world.predictor.start())
        scheduler.flush()
        assert not world.predictor.is_ready()
        world.run()
        assert world.predictor.is_ready()

    def test_a_model_that_cannot_be_loaded(self, scheduler: ManualScheduler) -> None:
        """The error is the caller's, and it does not become ready."""
        world = World(scheduler)
        del world.model
        started = Promise.resolve(world.predictor.start()).catch(AttributeError, str)
        scheduler.flush()
        world.run()
        assert "no attribute 'model'" in started.value()
        assert not world.predictor.is_ready()


class Site:
    """The API in memory, on a fake clock; a request may take a second."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.work = PromiseService(grace=5)
        self.work.startService()
        self.client = StubTreq(Api(self.work, world.predictor, 1).app.resource())

    def post(self, body: bytes) -> Any:
        """A list that gets status and content of the answer."""
        return self._answered(self.client.post("http://site/language", data=body))

    def text(self, groups: int) -> Any:
        return self.post(json.dumps({"text": text(groups)}).encode())

    def ready(self) -> Any:
        return self._answered(self.client.get("http://site/ready"))

    def _answered(self, requested: Any) -> Any:
        answer = SimpleNamespace(requested=requested, status=None, content=None)

        def read(response: Any) -> Any:
            answer.status = response.code
            return response.json().addCallback(lambda content: setattr(answer, "content", content))

        requested.addCallback(read).addErrback(lambda _: None)
        self.flush()
        return answer

    def flush(self) -> None:
        self.world.scheduler.flush()
        self.client.flush()
        self.world.scheduler.flush()


@pytest.fixture
def site(world: World) -> Generator[Site]:
    site = Site(world)
    yield site
    stopped = site.work.stopService()
    world.scheduler.advance(5)
    assert stopped.called
    site.client.flush()


class TestApi:
    """The answers to HTTP requests."""

    def test_answers(self, site: Site) -> None:
        """Requests of several clients are one batch."""
        answers = [site.text(3), site.text(4)]
        site.world.wait()
        site.world.run()
        site.flush()
        assert [[3, 4]] == site.world.model.batches
        assert [(200, 3), (200, 4)] == [(each.status, each.content) for each in answers]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff",
            b"3",
            b"[]",
            b"{}",
            b'{"text": 3}',
            b'{"text": " "}',
            b"[" * 100_000,
            json.dumps({"text": "a" * (LONGEST + 1)}).encode(),
        ],
        ids=lambda body: body[:12].decode(errors="replace") or "empty",
    )
    def test_wrong_requests(self, site: Site, body: bytes) -> None:
        """They are answered with 400, and do not come to the model."""
        answer = site.post(body)
        assert 400 == answer.status
        assert {"error"} == set(answer.content)
        site.world.wait()
        assert [] == site.world.thread.calls

    def test_an_overloaded_server(self, site: Site) -> None:
        """It answers with 503 what is too much, at once."""
        answers = [site.text(3) for _ in range(7)]
        assert [*[None] * 6, 503] == [answer.status for answer in answers]
        for _ in range(2):
            site.world.wait()
            site.world.run()
        site.flush()
        assert [200] * 6 == [answer.status for answer in answers[:6]]

    def test_a_missed_deadline(self, site: Site) -> None:
        """504, with the step that there was no time for."""
        answer = site.text(3)
        site.world.scheduler.advance(1)
        site.flush()
        assert (504, {"error": "no time left for the model"}) == (answer.status, answer.content)

    def test_a_model_that_fails(self, site: Site, logged: list[str]) -> None:
        """500 for the request at fault, which is logged; 200 for the others of its batch."""
        answers = [site.text(groups) for groups in (3, 1, 2)]
        site.world.wait()
        site.world.run()
        site.world.run()
        site.flush()
        assert [200, 500, 500] == [answer.status for answer in answers]
        assert {"error": "something went wrong"} == answers[1].content
        assert [
            "a batch of 3 failed: ArithmeticError('two groups')",
            "a request failed: LookupError('no answer')",
            "a request failed: ArithmeticError('two groups')",
        ] == logged

    def test_a_client_that_leaves(self, site: Site) -> None:
        """Its text is taken out of the batch."""
        leaving, staying = site.text(3), site.text(4)
        leaving.requested.cancel()
        site.flush()
        site.world.wait()
        site.world.run()
        site.flush()
        assert [[4]] == site.world.model.batches
        assert 200 == staying.status

    def test_before_the_model_is_loaded(self, scheduler: ManualScheduler) -> None:
        """503, also for a load balancer; 200 when it is loaded."""
        site = Site(World(scheduler))
        assert [503, 503] == [site.ready().status, site.text(3).status]
        site.world.start()
        assert 200 == site.ready().status

    def test_while_the_service_stops(self, site: Site) -> None:
        """What is under way is answered, new requests are refused, and what is late is, too."""
        answered = [site.text(3)]
        site.world.wait()
        stopped = site.work.stopService()
        assert [503, 503] == [site.ready().status, site.text(4).status]
        site.world.run()
        site.flush()
        assert 200 == answered[0].status
        assert stopped.called

    def test_the_grace_is_over(self, world: World) -> None:
        """A client that still waits gets 503."""
        site = Site(world)
        late = site.text(3)
        stopped = site.work.stopService()
        site.work.cancel()
        site.flush()
        assert (503, {"error": "the service stops"}) == (late.status, late.content)
        assert stopped.called


def test_the_end(scheduler: ManualScheduler) -> None:
    """Thread and processes are stopped once the work that needs them has ended."""
    world = World(scheduler)
    serving = Serving(TCP4ServerEndpoint(MemoryReactor(), 0), world.predictor)
    serving.startService()
    scheduler.flush()
    world.run()
    assert world.predictor.is_ready()
    [work] = [each for each in serving if isinstance(each, PromiseService)]
    answer = work.start_soon(world.predictor.predict, text(3), Deadline(1))
    scheduler.flush()
    executors = [world.thread, *world.processes]

    stopped = serving.stopService()
    world.wait()
    assert [False, False] == [executor.stopped for executor in executors]
    world.run()
    assert 3 == answer.value()
    while not stopped.called:
        scheduler.flush()
    assert [True, True] == [executor.stopped for executor in executors]


def command(process: object) -> bytes:
    """What a process was started with; nothing if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def until(condition: Callable[[], object]) -> None:
    """Wait for what other processes do."""
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        sleep(0.001)


class Program:
    """A program that serves, in a process of its own."""

    def __init__(self, arguments: list[str], folder: Path, paths: list[Path], url: str) -> None:
        before = filter(None, [os.environ.get("PYTHONPATH")])
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([*map(str, paths), *before]),
                "PYTHONUNBUFFERED": "1",
                **QUIET,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A signal for it, and what it has started, is none for the tests.
            start_new_session=True,
        )
        self.port = int(self.wait_for(url)[1])

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line that matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(self.process.communicate()[1])

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and content of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        method = "GET" if body is None else "POST"
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body))
        response = connection.getresponse()
        content = response.status, json.loads(response.read())
        connection.close()
        return content

    def ask_all(self, path: str, bodies: list[Any]) -> list[tuple[int, Any]]:
        """The answers to requests that are sent at the same time."""
        with ThreadPoolExecutor(len(bodies)) as threads:
            return list(threads.map(lambda body: self.ask(path, body), bodies))

    def workers(self) -> list[int]:
        """The processes of its executor; multiprocessing has another, which tracks resources."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        numbers = [number for task in tasks for number in task.read_text().split()]
        return [int(number) for number in numbers if b"spawn_main" in command(number)]

    def stop(self, number: signal.Signals) -> list[str]:
        """Stop it by a signal, and see what it has logged."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> list[str]:
        """Its status is 0; what it has logged."""
        _, errors = self.process.communicate(timeout=60)
        lines = [line for line in errors.splitlines() if not NOISE.fullmatch(line)]
        assert 0 == self.process.returncode, lines
        return lines


@contextmanager
def started(*args: Any) -> Iterator[Program]:
    """A program, which is killed if a test fails."""
    program = Program(*args)
    try:
        yield program
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.process.pid, signal.SIGKILL)
        program.process.communicate()


def serving(folder: Path, *options: str) -> Any:
    arguments = ["-m", "serving", "--port=0", *options]
    return started(arguments, folder, [ROOT / "examples", ROOT], r"listening on .*:(\d+)")


def test_the_page(tmp_path: Path) -> None:
    """The first file of the page, in an empty folder, by the line of the page."""
    names = paste("serving-a-model.md", tmp_path)
    text = (ROOT / "docs" / "serving-a-model.md").read_text()
    assert ["app.py"] == names
    assert "\npython app.py 8080\n" in text
    assert '$ curl -d "[1, 2, 3, 4.5]" http://127.0.0.1:8080/predict\n10.5\n' in text
    with started(["app.py", "0"], tmp_path, [ROOT], r"Site starting on (\d+)") as program:
        rows = [[number, 1, 0.5, -2] for number in range(40)]
        assert [(200, sum(row)) for row in rows] == program.ask_all("/predict", rows)
        error = {"error": "the body must be four numbers, as in [1, 2, 3, 4.5]"}
        wrong = ["", "{", "5", "[1, 2]", "[1, 2, 3, true]", "[1, 2, 3, NaN]", "[1, 2, 3, 1e39]"]
        wrong += ['"abcd"', '{"a": 1, "b": 2, "c": 3, "d": 4}', "[" * 100_000]
        assert [(400, error)] * len(wrong) == [program.ask("/predict", body) for body in wrong]
        assert [] == program.stop(signal.SIGTERM)


def test_a_port_that_is_taken(run_python: Callable[..., str], tmp_path: Path, quiet: None) -> None:
    """The process says so, and ends with status 1."""
    paste("serving-a-model.md", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "CannotListenError" in run_python("app.py", str(taken.getsockname()[1]), status=1)


def test_the_program(tmp_path: Path) -> None:
    """It answers with the model, in batches, from processes, and stops with what it has started."""
    with serving(tmp_path, "--at-once=12", "--seconds=60") as program:
        assert 503 == program.ask("/language", {"text": "good morning"})[0]
        program.wait_for("^ready$")
        assert (200, {"ready": True}) == program.ask("/ready")
        texts = {
            "english": "where is my cup of tea",
            "french": "je voudrais une tasse de lait",
            "german": "wo ist die tasse mit dem tee",
            "spanish": "quisiera una taza de leche",
        }
        assert [] == program.workers()
        bodies = [{"text": text * times} for times in (1, 9, 200) for text in texts.values()]
        answers = program.ask_all("/language", bodies)
        assert [200] * 12 == [status for status, _ in answers]
        assert [*texts] * 3 == [answer["language"] for _, answer in answers]
        assert 400 == program.ask("/language", {})[0]

        # A client that leaves.
        connection = HTTPConnection("127.0.0.1", program.port)
        connection.request("POST", "/language", json.dumps(bodies[0]))
        connection.close()

        workers = program.workers()
        assert workers
        for each in workers:
            libraries = Path(f"/proc/{each}/maps").read_text()
            # Twisted imports zope.interface.
            assert not re.search("tensorflow|zope", libraries)
        assert [] == program.stop(signal.SIGTERM)
        assert [] == [each for each in workers if b"spawn_main" in command(each)]


def test_no_time(tmp_path: Path) -> None:
    """Requests for which there is no time are answered with 504."""
    with serving(tmp_path, "--seconds=0") as program:
        program.wait_for("^ready$")
        answer = 504, {"error": "no time left for the model"}
        assert answer == program.ask("/language", {"text": "good morning"})
        assert [] == program.stop(signal.SIGTERM)


def test_the_load_program(run_python: Callable[..., str], quiet: None) -> None:
    """It says how many requests are answered with batches, and without."""
    options = ["--clients=8", "--seconds=0.2", "--rounds=1"]
    written = run_python("-c", f"{FIND}; from serving.load import main; main()", *options)
    alone, together, ratio = written.splitlines()
    line = r"requests a second, answered within \d+ ms \(50 %\), \d+ ms \(95 %\), \d+ ms \(99 %\)"
    assert re.fullmatch(rf"batches of  1: +\d+ {line}", alone)
    assert re.fullmatch(rf"batches of 32: +\d+ {line}", together)
    assert re.fullmatch(r"with batches: \d+\.\d times as many", ratio)


TRAPS = (
    f"{FIND}\n"
    """
import math
from serving.languages import WIDTH, features
from serving.predictor import load_model

assert "tensorflow" not in sys.modules and "keras" not in sys.modules
model = load_model()
from serving.model import NoAnswer, result

count = model._model.predict_function.experimental_get_tracing_count
before = count()
row = features("guten morgen")
for rows in range(1, 33):
    assert len(model.predict([row] * rows)) == rows
assert before == count() == 2

# A row without an answer fails no others.
answers = [result([0.25, math.nan, 0.25, 0.25]), result([0.0, 0.75, 0.25, 0.0])]
assert isinstance(answers[0], NoAnswer)
assert answers[1] == {"language": "french", "probability": 0.75}

# A batch gives what single rows give, but for what is rounded.
[one], two = model.predict([row]), model.predict([row, features("good morning")])
assert one["language"] == two[0]["language"] == "german"
assert abs(one["probability"] - two[0]["probability"]) < 1e-5

# What is no number may be one, once it has been through the model.
assert all(math.isfinite(each["probability"]) for each in model.predict([[math.nan] * WIDTH]))
"""
)


def test_what_the_page_warns_of(run_python: Callable[..., str], quiet: None) -> None:
    """Graphs are made at the start; TensorFlow is imported by the thread; NaN can get lost."""
    written = run_python("-W", "error", "-c", TRAPS)
    assert [] == [line for line in written.splitlines() if not NOISE.fullmatch(line)]


def test_workers_do_not_import_tensorflow(run_python: Callable[..., str]) -> None:
    """Nor Twisted: they start quickly, and take little memory."""
    code = (
        f"{FIND}; import serving.languages; "
        "print([name for name in ('keras', 'tensorflow', 'twisted') if name in sys.modules])"
    )
    assert "[]\n" == run_python("-c", code)
