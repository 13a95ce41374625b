"""Promisification: functions with callbacks into functions that return promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import update_wrapper
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .._core import hooks
from .._core.contexts import prepare, run_in_context
from .._core.reactions import Node, subscribe
from .._core.resolving import new_rejected
from .._core.settling import reject_raised
from .._core.states import CANCELLED, FULFILLED, CorePromise, new_by_callback, new_pending
from .._scheduling.queue import call_soon
from .._util.arity import FORWARDREF, required_positionals, signature_of
from .._util.checks import shown
from .._util.errors import RejectionError
from .._util.types import Class
from .node_callback import MultiCallback, NodeCallback, is_error, node_callback

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["DEFERREDS", "PROMISES", "Promisification", "add_all"]

T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R", bound=Callable[..., Any])

#: How a function that was made here is known: the attribute says what it gives.
_MARK = "__promisified__"
PROMISES = "promises"
DEFERREDS = "Deferreds"

_NO_CONTEXT = object()
#: Stands for an argument that was not given.
_MISSING = object()

#: What is taken for a function of an object, class or module.
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodDescriptorType)


# --- one function -----------------------------------------------------------------------


def _promisified(
    cls: type[CorePromise], function: Callable[..., Any], context: Any, multi_args: bool
) -> Callable[..., Any]:
    """A function that calls *function* with a callback, and returns a promise for its outcome."""
    new_callback = MultiCallback if multi_args else NodeCallback
    if context is _NO_CONTEXT:
        # Up to three arguments are passed on one by one, which saves the tuples of all of them: a
        # quarter of a call.
        def promisified(
            first: Any = _MISSING,
            second: Any = _MISSING,
            third: Any = _MISSING,
            /,
            *more: Any,
            **kwargs: Any,
        ) -> Any:
            promise: CorePromise = new_by_callback(cls)
            callback = new_callback()
            callback._promise = promise
            try:
                if kwargs or more:
                    function(*_given(first, second, third), *more, callback, **kwargs)
                elif second is _MISSING:
                    if first is _MISSING:
                        function(callback)
                    else:
                        function(first, callback)
                elif third is _MISSING:
                    function(first, second, callback)
                else:
                    function(first, second, third, callback)
            except BaseException as error:
                _reject_unless_called(promise, callback, error)
            return promise

        return _dressed(promisified, function, 0)

    def with_context(*args: Any, **kwargs: Any) -> Any:
        promise = new_by_callback(cls)
        callback = new_callback()
        callback._promise = promise
        try:
            function(context, *args, callback, **kwargs)
        except BaseException as error:
            _reject_unless_called(promise, callback, error)
        return promise

    return _dressed(with_context, function, 1)


def _given(*arguments: Any) -> list[Any]:
    return [argument for argument in arguments if argument is not _MISSING]


def _reject_unless_called(
    promise: CorePromise, callback: NodeCallback, error: BaseException
) -> None:
    # The traceback refers to the frame of a function that has the callback.
    callback._promise = None
    if promise._state:
        # It has called back, and that counts; but the error must not be lost.
        call_soon(type(promise), hooks.host.escaped, error)
    else:
        reject_raised(promise, error)


def _dressed(
    promisified: Callable[..., Any], function: Callable[..., Any], leading: int
) -> Callable[..., Any]:
    """Give a promisified function the name, docstring and signature of the original.

    Args:
        promisified: What was made.
        function: What it was made of.
        leading: How many parameters are given already.
    """
    update_wrapper(promisified, function)
    setattr(promisified, _MARK, PROMISES)
    signature = signature_of(function, FORWARDREF)
    if signature is None:
        return promisified
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del parameters[:leading]
    for index in range(len(parameters) - 1, -1, -1):
        kind = parameters[index].kind
        if kind in (kind.POSITIONAL_ONLY, kind.POSITIONAL_OR_KEYWORD):
            # The callback.
            del parameters[index]
            break
        if kind is kind.VAR_POSITIONAL:
            break
    promisified.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=inspect.Signature.empty
    )
    return promisified


def _arranged(promisifier: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function with as many of the arguments as it declares, at least one."""
    declared = required_positionals(promisifier)
    return promisifier(*arguments[: max(declared or 1, 1)])


# --- all functions of something ------------------------------------------------------------


class _Adder:
    """Adds functions that are made of others to objects, classes and modules.

    Args:
        make: Makes one function of another.
        gives: What the functions give that are made.
        suffix: What is appended to the names.
        choose: Called as ``filter`` of `Promise.promisify_all`, or None.
    """

    def __init__(
        self,
        make: Callable[[Callable[..., Any]], Callable[..., Any]],
        gives: str,
        suffix: str,
        choose: Callable[..., Any] | None,
    ) -> None:
        self._make = make
        self._gives = gives
        self._suffix = suffix
        self._choose = choose
        # What to set on what: nothing is set before all is known to be well.
        self._additions: list[tuple[Any, str, Any]] = []

    def add(self, target: Any) -> None:
        """Look at a target, and then add all that there is to add.

        Raises:
            TypeError: A name is taken, or the target takes no new attributes.
        """
        self._look(target)
        done: list[tuple[Any, str]] = []
        for owner, name, value in self._additions:
            try:
                setattr(owner, name, value)
            except Exception as error:
                for changed, added in done:
                    with suppress(Exception):
                        delattr(changed, added)
                raise TypeError(
                    f"target must take new attributes, and {shown(owner)} does not; "
                    "a class can be promisified where its instances cannot"
                ) from error
            done.append((owner, name))

    def _look(self, target: Any) -> None:
        if isinstance(target, (list, tuple)):
            for each in target:
                if not isinstance(each, type):
                    raise TypeError(
                        "the target of promisifyAll must be an object or a function: a list "
                        f"may hold classes, not {shown(each)}"
                    )
                self._look_at_class(each)
        elif isinstance(target, type):
            self._look_at_class(target)
        elif isinstance(target, ModuleType):
            self._look_at_module(target)
        else:
            self._look_at_object(target)

    def _look_at_class(self, target: type) -> None:
        names = _names_of(target)
        functions: dict[str, Callable[..., Any]] = {}
        kinds: dict[str, Any] = {}
        for name, (value, _) in names.items():
            if _is(value, staticmethod, classmethod):
                kinds[name] = type(value)
                value = value.__func__
            if _is(value, *_FUNCTIONS):
                functions[name] = value
        for name, made in self._made(target, functions, names):
            self._additions.append(
                (target, name, kinds.get(name[: -len(self._suffix)], _as_is)(made))
            )

    def _look_at_module(self, target: ModuleType) -> None:
        names = dict(vars(target))
        functions: dict[str, Callable[..., Any]] = {
            name: value for name, value in names.items() if _is(value, *_FUNCTIONS)
        }
        taken = {name: (value, 0) for name, value in names.items()}
        for name, made in self._made(target, functions, taken):
            self._additions.append((target, name, made))
        own = target.__name__
        for value in names.values():
            # One that is written in C takes no new attributes; the module's functions do.
            if _is(value, type) and _is_of(own, value) and not _is_immutable(value):
                self._look_at_class(value)

    def _look_at_object(self, target: Any) -> None:
        if target is None or isinstance(target, (str, bytes, int, float, complex)):
            raise TypeError(
                "the target of promisifyAll must be an object or a function: "
                "target must be an object, a class, a module or a list of classes, "
                f"not {shown(target)}"
            )
        kind = type(target)
        names = _names_of(kind)
        functions: dict[str, Callable[..., Any]] = {}
        for name, (value, _) in names.items():
            if _is(value, *_FUNCTIONS):
                functions[name] = MethodType(value, target)
            elif _is(value, staticmethod, classmethod):
                function = value.__func__
                if _is(function, *_FUNCTIONS):
                    static = _is(value, staticmethod)
                    functions[name] = function if static else MethodType(function, kind)
        own = vars(target) if "__dict__" in names else {}
        for name, value in own.items():
            functions.pop(name, None)
            if _is(value, *_FUNCTIONS, MethodType):
                functions[name] = value
            names[name] = value, len(kind.__mro__)
        for name, made in self._made(target, functions, names):
            self._additions.append((target, name, made))

    def _made(
        self,
        target: Any,
        functions: dict[str, Callable[..., Any]],
        names: dict[str, tuple[Any, int]],
    ) -> list[tuple[str, Callable[..., Any]]]:
        """The functions to add to a target, with their names."""
        chosen: list[tuple[str, Callable[..., Any]]] = []
        # Those whose new name is that of a version of the function that a subclass overrides.
        outdated: set[str] = set()
        for name, function in functions.items():
            if _given_by(function) in (self._gives, DEFERREDS):
                continue
            new, depth = names.get(name + self._suffix, (None, 0))
            if _given_by(new) == self._gives:
                if depth >= names[name][1]:
                    continue
                outdated.add(name)
            default = (
                not name.startswith("_")
                and name.isidentifier()
                and (not isinstance(target, ModuleType) or _is_of(target.__name__, function))
            )
            if self._choose is not None:
                wanted = _arranged(self._choose, name, function, target, default)
            else:
                wanted = default
            if wanted:
                chosen.append((name, function))
        for name, _ in chosen:
            if name + self._suffix in names and name not in outdated:
                raise TypeError(
                    "Cannot promisify an API that has normal methods with "
                    f"'{self._suffix}'-suffix: there is a {name + self._suffix} already"
                )
        return [(name + self._suffix, self._make(function)) for name, function in chosen]


def _is(value: object, *kinds: type) -> bool:
    """Whether something that stands in a class or a module is of one of these kinds."""
    # Not `isinstance`: a proxy that stands there may raise when it is asked for its class.
    return issubclass(type(value), kinds)


def _as_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _names_of(kind: type) -> dict[str, tuple[Any, int]]:
    """What a class and its bases hold under each name, and how far down that stands."""
    return {
        name: (value, depth)
        for depth, base in enumerate(reversed(kind.__mro__[:-1]))
        for name, value in vars(base).items()
    }


def _given_by(value: Any) -> str | None:
    """What a function gives that was made here; None for any other."""
    if _is(value, staticmethod, classmethod):
        value = value.__func__
    if _is(value, *_FUNCTIONS, MethodType):
        mark: str | None = getattr(value, _MARK, None)
        return mark
    return None


def _is_immutable(kind: type) -> bool:
    # Py_TPFLAGS_IMMUTABLETYPE
    return bool(kind.__flags__ & 1 << 8)


def _is_of(module: str, value: Any) -> bool:
    """Whether a function or class was defined in a module (or below, if it is a package)."""
    home = getattr(value, "__module__", None)
    if not isinstance(home, str):
        return True
    # The C half of a module of the standard library is named like `_sqlite3`.
    return home.lstrip("_") == module.lstrip("_") or home.startswith(module + ".")


def add_all(
    target: Any,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    gives: str,
    suffix: str,
    choose: Callable[..., Any] | None,
) -> None:
    """Add to *target* what *make* makes of its functions.

    Raises:
        TypeError: The target or the filter is none; a name is taken; nothing is changed then.
        ValueError: *suffix* cannot end a name.
    """
    if not isinstance(suffix, str):
        raise TypeError(f"suffix must be a str, not {shown(suffix)}")
    if not suffix or not ("a" + suffix).isidentifier():
        raise ValueError(f"suffix must be a valid part of an identifier, not {shown(suffix)}")
    if choose is not None and not callable(choose):
        raise TypeError(f"filter must be callable, not {shown(choose)}")

    def marked(function: Callable[..., Any]) -> Callable[..., Any]:
        made = make(function)
        if made is not function:
            try:
                setattr(made, _MARK, gives)
            except AttributeError:
                # A callable that takes no attributes: its name is taken the next time.
                pass
        return made

    _Adder(marked, gives, suffix, choose).add(target)


# --- back to callbacks ------------------------------------------------------------------------


class _CallbackSink(Node):
    """Calls a callback with the outcome of a promise."""

    __slots__ = ("_callback", "_spread")

    def __init__(self, callback: Callable[..., Any], spread: bool) -> None:
        super().__init__()
        self._callback = callback
        self._spread = spread

    def _notify(self, parent: CorePromise) -> None:
        state = parent._state
        if state & CANCELLED:
            return
        if not state & FULFILLED:
            reason = parent._value
            if not is_error(reason):
                reason = RejectionError.wrap(reason)
            arguments = (reason,) if self._spread else (reason, None)
        elif self._spread and issubclass(type(parent._value), list | tuple):
            arguments = (None, *parent._value)
        else:
            arguments = (None, parent._value)
        try:
            run_in_context(self._callback, *arguments)
        except BaseException as error:
            call_soon(type(parent), hooks.host.escaped, error)


# --- the methods ----------------------------------------------------------------------------


class Promisification(CorePromise, Generic[T_co]):
    """Callbacks into promises, and back."""

    __slots__ = ()

    @overload
    @classmethod
    def promisify(
        cls,
        function: Callable[..., object],
        *,
        context: Any = ...,
        multi_args: bool = False,
        promisifier: None = None,
    ) -> Callable[..., Promise[Any]]: ...
    @overload
    @classmethod
    def promisify(
        cls,
        function: F,
        *,
        context: Any = ...,
        multi_args: bool = False,
        promisifier: Callable[[F], R]
        | Callable[[F, Callable[..., Callable[..., Promise[Any]]]], R],
    ) -> R: ...
    @classmethod
    def promisify(
        cls,
        function: Callable[..., Any],
        *,
        context: Any = _NO_CONTEXT,
        multi_args: bool = False,
        promisifier: Callable[..., Any] | None = None,
    ) -> Callable[..., Any]:
        """A function that returns a promise for what *function* tells its callback.

        Args:
            function: Takes a callback as its last positional argument, and calls it with an
                error or None, and with its results, in any thread.
            context: If it is given, the first argument of each call, as ``self`` would be.
            multi_args: Whether to fulfil with the list of all results, instead of with the
                first.
            promisifier: Makes the function instead; called with *function*, and with what would
                have made it otherwise if it declares a second parameter.

        An error that is an exception with a class of its own rejects with itself, and counts
        as operational; anything else arrives inside an `OperationalError`.  What *function*
        raises rejects.  Name, docstring and signature (without the callback) are carried over;
        in a class it is a method.

        Raises:
            TypeError: *function* is a class, or not callable; *promisifier* returns no function.

        Bluebird: ``Promise.promisify``.
        """
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                "Promise.promisify called on an object: function must be a function, "
                f"not {shown(function)}; use Promise.promisify_all for objects, classes and modules"
            )
        if promisifier is not None and not callable(promisifier):
            raise TypeError(f"promisifier must be callable, not {shown(promisifier)}")
        if getattr(function, _MARK, None) is PROMISES:
            return function

        def default(original: Callable[..., Any] = function) -> Callable[..., Any]:
            return _promisified(cls, original, context, multi_args)

        if promisifier is None:
            return default()
        made: Callable[..., Any] = _arranged(promisifier, function, default)
        if not callable(made):
            raise TypeError(f"promisifier must return a function, not {shown(made)}")
        return made

    @classmethod
    def promisify_all(
        cls: Class,
        target: Any,
        *,
        suffix: str = "Async",
        multi_args: bool = False,
        filter: Callable[..., Any] | None = None,
        promisifier: Callable[..., Any] | None = None,
    ) -> Any:
        """Add a promise-returning version of each function of *target*; give *target* back.

        Args:
            target: An object, a class, a module (with its classes), or a list of classes.
                Methods, static methods and class methods stay what they are; properties are
                not read.
            suffix: What is appended to the name of a function to name its new version.
            multi_args: As for `promisify`.
            filter: Called with the name, the function, the target, and whether the function
                would be taken without a filter (one whose name starts with an underscore, or
                that a module has imported, would not); says whether to take it.  It gets as
                many arguments as it declares.
            promisifier: As for `promisify`.

        What has been promisified already is passed over.

        Raises:
            TypeError: *target* is none of those, or takes no new attributes; a name with the
                suffix is taken; a callback is not callable.  Nothing is changed then.
            ValueError: *suffix* cannot end an identifier.

        Bluebird: ``Promise.promisifyAll``.
        """
        if promisifier is not None and not callable(promisifier):
            raise TypeError(f"promisifier must be callable, not {shown(promisifier)}")

        def make(function: Callable[..., Any]) -> Any:
            return cls.promisify(function, multi_args=multi_args, promisifier=promisifier)

        add_all(target, make, PROMISES, suffix, filter)
        return target

    promisifyAll = promisify_all

    @classmethod
    def from_callback(
        cls: Class, resolver: Callable[[Callable[..., None]], object], *, multi_args: bool = False
    ) -> Promise[Any]:
        """A promise for what a function tells a callback.

        Args:
            resolver: Called at once with a callback: ``callback(error, *results)``.  Something
                that is not callable rejects with a `TypeError`.
            multi_args: As for `promisify`.

        Bluebird: ``Promise.fromCallback``.
        """
        if not callable(resolver):
            return new_rejected(
                cls,
                TypeError(
                    f"expecting a function: resolver must be callable, not {shown(resolver)}"
                ),
            )
        promise = new_pending(cls)
        callback = node_callback(promise, multi_args)
        try:
            resolver(callback)
        except BaseException as error:
            _reject_unless_called(promise, callback, error)
        return cast("Promise[Any]", promise)

    fromCallback = from_callback

    from_node = from_callback
    fromNode = from_node

    def as_callback(
        self, callback: Callable[..., object] | None = None, *, spread: bool = False
    ) -> Promise[T_co]:
        """Have a callback told the outcome, and give this promise back.

        Args:
            callback: Called with ``(None, value)`` or ``(error, None)``; what it raises is
                logged as an uncaught error.  Something that is not callable is ignored.  It is
                never called if the promise is cancelled: whoever waits for it waits for ever.
            spread: Whether to call it with the items of a list or tuple, ``(None, *value)``,
                and with ``(error)`` only.

        A reason that is false (None, for example) comes as a `RejectionError`, with the reason
        in its ``cause``.

        Bluebird: ``.asCallback``.
        """
        if callable(callback):
            subscribe(self, _CallbackSink(prepare(self, callback, awaited=False), spread))
        return cast("Promise[T_co]", self)

    asCallback = as_callback

    nodeify = as_callback
