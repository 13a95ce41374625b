"""`promisify_all`: promise-returning versions of all functions of an object, class or module."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial, partialmethod, singledispatchmethod, update_wrapper
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any

from .._core.states import CorePromise
from .._methods.filters import answer
from .._util.checks import shown
from .._util.types import Class
from .promisify import DEFERREDS, MARK, PROMISES, arranged

__all__ = ["PromisifyAll", "add_all"]

#: The types of functions that are taken from an object, class or module.
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodDescriptorType, type(lru_cache(len)))
#: Descriptors that make a function for each instance.
_METHODS = (partialmethod, singledispatchmethod)


class PromisifyAll(CorePromise):
    """`promisify_all`."""

    __slots__ = ()

    @classmethod
    def promisify_all(
        cls: Class,
        target: Any,
        *,
        suffix: str = "Async",
        multi_args: bool = False,
        multiArgs: bool = False,
        filter: Callable[..., Any] | None = None,
        promisifier: Callable[..., Any] | None = None,
    ) -> Any:
        """Add a promise-returning version of each function of *target*, and return *target*.

        Args:
            target: An object, a class, a module (with the classes that it defines), or a list of
                classes.  Static methods and class methods stay what they are; properties are not
                read.
            suffix: Appended to the name of a function to name its new version.
            multi_args: As for `promisify`.
            multiArgs: Bluebird's spelling of *multi_args*.
            filter: Returns whether to take a function.  Called with its name, the function, the
                target, and whether it is taken by default, or with as many of these as it
                declares.  By default, names that start with an underscore and functions that
                a module has imported are left out.
            promisifier: As for `promisify`.

        A new version looks up the original by its name at each call, so it calls an override of
        a subclass or a mock of a test.  Functions that are promisified already are left out.

        Raises:
            TypeError: *target* is of another kind, or takes no new attributes; a name with the
                suffix is taken; a callback is not callable.  Then nothing is changed.
            ValueError: *suffix* cannot end an identifier.

        Bluebird: ``Promise.promisifyAll``.
        """
        if promisifier is not None and not callable(promisifier):
            raise TypeError(f"promisifier must be callable, not {shown(promisifier)}")

        def make(function: Callable[..., Any]) -> Any:
            return cls.promisify(
                function, multi_args=multi_args or multiArgs, promisifier=promisifier
            )

        add_all(target, make, PROMISES, suffix, filter)
        return target

    promisifyAll = promisify_all


def add_all(
    target: Any,
    make: Callable[[Callable[..., Any]], Callable[..., Any]],
    gives: str,
    suffix: str,
    choose: Callable[..., Any] | None,
) -> None:
    """Add to *target* a new version of each of its functions, made by *make*.

    Raises:
        TypeError: The target or the filter is of a wrong kind, or a name is taken.  Then nothing is
            changed.
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
                setattr(made, MARK, gives)
            except AttributeError:
                # A callable that takes no attributes: the next call finds the name taken.
                pass
        return made

    _Adder(marked, gives, suffix, choose).add(target)


class _Adder:
    """Adds new versions of functions to objects, classes and modules.

    Args:
        make: Makes the new version of a function.
        gives: What the new functions return: `PROMISES` or `DEFERREDS`.
        suffix: Appended to the names.
        choose: The ``filter`` of `Promise.promisify_all`, or None.
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
        # Owner, name and value of what will be set, once the whole target has been checked.
        self._additions: list[tuple[Any, str, Any]] = []
        # Ids of the classes that were looked at: they may refer to one another.
        self._seen: set[int] = set()

    def add(self, target: Any) -> None:
        """Look at a target, and then add all functions to it.

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
                        f"a list of targets may hold only classes, not {shown(each)} "
                        "(the target of promisifyAll must be an object or a function)"
                    )
                self._look_at_class(each)
        elif isinstance(target, type):
            self._look_at_class(target)
        elif isinstance(target, ModuleType):
            self._look_at_module(target)
        else:
            self._look_at_object(target)

    def _look_at_class(self, target: type) -> None:
        if id(target) in self._seen:
            return
        self._seen.add(id(target))
        names = _names_of(target)
        functions: dict[str, Callable[..., Any]] = {}
        kinds: dict[str, Any] = {}
        for name, (value, _) in names.items():
            if _is(value, staticmethod, classmethod):
                kinds[name] = type(value)
                value = value.__func__
            if _is(value, *_FUNCTIONS):
                functions[name] = value
            elif _is(value, *_METHODS):
                functions[name] = value.__get__(None, target)
        self._plan(target, functions, names, kinds)
        self._look_at_classes_of(target.__module__, names)

    def _look_at_classes_of(self, module: object, names: dict[str, tuple[Any, int]]) -> None:
        """Look at the classes that a module, the target, defines itself."""
        for name, (value, _) in names.items():
            own = not name.startswith("_") and _is(value, type) and _is_of(str(module), value)
            # A class that is written in C takes no new attributes.
            if own and not _is_immutable(value):
                self._look_at_class(value)

    def _look_at_module(self, target: ModuleType) -> None:
        names = {name: (value, 0) for name, value in vars(target).items()}
        functions: dict[str, Callable[..., Any]] = {
            name: value for name, (value, _) in names.items() if _is(value, *_FUNCTIONS)
        }
        self._plan(target, functions, names, {})
        self._look_at_classes_of(target.__name__, names)

    def _look_at_object(self, target: Any) -> None:
        if target is None or isinstance(target, (str, bytes, int, float, complex)):
            raise TypeError(
                "target must be an object, a class, a module or a list of classes, "
                f"not {shown(target)} (the target of promisifyAll must be an object or a function)"
            )
        kind = type(target)
        names = _names_of(kind)
        functions: dict[str, Callable[..., Any]] = {}
        for name, (value, _) in names.items():
            if _is(value, *_FUNCTIONS):
                functions[name] = MethodType(value, target)
            elif _is(value, *_METHODS):
                functions[name] = MethodType(value.__get__(None, kind), target)
            elif _is(value, staticmethod, classmethod):
                function = value.__func__
                if _is(function, *_FUNCTIONS):
                    static = _is(value, staticmethod)
                    functions[name] = function if static else MethodType(function, kind)
        own = vars(target) if "__dict__" in names else {}
        for name, value in own.items():
            functions.pop(name, None)
            if _is(value, *_FUNCTIONS, MethodType, partial):
                functions[name] = value
            names[name] = value, len(kind.__mro__)
        self._plan(target, functions, names, {})
        self._look_at_classes_of(kind.__module__, names)

    def _plan(
        self,
        target: Any,
        functions: dict[str, Callable[..., Any]],
        names: dict[str, tuple[Any, int]],
        kinds: dict[str, Any],
    ) -> None:
        """Plan the additions to a target.

        Args:
            target: The object, class or module.
            functions: Its functions, by name.
            names: All its attributes, and the depth of the base that has each.
            kinds: `staticmethod` or `classmethod`, by name.
        """
        for name, function in functions.items():
            if _given_by(function) in (self._gives, DEFERREDS):
                continue
            added = name + self._suffix
            present, depth = names.get(added, (None, 0))
            # A subclass may override a function: then the new version of that is replaced, too.
            outdated = _given_by(present) == self._gives
            if outdated and depth >= names[name][1]:
                continue
            chosen = (
                not name.startswith("_")
                and name.isidentifier()
                and (not isinstance(target, ModuleType) or _is_of(target.__name__, function))
            )
            if self._choose is not None:
                chosen = answer(
                    arranged(self._choose, name, function, target, chosen),
                    "filter must return True or False at once, not a coroutine or a promise",
                )
            if not chosen:
                continue
            if added in names and not outdated:
                raise TypeError(
                    "Cannot promisify an API that has normal methods with "
                    f"'{self._suffix}'-suffix: there is a {added} already"
                )
            wrap = kinds.get(name)
            of_instances = isinstance(target, type) and wrap is not staticmethod
            by_name = _by_name(name, function, None if of_instances else target)
            made: Any = self._make(by_name)
            if made is by_name and not _is(names[name][0], *_METHODS):
                made = function
            self._additions.append((target, added, made if wrap is None else wrap(made)))


def _by_name(name: str, function: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """A function that looks up another by its name at each call, and calls it.

    Args:
        name: The name.
        function: The current function of that name, whose name and signature are copied.
        target: Where to look it up; None for that of the first argument.
    """

    def of_first(first: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(first, name)(*args, **kwargs)

    def of_target(*args: Any, **kwargs: Any) -> Any:
        return getattr(target, name)(*args, **kwargs)

    return update_wrapper(of_first if target is None else of_target, function)


def _is(value: object, *kinds: type) -> bool:
    """Whether an attribute of a class or a module is of one of these types."""
    # Not `isinstance`: it reads `__class__`, which may raise for a proxy.
    return issubclass(type(value), kinds)


def _names_of(kind: type) -> dict[str, tuple[Any, int]]:
    """The attributes of a class and its bases, and the depth of the base that has each."""
    return {
        name: (value, depth)
        for depth, base in enumerate(reversed(kind.__mro__[:-1]))
        for name, value in vars(base).items()
    }


def _given_by(value: Any) -> str | None:
    """What a function made by this module returns: `PROMISES` or `DEFERREDS`; else None."""
    if _is(value, staticmethod, classmethod):
        value = value.__func__
    if _is(value, *_FUNCTIONS, MethodType):
        mark: str | None = getattr(value, MARK, None)
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
