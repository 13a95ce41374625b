"""Policies for unhandled rejections, by name."""

from __future__ import annotations

import gc
import sys
from subprocess import run
from threading import get_ident
from weakref import ref

import pytest

from tests.support.outcomes import reasons
from tests.support.promises import Boom
from tests.support.threads import in_thread


def test_report(scheduler, copy, reports):
    """The default: at the end of the drain."""
    copy.set_rejection_policy("live_list")
    copy.set_rejection_policy()
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    assert [error] == reasons(reports)
    assert promise.is_rejected()


def test_report_when_collected(scheduler, copy, reports):
    """Not before the promise is freed, and can no longer be handled."""
    copy.set_rejection_policy("report_when_collected")
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    assert [] == reports
    del promise
    gc.collect()
    # Not within the call that drops the last reference to it.
    assert [] == reports
    scheduler.flush()
    assert [error] == reasons(reports)


def test_report_when_collected_by_another_thread(scheduler, copy):
    """The hook is called in the reactor's thread, whichever thread collects the promise."""
    copy.set_rejection_policy("report_when_collected")
    reported = []
    copy.on_possibly_unhandled_rejection(lambda reason, _: reported.append((reason, get_ident())))
    error = Boom()
    kept = [copy.reject(error)]
    scheduler.flush()
    in_thread(kept.clear)
    assert [] == reported
    scheduler.flush()
    assert [(error, get_ident())] == reported


@pytest.mark.parametrize("policy", ["report_when_collected", "live_list", "done_only"])
def test_handled_under_another_policy(scheduler, copy, reports, policy):
    """The event for a late handler is sent, once, although the policy was set after the report."""
    reported = []
    copy.on_unhandled_rejection_handled(reported.append)
    promise = copy.reject(Boom())
    scheduler.flush()
    assert 1 == len(reports)
    copy.set_rejection_policy(policy)
    promise.catch(lambda _: None)
    promise.catch(lambda _: None)
    assert [promise] == reported


@pytest.mark.parametrize("policy", ["report_when_collected", "live_list", "done_only"])
def test_handled_before_it_was_reported(scheduler, copy, reports, policy):
    """There is no event for that, whatever the policy is now."""
    reported = []
    copy.on_unhandled_rejection_handled(reported.append)
    left = copy.set_rejection_policy(policy)
    promise = copy.reject(Boom())
    scheduler.flush()
    copy.set_rejection_policy()
    promise.catch(lambda _: None)
    scheduler.flush()
    assert [] == getattr(left, "promises", [])
    assert 0 == copy.statistics()["unhandled"]
    del promise
    gc.collect()
    assert [] == reports
    assert [] == reported


def test_collected_after_the_policy_changed(scheduler, copy, reports):
    """A rejection that waits to be collected is reported, whatever the policy is by then."""
    copy.set_rejection_policy("report_when_collected")
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    copy.set_rejection_policy("done_only")
    gc.collect()
    scheduler.flush()
    assert [] == reports
    del promise
    scheduler.flush()
    assert [error] == reasons(reports)


def test_collected_though_its_traceback_leads_to_it(scheduler, copy, reports):
    """Only the reason's own traceback refers to the promise."""
    copy.set_rejection_policy("report_when_collected")

    class Service:
        def start(self):
            self.promise = copy.delay(1).then(self.fail)
            return ref(self.promise)

        def fail(self, _):
            raise Boom

    promise = Service().start()
    scheduler.advance(1)
    gc.collect()
    scheduler.flush()
    assert [Boom] == [type(error) for error in reasons(reports)]
    reports.clear()
    gc.collect()
    assert promise() is None


def collect_with_a_finalizer(scheduler, copy, finalize):
    """Collect a rejected promise, and something beside it that calls *finalize* with it."""

    class Finalized:
        def __del__(self):
            finalize(self.promise)

    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    # Younger than what reports the promise, so that it comes behind that.
    error.finalized = Finalized()
    error.finalized.promise = promise
    del promise, error
    gc.collect()


def test_revived(scheduler, copy):
    """What a finalizer keeps may be handled after it was reported."""
    copy.set_rejection_policy("report_when_collected")
    reported, revived = [], []
    copy.on_possibly_unhandled_rejection(lambda _, promise: reported.append(promise))

    collect_with_a_finalizer(scheduler, copy, revived.append)
    scheduler.flush()
    revived.pop().catch(lambda _: None)
    scheduler.flush()
    assert 1 == len(reported)
    assert 0 == copy.statistics()["unhandled"]


def test_a_dropped_list_of_unhandled_rejections_keeps_nothing(scheduler, copy):
    """What was listed holds nothing else that was."""
    left = copy.set_rejection_policy("live_list")
    promises = [copy.reject(Boom()) for _ in range(3)]
    scheduler.flush()
    one, *others = map(ref, promises)
    kept = promises[0]
    copy.set_rejection_policy()
    gc.disable()
    try:
        del promises, left
        assert [None, None] == [other() for other in others]
    finally:
        gc.enable()
    kept.catch(lambda _: None)
    assert kept is one()
    assert 2 == copy.statistics()["unhandled"]


def test_bound_and_collected(scheduler, copy):
    """What stands in for it is bound as it was, and a promise like others."""
    copy.set_rejection_policy("report_when_collected")
    bound = []
    copy.on_possibly_unhandled_rejection(
        lambda _, promise: promise.catch(lambda this, _: bound.append(this))
    )
    promise = copy.reject(Boom()).bind("this")
    scheduler.flush()
    del promise
    scheduler.flush()
    assert ["this"] == bound


def test_at_the_end_of_the_process():
    """Promises collected when the interpreter ends are not reported."""
    program = (
        "from twpromise import Promise\n"
        "from twpromise.testing import ManualScheduler\n"
        "scheduler = ManualScheduler()\n"
        "Promise.set_scheduler(scheduler)\n"
        "Promise.set_rejection_policy('report_when_collected')\n"
        "Promise.on_possibly_unhandled_rejection(lambda *_: print('reported'))\n"
        "kept = Promise.reject(KeyError())\n"
        "scheduler.flush()\n"
    )
    process = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ("", "") == (process.stdout, process.stderr)


def test_handled_when_it_was_reported(scheduler, copy):
    """The promise that the hook is called with may be handled."""
    copy.set_rejection_policy("report_when_collected")
    reported, handled = [], []
    copy.on_possibly_unhandled_rejection(lambda _, promise: reported.append(promise))
    copy.on_unhandled_rejection_handled(handled.append)
    copy.reject(Boom())
    scheduler.flush()
    gc.collect()
    assert ([], 1) == (handled, len(reported))
    reported[0].catch(lambda _: None)
    assert reported == handled
    assert 0 == copy.statistics()["unhandled"]


def test_live_list(scheduler, copy, reports):
    """A list that grows and shrinks; nothing in the log."""
    policy = copy.set_rejection_policy("live_list")
    one, two = copy.reject(Boom()), copy.reject(Boom())
    scheduler.flush()
    assert [one, two] == policy.promises
    one.catch(lambda _: None)
    assert [two] == policy.promises
    assert [] == reports


def test_done_only(scheduler, copy, reports):
    """Nothing but what ends with `done` counts."""
    copy.set_rejection_policy("done_only")
    fatal = []
    copy.on_fatal(fatal.append)
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda _: None)
    error = Boom()
    copy.reject(error).done()
    scheduler.flush()
    assert [] == reports
    assert [error] == fatal


def test_a_policy_replaces_the_hook(scheduler, copy, reports):
    """A policy that is set counts, whatever hook there was."""
    reported = []
    copy.on_possibly_unhandled_rejection(lambda *arguments: reported.append(arguments))
    copy.set_rejection_policy("report")
    copy.reject(Boom())
    scheduler.flush()
    assert [] == reported
    assert 1 == len(reports)


@pytest.mark.parametrize(("name", "error"), [("often", ValueError), (None, TypeError)])
def test_unknown_policies(copy, name, error):
    """The error names the invalid policy, and nothing is changed."""
    before = copy._library.policy
    with pytest.raises(error, match="name must be"):
        copy.set_rejection_policy(name)
    assert before is copy._library.policy
