"""`twpromise.metrics`: a collector for a registry of prometheus_client."""

from __future__ import annotations

import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from tests.support.processes import run_python
from tests.support.promises import Boom
from twpromise import Promise, ReactorScheduler
from twpromise import metrics as module
from twpromise.loops import LoopScheduler
from twpromise.metrics import PromiseCollector


@pytest.fixture
def copies(scheduler):
    """Two library copies: the first with a queue of its own, the other with that of the test."""
    first, second = Promise.get_new_library_copy(), Promise.get_new_library_copy()
    first.set_scheduler(ReactorScheduler(Clock()))
    yield {"first": first, "second": second}
    for copy in first, second:
        copy.config(monitoring=False, tracking=False)


@pytest.fixture
def registry():
    """A registry that looks for names which are used twice."""
    return CollectorRegistry(auto_describe=True)


def scrape(registry):
    """What Prometheus reads: the samples, by name and library, and if there is one, by bucket."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *reversed(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_figures(copies, registry, scheduler, reports):
    """Each library copy has its own."""
    registry.register(PromiseCollector(copies))
    second = copies["second"]
    kept = [second.defer(), second.defer()]
    second.reject(Boom()).then(str)
    second.delay(5).timeout(0).catch(lambda error: None)
    scheduler.advance(0)
    samples = scrape(registry)
    assert 2 == samples["twpromise_pending", "second"]
    assert 0 == samples["twpromise_pending", "first"]
    assert 1 == samples["twpromise_timeouts_total", "second"]
    assert 1 == samples["twpromise_cancellations_total", "second"]
    assert 1 == samples["twpromise_unhandled_rejections_total", "second"]
    assert 1 == samples["twpromise_rejections_left_unhandled", "second"]
    assert 0 == samples["twpromise_queue_length", "second"]
    assert 1 <= samples["twpromise_drain_seconds_count", "second"]
    assert (
        samples["twpromise_drain_seconds_count", "second"]
        == samples["twpromise_drain_seconds_bucket", "second", "+Inf"]
    )
    assert 0 == samples["twpromise_drain_seconds_count", "first"]
    assert ("twpromise_longest_drain_seconds", "second") in samples
    assert ("twpromise_drain_seconds_sum", "second") in samples
    assert kept[0].promise.is_pending()


def test_what_is_not_known_is_left_out(copies, registry):
    """While monitoring and tracking are off; and it is there while they are on."""
    registry.register(PromiseCollector(copies))
    names = "promises_created_total", "promises_settled_total", "oldest_pending_seconds"
    second = copies["second"]
    assert not [name for name in names if (f"twpromise_{name}", "second") in scrape(registry)]
    second.config(monitoring=True, tracking=True)
    kept = second.defer()
    samples = scrape(registry)
    assert [1, 0] == [samples[f"twpromise_{name}", "second"] for name in names[:2]]
    assert samples["twpromise_oldest_pending_seconds", "second"] < 60
    assert kept.promise.is_pending()


def test_a_queue_that_is_shared(scheduler, registry):
    """Its figures are those of the first library copy, so that a sum is right."""
    registry.register(PromiseCollector({"one": Promise.get_new_library_copy(), "other": Promise}))
    samples = scrape(registry)
    assert ("twpromise_queue_length", "one") in samples
    assert ("twpromise_drain_seconds_count", "one") in samples
    assert ("twpromise_pending", "other") in samples
    assert ("twpromise_queue_length", "other") not in samples
    assert ("twpromise_drain_seconds_count", "other") not in samples


def test_by_default(scheduler, registry):
    """It is `Promise` alone."""
    registry.register(PromiseCollector())
    assert ("twpromise_timeouts_total", "Promise") in scrape(registry)


def test_registering_two(scheduler, registry, monkeypatch):
    """The registry says that the names are used twice; and reads no figures to find that out."""
    monkeypatch.setattr(PromiseCollector, "collect", None)
    registry.register(PromiseCollector())
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(PromiseCollector())


def in_a_thread(registry, meanwhile):
    """What another thread scrapes, while this one does something again and again."""
    samples = {}
    thread = threading.Thread(target=lambda: samples.update(scrape(registry)))
    thread.start()
    while thread.is_alive():
        meanwhile()
        thread.join(0.001)
    return samples


def test_in_another_thread(scheduler, registry):
    """The thread of the promises reads the figures: finding promises is for that alone."""
    library = Promise.get_new_library_copy()
    registry.register(PromiseCollector({"Promise": Promise, "copy": library}))
    kept = library.defer()
    samples = in_a_thread(registry, scheduler.flush)
    assert 1 == samples["twpromise_pending", "copy"]
    assert kept.promise.is_pending()


def test_a_scrape_changes_no_figure(scheduler, registry):
    """It makes no drain, and nothing of it waits in the queue."""
    copies = {"one": Promise.get_new_library_copy(), "other": Promise.get_new_library_copy()}
    registry.register(PromiseCollector(copies))
    before = in_a_thread(registry, scheduler.flush)
    assert before == in_a_thread(registry, scheduler.flush) == scrape(registry)
    assert 0 == before["twpromise_queue_length", "one"]


def test_in_another_thread_in_vain(scheduler, registry, monkeypatch):
    """If that one does not answer, there is what any thread may read; later it reads nothing."""
    monkeypatch.setattr(module, "_PATIENCE", 0)
    registry.register(PromiseCollector())
    samples = in_a_thread(registry, lambda: None)
    assert ("twpromise_pending", "Promise") not in samples
    assert 0 <= samples["twpromise_timeouts_total", "Promise"]
    reads = []
    monkeypatch.setattr(Promise, "statistics", lambda: reads.append("too late"))
    scheduler.flush()
    assert [] == reads


def test_an_answer_that_comes_too_late(scheduler, monkeypatch):
    """The scrape stops waiting while the figures are read: they are not used."""
    answer, library = module.Future(), Promise.get_new_library_copy()
    monkeypatch.setattr(library, "statistics", answer.cancel)
    module._answer(answer, library)
    assert answer.cancelled()


def test_a_loop_that_is_closed(registry, copies, monkeypatch):
    """There is what any thread may read."""
    monkeypatch.setattr(module, "_PATIENCE", 0)
    loop = asyncio.new_event_loop()
    copies["first"].set_scheduler(LoopScheduler(loop))
    registry.register(PromiseCollector(copies))
    loop.close()
    samples = in_a_thread(registry, lambda: None)
    assert 0 == samples["twpromise_timeouts_total", "first"]


@pytest.mark.parametrize(
    ("libraries", "message"),
    [
        (Promise, r"libraries must be a mapping of names to library copies: \{"),
        ({1: Promise}, "the name of a library copy must be a str, not 1"),
        ({"a": 5}, r"libraries\['a'\] must be a library copy, not 5"),
        ({"a": int}, r"libraries\['a'\] must be a library copy, not <class 'int'>"),
    ],
)
def test_wrong_libraries(libraries, message):
    """The message says what is taken."""
    with pytest.raises(TypeError, match=message):
        PromiseCollector(libraries)


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("metrics", "prometheus_client", "prometheus"),
        ("tracing", "opentelemetry", "opentelemetry"),
    ],
)
def test_without_the_extra(name, missing, extra):
    """The error names the extra to install; `twpromise` itself needs neither."""
    program = f"""
import sys
sys.modules[{missing!r}] = None
import twpromise
assert "twpromise.{name}" not in sys.modules
try:
    import twpromise.{name}
except ImportError as error:
    print(error)
"""
    printed = run_python("-c", program).stdout
    assert f"twpromise.{name} needs {missing}: pip install 'twpromise[{extra}]'\n" == printed
