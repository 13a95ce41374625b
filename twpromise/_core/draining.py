"""The drain: runs all that is queued, in order, until a time slice is used up."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import Context
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._util.arity import takes_nothing, without_arguments
from . import contexts, hooks
from .cancelling import discard
from .extra import Extra
from .following import root_of, take
from .jobs import Job
from .resolving import DECLINED, adopters, reject_or_report, resolve
from .settling import finish_cancel, pass_on, reject, report_unhandled, restore_traceback
from .states import (
    CANCELLING,
    DEAD,
    FOLLOWING,
    FULFILLED,
    HANDLED,
    JOB,
    LOCKED,
    NODE,
    REJECTED,
    REPORTED,
    REST,
    SETTLED,
    SEVERAL,
    CorePromise,
)
from .subscribers import followers_of

if TYPE_CHECKING:
    from .._scheduling.queue import JobQueue


#: How many handlers run between two looks at the clock (one look costs as much as half a
#: `then`): a drain overstays its time slice by no more than this many handlers.
_CHUNK: Final = range(8)


class _Rest:
    """The subscribers of a promise that are still to be notified."""

    __slots__ = ("parent", "subscribers")

    _state: ClassVar[int] = REST

    def __init__(self, parent: CorePromise, subscribers: Iterator[Any]) -> None:
        self.parent = parent
        self.subscribers = subscribers


def drain(queue: JobQueue) -> None:
    """Run all that is queued, and what is queued meanwhile, until a time slice is used up."""
    timer = queue.timer
    began = timer()
    deadline = began + queue.time_slice
    while True:
        scratch = Context()
        scratch.run(_run_jobs, queue, scratch, deadline)
        if queue.rejections and not queue:
            _look_at_the_end(queue, [])
        now = timer()
        # A hook that is called with a rejection may make another one.
        if not queue and not queue.rejections:
            queue.awake = False
            if not queue:
                break
            # Another thread has queued a call in between, and relies on this drain: see
            # `call_at_home`.
            queue.awake = True
        if now >= deadline:
            if queue.rejections:
                # Behind all that is queued now, so that an endless chain does not hide them.
                queue.append(Job(_look_at_the_end, queue, queue.rejections))
                queue.rejections = []
            queue.wake()
            break
    queue.drains.add(now - began)


def _look_at_the_end(queue: JobQueue, items: list[Any]) -> None:
    """If nothing is queued, report rejections that are still unhandled, and run late jobs."""
    done = 0
    try:
        if not queue:
            items, queue.rejections = items + queue.rejections, []
        for item in items:
            if item._state & JOB:
                item.run()
            elif not item._state & REPORTED:
                report_unhandled(item)
            done += 1
    except BaseException:
        # A signal's handler has raised.
        queue.rejections += items[done:]
        raise


def _run_jobs(queue: JobQueue, scratch: Context, deadline: float) -> None:
    """Run jobs until there are none (or time is up, or a handler changed the context).

    Handlers are called here, and a promise whose handler returned a plain value is fulfilled here,
    as `settling.fulfill` does it: without those two calls a hop of a chain costs a fifth less.
    """
    outer = contexts.scratch, contexts.driving
    contexts.scratch, contexts.driving = scratch, True
    timer = queue.timer
    # The subscribers of `parent` that are still to be notified, if there are several.
    rest: Iterator[Any] | None = None
    parent: Any = None
    child: Any = None
    handler: Any = None
    extra: Any = None
    result: Any = None
    behind: Any = None
    try:
        while True:
            for _ in _CHUNK:
                # Which subscriber of which promise is notified next? A signal's handler may raise
                # at each call.  Then `_put_back` restores what was taken, so it must not get lost
                # before it is in a variable.
                if rest is not None:
                    for child in rest:  # noqa: B007 - the next one
                        break
                    else:
                        rest = None
                        continue
                else:
                    if not queue:
                        return
                    child = queue.taken
                    state = child._state
                    if state & SETTLED:
                        parent = child
                        child = parent._subscribers
                        if child is None:
                            continue
                        parent._subscribers = None
                    elif not state & JOB:
                        parent = child._source
                    elif state == REST:
                        rest, parent = child.subscribers, child.parent
                        continue
                    else:
                        try:
                            child.run()
                        except BaseException as error:
                            hooks.host.escaped(error)
                        child = None
                        if scratch:
                            return
                        continue

                state = child._state
                if state:
                    # Not a derived promise that just waits for its parent.
                    if state == NODE or (state & NODE and not state & SETTLED):
                        try:
                            child._notify(parent)
                        except BaseException as error:
                            hooks.host.escaped(error)
                        child = None
                        if scratch:
                            return
                        continue
                    if state & SEVERAL:
                        rest = child.in_order()
                        continue
                    if state & FOLLOWING:
                        take(child, parent)
                        behind = child._subscribers
                        if behind is not None and behind._state & FOLLOWING:
                            # They are notified with it, before the rest here.
                            if rest is not None:
                                queue.appendleft(_Rest(parent, rest))
                            rest = reversed(followers_of(child))
                        continue
                    if state & SETTLED:
                        continue

                # A derived promise: it is settled by a handler, or as its parent is.
                state = parent._state
                if state & FULFILLED:
                    handler = child._value
                elif state & REJECTED:
                    handler = child._aux
                    restore_traceback(parent)
                else:
                    handler = None
                if handler is None:
                    pass_on(child, parent)
                    continue
                extra = child._extra
                child._value = child._aux = child._source = None
                if hooks.observer is not None:
                    handler = hooks.observer.watched(child, handler, True, True)
                try:
                    if extra is None:
                        result = handler(parent._value)
                    elif type(extra) is not Extra:
                        result = extra.run(handler, parent._value)
                    elif extra.context is None:
                        result = handler(*extra.arguments(parent._value))
                    else:
                        result = extra.context.run(handler, *extra.arguments(parent._value))
                except BaseException as error:
                    if type(error) is TypeError and takes_nothing(handler, error):
                        # It is called again, next.
                        child._value = child._aux = without_arguments(handler)
                        rest = chain((child,), rest or ())
                    else:
                        reject_or_report(child, error)
                else:
                    adopter = adopters[type(result)]
                    if child._state or extra is not None:
                        _settle_carefully(child, parent, extra, result)
                    elif adopter is None:
                        child._value = result
                        child._state = FULFILLED
                        if child._subscribers is not None:
                            # Within a drain the queue is awake.
                            queue.append(child)
                        if hooks.observer is not None:
                            hooks.observer.settled(child)
                    elif result is DECLINED:
                        pass_on(child, parent)
                    else:
                        try:
                            adopter(child, result)
                        except BaseException as error:
                            reject_or_report(child, error)
                if scratch:
                    return
            if timer() >= deadline and (rest is not None or queue):
                return
    except BaseException as error:
        others, rest = rest, None
        if others is not None:
            queue.appendleft(_Rest(parent, others))
        _put_back(queue, child, parent, others is None, error)
        raise
    finally:
        if rest is not None:
            queue.appendleft(_Rest(parent, rest))
        contexts.scratch, contexts.driving = outer
        # The traceback of a rejection may lead to this frame, which must not lead to a promise.
        del child, parent, handler, extra, result, behind, rest


def _put_back(queue: JobQueue, child: Any, parent: Any, alone: bool, error: BaseException) -> None:
    """A signal's handler has raised *error* in a drain: queue again what the drain was about to do.

    Args:
        queue: The queue of the drain.
        child: The subscriber that was taken last, and may have been notified.
        parent: The promise that it subscribed to.
        alone: Whether it is the only subscriber.
        error: The reason to reject a promise with whose handler was interrupted.
    """
    if child is None:
        return
    state = child._state
    if state & SEVERAL:
        if alone:
            queue.appendleft(_Rest(parent, child.in_order()))
    elif state & JOB:
        queue.appendleft(child)
    elif state & NODE:
        queue.appendleft(_Rest(parent, iter((child,))))
    elif state & SETTLED:
        # It has just been settled, so it is queued behind all others.  Its subscribers are notified
        # once, however often it is in the queue.
        queue.append(child)
        if state & REJECTED and not state & (HANDLED | REPORTED):
            queue.rejections.append(child)
    elif state & FOLLOWING:
        root = root_of(child)
        if root._state & SETTLED:
            queue.appendleft(_Rest(root, iter((child,))))
    elif child._source is parent:
        queue.appendleft(_Rest(parent, iter((child,))))
    elif state & CANCELLING:
        finish_cancel(child)
    elif not state & LOCKED:
        reject(child, error)


def _settle_carefully(child: CorePromise, parent: CorePromise, extra: Any, result: Any) -> None:
    """Settle a derived promise with the result of its handler, in the less common cases."""
    context = extra.context if type(extra) is Extra else extra
    if child._state & DEAD:
        discard(child, result)
    elif result is DECLINED:
        pass_on(child, parent)
    elif context is None:
        resolve(child, result)
    else:
        # Here a coroutine is started, and it is part of the handler that returned it.
        context.run(resolve, child, result)
