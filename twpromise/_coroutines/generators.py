"""`coroutine`: generators that yield promises."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import Context
from functools import partial, update_wrapper
from inspect import CO_ITERABLE_COROUTINE
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, TypeAlias, TypeVar, overload

from .._core.resolving import adopters, is_followed, reject_or_report
from .._core.settling import fulfill
from .._core.states import CorePromise, new_pending
from .._util.checks import not_a_function, shown
from .._util.errors import CANCELLATIONS
from .._util.types import Either, Followed
from .frames import throw_inwards
from .runner import Runner

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Coroutines"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
P = ParamSpec("P")
YieldHandler: TypeAlias = Callable[[Any], object]


class _GeneratorRunner(Runner):
    """Runs a generator; the outcome of what it yields is sent or thrown into it."""

    __slots__ = ("_yield_handler",)

    _yield_handler: Callable[[Any], Any] | None

    def _wait_for_other(self, yielded: Any) -> None:
        self._wait_for_followed(yielded if is_followed(yielded) else self._handled(yielded))

    def _handled(self, yielded: Any) -> Any:
        """The result of the first yield handler that knows *yielded*."""
        handlers = self._promise._library.yield_handlers
        if self._yield_handler is not None:
            handlers = [self._yield_handler, *handlers]
        context = self._context or Context()
        for handler in handlers:
            # It sees what the generator has set; other code does not see what it sets.
            result = context.copy().run(handler, yielded)
            if is_followed(result):
                return result
        raise TypeError(
            f"A value {shown(yielded)} was yielded that could not be treated as a promise"
        )

    def _thrower(self, error: BaseException) -> Callable[[BaseException], Any]:
        if issubclass(type(error), GeneratorExit):
            return partial(throw_inwards, self._generator)
        return Runner._thrower(self, error)

    def _answered(
        self, value: Any, error: BaseException | None
    ) -> tuple[Any, BaseException | None]:
        if error is None or issubclass(type(error), CANCELLATIONS):
            return None, self._cancellation()
        return None, error

    def _cancellation(self) -> BaseException:
        return GeneratorExit()


class _CoroutineFactory:
    """The type of `Promise.coroutine`: callable, with the method `add_yield_handler`.

    Args:
        cls: The library copy whose promises the coroutines return.
    """

    def __init__(self, cls: type[CorePromise]) -> None:
        self._cls = cls

    @overload
    def __call__(
        self,
        generator_function: Callable[P, Generator[Any, Any, Followed[U]] | Followed[U]],
        *,
        yield_handler: YieldHandler | None = None,
        yieldHandler: YieldHandler | None = None,
    ) -> Callable[P, Promise[U]]: ...
    @overload
    def __call__(
        self,
        generator_function: Callable[P, Generator[Any, Any, Either[U]]],
        *,
        yield_handler: YieldHandler | None = None,
        yieldHandler: YieldHandler | None = None,
    ) -> Callable[P, Promise[U]]: ...
    def __call__(
        self,
        generator_function: Callable[..., Any],
        *,
        yield_handler: YieldHandler | None = None,
        yieldHandler: YieldHandler | None = None,
    ) -> Callable[..., Any]:
        """A function that runs a generator function as a coroutine, and returns a promise.

        Args:
            generator_function: It may yield promises, Deferreds and everything else that promises
                follow, and is resumed with the value.  An ``async def`` function works, too.
            yield_handler: Turns other yielded values into something to wait for; called before the
                handlers of `add_yield_handler`.
            yieldHandler: Bluebird's spelling of *yield_handler*.

        Cancelling the promise throws `GeneratorExit` into the generator; its ``finally`` blocks may
        yield, and are waited for.

        Raises:
            TypeError: *generator_function* or *yield_handler* is not callable.

        Bluebird: ``Promise.coroutine``; Twisted: ``inlineCallbacks``.
        """
        if not callable(generator_function):
            raise TypeError(
                f"generator_function must be callable, not {shown(generator_function)} "
                "(generatorFunction must be a function)"
            )
        if yield_handler is None:
            yield_handler = yieldHandler
        if yield_handler is not None and not callable(yield_handler):
            raise not_a_function("yield_handler", yield_handler)
        cls = self._cls

        def coroutine(*args: Any, **kwargs: Any) -> Any:
            promise: Any = new_pending(cls)
            try:
                result = generator_function(*args, **kwargs)
                # The first line suffices for most, and is much faster.  A generator made by
                # `types.coroutine` is a coroutine.
                if (
                    type(result) is GeneratorType
                    and not result.gi_code.co_flags & CO_ITERABLE_COROUTINE
                ) or (issubclass(type(result), Generator) and not is_followed(result)):
                    runner = _GeneratorRunner(promise, result)
                    runner._yield_handler = yield_handler
                    runner.start()
                elif (adopter := adopters[type(result)]) is not None:
                    # An ``async def`` function, most likely; as `resolve`, without its frame.
                    adopter(promise, result)
                else:
                    # A function that returns a generator only sometimes.
                    fulfill(promise, result)
            except BaseException as error:
                reject_or_report(promise, error)
            return promise

        return update_wrapper(coroutine, generator_function)

    def add_yield_handler(self, handler: YieldHandler) -> None:
        """Let the coroutines of this library copy wait for other values.

        Args:
            handler: Called with a yielded value that promises do not follow.  Returns something
                that they follow, or anything else if it does not know the value.

        Raises:
            TypeError: *handler* is not callable.

        Bluebird: ``Promise.coroutine.addYieldHandler``.
        """
        if not callable(handler):
            raise not_a_function("handler", handler)
        library: Any = self._cls._library
        library.yield_handlers.append(handler)

    addYieldHandler = add_yield_handler


class _Coroutine:
    """Gives each library copy its own `_CoroutineFactory`."""

    def __get__(self, instance: Any, owner: Any) -> _CoroutineFactory:
        return _CoroutineFactory(owner)


class Coroutines(CorePromise, Generic[T_co]):
    """Generators as coroutines."""

    __slots__ = ()

    coroutine: ClassVar[_Coroutine] = _Coroutine()
