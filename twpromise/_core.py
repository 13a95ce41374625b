"""The state machine: what a promise holds, and every way in which it can change.

A promise is **pending**, and changes once, into **fulfilled**, **rejected** or
**cancelled**.  On the way it may be

* *locked*: its fate has been handed to something (a Deferred, a thenable, an operation)
  and no other call of ``resolve`` or ``reject`` counts any more;
* *following*: locked to another promise, whose fate it shares;
* *cancelling*: cancelled as everybody outside can see, while what stands before it in its
  chain (a ``finally_`` handler, a generator's ``finally`` block) is still being finished.

Where time goes, and what follows from it:

* The derived promise is itself the reaction record: until its parent settles, its two
  handlers live in the slots that hold its outcome later.  ``then`` makes one object.
* Waiters are nothing, one object, or a list.
* The queue holds promises, not handlers.
* Consumers that left are not counted and not searched for: a waiter that no longer waits
  is *dead*, and dropped when somebody passes by.

This room knows no Twisted, no clock and no collection.
"""

from __future__ import annotations

from _thread import get_ident
from bisect import bisect_right
from collections.abc import Callable
from contextvars import Context, copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol, TypeGuard, final

from ._chains import Chain
from ._queue import JobQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- states ---------------------------------------------------------------------------
# Bits of `CorePromise._state`.  The common combinations stay below 257, where CPython
# keeps the integers and none is allocated.
PENDING: Final = 0
FULFILLED: Final = 1
REJECTED: Final = 2
CANCELLED: Final = 4
SETTLED: Final = FULFILLED | REJECTED | CANCELLED
FOLLOWING: Final = 8
LOCKED: Final = 16
CANCELLING: Final = 32
#: A derived promise that takes the careful path, for what it has in `_extra`; a follower that has
#: to let others go first: see `_put_back`.
SPECIAL: Final = 64
#: A rejection of this promise is somebody's concern already.
HANDLED: Final = 128
#: The rejection was reported as unhandled.
REPORTED: Final = 256
#: A follower that has been passed over: its only follower follows, in its place, what it would
#: follow, and it is not told of the outcome.  Nobody can see that: see `_put_back`.
PASSED_OVER: Final = 512
#: States of things in the queue, and among waiters, that are no promises.
JOB: Final = 1024
NODE: Final = 2048
SEVERAL: Final = 4096
#: A node that only counts values, with `_one_more`: nobody's code runs when it does, so that it
#: may be told at once.  All that it waits for tells it so, since the last one counts.
COUNTER: Final = NODE | 8192

DECIDED: Final = SETTLED | FOLLOWING | LOCKED | CANCELLING
DEAD: Final = SETTLED | CANCELLING
#: A waiter cannot just be added to those that are there.
CLOSED: Final = DEAD | FOLLOWING

LATE_OBSERVER: Final = "late cancellation observer"
CIRCULAR: Final = "circular promise resolution chain"


class _ByCallback:
    __slots__ = ()


#: In `_aux` of a pending promise that nothing but its `NodeCallback` fulfils.
BY_CALLBACK: Final = _ByCallback()

#: How many handlers run between two looks at the clock (one look costs as much as half a
#: `then`): a drain overstays its time slice by no more than this many handlers.
_CHUNK: Final = range(8)


class _Gone:
    """Stands where a waiter was that has left for good."""

    __slots__ = ()

    _state: ClassVar[int] = CANCELLED


_GONE: Final = _Gone()


class Waiters(list[Any]):
    """More than one waiter; forgets those that left each time it has doubled.

    So they (timed out, say) do not pile up on a promise that lives for ever.  Those that are
    cancelling may still want to be told.

    Many may wait for one promise, and leave it one by one: whatever is done for one of them does
    not look at all the others.
    """

    __slots__ = ("_state", "dead", "limit", "listed", "places")

    #: `SEVERAL`, with `FOLLOWING` if there are, or were, followers among them.
    _state: int

    #: How many are in `places`; set with that.
    listed: int

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__((first, second))
        self._state = SEVERAL | first._state & FOLLOWING
        self.limit = 8
        #: Where one is found, by its `id`; made when it is needed.
        self.places: dict[int, int] | None = None
        #: Where those begin and end who are dead, and stay so: stretches, the last one last.
        self.dead: list[tuple[int, int]] = []

    def add(self, waiter: Any) -> None:
        """Append a waiter."""
        if len(self) >= self.limit:
            self.keep([other for other in self if not other._state & SETTLED])
            self.limit = 2 * len(self) + 8
        self.append(waiter)

    def keep(self, waiters: list[Any]) -> None:
        """Keep these, of those that there are."""
        self[:] = waiters
        self.places = None
        self.dead = []

    def has_live(self) -> bool:
        """Whether anybody still waits; those at the end who left for good are let go."""
        gone: list[Any] = []
        dead = self.dead
        place = end = len(self)
        while place:
            if dead and dead[-1][1] == place:
                place = dead.pop()[0]
                continue
            waiter = self[place - 1]
            if not waiter._state & DEAD:
                break
            place -= 1
            if waiter._state & SETTLED and waiter is not _GONE:
                # Let go when all is done: who knows what is called by that.
                gone.append(waiter)
                self[place] = _GONE
        if place < end:
            dead.append((place, end))
        self._trim()
        return place > 0

    def remove(self, waiter: Any) -> None:
        """Take out one, unless it has been let go."""
        place = self._all_places().get(id(waiter), len(self))
        # An `id` may be that of another who was there.
        if place < len(self) and self[place] is waiter:
            self[place] = _GONE
            self._trim()

    def replace(self, waiter: Any, other: Any) -> None:
        """Put another, who is alive, in the place of one."""
        places = self._all_places()
        place = places[id(other)] = places[id(waiter)]
        self[place] = other
        dead = self.dead
        found = bisect_right(dead, (place, len(self))) - 1
        if found >= 0 and place < dead[found][1]:
            begin, end = dead[found]
            dead[found : found + 1] = [
                each for each in ((begin, place), (place + 1, end)) if each[0] < each[1]
            ]

    def _all_places(self) -> dict[int, int]:
        places = self.places
        if places is None:
            places = self.places = {}
            self.listed = 0
        # An `id` may have been another's before; the later place is the right one.
        for place in range(self.listed, len(self)):
            places[id(self[place])] = place
        self.listed = len(self)
        return places

    def _trim(self) -> None:
        while self and self[-1] is _GONE:
            self.pop()
        # Others will come there.
        dead, end = self.dead, len(self)
        while dead and dead[-1][1] > end:
            begin = dead.pop()[0]
            if begin < end:
                dead.append((begin, end))
        if self.places is not None:
            self.listed = min(self.listed, len(self))


class Binding:
    """What `bind` bound: the first argument of every handler down the chain."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@final
class Extra:
    """What few promises have: a binding, a context to run in, a trace of their making.

    And, while a rejection is left unhandled, who knows of that; see `keep_for`.
    """

    __slots__ = ("binding", "context", "keeper", "trace")

    def __init__(
        self, binding: Binding | None, context: Context | None = None, trace: Any = None
    ) -> None:
        self.binding = binding
        self.context = context
        self.trace = trace
        self.keeper: Keeper | None = None


class Keeper(Protocol):
    """Who has not reported a rejection, or not yet; whatever the policy is meanwhile."""

    def handled(self, promise: CorePromise) -> bool | None:
        """It has been handled after all.

        Returns:
            Whether it had been reported; None if that it is handled is known already.
        """


class Job:
    """A call that waits in the queue."""

    __slots__ = ("_arguments", "_function")

    _state: ClassVar[int] = JOB
    _waiters: ClassVar[None] = None

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self._function = function
        self._arguments = arguments

    def run(self) -> None:
        """Make the call; whatever it raises is logged by the drain."""
        self._function(*self._arguments)
        # The traceback of what was raised, and caught, in there refers to this frame.
        del self


class _FanOut:
    """The rest of a promise's waiters, when a drain had to stop among them."""

    __slots__ = ("parent", "waiters")

    _state: ClassVar[int] = JOB

    def __init__(self, parent: CorePromise, waiters: Iterator[Any]) -> None:
        self.parent = parent
        self.waiters = waiters


class Node:
    """Something that stands between promises: waits for some and decides the fate of one.

    A node sits among the waiters of each promise that it waits for, and is the `_source` of
    the promise that it will settle.
    """

    __slots__ = ("_promise", "_state")

    _promise: Any
    _state: int

    def __init__(self, promise: CorePromise | None = None) -> None:
        self._state = NODE
        self._promise = promise

    @classmethod
    def derive(cls, source: CorePromise, *arguments: Any) -> Any:
        """A new promise, bound as *source* is, that a new node will settle.

        Args:
            source: What the node waits for first.
            *arguments: More arguments for `_start`.
        """
        node = cls()
        promise = node._promise = new_pending(type(source), node, source)
        if source._extra is not None:
            bind_promise(promise, binding_of(source))
        node._start(source, *arguments)
        try:
            return promise
        finally:
            # Where the collection or so failed, the traceback refers to this frame.
            del node, promise

    def _start(self, source: CorePromise, /, *arguments: Any, **_: Any) -> None:
        """The rest of `derive`; may settle the promise at once.

        Each kind of node says what its arguments are.
        """
        raise NotImplementedError(type(self))

    def _notify(self, parent: CorePromise) -> None:
        """A promise that this node waits for has settled."""
        raise NotImplementedError(type(self))

    def _can_stop(self) -> bool:
        """Whether `_abandon` stops what is under way; else its outcome comes, for nobody."""
        return True

    def _abandon(self, stack: list[CorePromise]) -> bool:
        """The node's promise is being cancelled: leave what it waits for (see `leave`).

        Returns:
            True if the node will finish the cancellation itself, with `finish_cancel` (or
            reject); False if there is nothing to wait for.
        """
        raise NotImplementedError(type(self))


class Waiter(Protocol):
    """What `wait_for` takes: a `Node`, or what cannot be derived from it."""

    _state: int

    def _notify(self, parent: CorePromise) -> None:
        """A promise that this waits for has settled."""


class Passage(Node):
    """A node whose promise is locked to another promise, and will share its fate."""

    __slots__ = ("_ahead",)

    #: That promise, once there is one, or one further on.
    _ahead: CorePromise | None


class LibrarySettings(Protocol):
    """What the core asks of a library copy."""

    async_hooks: bool
    cancellation: bool

    def ignored_handler(self, handler: object) -> None:
        """Something that is not callable was given as a handler."""

    def odd_reason(self, reason: object, promise: CorePromise) -> None:
        """A promise was rejected with something that is no exception."""

    def cancel_disabled(self) -> None:
        """`cancel` was called while cancellation is switched off."""


class Observer(Protocol):
    """Diagnostics that are switched on; see `observe`."""

    #: Somebody is being told of something just now.
    telling: bool

    def created(self, promise: CorePromise, owner: CorePromise | None = None, /) -> None:
        """A promise was made; on behalf of another, if nobody else will see it."""

    def chained(self, parent: CorePromise, child: CorePromise) -> None:
        """A promise was derived from another."""

    def settled(self, promise: CorePromise) -> None:
        """A promise was fulfilled, rejected or cancelled."""

    def resolved(self, promise: CorePromise) -> None:
        """A promise took on another's fate."""

    def handed_on(self, promise: CorePromise) -> None:
        """Whoever followed a promise follows another now: it may never be settled."""

    def before(self, child: CorePromise, handler: Callable[..., Any]) -> Any:
        """A handler is about to run; what this returns goes to `after`."""

    def watched(self, promise: CorePromise, function: Callable[..., Any], awaited: bool) -> Any:
        """*function*, with `before` and `after` called around it; see `prepare`."""

    def consumed(self, promise: CorePromise) -> None:
        """Somebody has asked for the outcome of a promise."""

    def after(self, token: Any, result: Any) -> None:
        """The handler has returned; or raised, then *result* is `DECLINED`."""


class Reports:
    """Where the core tells of what nobody handled; the diagnostics put themselves here."""

    @staticmethod
    def unhandled(promise: CorePromise) -> None:
        """A rejection stayed unhandled to the end of the drain."""
        raise NotImplementedError

    @staticmethod
    def handled(promise: CorePromise) -> None:
        """A rejection that was reported has been handled after all."""
        raise NotImplementedError

    @staticmethod
    def fatal(library: Any, reason: Any, aux: Any) -> None:
        """Something failed where nothing may: the process is to end.

        Args:
            library: The library copy whose fatal hook is asked.
            reason: What it failed with.
            aux: As of a rejection; see `reject`.
        """
        raise NotImplementedError

    @staticmethod
    def escaped(error: BaseException) -> None:
        """An exception escaped a job."""
        raise NotImplementedError


Adopter = Callable[["CorePromise", Any], None]

#: What to do with a result, by its type: None for a plain value, else what makes a promise
#: take on its fate. `classify` fills it, one type at a time.
KINDS: dict[type, Adopter | None] = {}
#: Stands for the types that are not in `KINDS` yet.
_UNKNOWN: Final = object()


class Direct(NamedTuple):
    """How a node waits for something that is followed, without a promise made for it."""

    #: The exact type of such things.
    kind: type
    #: Called with the thing, a function and an argument for it; has the function called, at once
    #: or later, with the outcome (something that a promise may be resolved with) and the argument.
    wait: Callable[[Any, Callable[[Any, int], None], int], object]
    #: Makes a new promise which is cancelled with the thing; it is never settled otherwise.
    lock: Callable[[CorePromise, Any], object]


def _unclassified(kind: type) -> Adopter | None:
    raise NotImplementedError  # pragma: no cover - replaced when the bridge is imported


class _Declined:
    __slots__ = ()


#: What a handler returns that does not want the outcome: it is passed on as if the handler
#: had not been there (a `catch` whose filters do not match).
DECLINED: Final = _Declined()


#: Decides what a type is, once per type: set by the bridge, which knows them all.  It does not
#: raise.
classify: Callable[[type], Adopter | None] = _unclassified

#: What collections wait for directly: set by the bridge.
direct: Direct

#: The type of exceptions that stand for another one (Twisted's Failure), and how to get at it.
wrapper: type
unwrap: Callable[[Any], tuple[object, Any]]


def is_promise(value: object) -> TypeGuard[CorePromise]:
    """Whether a value is a promise: by its type, which cannot pretend or fail.

    `isinstance` asks the value for its ``__class__``, too.
    """
    return issubclass(type(value), CorePromise)


def is_exception(value: object) -> TypeGuard[BaseException]:
    """Whether a value is an exception: by its type, as `is_promise`."""
    return issubclass(type(value), BaseException)


#: As the attribute, for exceptions that have overridden how attributes are read or set.
get_traceback: Callable[[BaseException], TracebackType | None]
get_traceback = BaseException.__dict__["__traceback__"].__get__
set_traceback: Callable[[BaseException, TracebackType | None], None]
set_traceback = BaseException.__dict__["__traceback__"].__set__


def is_followed(value: object) -> bool:
    """Whether a promise that is resolved with *value* takes on its fate."""
    try:
        return KINDS[type(value)] is not None
    except Exception:
        # Not only a KeyError, here as everywhere: a class may raise when it is hashed or compared.
        return classify(type(value)) is not None


reports: Reports = Reports()

# The diagnostics that are switched on, or None: one look at a global on the hot path.
_observer: Observer | None = None

# The context in which the running drain calls handlers that have none of their own.
_scratch: Context | None = None

# Whether a coroutine that runs is most likely driven by this library: in a drain, and where one is
# started.  A coroutine of Twisted's, or a loop of asyncio's, may run there, too: `await_promise`
# copes with both.
_driving = False


def drive(step: Callable[..., object], *arguments: Any) -> None:
    """Make a call that runs a coroutine, where nothing is driven."""
    global _driving
    _driving = True
    try:
        step(*arguments)
    finally:
        _driving = False
        # As in `_run_jobs`.
        del step, arguments


def observe(observer: Observer | None) -> None:
    """Switch diagnostics on (or off, with None)."""
    global _observer
    _observer = observer


def set_classify(function: Callable[[type], Adopter | None]) -> None:
    """Say what decides how a value of an unknown type is taken."""
    global classify
    classify = function


def set_direct(new: Direct) -> None:
    """Say what collections wait for directly."""
    global direct
    direct = new


def set_wrapper(kind: type, function: Callable[[Any], tuple[object, Any]]) -> None:
    """Say which exceptions stand for others, and what gets at the reason and its `aux`."""
    global wrapper, unwrap
    wrapper, unwrap = kind, function


def reports_escaped(error: BaseException) -> None:
    """Report an exception that nobody can catch; to be called from the queue."""
    reports.escaped(error)


def set_reports(new: Reports) -> None:
    """Say who is told of what nobody handled."""
    global reports
    reports = new


class CorePromise:
    """State, handlers and waiters of one promise; its methods are only what must be fast.

    What each slot holds depends on the state:

    ===========  =================  =================  ==========================
    slot         derived, waiting   settled            otherwise pending
    ===========  =================  =================  ==========================
    `_value`     on_fulfilled       value or reason    following: None, or the
                                                       chain that it stands in
    `_aux`       on_rejected        rejected: the      following: a promise
                                    reason's traceback further on; else None,
                                    or Failure         or `BY_CALLBACK`
    `_waiters`   who is to be told  None (or who has   who is to be told
                                    not been told yet)
    `_source`    its parent         None               what will settle it, if it
                                                       can be cancelled
    `_extra`     None, a Context or an Extra
    ===========  =================  =================  ==========================

    One that was passed over knows its chain (`_waiters`) and its number there (`_value`).
    """

    __slots__ = ("__weakref__", "_aux", "_extra", "_source", "_state", "_value", "_waiters")

    _queue: ClassVar[JobQueue]
    _library: ClassVar[LibrarySettings]
    #: The same class without `__init__`: calling it is twice as fast as `object.__new__`.
    _new: ClassVar[type[Any]]

    _aux: Any
    _extra: Context | Extra | None
    _source: Any
    _state: int
    _value: Any
    _waiters: Any

    def then(self, on_fulfilled: Any = None, on_rejected: Any = None) -> Any:
        """A promise for what a handler makes of this promise's outcome.

        Args:
            on_fulfilled: Called with the value; None passes it on.
            on_rejected: Called with the reason; None passes it on.

        Handlers are called once at most, from the scheduler, never from within `then`, and in
        the order in which they were attached.  What a handler returns is followed if it is
        a promise, a Deferred, a coroutine or anything else that is followed; what it raises
        rejects.  Something that is not callable is ignored, with a warning if warnings are on.

        Bluebird: ``.then``; Twisted: ``Deferred.addCallbacks``.
        """
        if on_fulfilled is not None and not callable(on_fulfilled):
            self._library.ignored_handler(on_fulfilled)
            on_fulfilled = None
        if on_rejected is not None and not callable(on_rejected):
            self._library.ignored_handler(on_rejected)
            on_rejected = None
        child: CorePromise = self._new()
        child._value = on_fulfilled
        child._aux = on_rejected
        child._waiters = None
        child._source = self
        context = copy_context()
        if context or self._extra is not None:
            _derive_special(self, child, context)
        else:
            child._state = PENDING
            child._extra = None
        state = self._state
        if not state & CLOSED:
            waiters = self._waiters
            if waiters is None:
                self._waiters = child
            else:
                _add_waiter(self, waiters, child)
        elif state & FULFILLED:
            queue = self._queue
            queue.append(child)
            if not queue.awake:
                queue.wake()
        else:
            _attach_late(self, child)
        if _observer is not None:
            _observer.chained(self, child)
        return child

    # `resolve` and `reject` as executors and promisified functions get them: bound methods,
    # which are cheaper than closures, and tell whose they are.

    def _resolve_from_anywhere(self, value: Any = None) -> None:
        """Resolve this promise with a value, or with whatever is followed; first call wins."""
        if get_ident() != self._queue.thread and _not_home(
            self, CorePromise._resolve_from_anywhere, value
        ):
            return
        if not self._state & DECIDED:
            if self._waiters is not None:
                stop_counting(self._waiters)
            if self._source is None:
                resolve(self, value)
            else:
                # It has cancel hooks, which stay in force.
                self._source.resolve(value)
            # The frame of a coroutine that has failed at once refers to this one.
            del self, value

    def _reject_from_anywhere(self, reason: Any = None) -> None:
        """Reject this promise; first call wins."""
        if get_ident() != self._queue.thread and _not_home(
            self, CorePromise._reject_from_anywhere, reason
        ):
            return
        if not self._state & DECIDED:
            reject(self, reason)
            # Where the reason is a class that cannot be made, what it raises refers to this frame.
            del self


# --- making -----------------------------------------------------------------------------


def created(promise: CorePromise) -> None:
    """To be called by whoever makes a promise other than by what follows here."""
    if _observer is not None:
        _observer.created(promise)


def new_pending(
    cls: type[CorePromise],
    source: Any = None,
    parent: CorePromise | None = None,
    owner: CorePromise | None = None,
) -> Any:
    """A pending promise of a library copy, to be settled by what calls this.

    Args:
        cls: The class of that copy.
        source: What will settle it, if it can be cancelled.
        parent: The promise that it is derived from, if it is.
        owner: The promise on whose behalf it is made, if nobody else will see it.
    """
    promise: CorePromise = cls._new()
    promise._state = PENDING
    promise._value = promise._aux = promise._waiters = promise._extra = None
    promise._source = source
    if _observer is not None:
        if parent is None:
            _observer.created(promise, owner)
        else:
            _observer.chained(parent, promise)
    return promise


def new_fulfilled(cls: type[CorePromise], value: Any) -> Any:
    """A promise that is fulfilled with a plain value."""
    promise: CorePromise = cls._new()
    promise._state = FULFILLED
    promise._value = value
    promise._aux = promise._waiters = promise._source = promise._extra = None
    if _observer is not None:
        _observer.created(promise)
        _observer.settled(promise)
    return promise


def new_resolved(cls: type[CorePromise], value: Any, owner: CorePromise | None = None) -> Any:
    """A promise that is resolved with anything; see `new_pending` for *owner*."""
    try:
        kind: Any = KINDS[type(value)]
    except Exception:
        kind = _UNKNOWN
    if kind is None:
        return new_fulfilled(cls, value)
    promise = new_pending(cls, None, None, owner)
    resolve(promise, value)
    try:
        return promise
    finally:
        # The frame of a coroutine that has failed at once refers to this one.
        del promise, value, owner


def new_rejected(cls: type[CorePromise], reason: Any, aux: Any = None) -> Any:
    """A promise that is rejected; see `reject` for *aux*."""
    promise = new_pending(cls)
    reject(promise, reason, aux)
    try:
        return promise
    finally:
        # Where the reason is a class that cannot be made, what it raises refers to this frame.
        del promise


def _derive_special(parent: CorePromise, child: CorePromise, context: Context) -> None:
    """Give *child* the binding it inherits and the context it is attached in."""
    extra = parent._extra
    binding = extra.binding if type(extra) is Extra else None
    kept = context if context and parent._library.async_hooks else None
    if kept is None and binding is None:
        child._state = PENDING
        child._extra = None
    else:
        child._state = SPECIAL
        child._extra = kept if binding is None else Extra(binding, kept)


def binding_of(promise: CorePromise) -> Binding | None:
    """What *promise* is bound to, if to anything."""
    extra = promise._extra
    return extra.binding if type(extra) is Extra else None


def bind_promise(promise: CorePromise, binding: Binding | None) -> None:
    """Bind a promise that has just been made, and with it all that will be derived from it."""
    extra = promise._extra
    if type(extra) is Extra:
        promise._extra = Extra(binding, None, extra.trace)
    else:
        promise._extra = None if binding is None else Extra(binding)


# --- waiters ------------------------------------------------------------------------------


def _add_waiter(promise: CorePromise, waiters: Any, waiter: Any) -> None:
    if waiters is None:
        promise._waiters = waiter
    elif type(waiters) is not Waiters:
        stop_counting(waiters)
        promise._waiters = Waiters(waiters, waiter)
    else:
        waiters.add(waiter)


def stop_counting(waiter: Any) -> None:
    """If *waiter* counts, it is told from the queue from now on.

    What it counts by then had settled before all that will come from the queue: else it would be
    told of the last one too early.
    """
    if waiter._state == COUNTER:
        waiter._state = NODE


def _has_live_waiters(promise: CorePromise) -> bool:
    """Whether anybody still waits.

    If there are only dead, the promise is going to be cancelled: those that are cancelling will
    want to know when it has been.  The others left for good, and none of them will have handled
    it if the cancellation ends in a failure.
    """
    waiters = promise._waiters
    if waiters is None:
        return False
    if type(waiters) is not Waiters:
        if not waiters._state & DEAD:
            return True
        if waiters._state & SETTLED:
            promise._waiters = None
        return False
    if waiters.has_live():
        return True
    waiters.keep([other for other in waiters if not other._state & SETTLED])
    if not waiters:
        promise._waiters = None
    return False


def forget(promise: CorePromise, waiter: Any) -> None:
    """Take out a waiter that is about to wait for something else."""
    waiters = promise._waiters
    if waiters is waiter:
        promise._waiters = None
    elif type(waiters) is Waiters:
        waiters.remove(waiter)
        if not waiters:
            promise._waiters = None


def _enqueue(promise: Any, queue: JobQueue) -> None:
    queue.append(promise)
    if not queue.awake:
        queue.wake()


def call_soon(cls: type[CorePromise], function: Callable[..., object], *arguments: Any) -> None:
    """Queue a call, behind all that is queued; what it raises is logged."""
    _enqueue(Job(function, *arguments), cls._queue)


def call_at_home(queue: JobQueue, function: Callable[..., object], *arguments: Any) -> None:
    """Queue a call, from another thread than the queue's own; what it raises is logged.

    It waits with all the others, so that however much comes from threads, a drain takes no more
    of it at a time than its time slice allows.
    """
    queue.append(Job(function, *arguments))
    if not queue.awake:
        queue.wake_from_thread()


def _attach_late(parent: CorePromise, waiter: Any) -> None:
    """Attach *waiter* to a parent that is rejected, cancelled, cancelling or following."""
    if parent._state & PASSED_OVER:
        _put_back(parent)
    state = parent._state
    if state & FOLLOWING:
        state = _decided_by(parent)._state
        if not state & (CANCELLED | CANCELLING):
            # It has not been told yet, whether or not there is an outcome.
            _add_waiter(parent, parent._waiters, waiter)
            return
    if state & (CANCELLED | CANCELLING):
        parent = late_observer(parent)
    elif state & REJECTED and not state & HANDLED:
        mark_handled(parent)
    if waiter._state & NODE:
        _enqueue(Job(_notify_late, waiter, parent), parent._queue)
    else:
        waiter._source = parent
        _enqueue(waiter, parent._queue)


def _notify_late(node: Waiter, parent: CorePromise) -> None:
    if not node._state & SETTLED:
        node._notify(parent)
    # The traceback of what came of it may refer to this frame.
    del node, parent


def wait_for(promise: CorePromise, node: Waiter) -> None:
    """Have *node* told when *promise* has settled: never at once, but from the queue."""
    if _observer is not None:
        _observer.consumed(promise)
    if not promise._state & CLOSED:
        _add_waiter(promise, promise._waiters, node)
    else:
        _attach_late(promise, node)


def late_observer(promise: CorePromise) -> CorePromise:
    """What somebody sees who consumes a promise that is cancelled already: a rejection."""
    rejected: CorePromise = new_rejected(type(promise), late_cancellation())
    # It is made for somebody who handles it.
    rejected._state |= HANDLED
    return rejected


def observed(promise: CorePromise) -> CorePromise:
    """What to wait for in order to have the outcome of *promise*: what tells a node of it.

    For nodes that ask later whether what they wait for is cancelled with them: a promise that is
    cancelling still tells those who have waited before, but not who comes now.
    """
    if outcome_of(promise)._state & (CANCELLED | CANCELLING):
        return late_observer(promise)
    return promise


def _no_exception(promise: CorePromise) -> BaseException:
    raise NotImplementedError(type(promise))


#: The exception to throw into whoever waits for a promise: set by the bridge.
exception_of: Callable[[CorePromise], BaseException] = _no_exception


def set_exception_of(function: Callable[[CorePromise], BaseException]) -> None:
    """Say what is thrown into a generator that waits for a promise in vain."""
    global exception_of
    exception_of = function


def _late_cancellation() -> BaseException:
    return RuntimeError(LATE_OBSERVER)


#: Makes the reason of late observers: set by the bridge, which knows the error type.
late_cancellation: Callable[[], BaseException] = _late_cancellation


def set_late_cancellation(function: Callable[[], BaseException]) -> None:
    """Say what those are rejected with who consume a cancelled promise."""
    global late_cancellation
    late_cancellation = function


def mark_handled(promise: CorePromise) -> None:
    """A rejection, present or future, is somebody's concern from now on."""
    if _observer is not None:
        _observer.consumed(promise)
    state = promise._state
    promise._state = state | HANDLED
    if state & REPORTED and not state & HANDLED:
        reports.handled(promise)


def keep_for(promise: CorePromise, keeper: Keeper) -> None:
    """An unhandled rejection is not reported, or not yet, and it is *keeper* that knows."""
    # In the promise itself: whatever else held it would hold, with a reason whose traceback leads
    # to the promise, the promise for ever.
    extra = promise._extra
    if type(extra) is not Extra:
        extra = promise._extra = Extra(None)
    extra.keeper = keeper


def was_reported(promise: CorePromise) -> bool | None:
    """Whether a rejection that is handled after all was reported; see `Keeper.handled`."""
    extra = promise._extra
    if type(extra) is not Extra or extra.keeper is None:
        return True
    keeper, extra.keeper = extra.keeper, None
    return keeper.handled(promise)


# --- settling -----------------------------------------------------------------------------


def resolve(promise: CorePromise, value: Any) -> None:
    """Settle a pending promise with a value, or have it take on the fate of what is followed.

    The promise must not be settled, nor belong to anybody else than the caller.
    """
    kind: Any = None
    try:
        try:
            kind = KINDS[type(value)]
        except Exception:
            kind = classify(type(value))
        if kind is None:
            fulfill(promise, value)
            return
        kind(promise, value)
    except BaseException as error:
        _adopter_raised(promise, error)
    # The frame of a coroutine that has failed at once refers to this one, as the traceback does.
    del promise, value, kind


def _adopter_raised(promise: CorePromise, error: BaseException) -> None:
    """An adopter never raises for what it is given; this is for what it calls."""
    if not promise._state & DEAD:
        reject_raised(promise, error)
    else:
        reports.escaped(error)
    # As in `resolve`.
    del promise, error


def fulfill(promise: CorePromise, value: Any) -> None:
    """Fulfil a pending promise with a plain value."""
    # Not let go of before all is done: whoever is called by that sees it, and comes last.
    _gone = promise._value, promise._aux, promise._source, promise._extra
    promise._value = value
    promise._aux = promise._source = None
    if promise._extra is not None:
        _drop_context(promise)
    promise._state = FULFILLED
    if promise._waiters is not None:
        queue = promise._queue
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    if _observer is not None:
        _observer.settled(promise)


def reject(promise: CorePromise, reason: Any, aux: Any = None) -> None:
    """Reject a pending promise.

    Args:
        promise: Not settled; a promise that is cancelling is rejected all the same.
        reason: An exception, or a class of them that is called, as by ``raise``; other objects
            are allowed, and warned about.
        aux: The traceback of the reason, or the Failure in which it came.
    """
    if issubclass(type(reason), wrapper):
        reason, aux = unwrap(reason)
    if aux is None:
        if is_exception(reason):
            aux = get_traceback(reason)
        elif issubclass(type(reason), type) and issubclass(reason, BaseException):
            # As with `raise`.
            try:
                reason = reason()
            except BaseException as error:
                # It cannot be called without arguments, say; that is the reason then.
                reject_raised(promise, error)
                del promise
                return
        else:
            try:
                promise._library.odd_reason(reason, promise)
            except Warning as warning:
                # Warnings are errors here: this one rejects, lest the promise is left hanging.
                reject_raised(promise, warning)
                del promise
                return
    _reject(promise, reason, aux)


def reject_raised(promise: CorePromise, error: BaseException) -> None:
    """Reject a promise with what a call raised to the caller of this function.

    The caller's own frame is taken out of the traceback: it is of no interest, and its local
    variables would keep the promise alive.
    """
    if issubclass(type(error), wrapper):
        reason, aux = unwrap(error)
        _reject(promise, reason, aux)
        return
    traceback = get_traceback(error)
    if traceback is not None:
        traceback = traceback.tb_next
        set_traceback(error, traceback)
    _reject(promise, error, traceback)
    del error, traceback, promise


def _reject(promise: CorePromise, reason: Any, aux: Any) -> None:
    # As in `fulfill`.
    _gone = promise._value, promise._aux, promise._source, promise._extra
    promise._value = reason
    promise._aux = aux
    promise._source = None
    if promise._extra is not None:
        _drop_context(promise)
    queue = promise._queue
    if promise._waiters is not None:
        promise._state = REJECTED | HANDLED
        queue.append(promise)
        if not queue.awake:
            queue.wake()
    elif promise._state & HANDLED:
        promise._state = REJECTED | HANDLED
    else:
        promise._state = REJECTED
        queue.rejections.append(promise)
        if not queue.awake:
            queue.wake()
    if _observer is not None:
        _observer.settled(promise)


def finish_cancel(promise: CorePromise) -> None:
    """Settle a promise as cancelled; its waiters are told from the queue."""
    # As in `fulfill`.
    _gone = promise._value, promise._aux, promise._source, promise._extra
    promise._value = promise._aux = promise._source = None
    if promise._extra is not None:
        _drop_context(promise)
    promise._state = CANCELLED
    if promise._waiters is not None:
        _enqueue(promise, promise._queue)
    if _observer is not None:
        _observer.settled(promise)


def _drop_context(promise: CorePromise) -> None:
    """A settled promise keeps its binding and its trace, not what its handlers ran in."""
    extra = promise._extra
    if type(extra) is not Extra:
        promise._extra = None
    elif extra.context is not None:
        promise._extra = Extra(extra.binding, None, extra.trace)


def call_into(
    promise: CorePromise,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> None:
    """Call a function at once, and settle a pending promise with what it returns or raises."""
    try:
        result = function(*arguments, **keywords)
    except BaseException as error:
        reject_raised(promise, error)
    else:
        resolve(promise, result)
        del result
    # The traceback refers to this frame.
    del promise, function, arguments, keywords


# --- following ------------------------------------------------------------------------------


def root_of(promise: CorePromise) -> CorePromise:
    """The promise at the end of a chain of followers; shortens the chain as it goes.

    For one that was passed over, its follower, once that has settled: with the same outcome, or
    cancelled, as it would be itself, since nobody else waited for it.
    """
    root = promise
    while root._state & FOLLOWING:
        root = _standing_for(root) if root._state & PASSED_OVER else root._aux
    while promise is not root:
        if promise._state & PASSED_OVER:
            promise = _standing_for(promise)
        else:
            promise._aux, promise = root, promise._aux
    return root


def consume(promise: CorePromise) -> None:
    """Somebody has looked at an outcome, without waiting for it."""
    if _observer is not None:
        _observer.consumed(promise)


def end_of(promise: CorePromise) -> CorePromise:
    """As `root_of`, and through promises that are locked to others by a `Passage`."""
    passed: list[Passage] = []
    end = root_of(promise)
    while isinstance(end._source, Passage) and end._source._ahead is not None:
        passed.append(end._source)
        end = root_of(end._source._ahead)
    for node in passed:
        node._ahead = end
    return end


def outcome_of(promise: CorePromise) -> CorePromise:
    """Who has the outcome of a promise: itself, or what it follows, if it has not been told yet.

    To be called by whoever goes on to use the outcome.
    """
    if _observer is not None:
        _observer.consumed(promise)
    return _decided_by(promise) if promise._state & FOLLOWING else promise


def _decided_by(follower: CorePromise) -> CorePromise:
    """What a follower follows in the end, if that is decided or cancelling; else itself."""
    root = root_of(follower)
    return root if root._state & DEAD else follower


def _has_outcome(promise: CorePromise) -> bool:
    """Whether a promise has settled, or what it follows has."""
    root = root_of(promise) if promise._state & FOLLOWING else promise
    return bool(root._state & SETTLED)


def follow(promise: CorePromise, other: CorePromise) -> None:
    """Have a pending promise share the fate of *other*."""
    waiters = promise._waiters
    if (
        not other._state
        and other is not promise
        and promise._extra is None
        and _observer is None
        and (waiters is None or not waiters._state & FOLLOWING)
    ):
        # All that comes to below where nothing is special; it halves what following costs.
        promise._value = None
        promise._aux = promise._source = other
        promise._state = promise._state & HANDLED | FOLLOWING
        if other._waiters is None:
            other._waiters = promise
        else:
            _add_follower(other, other._waiters, promise)
        return
    if _observer is not None:
        _observer.consumed(other)
    root = root_of(other) if other._state & FOLLOWING else other
    state = root._state
    if root is promise or (state & LOCKED and end_of(root) is promise):
        reject(promise, TypeError(CIRCULAR))
        return
    if other._state & PASSED_OVER:
        _put_back(other)
    if (state | other._state) & DEAD:
        if root is not other and state & REJECTED:
            # That has not been told yet, and somebody has come to it.
            mark_handled(other)
        take(promise, other if other._state & SETTLED else root)
        return
    promise._value = None
    if promise._extra is not None:
        _drop_context(promise)
    promise._state = promise._state & HANDLED | FOLLOWING
    follower = promise
    waiters = promise._waiters
    if (
        waiters is not None
        and type(waiters) is not Waiters
        and waiters._state & (FOLLOWING | DEAD) == FOLLOWING
        and _are_cancelled_alike(waiters, promise)
    ):
        # Its only waiter follows it, and can follow *other* directly: so the promises of an
        # endless loop (each the result of the one before) do not pile up.
        follower = waiters
        _pass_over(promise, follower)
    follower._aux = root
    waiters = other._waiters
    if waiters is not None:
        follower._source = other
        _add_follower(other, waiters, follower)
    elif (
        root is not other
        and other._source._waiters is other
        and _are_cancelled_alike(follower, other)
        and (other._value is None or other._value.ends_with(other))
    ):
        # It can take the place of *other*, as above: the other way to make a loop.
        follower._source = other._source
        follower._source._waiters = follower
        _pass_over(other, follower)
    else:
        follower._source = other
        other._waiters = follower
    if _observer is not None:
        _observer.resolved(promise)


def _add_follower(promise: CorePromise, waiters: Any, follower: CorePromise) -> None:
    _add_waiter(promise, waiters, follower)
    promise._waiters._state |= FOLLOWING


def _are_cancelled_alike(follower: CorePromise, followed: CorePromise) -> bool:
    """Whether both are of libraries with cancellation, or both of libraries without.

    Only then they stand in the same chain: a cancellation goes through all of it, or nowhere.
    """
    return follower._library.cancellation is followed._library.cancellation


# Who is passed over knows its place, and nobody knows of it: see `_chains`.


def _pass_over(promise: CorePromise, follower: CorePromise) -> None:
    """Have a follower stand where the one does that it alone follows."""
    chain: Chain | None = promise._value
    outer: Chain | None = follower._value
    if chain is None:
        chain = outer
        if chain is None:
            chain = follower._value = Chain(follower)
        elif chain.joined is not None:
            chain = chain.now()[0]
        number = chain.prepend()
    else:
        chain = chain.now()[0]
        if outer is None:
            number = chain.succeed(follower)
            follower._value = chain
        else:
            number = chain.join(outer.now()[0])
    promise._waiters, promise._value = chain, number
    promise._aux = promise._source = None
    promise._state |= PASSED_OVER
    if _observer is not None:
        _observer.handed_on(promise)


def _standing_for(promise: CorePromise) -> CorePromise:
    """Who stands where a follower would that was passed over; others may have been, too."""
    chain, shift = promise._waiters.now()
    if shift:
        promise._waiters = chain
        promise._value += shift
    follower: CorePromise = chain.behind(promise._value)[1]
    return follower


def _put_back(promise: CorePromise) -> None:
    """Somebody comes to a follower that was passed over: it stands in its chain again."""
    chain, shift = promise._waiters.now()
    number = promise._value + shift
    place, follower = chain.behind(number)
    promise._state &= ~PASSED_OVER
    promise._waiters = promise._value = None
    if follower._state & SETTLED:
        pass_on(promise, follower)
        return
    chain.insert(place, number, promise)
    promise._value = chain
    promise._aux = follower._aux
    source = promise._source = follower._source
    waiters = source._waiters
    if source._state & SETTLED:
        # The follower is about to be told, whoever else is among the waiters now.
        follower._state |= SPECIAL
    elif waiters is follower:
        source._waiters = promise
    else:
        waiters.replace(follower, promise)
    promise._waiters = follower
    follower._source = promise


def _first_before(follower: CorePromise) -> CorePromise:
    """Who is told next where a follower would be: itself, or who was put back before it."""
    source = follower._source
    while source._state & FOLLOWING:
        follower, source = source, source._source
    return follower


def take(promise: CorePromise, root: CorePromise) -> None:
    """Give *promise* the fate of *root*, which is settled (or cancelling, if it comes late)."""
    state = root._state
    if state & FULFILLED:
        fulfill(promise, root._value)
    elif state & REJECTED:
        if not state & HANDLED:
            mark_handled(root)
        _reject(promise, root._value, root._aux)
    elif promise._state & FOLLOWING:
        finish_cancel(promise)
    else:
        reject(promise, late_cancellation())


# --- cancelling -------------------------------------------------------------------------------


def cancel(promise: CorePromise) -> None:
    """Cancel a promise, and with it every promise before it that nobody else waits for."""
    if _observer is not None and _observer.telling:
        # Whoever is told of a promise may be told in the midst of its making.
        call_soon(type(promise), cancel, promise)
        return
    if outcome_of(promise)._state & SETTLED or promise._state & DEAD:
        return
    if not promise._library.cancellation:
        promise._library.cancel_disabled()
        return
    cancel_all([promise])


def cancel_all(stack: list[CorePromise]) -> None:
    """Cancel each promise of *stack*, and all that only they waited for, without recursion.

    Signals run upwards at once, from each promise to what would settle it; the cancellation
    itself runs downwards from the first promise that nobody else waits for, through the
    queue, so that what has to be finished on the way is finished in order.
    """
    while stack:
        promise = stack.pop()
        state = promise._state
        # Cancellers may have had it follow another, and others follow it, since it was put on the
        # stack; and have settled what it follows.
        if state & DEAD or _has_outcome(promise):
            continue
        if state & PASSED_OVER:
            _put_back(promise)
            state = promise._state
        promise._state = state | CANCELLING
        source = promise._source
        if source is None:
            finish_cancel(promise)
        elif not isinstance(source, CorePromise):
            if not source._abandon(stack):
                finish_cancel(promise)
        elif leave(source, stack):
            # `source` will be cancelled, and tell *promise* when it has been.
            pass
        else:
            if state & FOLLOWING:
                if promise._value is not None:
                    promise._value.cut(promise)
                finish_cancel(promise)
                _cancel_followers(promise)
            else:
                finish_cancel(promise)


def _cancel_followers(promise: CorePromise) -> None:
    """Cancel with a follower all that follow it, though not what it has followed itself.

    At once: whoever looks at them looks at that.
    """
    followers = _followers_of(promise)
    while followers:
        follower = followers.pop()
        if follower._state & SPECIAL:
            # A listener who was told just now has come to one that had been passed over.
            follower = _first_before(follower)
        chain: Chain | None = follower._value
        if chain is not None and chain.several:
            chain.told(follower)
        finish_cancel(follower)
        followers += _followers_of(follower)


def _followers_of(promise: CorePromise) -> list[CorePromise]:
    """Those that follow a promise, the last one first."""
    waiters = promise._waiters
    if waiters is None or not waiters._state & FOLLOWING:
        return []
    if type(waiters) is not Waiters:
        return [waiters]
    return [waiter for waiter in reversed(waiters) if waiter._state & FOLLOWING]


def can_be_stopped(promise: CorePromise) -> bool:
    """Whether cancelling a pending promise stops what it comes from.

    If not, its value will come all the same; and if that is a resource, somebody has to wait.
    """
    source = promise._source
    met: object = promise
    steps, limit = 0, 1
    while isinstance(source, CorePromise):
        if source._state & FOLLOWING:
            # However many there are between: that is known.
            source = root_of(source)
        if source._state & SETTLED:
            # All that is left to do is to run a handler.
            return False
        if source is met:
            # What a handler returned waits for the handler's own promise: nothing will come.
            return True
        steps += 1
        if steps == limit:
            met, limit = source, 2 * limit
        source = source._source
    return source is None or bool(source._can_stop())


def leave(promise: CorePromise, stack: list[CorePromise]) -> bool:
    """A waiter of *promise* is dead: cancel *promise* too, if it was the last.

    Returns:
        Whether the waiter will be told of the cancellation by *promise*.
    """
    state = promise._state
    if state & PASSED_OVER or _has_outcome(promise):
        # If it was passed over, it is somebody who did not wait that leaves, and the one that
        # stands in its place decides.
        return False
    if state & CANCELLING:
        return True
    if _has_live_waiters(promise) or not promise._library.cancellation:
        return False
    if _has_outcome(promise):
        # By somebody who was called as the last of those were let go of who left.
        return False
    stack.append(promise)
    return True


def drop(promise: CorePromise) -> None:
    """Cancel a promise, unless somebody waits for it."""
    if _observer is not None and _observer.telling:
        # As in `cancel`.
        call_soon(type(promise), drop, promise)
        return
    stack: list[CorePromise] = []
    leave(promise, stack)
    cancel_all(stack)


# --- running ------------------------------------------------------------------------------------


def run_in_context(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a handler from within a job so that no other sees what it sets in its context."""
    if not _scratch:
        return function(*arguments)
    # An earlier call of the same job has set something.
    context = Context()
    return _held(context, context.run(function, *arguments))


class Held:
    """What a handler returned, to be followed in the context that the handler ran in.

    A coroutine is not started before it is followed, and is part of the handler all the same.
    """

    __slots__ = ("_context", "_value")

    def __init__(self, context: Context, value: Any) -> None:
        self._context = context
        self._value = value

    def adopt(self, promise: CorePromise) -> None:
        """Have a pending promise take on the fate of what is held."""
        self._context.run(resolve, promise, self._value)
        # As in `resolve`.
        del self, promise

    def close(self) -> None:
        """Do not follow it after all: a coroutine is closed."""
        close = getattr(self._value, "close", None)
        if close is not None:
            close()


def adopt_held(promise: CorePromise, held: Held) -> None:
    """Have a pending promise take on the fate of what a handler returned."""
    held.adopt(promise)
    del promise, held


def _held(context: Context, result: Any) -> Any:
    if type(result) is Held or is_promise(result) or not is_followed(result):
        return result
    return Held(context, result)


class Callback:
    """A function to be called by a node as if it were a handler: bound, in its context."""

    __slots__ = ("_binding", "_context", "_function")

    def __init__(
        self, function: Callable[..., Any], binding: Binding | None, context: Context | None
    ) -> None:
        self._function = function
        self._binding = binding
        self._context = context

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with the bound value first, in a copy of its context."""
        if self._binding is not None:
            arguments = (self._binding.value, *arguments)
        if self._context is None:
            return run_in_context(self._function, *arguments)
        context = self._context.copy()
        return _held(context, context.run(self._function, *arguments))


def context_here(promise: CorePromise) -> Context:
    """The context of the caller, for what is called later, and once, on behalf of *promise*."""
    return copy_context() if promise._library.async_hooks else Context()


def keep_context(cls: type[CorePromise], function: Callable[..., Any]) -> Callable[..., Any]:
    """*function* as a callback attached here and now, without a binding."""
    context = copy_context()
    if context and cls._library.async_hooks:
        return Callback(function, None, context)
    return function


def prepare(
    promise: CorePromise, function: Callable[..., Any], *, awaited: bool = True
) -> Callable[..., Any]:
    """*function* as a callback of *promise*, attached here and now, for a node to call.

    The node calls what comes back through `run_in_context`.

    Args:
        promise: Gives the callback its binding.
        function: What is called.
        awaited: Whether the node waits for what *function* returns.
    """
    if _observer is not None:
        function = _observer.watched(promise, function, awaited)
    binding = binding_of(promise)
    context = copy_context()
    kept = context if context and promise._library.async_hooks else None
    if kept is None and binding is None:
        return function
    return Callback(function, binding, kept)


def _not_home(promise: CorePromise, settle: Callable[..., None], value: Any) -> bool:
    """Hand a call on to the thread that *promise* belongs to, if that is not this one."""
    queue = promise._queue
    if queue.thread is None:
        queue.thread = queue.scheduler.home_thread()
        if queue.thread == get_ident():
            return False
    call_at_home(queue, settle, promise, value)
    return True


def drain(queue: JobQueue) -> None:
    """Run all that is queued, and what is queued meanwhile, until a time slice is used up."""
    queue.thread = get_ident()
    timer = queue.timer
    began = timer()
    deadline = began + queue.time_slice
    while True:
        scratch = Context()
        scratch.run(_run_jobs, queue, scratch, deadline)
        if queue.rejections and not queue:
            _report_rejections(queue, [])
        now = timer()
        # Whoever is told of a rejection may make another one.
        if not queue and not queue.rejections:
            queue.awake = False
            if not queue:
                break
            # Another thread came between the two, and relies on this drain: see `call_at_home`.
            queue.awake = True
        if now >= deadline:
            if queue.rejections:
                # Behind all that is queued now, lest a chain without end hides them for ever.
                queue.append(Job(_report_rejections, queue, queue.rejections))
                queue.rejections = []
            queue.wake()
            break
    queue.longest = max(queue.longest, now - began)


def _report_rejections(queue: JobQueue, rejections: list[CorePromise]) -> None:
    """Report what is still unhandled of *rejections*; of all, when nothing is queued."""
    if not queue:
        rejections = rejections + queue.rejections
        queue.rejections = []
    for promise in rejections:
        if not promise._state & HANDLED:
            promise._state |= REPORTED
            try:
                reports.unhandled(promise)
            except BaseException as error:
                reports.escaped(error)


def _run_jobs(queue: JobQueue, scratch: Context, deadline: float) -> None:
    """Run jobs until there are none (or time is up, or a handler changed the context)."""
    global _driving, _scratch
    outer, _scratch = _scratch, scratch
    driving = _driving
    popleft = queue.popleft
    append = queue.append
    timer = queue.timer
    kinds = KINDS
    waiters: Iterator[Any] | None = None
    fan_parent: Any = None
    child: Any = None
    parent: Any = None
    handler: Any = None
    result: Any = None
    token: Any = None
    kind: Any = None
    behind: Any = None
    chain: Any = None
    try:
        _driving = True
        while True:
            for _ in _CHUNK:
                # What is next?
                if waiters is not None:
                    child = next(waiters, None)
                    if child is None:
                        waiters = fan_parent = None
                        continue
                    parent = fan_parent
                else:
                    try:
                        child = popleft()
                    except IndexError:
                        return
                    state = child._state
                    if state & SETTLED:
                        parent = child
                        child = parent._waiters
                        if child is None:
                            continue
                        parent._waiters = None
                    elif state & JOB:
                        if type(child) is _FanOut:
                            waiters, fan_parent = child.waiters, child.parent
                            continue
                        try:
                            child.run()
                        except BaseException as error:
                            reports.escaped(error)
                        if scratch:
                            return
                        continue
                    else:
                        parent = child._source

                # The last one is let go of before one looks at the next: it may cancel that.
                handler = None
                # A derived promise with nothing special about it: by far the most common.
                state = child._state
                if not state:
                    state = parent._state
                    if state & FULFILLED:
                        handler = child._value
                        if handler is None:
                            fulfill(child, parent._value)
                            continue
                    elif state & REJECTED:
                        handler = child._aux
                        if handler is None:
                            _reject(child, parent._value, parent._aux)
                            continue
                        _restore_traceback(parent)
                    else:
                        finish_cancel(child)
                        continue
                    child._value = child._aux = child._source = None
                    if _observer is not None:
                        token = _observer.before(child, handler)
                    try:
                        result = handler(parent._value)
                    except BaseException as error:
                        if _observer is not None:
                            _observer.after(token, DECLINED)
                        if not child._state & DEAD:
                            reject_raised(child, error)
                        else:
                            # It was cancelled by its own handler, which then failed.
                            reports.escaped(error)
                    else:
                        if _observer is not None:
                            _observer.after(token, result)
                        try:
                            kind = kinds[type(result)]
                        except Exception:
                            kind = _UNKNOWN
                        if kind is _UNKNOWN or child._state:
                            if child._state & DEAD:
                                discard(child, result)
                            elif result is DECLINED:
                                _pass_on(child, parent)
                            else:
                                resolve(child, result)
                        elif kind is None:
                            child._value = result
                            child._state = FULFILLED
                            if child._waiters is not None:
                                append(child)
                            if _observer is not None:
                                _observer.settled(child)
                        else:
                            # As `resolve` does, but in a call less.
                            try:
                                kind(child, result)
                            except BaseException as error:
                                _adopter_raised(child, error)
                elif state == NODE:
                    try:
                        child._notify(parent)
                    except BaseException as error:
                        reports.escaped(error)
                elif not state & (SETTLED | SEVERAL):
                    try:
                        if state & FOLLOWING:
                            if state & SPECIAL:
                                child = _first_before(child)
                            chain = child._value
                            if chain is not None and chain.several:
                                chain.told(child)
                            take(child, parent)
                            behind = child._waiters
                            if behind is not None and behind._state & FOLLOWING:
                                # Those that follow it are told with it, before the rest here.
                                if waiters is not None:
                                    queue.appendleft(_FanOut(fan_parent, waiters))
                                if type(behind) is Waiters:
                                    waiters = map(_if_following, behind)
                                else:
                                    waiters = iter((behind,))
                                fan_parent = parent
                        elif state & NODE:
                            child._notify(parent)
                        else:
                            _react(child, parent)
                    except BaseException as error:
                        reports.escaped(error)
                elif state & SEVERAL:
                    waiters = iter(child)
                    fan_parent = parent
                    continue
                if scratch:
                    return
            if timer() >= deadline and (waiters is not None or queue):
                return
    finally:
        if waiters is not None:
            queue.appendleft(_FanOut(fan_parent, waiters))
        # This frame outlives its run where the traceback of a rejection refers to it; what
        # its variables refer to must not.
        child = parent = handler = result = token = waiters = fan_parent = None
        behind = chain = None
        _scratch = outer
        _driving = driving


def _if_following(waiter: Any) -> Any:
    return waiter if waiter._state & FOLLOWING else _GONE


def _react(child: Any, parent: CorePromise) -> None:
    """Tell a derived promise with something special about it that *parent* has settled."""
    state = child._state
    if parent._state & CANCELLED:
        finish_cancel(child)
    elif state & CANCELLING:
        # Somewhere before it the cancellation ended in a failure after all.
        child._state = state & ~CANCELLING
        _run_handler(child, parent)
    else:
        _run_handler(child, parent)
    # The traceback of what a handler raised refers to this frame.
    del child, parent


def _pass_on(child: CorePromise, parent: CorePromise) -> None:
    """Give a derived promise the outcome of its parent."""
    if parent._state & FULFILLED:
        fulfill(child, parent._value)
    else:
        _reject(child, parent._value, parent._aux)


def pass_on(child: CorePromise, parent: CorePromise) -> None:
    """Settle *child* just as *parent*, which is settled, has been."""
    if parent._state & CANCELLED:
        finish_cancel(child)
    else:
        _pass_on(child, parent)


def _restore_traceback(promise: CorePromise) -> None:
    """Give a reason the traceback that it was rejected with, before it is handed out.

    Handlers that raise it again would lengthen it for each other.
    """
    reason, aux = promise._value, promise._aux
    if is_exception(reason):
        # A Failure has its traceback in `tb`.
        traceback = aux if isinstance(aux, TracebackType) else getattr(aux, "tb", None)
        if get_traceback(reason) is not traceback:
            set_traceback(reason, traceback)


def discard(child: CorePromise, result: Any) -> None:
    """A handler has cancelled its own promise: so nobody waits for what it returned either."""
    if result is DECLINED or not is_followed(result):
        return
    promise = result if is_promise(result) else new_resolved(type(child), result, child)
    mark_handled(promise)
    drop(promise)


def _run_handler(child: CorePromise, parent: CorePromise) -> None:
    """Settle a derived promise by its handler, in its context and with its binding."""
    fulfilled = parent._state & FULFILLED
    handler = child._value if fulfilled else child._aux
    if handler is None:
        _pass_on(child, parent)
        return
    if not fulfilled:
        _restore_traceback(parent)
    extra = child._extra
    context, binding = (extra.context, extra.binding) if type(extra) is Extra else (extra, None)
    child._value = child._aux = child._source = None
    token = None
    if _observer is not None:
        token = _observer.before(child, handler)
    try:
        if context is None:
            if binding is None:
                result = handler(parent._value)
            else:
                result = handler(binding.value, parent._value)
        elif binding is None:
            result = context.run(handler, parent._value)
        else:
            result = context.run(handler, binding.value, parent._value)
    except BaseException as error:
        if _observer is not None:
            _observer.after(token, DECLINED)
        if not child._state & DEAD:
            reject_raised(child, error)
        else:
            reports.escaped(error)
    else:
        if _observer is not None:
            _observer.after(token, result)
        if child._state & DEAD:
            discard(child, result)
        elif result is DECLINED:
            _pass_on(child, parent)
        elif context is None:
            resolve(child, result)
        else:
            # Here a coroutine is started, and it is part of the handler that returned it.
            context.run(resolve, child, result)
        result = None
    child = parent = handler = extra = context = token = None  # type: ignore[assignment]
