"""`props`: like `all`, for the values of a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeAlias, TypeVar, overload

from .._core.states import CorePromise
from .._util.both import Both
from .._util.checks import shown, type_name
from .._util.types import Either, Followed
from .all import All
from .collecting import derive_cancelling
from .rules import OneInput

if TYPE_CHECKING:
    from .._promise import Promise

__all__ = ["Props"]

K = TypeVar("K")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Props(All):
    """All values of a mapping."""

    __slots__ = ("_keys",)

    def _list(self, collection: Any) -> Iterable[Any]:
        if not isinstance(collection, Mapping):
            raise TypeError(
                f"the input must be a mapping, not {type_name(collection)} "
                "(cannot await properties of a non-object)"
            )
        self._keys = list(collection)
        return (collection[key] for key in self._keys)

    def _name_of(self, index: int) -> str:
        return f"item {shown(self._keys[index])}"

    def _result(self) -> Any:
        return dict(zip(self._keys, super()._result(), strict=True))

    def _release(self) -> None:
        super()._release()
        self._keys = []


if TYPE_CHECKING:
    Keyed: TypeAlias = Promise[dict[K, T]]
    LMap: TypeAlias = Mapping[K, Followed[T]] | Followed[Mapping[K, Followed[T]]]
    VMap: TypeAlias = Mapping[K, Either[T]] | Followed[Mapping[K, Either[T]]]

    class _KeyedOf(Protocol[K, T]):
        def __call__(self, *, cancel_rest: bool = ...) -> Keyed[K, T]: ...

    class _PropsMethod(Both):
        @overload
        def __get__(self, instance: None, owner: type, /) -> Self: ...
        @overload
        def __get__(self, instance: LMap[K, T], owner: type, /) -> _KeyedOf[K, T]: ...
        @overload
        def __get__(self, instance: VMap[K, T], owner: type, /) -> _KeyedOf[K, T]: ...
        def __get__(self, *_: Any) -> Any: ...

        @overload
        def __call__(self, mapping: LMap[K, T], /, *, cancel_rest: bool = ...) -> Keyed[K, T]: ...
        @overload
        def __call__(self, mapping: VMap[K, T], /, *, cancel_rest: bool = ...) -> Keyed[K, T]: ...
        def __call__(self, *_: Any, **__: Any) -> Any: ...

else:
    _PropsMethod = partial(OneInput, example='mapping: {}({{"a": p, "b": q}})')


class Props(CorePromise, Generic[T_co]):
    """`props`, with the rules of `all`."""

    __slots__ = ()

    @_PropsMethod
    def props(self, *, cancel_rest: bool = False) -> Any:
        """A promise for a `dict` of all values of a mapping, with its keys in the same order.

        Args:
            cancel_rest: As for `all`.

        Rejects with `TypeError` unless the input is a `collections.abc.Mapping`.

        Bluebird: ``Promise.props``.
        """
        return derive_cancelling(_Props, self, cancel_rest)
