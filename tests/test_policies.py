"""Policies for unhandled rejections, by name."""

from __future__ import annotations

import gc
from threading import Thread, get_ident

import pytest

from twpromise import Promise


class Boom(Exception):
    pass


@pytest.fixture
def copy(scheduler):
    """A library copy, so that the policy of the others stays."""
    return Promise.get_new_library_copy()


def values(reports):
    return [event["log_failure"].value for event in reports]


def test_report(scheduler, copy, reports):
    """The default: at the end of the drain."""
    copy.set_rejection_policy("live_list")
    copy.set_rejection_policy()
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    assert [error] == values(reports)
    assert promise.is_rejected()


def test_report_when_collected(scheduler, copy, reports):
    """Not before the promise is gone, and with it the last chance to handle it."""
    copy.set_rejection_policy("report_when_collected")
    error = Boom()
    promise = copy.reject(error)
    scheduler.flush()
    assert [] == reports
    del promise
    gc.collect()
    assert [error] == values(reports)


def test_report_when_collected_and_handled_late(scheduler, copy, reports):
    """What is handled before the promise is gone is reported to nobody."""
    copy.set_rejection_policy("report_when_collected")
    told = []
    copy.on_unhandled_rejection_handled(told.append)
    promise = copy.reject(Boom())
    scheduler.flush()
    promise.catch(lambda _: None)
    scheduler.flush()
    del promise
    gc.collect()
    assert [] == reports
    assert [] == told


def test_report_when_collected_by_another_thread(scheduler, copy):
    """Whoever collects the promise, the hook is told by the reactor's thread."""
    copy.set_rejection_policy("report_when_collected")
    told = []
    copy.on_possibly_unhandled_rejection(lambda reason, _: told.append((reason, get_ident())))
    error = Boom()
    kept = [copy.reject(error)]
    scheduler.flush()
    thread = Thread(target=kept.clear)
    thread.start()
    thread.join()
    assert [] == told
    scheduler.flush()
    assert [(error, get_ident())] == told


@pytest.mark.parametrize("policy", ["report_when_collected", "live_list"])
def test_handled_under_another_policy(scheduler, copy, reports, policy):
    """What was reported before the policy was set is told to have been handled, once."""
    told = []
    copy.on_unhandled_rejection_handled(told.append)
    promise = copy.reject(Boom())
    scheduler.flush()
    assert 1 == len(reports)
    copy.set_rejection_policy(policy)
    promise.catch(lambda _: None)
    promise.catch(lambda _: None)
    assert [promise] == told


def test_handled_when_it_was_reported(scheduler, copy):
    """What is handed to the hook in the promise's place may be handled after all."""
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
    """A policy that is set means what it says, whatever hook there was."""
    told = []
    copy.on_possibly_unhandled_rejection(lambda *arguments: told.append(arguments))
    copy.set_rejection_policy("report")
    copy.reject(Boom())
    scheduler.flush()
    assert [] == told
    assert 1 == len(reports)


@pytest.mark.parametrize(("name", "error"), [("often", ValueError), (None, TypeError)])
def test_unknown_policies(copy, name, error):
    """What is no policy is named, and changes nothing."""
    before = copy._library.policy
    with pytest.raises(error, match="name must be"):
        copy.set_rejection_policy(name)
    assert before is copy._library.policy
