"""From a text to the model's answer for it: in a process, in a batch, in a thread."""

from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from twisted.logger import Logger

from twpromise import Limiter, Promise, batch

from .languages import features, ignore_interrupts

log = Logger()

#: A text of more characters becomes numbers in another process.
LONG = 2000


# begin: predictor
class Predictor:
    """Answers for many callers.

    Args:
        load: Called in the thread; gives an object with a method `predict`, as `Model` has.
        thread: The executor for the model, with one thread.
        new_processes: Makes the executor for long texts.
        size: How many texts a batch has at most.
        wait: How many seconds a batch waits for further texts.
        at_once: How many calls may be under way; others are refused, with `LimitExceeded`.
    """

    def __init__(self, load, thread, new_processes, size=32, wait=0.002, at_once=500):
        self._load = load
        self._thread = thread
        self._new_processes = new_processes
        self._processes = new_processes()
        self._model = None
        self._limiter = Limiter(at_once, waiting=0)
        self._predict_one = batch(self._run, size=size, wait=wait)

    def is_ready(self):
        return self._model is not None

    async def start(self):
        self._model = await Promise.run_in(self._thread, self._load)

    def predict(self, text, deadline):
        """A promise for the answer for a text."""
        return self._limiter.run(self._predict, text, deadline)

    async def _predict(self, text, deadline):
        prepared = features(text) if len(text) <= LONG else self._prepare(text)
        row = await Promise.resolve(prepared).timeout(deadline, "no time left to prepare the text")
        return await self._predict_one(row).timeout(deadline, "no time left for the model")

    async def _prepare(self, text):
        processes = self._processes
        try:
            return await Promise.run_in(processes, features, text)
        except BrokenExecutor:
            # A process has died, and the executor takes nothing any more.
            if self._processes is processes:
                log.warn("a process died: new ones take the place of all")
                self._processes = self._new_processes()
            raise

    def _run(self, rows):
        """The answers for a batch."""
        return self._run_model(rows).catch(lambda error: self._run_each(rows, error))

    def _run_model(self, rows):
        return Promise.run_in(self._thread, self._model.predict, rows)

    def _run_each(self, rows, error):
        # The row at fault shall fail alone.
        log.error("a batch of {rows} failed: {error!r}", rows=len(rows), error=error)
        if len(rows) == 1:
            return [error]
        return [self._run_model([row]).then(only_one) for row in rows]

    def stop(self):
        """A promise that is fulfilled when the thread and the processes have ended."""
        return Promise.all(
            [
                Promise.in_thread(executor.shutdown, cancel_futures=True)
                for executor in (self._thread, self._processes)
            ]
        )


def only_one(results):
    [result] = results
    if isinstance(result, Exception):
        raise result
    return result


# end: predictor


# begin: executors
def load_model():
    # In the thread, since it takes seconds; and never in a process that prepares texts.
    from .model import Model

    return Model()


def new_thread():
    return ThreadPoolExecutor(1, thread_name_prefix="model")


def new_processes(count=2):
    return ProcessPoolExecutor(count, get_context("spawn"), initializer=ignore_interrupts)


# end: executors
