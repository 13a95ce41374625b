"""Promisification: `twpromise._callbacks`."""

from __future__ import annotations

import contextvars
import enum
import functools
import inspect
import sys
from types import ModuleType, SimpleNamespace
from unittest import mock

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from tests.support.outcomes import reasons
from tests.support.promises import Boom, quiet
from tests.support.threads import in_thread
from twpromise import OperationalError, Promise, RejectionError, deferify_all


class Slotted(Exception):
    """An exception that cannot be marked."""

    __slots__ = ()

    def __setattr__(self, name, value):
        raise AttributeError(name)


def answer(*arguments):
    """A function that calls back at once with what it is made with."""

    def function(callback):
        callback(*arguments)

    return function


pytestmark = pytest.mark.usefixtures("scheduler")


# --- promisify


def test_read_file(scheduler):
    """The page's first example: the callback goes last, its value comes out, errors by type."""
    files = {"good": "1 + 1", "bad": "1 +"}

    def read_file(name, encoding, callback):
        if name in files:
            callback(None, files[name])
        else:
            callback(FileNotFoundError(name))

    read = Promise.promisify(read_file)
    log = []

    def run(name):
        return (
            read(name, "utf8")
            .then(eval)
            .then(log.append)
            .catch(SyntaxError, lambda _: log.append("syntax"))
            .catch(lambda error: log.append(type(error)))
        )

    for name in ("good", "bad", "none"):
        run(name)
        scheduler.flush()
    assert [2, "syntax", FileNotFoundError] == log


@pytest.mark.parametrize("value", [None, 0, "text", [1, 2], ValueError("a value")])
def test_the_first_value(value):
    """The first value after the error is what it fulfils with; others are dropped."""
    assert value is Promise.promisify(answer(None, value))().value()
    assert value is Promise.promisify(answer(None, value, "second"))().value()


def test_no_value():
    """A callback that is called with nothing, or with no error only, fulfils with None."""
    assert Promise.promisify(answer())().value() is None
    assert Promise.promisify(answer(None))().value() is None


@pytest.mark.parametrize("values", [(), (1,), (1, 2, 3)])
def test_multi_args(values):
    """With `multi_args`, it is always the list of all values."""
    promise = Promise.promisify(answer(None, *values), multi_args=True)()
    assert list(values) == promise.value()


def test_keywords_go_through():
    """Keyword arguments arrive as they are; the callback stays the last positional one."""

    def function(one, callback, *, key):
        callback(None, (one, key))

    assert (1, 2) == Promise.promisify(function)(1, key=2).value()


@pytest.mark.parametrize("keywords", [{}, {"key": 1}], ids=["", "keywords"])
@pytest.mark.parametrize("options", [{}, {"context": "context"}, {"multi_args": True}], ids=str)
@pytest.mark.parametrize("number", range(6))
def test_any_number_of_arguments(number, options, keywords):
    """All go through as they are, falsy ones too; then comes the callback, and nothing else."""
    seen = []

    def function(*arguments, **given):
        *before, callback = arguments
        seen.append((before, given))
        callback(None, "done")

    values = [None, 0, (), object(), ..., {}][:number]
    outcome = Promise.promisify(function, **options)(*values, **keywords).value()
    assert (["done"] if "multi_args" in options else "done") == outcome
    [(before, given)] = seen
    before = before[1:] if "context" in options else before
    assert (number, keywords) == (len(before), given)
    assert all(one is other for one, other in zip(before, values, strict=True))


def test_too_few_and_too_many_arguments(scheduler):
    """Also these reject, with what Python says of the function that was promisified."""

    def function(one, two, callback):
        raise AssertionError

    promisified = Promise.promisify(function)
    for arguments in [(), (1,), (1, 2, 3), (1, 2, 3, 4)]:
        promise = promisified(*arguments)
        promise.suppress_unhandled_rejections()
        assert TypeError is type(promise.reason())
        assert "function() " in str(promise.reason())


def test_context():
    """A context goes first, as `self` would; so does a method's own object."""

    class Redis:
        def get(self, name, callback):
            callback(None, (self, name))

    client = Redis()
    with_context = Promise.promisify(Redis.get, context=client)
    assert (client, "foo") == with_context("foo").value()
    assert (client, "foo") == Promise.promisify(Redis.get)(client, "foo").value()
    assert (client, "foo") == Promise.promisify(client.get)("foo").value()
    none = Promise.promisify(lambda this, callback: callback(None, this), context=None)
    assert none().value() is None


def test_context_and_multi_args():
    """Both options together."""

    def function(this, callback):
        callback(None, this, 2)

    assert [1, 2] == Promise.promisify(function, context=1, multi_args=True)().value()


def test_as_a_method():
    """Assigned in a class, it is a method."""

    class Client:
        def get(self, name, callback):
            callback(None, (self, name))

        get_async = Promise.promisify(get)

    client = Client()
    assert (client, "foo") == client.get_async("foo").value()


def test_the_original_is_untouched():
    """Promisifying changes nothing about the function."""

    def function(callback):
        """Some words."""

    before = dict(vars(function))
    promisified = Promise.promisify(function)
    assert promisified is not function
    assert before == vars(function)


def test_already_promisified():
    """A promisified function is returned as it is."""
    promisified = Promise.promisify(answer(None, 1))
    assert promisified is Promise.promisify(promisified)


def test_name_doc_and_signature():
    """Those of the original, without the callback."""

    def function(one, two: int = 2, callback=None, *, key=3, **others):
        """Some words."""

    promisified = Promise.promisify(function)
    assert ("function", "Some words.") == (promisified.__name__, promisified.__doc__)
    assert function is promisified.__wrapped__
    assert "(one, two: int = 2, *, key=3, **others)" == str(inspect.signature(promisified)).replace(
        "'", ""
    )


@pytest.mark.parametrize(
    ("function", "context", "expected"),
    [
        (lambda callback: None, False, "()"),
        (lambda this, a, callback: None, True, "(a)"),
        (lambda *args: None, False, "(*args)"),
        (lambda *args: None, True, "(*args)"),
        (lambda a, *args, key: None, False, "(a, *args, key)"),
        (lambda *, key: None, False, "(*, key)"),
        (lambda: None, True, "()"),
        (dict.get, False, "(self, key, /)"),
    ],
)
def test_signatures(function, context, expected):
    """The callback is the last positional parameter, the context the first."""
    options = {"context": 1} if context else {}
    assert expected == str(inspect.signature(Promise.promisify(function, **options)))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="cannot be written in older Pythons")
def test_annotations_that_name_what_is_not_there():
    """Those that can be evaluated are carried over as what they are."""
    namespace = {}
    code = "def function(one: int, two: Missing, callback): ..."
    # Not in this file, where annotations are text anyway.
    exec(compile(code, "annotated", "exec", dont_inherit=True), namespace)
    signature = inspect.signature(Promise.promisify(namespace["function"]))
    assert ["one", "two"] == list(signature.parameters)
    assert int is signature.parameters["one"].annotation


def test_a_signature_that_fails():
    """An error while reading annotations is not raised to the caller of `promisify`."""

    class Function:
        @property
        def __signature__(self):
            return undefined  # noqa: F821

        def __call__(self, one, callback):
            callback(None, one)

    assert "value" == Promise.promisify(Function())("value").value()


def test_no_signature():
    """A builtin without a signature can be promisified all the same."""
    promisified = Promise.promisify(iter)
    assert "iter" == promisified.__name__
    assert not hasattr(promisified, "__signature__")


def test_a_partial():
    """A callable without a name will do."""

    def function(one, two, callback):
        callback(None, (one, two))

    assert (1, 2) == Promise.promisify(functools.partial(function, 1))(2).value()


@pytest.mark.parametrize(
    "target", [ModuleType("module"), object(), None, 5, "name", dict, Boom, [len]]
)
def test_promisify_called_on_an_object(target):
    """The page's words, and what to do instead; classes are none either."""
    with pytest.raises(
        TypeError, match=r"use Promise\.promisify_all .*\(Promise\.promisify called on an object\)$"
    ):
        Promise.promisify(target)


def test_what_it_returns_is_dropped():
    """The callback alone decides."""
    pending = Promise.promisify(lambda callback: "returned")()
    assert pending.is_pending()
    pending.cancel()


def test_a_followed_value(scheduler):
    """What the callback is given may be a promise or a Deferred."""
    deferred = Deferred()
    promise = Promise.promisify(answer(None, deferred))()
    deferred.callback("late")
    assert "late" == promise.value()
    assert "soon" == Promise.promisify(answer(None, Promise.resolve("soon")))().value()


# --- errors


class Odd:
    """Something without a text."""

    def __str__(self):
        raise Boom


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Exception("untyped"), "untyped"),
        (BaseException("untyped"), "untyped"),
        ("a text", "a text"),
        (404, "404"),
        ({"code": 1}, "{'code': 1}"),
        (Odd(), "a Odd without a text"),
        ("x" * 1000, "x" * 200),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else f"text{len(value)}",
)
def test_untyped_errors(error, text):
    """A bare exception, or what is none, arrives inside an `OperationalError`."""
    promise = quiet(Promise.promisify(answer(error))())
    reason = promise.reason()
    assert OperationalError is type(reason)
    assert (text, error) == (reason.message, reason.cause)
    assert (error if isinstance(error, BaseException) else None) is reason.__cause__


@pytest.mark.parametrize(
    "error", [Boom("typed"), KeyError("key"), KeyboardInterrupt(), OperationalError("already")]
)
def test_typed_errors(scheduler, error):
    """An exception of a class of its own arrives itself, and counts as operational."""
    caught = []
    promise = Promise.promisify(answer(error))()
    promise.error(caught.append)
    scheduler.flush()
    assert error is promise.reason()
    assert [error] == caught
    assert error.is_operational


def test_errors_that_cannot_be_marked(scheduler):
    """They arrive all the same, and `catch` handles them."""
    error = Slotted()
    caught = []
    promise = Promise.promisify(answer(error))()
    promise.error(print).catch(caught.append)
    scheduler.flush()
    assert [error] == caught


@pytest.mark.parametrize("error", [Boom(), Exception("untyped")], ids=["typed", "untyped"])
def test_a_failure(error):
    """A Failure is taken for the exception in it, and keeps its traceback."""
    try:
        raise error
    except Exception:
        failure = Failure()
    promise = quiet(Promise.promisify(answer(failure))())
    reason = promise.reason()
    if type(error) is Boom:
        assert error is reason
        deferred = promise.to_deferred()
        again = []
        deferred.addErrback(again.append)
        assert [failure] == again
    else:
        assert OperationalError is type(reason)
        assert error is reason.cause
    assert reason.is_operational


@pytest.mark.parametrize("error", [None, False, 0, "", [], ()])
def test_no_error(error):
    """Whatever is false is no error, as with Node's callbacks."""
    assert "value" == Promise.promisify(answer(error, "value"))().value()


def test_an_exception_that_is_false():
    """An exception is an error, whatever its truth."""

    class Empty(Exception):
        def __len__(self):
            return 0

    error = Empty()
    assert error is quiet(Promise.promisify(answer(error, "value"))()).reason()


def test_what_it_raises(scheduler):
    """It never throws: what the function raises rejects; but that was not expected."""
    caught = []

    def function(callback):
        raise Boom

    promise = Promise.promisify(function)()
    promise.error(lambda _: caught.append("error")).catch(Boom, lambda _: caught.append("catch"))
    scheduler.flush()
    assert ["catch"] == caught
    assert not hasattr(promise.reason(), "is_operational")


def test_too_few_arguments(scheduler):
    """A wrong call rejects."""
    promise = quiet(Promise.promisify(lambda one, two, callback: None)(1))
    assert isinstance(promise.reason(), TypeError)


@pytest.mark.parametrize(
    "calls",
    [
        [(None, "first"), (None, "second")],
        [(None, "first"), (Boom(),)],
        [(None, "first"), (None, succeed("second"))],
    ],
    ids=["values", "error", "followed"],
)
def test_called_back_twice(calls):
    """The first call counts."""

    def function(callback):
        for call in calls:
            callback(*call)

    assert "first" == Promise.promisify(function)().value()


def test_called_back_twice_after_an_error():
    """The first call counts, also if it was an error."""
    error = Boom()

    def function(callback):
        callback(error)
        callback(None, "second")

    assert error is quiet(Promise.promisify(function)()).reason()


@pytest.mark.parametrize("context", [False, True])
def test_raising_after_calling_back(reports, scheduler, context):
    """The call counts, and the error is not lost: it is logged."""

    def function(*arguments):
        arguments[-1](None, "value")
        raise Boom

    promise = Promise.promisify(function, **({"context": 1} if context else {}))()
    assert ([], "value") == (reports, promise.value())
    scheduler.flush()
    assert [Boom] == [event["log_failure"].type for event in reports]


@pytest.mark.parametrize("context", [False, True])
def test_calling_back_after_raising(scheduler, context):
    """The exception counts."""
    callbacks = []

    def function(*arguments):
        callbacks.append(arguments[-1])
        raise Boom

    promise = quiet(Promise.promisify(function, **({"context": 1} if context else {}))())
    callbacks[0](None, "late")
    scheduler.flush()
    assert isinstance(promise.reason(), Boom)


@pytest.mark.parametrize("error", [None, Boom()])
def test_from_another_thread(scheduler, error):
    """The callback may be called from any thread: the promise settles on its own."""
    function = Promise.promisify(lambda callback: in_thread(callback, error, "value"))
    promise = quiet(function())
    assert promise.is_pending()
    scheduler.flush()
    assert (error or "value") is (promise.reason() if error else promise.value())


def test_after_it_was_cancelled(scheduler):
    """A callback that comes after the cancellation does nothing."""
    callbacks = []
    promise = Promise.promisify(callbacks.append)()
    promise.cancel()
    callbacks[0](None, "late")
    callbacks[0](Boom())
    scheduler.flush()
    assert promise.is_cancelled()


def test_library_copies():
    """A library copy's own promises come of its functions."""
    copy = Promise.get_new_library_copy()
    assert isinstance(copy.promisify(answer(None, 1))(), copy)
    assert isinstance(copy.from_callback(answer(None, 1)), copy)

    class Api:
        def get(self, callback):
            callback(None, 1)

    copy.promisify_all(Api)
    assert isinstance(Api().getAsync(), copy)


# --- promisifiers


def test_a_promisifier():
    """It makes the function instead."""

    def promisifier(original):
        return lambda: Promise.resolve((original, "made"))

    assert (len, "made") == Promise.promisify(len, promisifier=promisifier)().value()


def test_a_promisifier_gets_the_default(scheduler):
    """One with a second parameter gets what would have made the function: the page's example."""

    def awaiting_its_arguments(original, default):
        promisified = default(original)

        @functools.wraps(original)
        def function(*arguments):
            return Promise.all(arguments).then(lambda values: promisified(*values))

        return function

    def add(one, two, callback):
        callback(None, one + two)

    added = []
    function = Promise.promisify(add, promisifier=awaiting_its_arguments)
    function(Promise.resolve(1), 2).then(added.append)
    Promise.promisify(add, promisifier=lambda original, default: default())(3, 4).then(added.append)
    scheduler.flush()
    assert [3, 7] == sorted(added)


@pytest.mark.parametrize(
    "promisifier",
    [
        lambda original: lambda: (original,),
        lambda original, default=None: lambda: (original, default)[: 1 if default is None else 2],
        lambda *all_of_them: lambda: all_of_them,
    ],
    ids=["one", "default", "star"],
)
def test_promisifier_arity(promisifier):
    """One that does not declare the second parameter, without a default, does not get it."""
    assert (len,) == Promise.promisify(len, promisifier=promisifier)()


def test_promisifier_keeps_the_options():
    """The default that a promisifier gets goes by `multi_args` and `context`."""

    def function(this, callback):
        callback(None, this, 2)

    made = Promise.promisify(
        function, context=1, multi_args=True, promisifier=lambda original, default: default()
    )
    assert [1, 2] == made().value()


@pytest.mark.parametrize("promisifier", [5, "name"])
def test_promisifier_is_not_callable(promisifier):
    """Refused at once."""
    with pytest.raises(TypeError, match="promisifier must be callable, not"):
        Promise.promisify(len, promisifier=promisifier)
    with pytest.raises(TypeError, match="promisifier must be callable, not"):
        Promise.promisify_all(object(), promisifier=promisifier)


def test_promisifier_gives_no_function():
    """Refused, by `promisify` and `promisify_all`; nothing is changed."""

    class Api:
        def get(self, callback):
            pass

    before = dict(vars(Api))
    with pytest.raises(TypeError, match="promisifier must return a function, not 5"):
        Promise.promisify(len, promisifier=lambda original: 5)
    with pytest.raises(TypeError, match="promisifier must return a function, not 5"):
        Promise.promisify_all(Api, promisifier=lambda original: 5)
    assert before == dict(vars(Api))


# --- promisify_all: classes


def get(self, name, callback):
    """Get it."""
    callback(None, (self, name))


class Forbidden:
    """A property that must not be read."""

    def __get__(self, instance, owner):
        raise AssertionError("a property was read")


def make_api():
    """A class with a bit of everything."""

    class Base:
        def inherited(self, callback):
            callback(None, "inherited")

        def overridden(self, callback):
            callback(None, "Base")

    class Api(Base):
        prop = property(lambda self: pytest.fail("a property was read"))
        strange = Forbidden()
        constant = 5
        nested = Boom
        chained = classmethod(Forbidden())
        kind = staticmethod(dict)

        def method(self, callback):
            """Some words."""
            callback(None, self)

        @staticmethod
        def static(one, callback):
            callback(None, one)

        @classmethod
        def of_class(cls, callback):
            callback(None, cls)

        def overridden(self, callback):
            callback(None, "Api")

        def _private(self, callback):
            callback(None, "private")

        def __call__(self, callback):
            callback(None, "called")

    return Api


NEW = {"inheritedAsync", "overriddenAsync", "methodAsync", "staticAsync", "of_classAsync"}


def test_a_class():
    """Functions get a version of their own each; nothing else does, and originals stay."""
    api = make_api()
    before = dict(vars(api))
    assert api is Promise.promisify_all(api)
    after = dict(vars(api))
    assert NEW == set(after) - set(before)
    assert before == {name: after[name] for name in before}
    instance = api()
    assert instance is instance.methodAsync().value()
    assert instance is api.methodAsync(instance).value()
    assert "inherited" == instance.inheritedAsync().value()
    assert "Api" == instance.overriddenAsync().value()
    assert "Some words." == api.methodAsync.__doc__


def test_static_and_class_methods():
    """They stay what they are, on the class and on its instances and subclasses."""
    api = Promise.promisify_all(make_api())

    class Sub(api):
        pass

    for owner in (api, api(), Sub, Sub()):
        assert 1 == owner.staticAsync(1).value()
        kind = owner if isinstance(owner, type) else type(owner)
        assert kind is owner.of_classAsync().value()
    assert isinstance(vars(api)["staticAsync"], staticmethod)
    assert isinstance(vars(api)["of_classAsync"], classmethod)


def test_bases_stay_as_they_are():
    """Inherited methods are promisified on the class itself."""
    api = make_api()
    base = api.__mro__[1]
    before = dict(vars(base))
    Promise.promisify_all(api)
    assert before == dict(vars(base))


def test_all_instances_have_it():
    """Also those that were there before: the page's throwaway instance."""
    api = make_api()
    instance = api()
    Promise.promisify_all(type(api()))
    assert instance is instance.methodAsync().value()


def test_twice():
    """Promisified functions are skipped, and so are their promisified versions."""
    api = Promise.promisify_all(make_api())
    before = dict(vars(api))
    Promise.promisify_all(api)
    assert before == dict(vars(api))


def test_multi_args_first_and_the_rest_later():
    """The page's two passes: the filtered ones with all values, then the others."""

    class Something:
        def one(self, callback):
            callback(None, 1, 2)

        def several(self, callback):
            callback(None, 1, 2)

    Promise.promisify_all(Something, filter=lambda name: name == "several", multi_args=True)
    Promise.promisify_all(Something)
    assert 1 == Something().oneAsync().value()
    assert [1, 2] == Something().severalAsync().value()


def test_a_subclass_overrides():
    """A subclass of a promisified class gets versions of what it overrides."""

    class Base:
        def method(self, callback):
            callback(None, "Base")

        def other(self, callback):
            callback(None, "other")

    class Sub(Base):
        def method(self, callback):
            callback(None, "Sub")

    Promise.promisify_all(Base)
    Promise.promisify_all(Sub)
    assert "Sub" == Sub().methodAsync().value()
    assert "Base" == Base().methodAsync().value()
    assert "otherAsync" not in vars(Sub)
    before = dict(vars(Sub))
    Promise.promisify_all(Sub)
    assert before == dict(vars(Sub))


@pytest.mark.parametrize("own", [False, True], ids=["inherited", "own"])
def test_a_name_is_taken(own):
    """The documented error, and nothing is changed."""

    class Base:
        def foo(self, callback):
            pass

        def foo_async(self):
            pass

    Base.fooAsync = Base.foo_async

    class Sub(Base):
        def bar(self, callback):
            pass

    target = Base if own else Sub
    before = dict(vars(target))
    with pytest.raises(TypeError) as caught:
        Promise.promisify_all(target)
    text = str(caught.value)
    assert text.startswith("Cannot promisify an API that has normal methods with 'Async'-suffix")
    assert "fooAsync" in text
    assert before == dict(vars(target))


@pytest.mark.parametrize("taken", [property(lambda self: 1), 5, None])
def test_a_name_is_taken_by_something_else(taken):
    """A property or a value is not overwritten either, nor read."""

    class Api:
        def foo(self, callback):
            pass

        fooAsync = taken

    with pytest.raises(TypeError, match="Cannot promisify an API"):
        Promise.promisify_all(Api)
    assert taken is vars(Api)["fooAsync"]


def test_a_taken_name_and_another_suffix():
    """The remedies of the page: another suffix, a filter, or one by one."""

    class Api:
        def foo(self, callback):
            callback(None, "foo")

        def fooAsync(self):
            return "normal"

        def bar(self, callback):
            callback(None, "bar")

    Promise.promisify_all(Api, filter=lambda name: name == "bar")
    Promise.promisify_all(Api, filter=lambda name: not name.endswith("Async"), suffix="Promised")
    api = Api()
    assert ("foo", "normal", "bar", "bar") == (
        api.fooPromised().value(),
        api.fooAsync(),
        api.barAsync().value(),
        api.barPromised().value(),
    )


def test_a_suffix_alone_is_no_collision():
    """A method that only looks promisified is one like any other."""

    class Api:
        def fooAsync(self, callback):
            callback(None, "foo")

    Promise.promisify_all(Api)
    assert "foo" == Api().fooAsyncAsync().value()


def test_slots():
    """A class with slots takes new methods."""

    class Api:
        __slots__ = ("value",)

        def method(self, callback):
            callback(None, self.value)

    Promise.promisify_all(Api)
    api = Api()
    api.value = 5
    assert 5 == api.methodAsync().value()


def test_slotted_instance():
    """An instance with slots does not: a clear error, and nothing is half done."""

    class Api:
        __slots__ = ()

        def one(self, callback):
            pass

        def two(self, callback):
            pass

    before = dict(vars(Api))
    with pytest.raises(TypeError, match="target must take new attributes") as caught:
        Promise.promisify_all(Api())
    assert isinstance(caught.value.__cause__, AttributeError)
    assert before == dict(vars(Api))


@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError])
def test_an_instance_that_refuses(error):
    """Whatever its `__setattr__` raises, and whenever: what was added is taken away again."""

    class Picky:
        def one(self, callback):
            pass

        def two(self, callback):
            pass

        def __setattr__(self, name, value):
            if name == "twoAsync":
                raise error(name)
            super().__setattr__(name, value)

    picky = Picky()
    with pytest.raises(TypeError, match="target must take new attributes"):
        Promise.promisify_all(picky)
    assert {} == vars(picky)


@pytest.mark.parametrize("target", [dict, int])
def test_a_builtin_class(target):
    """It takes no new attributes."""
    with pytest.raises(TypeError, match="a class can be promisified where its instances cannot"):
        Promise.promisify_all(target)


def test_a_class_written_in_c_as_base():
    """Its methods are promisified on the class that derives from it."""

    class Sub(dict):
        pass

    Promise.promisify_all(Sub, promisifier=lambda original: Promise.method(original))
    assert 1 == Sub(a=1).getAsync("a").value()


def test_enumerations():
    """The members of an enumeration are no functions."""

    class Colour(enum.Enum):
        RED = 1

        def describe(self, callback):
            callback(None, self.name)

    Promise.promisify_all(Colour)
    assert "RED" == Colour.RED.describeAsync().value()
    assert [Colour.RED] == list(Colour)


def test_lists_of_classes():
    """Several classes in one go."""

    class Pool:
        def get_connection(self, callback):
            callback(None, "connection")

    class Connection:
        def query(self, callback):
            callback(None, "result")

    both = [Pool, Connection]
    assert both is Promise.promisify_all(both)
    assert "connection" == Pool().get_connectionAsync().value()
    assert "result" == Connection().queryAsync().value()
    assert () == Promise.promisify_all(())


def test_lists_of_something_else():
    """Nothing is changed if one of the list is no class, or refuses."""

    class Api:
        def foo(self, callback):
            pass

    before = dict(vars(Api))
    for other in (5, Api(), len):
        with pytest.raises(TypeError, match="a list of targets may hold only classes, not"):
            Promise.promisify_all([Api, other])
    with pytest.raises(TypeError, match="target must take new attributes"):
        Promise.promisify_all([Api, dict])
    assert before == dict(vars(Api))


# --- promisify_all: the function is looked up at the call


def make_client():
    """A class whose methods say which of them was called."""

    class Client:
        def get(self, key, callback):
            callback(None, f"base {key}")

        @staticmethod
        def static(key, callback):
            callback(None, f"static {key}")

        @classmethod
        def of_class(cls, key, callback):
            callback(None, f"{cls.__name__} {key}")

    return Client


ADDITIONS = {
    "promisify_all": (Promise.promisify_all, "Async", lambda value: lambda *a: a[-1](None, value)),
    "returning": (
        lambda target: Promise.promisify_all(target, promisifier=Promise.method),
        "Async",
        lambda value: lambda *_: value,
    ),
    "deferify_all": (deferify_all, "Deferred", lambda value: lambda *_: Promise.resolve(value)),
}


@pytest.fixture(params=ADDITIONS)
def added(request, scheduler):
    """Adds versions to a target; what calls one of an object; makes a function that answers."""
    add, suffix, answers = ADDITIONS[request.param]

    def call(target, name, *arguments):
        given = getattr(target, name + suffix)(*arguments)
        scheduler.flush()
        return given.result if isinstance(given, Deferred) else given.value()

    return add, call, answers


def test_what_a_subclass_overrides_is_called(added):
    """Though its class was not promisified itself; static methods are those of the class."""
    add, call, answers = added
    client = add(make_client())

    class Sub(client):
        get = answers("overridden")

        @classmethod
        def of_class(cls, *arguments):
            return answers(f"of {cls.__name__}")(*arguments)

    assert "overridden" == call(Sub(), "get", "k")
    assert "of Sub" == call(Sub, "of_class", "k")


def test_an_override_that_calls_what_it_overrides():
    """It is called, and calls that."""
    client = Promise.promisify_all(make_client())

    class Sub(client):
        def get(self, key, callback):
            super().get(key + "!", callback)

    assert "base k!" == Sub().getAsync("k").value()


def test_a_stub_on_an_instance_is_called(added):
    """Of a class that was promisified; the other instances are not changed."""
    add, call, answers = added
    client = add(make_client())
    instance = client()
    instance.get = answers("stub")
    assert "stub" == call(instance, "get", "k")
    if add is Promise.promisify_all:
        assert "base k" == call(client(), "get", "k")


@pytest.mark.parametrize("name", ["get", "static", "of_class"])
def test_what_a_test_patches_is_called(added, name):
    """In a class, and as long as it is patched."""
    add, call, answers = added
    client = add(make_client())
    with mock.patch.object(client, name, answers("patched")):
        assert "patched" == call(client(), name, "k")
        assert "patched" == call(client() if name == "get" else client, name, "k")
    if add is Promise.promisify_all:
        assert call(client(), name, "k").endswith(" k")


def test_what_a_test_patches_on_an_object(added):
    """That was promisified itself; and on its class."""
    add, call, answers = added
    client = make_client()
    instance = add(client())
    with mock.patch.object(client, "get", answers("in the class")):
        assert "in the class" == call(instance, "get", "k")
    with mock.patch.object(instance, "get", answers("on the object")):
        assert "on the object" == call(instance, "get", "k")


def test_what_a_test_patches_in_a_module(added):
    """Also by its name, as `mock.patch` does."""
    add, call, answers = added
    module = ModuleType("a_module")

    def get(key, callback):
        callback(None, key)

    get.__module__ = "a_module"
    module.get = get
    add(module)
    sys.modules["a_module"] = module
    try:
        with mock.patch("a_module.get", answers("patched")):
            assert "patched" == call(module, "get", "k")
    finally:
        del sys.modules["a_module"]


def test_a_promisifier_gets_what_looks_the_function_up():
    """It has the name, docstring and signature of the original."""
    client, given = make_client(), []
    Promise.promisify_all(client, promisifier=lambda original: given.append(original) or original)
    by_name = next(each for each in given if each.__name__ == "get")
    assert inspect.signature(client.get) == inspect.signature(by_name)
    assert by_name.__wrapped__ is client.get is client.getAsync


# --- promisify_all: functions of other kinds


def make_kinds():
    """A class with functions that are made by `functools`."""

    class Kinds:
        name = "kinds"

        @functools.cache  # noqa: B019
        def cached(self, callback):
            callback(None, f"cached {self.name}")

        def scale(self, factor, value, callback):
            callback(None, factor * value)

        double = functools.partialmethod(scale, 2)

        @functools.singledispatchmethod
        def shown(self, value, callback):
            callback(None, "something else")

        @shown.register
        def _(self, value: int, callback):
            callback(None, "an int")

        @staticmethod
        @functools.cache
        def static(callback):
            callback(None, "static")

    return Kinds


@pytest.mark.parametrize("which", ["class", "object"])
def test_functions_that_functools_has_made(which):
    """They are functions, too: cached, partial and by the type of an argument."""
    kinds = make_kinds()
    if which == "class":
        instance = Promise.promisify_all(kinds)()
    else:
        instance = Promise.promisify_all(kinds())
    assert "cached kinds" == instance.cachedAsync().value()
    assert 42 == instance.doubleAsync(21).value()
    assert "an int" == instance.shownAsync(3).value()
    assert "something else" == instance.shownAsync("3").value()
    assert "static" == instance.staticAsync().value()
    parameters = {
        name: list(inspect.signature(getattr(instance, name + "Async")).parameters)
        for name in ("cached", "double", "shown", "static")
    }
    assert {"cached": [], "double": ["value"], "shown": ["value"], "static": []} == parameters


@pytest.mark.parametrize("which", ["class", "object"])
def test_a_promisifier_that_gives_the_original_of_functions_of_functools(which):
    """It does what the original does."""
    kinds = make_kinds()
    target = kinds if which == "class" else kinds()
    Promise.promisify_all(target, promisifier=lambda original: original)
    instance = kinds() if which == "class" else target
    got = []

    def callback(error, value):
        got.append(value)

    instance.doubleAsync(21, callback)
    instance.shownAsync(3, callback)
    instance.shownAsync("3", callback)
    instance.cachedAsync(callback)
    assert [42, "an int", "something else", "cached kinds"] == got


def test_a_partial_function_of_an_instance():
    """It is one of its functions."""

    class Api:
        pass

    api = Api()
    api.ask = functools.partial(lambda number, callback: callback(None, number), 7)
    assert 7 == Promise.promisify_all(api).askAsync().value()


def test_a_cached_function_of_a_module():
    """As the others."""
    module = ModuleType("cached_module")

    @functools.cache
    def get(callback):
        callback(None, "cached")

    get.__module__ = "cached_module"
    module.get = get
    assert "cached" == Promise.promisify_all(module).getAsync().value()


# --- promisify_all: classes of an object or a class


@pytest.mark.parametrize("which", ["class", "object", "attribute"])
def test_nested_classes(which):
    """Those that are defined where their owner is are promisified with it, and theirs."""

    class Inner:
        def get(self, callback):
            callback(None, "inner")

    class Middle:
        inner = Inner

    class Hidden(Inner):
        pass

    class Sdk:
        middle, _hidden, foreign, builtin = Middle, Hidden, ModuleType, int

        def close(self, callback):
            callback(None, "closed")

    Inner.back = Sdk
    sdk = Sdk if which == "class" else Sdk()
    if which == "attribute":
        del Sdk.middle
        sdk.middle = Middle
    Promise.promisify_all(sdk)
    assert "inner" == Inner().getAsync().value()
    assert "closed" == (sdk if which != "class" else sdk()).closeAsync().value()
    assert "getAsync" not in vars(Hidden)
    assert not hasattr(ModuleType, "closeAsync")


def test_a_nested_class_that_has_the_name_already():
    """Then nothing at all is changed."""

    class Inner:
        def get(self, callback):
            pass

        def getAsync(self):
            pass

    class Sdk:
        inner = Inner

        def close(self, callback):
            pass

    with pytest.raises(TypeError, match="there is a getAsync already"):
        Promise.promisify_all(Sdk)
    assert not hasattr(Sdk, "closeAsync")


# --- promisify_all: objects and modules


def test_an_instance():
    """Only this one gets them, bound to it; the class stays as it is."""
    api = make_api()
    before = dict(vars(api))
    instance = api()
    assert instance is Promise.promisify_all(instance)
    assert NEW == set(vars(instance))
    assert before == dict(vars(api))
    assert instance is instance.methodAsync().value()
    assert (1, api) == (instance.staticAsync(1).value(), instance.of_classAsync().value())
    assert "Api" == instance.overriddenAsync().value()
    assert not hasattr(api(), "methodAsync")


def test_functions_of_an_instance():
    """What is in its own `__dict__` counts, functions and bound methods; and goes first."""
    instance = make_api()()
    other = make_api()()
    instance.plain = lambda callback: callback(None, "plain")
    instance.method = lambda callback: callback(None, "own")
    instance.borrowed = other.method
    instance.static = 5
    Promise.promisify_all(instance)
    assert "plain" == instance.plainAsync().value()
    assert "own" == instance.methodAsync().value()
    assert other is instance.borrowedAsync().value()
    assert not hasattr(instance, "staticAsync")


def test_an_instance_of_a_promisified_class():
    """It has them already; what it overrides itself it gets anew."""
    api = Promise.promisify_all(make_api())
    instance = api()
    instance.method = lambda callback: callback(None, "own")
    Promise.promisify_all(instance)
    assert {"method", "methodAsync"} == set(vars(instance))
    assert "own" == instance.methodAsync().value()


def test_a_function_as_object():
    """A function's attributes are promisified, and so is nothing of the function itself."""

    def mkdirp(path, callback):
        callback(None, path)

    mkdirp.mkdirp = mkdirp
    Promise.promisify_all(mkdirp)
    assert "path" == mkdirp.mkdirpAsync("path").value()


@pytest.mark.parametrize("target", [None, 5, 1.5, 1j, True, "name", b"bytes"])
def test_no_target(target):
    """The page's words."""
    with pytest.raises(
        TypeError, match=r"\(the target of promisifyAll must be an object or a function\)$"
    ):
        Promise.promisify_all(target)


@pytest.fixture
def module():
    """A module with functions and classes, its own and imported ones."""
    made = ModuleType("own")
    exec(
        "from functools import reduce, partial\n"
        "from math import sqrt\n"
        "from collections import OrderedDict\n"
        "from textwrap import dedent, TextWrapper\n"
        "import os\n"
        "def read(name, callback): callback(None, name)\n"
        "def _hidden(callback): pass\n"
        "class Reader:\n"
        "    def read(self, callback): callback(None, self)\n"
        "    @staticmethod\n"
        "    def make(callback): callback(None, 'made')\n"
        "class Special(Reader):\n"
        "    def read(self, callback): callback(None, 'special')\n"
        "value = 5\n",
        made.__dict__,
    )
    return made


def test_a_module(module):
    """Its own functions, and both kinds of methods of its own classes; nothing imported."""
    before = set(vars(module))
    assert module is Promise.promisify_all(module)
    assert {"readAsync"} == set(vars(module)) - before
    assert "name" == module.readAsync("name").value()
    reader = module.Reader()
    assert reader is reader.readAsync().value()
    assert "made" == module.Reader.makeAsync().value()
    assert "special" == module.Special().readAsync().value()
    assert not hasattr(module.TextWrapper, "wrapAsync")
    assert not hasattr(module.OrderedDict, "popAsync")


def test_a_module_twice(module):
    """The second time there is nothing to do."""
    Promise.promisify_all(module)
    before = dict(vars(module))
    Promise.promisify_all(module)
    assert before == dict(vars(module))


def test_a_module_is_all_or_nothing(module):
    """A collision in a class of it changes neither that class nor the module."""
    module.Special.makeAsync = "taken"
    before = dict(vars(module)), dict(vars(module.Reader))
    with pytest.raises(TypeError, match="makeAsync"):
        Promise.promisify_all(module)
    assert before == (dict(vars(module)), dict(vars(module.Reader)))


def test_a_module_is_refused(module):
    """A class that takes no new attributes: what was added elsewhere is taken away again."""

    class Refuses(type):
        def __setattr__(cls, name, value):
            raise TypeError(name)

    module.Refuser = Refuses("Refuser", (module.Reader,), {"__module__": "own"})
    before = dict(vars(module)), dict(vars(module.Reader))
    with pytest.raises(TypeError, match="target must take new attributes"):
        Promise.promisify_all(module)
    assert before == (dict(vars(module)), dict(vars(module.Reader)))


def test_a_module_with_classes_written_in_c(module):
    """Those cannot be changed, and are skipped; the functions are not."""
    module.__name__ = "collections"
    module.deque = __import__("collections").deque
    module.read.__module__ = "collections"
    Promise.promisify_all(module)
    assert "name" == module.readAsync("name").value()
    assert not hasattr(module.deque, "popAsync")


def test_a_package(module):
    """What a package imports from its own modules is its own."""
    module.__name__ = "package"
    module.read.__module__ = "package.files"
    module.Reader.__module__ = "packages.other"
    Promise.promisify_all(module)
    assert hasattr(module, "readAsync")
    assert not hasattr(module.Reader, "readAsync")


def test_functions_that_do_not_tell_their_home(module):
    """A function without a `__module__` is taken for the module's own."""
    module.read.__module__ = None
    Promise.promisify_all(module)
    assert hasattr(module, "readAsync")


# --- promisify_all: options


def test_suffix():
    """Another suffix."""
    api = Promise.promisify_all(make_api(), suffix="MySuffix")
    instance = api()
    assert instance is instance.methodMySuffix().value()
    assert not hasattr(api, "methodAsync")


@pytest.mark.parametrize("suffix", ["", "-", "a b", "é!"])
def test_a_bad_suffix(suffix):
    """It must be able to end an identifier."""
    with pytest.raises(ValueError, match="suffix must be a valid part of an identifier"):
        Promise.promisify_all(make_api(), suffix=suffix)


def test_no_suffix():
    """It must be a string."""
    with pytest.raises(TypeError, match="suffix must be a str, not None"):
        Promise.promisify_all(make_api(), suffix=None)


def test_the_filter_is_told():
    """Name, function, target, and what would be done without it."""
    api = make_api()
    calls = {}

    def choose(name, function, target, default):
        calls[name] = function, target, default

    Promise.promisify_all(api, filter=choose)
    assert {"method", "static", "of_class", "inherited", "overridden", "_private", "__call__"} == (
        set(calls)
    )
    assert (vars(api)["method"], api, True) == calls["method"]
    assert (vars(api)["static"].__func__, api, True) == calls["static"]
    assert (vars(api)["_private"], api, False) == calls["_private"]
    # What it does not return is false.
    assert not hasattr(api, "methodAsync")


@pytest.mark.parametrize(
    "choose",
    [
        lambda name: name == "_private",
        lambda name, other=None: name == "_private" and other is None,
        lambda *names: names == ("_private",),
        lambda name, function: "yes" if function.__name__ == "_private" else "",
        lambda name, function, target, default: not default and name != "__call__",
    ],
    ids=["one", "default", "star", "two", "four"],
)
def test_filter_arity(choose):
    """It gets what it declares without a default; what it returns is taken for true or false."""
    api = make_api()
    before = set(vars(api))
    Promise.promisify_all(api, filter=choose)
    assert {"_privateAsync"} == set(vars(api)) - before
    assert "private" == api()._privateAsync().value()


def test_a_filter_must_answer_at_once():
    """A coroutine would be true, whatever comes of it."""

    async def choose(name):
        return False

    api = make_api()
    before = set(vars(api))
    with pytest.raises(TypeError, match="filter must return True or False at once"):
        Promise.promisify_all(api, filter=choose)
    assert before == set(vars(api))


def test_names_that_are_no_identifiers():
    """The default filter passes them over."""
    instance = make_api()()
    vars(instance)["no identifier"] = lambda callback: None
    calls = {}
    Promise.promisify_all(
        instance, filter=lambda name, function, target, default: calls.update({name: default})
    )
    assert not calls["no identifier"]


def test_filter_for_a_module(module):
    """What a module has imported would not be taken without a filter, but may be with one."""
    calls = {}

    def choose(name, function, target, default):
        calls[name] = default
        return name == "dedent"

    Promise.promisify_all(module, filter=choose)
    assert (True, False, False) == (calls["read"], calls["dedent"], calls["sqrt"])
    assert hasattr(module, "dedentAsync")


def test_filter_is_not_callable():
    """Refused at once."""
    with pytest.raises(TypeError, match="filter must be callable, not 'name'"):
        Promise.promisify_all(make_api(), filter="name")


def test_a_filter_that_raises():
    """Its error goes to the caller, and nothing is changed."""
    api = make_api()
    before = dict(vars(api))

    def choose(name):
        raise Boom

    with pytest.raises(Boom):
        Promise.promisify_all(api, filter=choose)
    assert before == dict(vars(api))


def test_dom_promisifier():
    """The page's promisifier for two callbacks: the receiver is the first argument."""

    def promisifier(original):
        def promisified(*arguments):
            return Promise(lambda resolve, reject: original(*arguments, resolve, reject))

        return promisified

    class Chrome:
        title = "title"

        def get_title(self, tab, resolve, reject):
            if tab:
                resolve(f"{self.title} of {tab}")
            else:
                reject(Boom("no tab"))

    Promise.promisify_all(Chrome, promisifier=promisifier)
    assert "title of 5" == Chrome().get_titleAsync(5).value()
    assert isinstance(quiet(Chrome().get_titleAsync(0)).reason(), Boom)


def test_emitter_promisifier(scheduler):
    """The page's promisifier for event emitters, with a filter."""

    class Emitter:
        def __init__(self):
            self.handlers = {}

        def on(self, name, handler):
            self.handlers[name] = handler
            return self

    class Restler:
        def __init__(self):
            self.emitter = Emitter()

        def get(self, url):
            if not url:
                raise Boom("no address")
            return self.emitter

        def abort(self):
            raise AssertionError

    def promisifier(original):
        def promisified(*arguments):
            def executor(resolve, reject):
                (
                    original(*arguments)
                    .on("success", lambda data, response: resolve([data, response]))
                    .on("abort", lambda: reject(Promise.CancellationError()))
                    .on("timeout", lambda: reject(Promise.TimeoutError()))
                )

            return Promise(executor)

        return promisified

    Promise.promisify_all(Restler, filter=lambda name: name == "get", promisifier=promisifier)
    assert not hasattr(Restler, "abortAsync")
    seen = []
    good, late = Restler(), Restler()
    good.getAsync("url").spread(lambda data, response: seen.append((data, response)))
    good.emitter.handlers["success"]("data", "response")
    promise = quiet(late.getAsync("url"))
    late.emitter.handlers["timeout"]()
    scheduler.flush()
    assert [("data", "response")] == seen
    assert isinstance(promise.reason(), Promise.TimeoutError)
    assert isinstance(quiet(Restler().getAsync("")).reason(), Boom)


def test_awaiting_promisifier(scheduler):
    """The page's promisifier on top of the default one: arguments may be promises."""
    files = {}

    def promisifier(original, default):
        promisified = default(original)

        def function(*arguments):
            return Promise.all(arguments).then(lambda values: promisified(*values))

        return function

    class Fs:
        def read_file(self, name, callback):
            callback(None, files.get(name, '{"version": 3}'))

        def write_file(self, name, value, callback):
            files[name] = value
            callback(None)

    fs = Promise.promisify_all(Fs(), promisifier=promisifier)
    version = fs.read_fileAsync("package.json").then(lambda text: text[-2])
    fs.write_fileAsync("the-version.txt", version)
    scheduler.flush()
    assert {"the-version.txt": "3"} == files


def test_a_promisifier_whose_functions_take_no_attributes():
    """They work; the second time, their names are taken."""

    class Api:
        def get(self, callback):
            pass

    Promise.promisify_all(Api, promisifier=lambda original: len)
    assert len is vars(Api)["getAsync"]
    with pytest.raises(TypeError, match="getAsync"):
        Promise.promisify_all(Api, promisifier=lambda original: len)


def test_a_promisifier_that_gives_the_original():
    """The original is not marked: it is untouched."""

    class Api:
        def get(self, callback):
            pass

    Promise.promisify_all(Api, promisifier=lambda original: original)
    assert Api.get is Api.getAsync
    assert {} == vars(Api.get)


def test_beside_deferify_all():
    """The Deferred-returning versions are not taken for functions with callbacks."""

    class Api:
        def get(self, callback):
            callback(None, "value")

    Promise.promisify_all(Api)
    deferify_all(Api, filter=lambda name: name.endswith("Async"))
    Promise.promisify_all(Api)
    assert {"get", "getAsync", "getAsyncDeferred"} == {n for n in vars(Api) if n[0] != "_"}
    fired = []
    Api().getAsyncDeferred().addCallback(fired.append)
    assert ["value"] == fired


# --- from_callback


def test_from_callback(scheduler):
    """The page's example, in both spellings."""

    def template(name, callback):
        callback(None, f"<{name}>", name)

    results = []
    Promise.from_callback(lambda callback: template("news", callback), multi_args=True).spread(
        lambda html, text: results.append((html, text))
    )
    bound = functools.partial(template, "news")
    Promise.from_callback(bound, multi_args=True).spread(
        lambda html, text: results.append((html, text))
    )
    scheduler.flush()
    assert [("<news>", "news")] * 2 == results
    assert "<news>" == Promise.from_callback(bound).value()
    assert "<news>" == Promise.from_node(bound).value()


def test_from_callback_errors(reports, scheduler):
    """As of a promisified function: errors convert, what is raised rejects, or is logged."""
    error = Boom()
    assert error is quiet(Promise.from_callback(answer(error))).reason()
    text = quiet(Promise.from_callback(answer("text"))).reason()
    assert (OperationalError, "text") == (type(text), text.cause)

    def raises(callback):
        raise error

    assert error is quiet(Promise.from_callback(raises)).reason()

    def raises_later(callback):
        callback(None, "value")
        raise error

    assert "value" == Promise.from_callback(raises_later).value()
    scheduler.flush()
    assert [error] == reasons(reports)


def test_from_callback_is_called_at_once():
    """The resolver runs before `from_callback` returns."""
    callbacks = []
    promise = Promise.from_callback(callbacks.append)
    assert promise.is_pending()
    callbacks[0](None, 1)
    assert 1 == promise.value()


def test_from_callback_without_a_function():
    """It rejects."""
    promise = quiet(Promise.from_callback("resolver"))
    assert isinstance(promise.reason(), TypeError)
    assert "resolver must be callable, not 'resolver'" in str(promise.reason())


# --- as_callback


class Calls(list):
    """A callback that remembers what it was called with."""

    def __call__(self, *arguments):
        self.append(arguments)


@pytest.mark.parametrize("name", ["as_callback", "nodeify", "asCallback"])
def test_as_callback(scheduler, name):
    """Called with no error and the value; the promise itself comes back."""
    calls = Calls()
    promise = Promise.resolve("value")
    assert promise is getattr(promise, name)(calls)
    assert [] == calls
    scheduler.flush()
    assert [(None, "value")] == calls


def test_as_callback_of_a_rejection(scheduler):
    """Called with the reason, and None for the value; the rejection is handled."""
    calls = Calls()
    error = Boom()
    Promise.reject(error).as_callback(calls)
    later = Promise.delay(1).then(lambda _: Promise.reject("odd")).as_callback(calls)
    scheduler.advance(1)
    assert [(error, None), ("odd", None)] == calls
    assert later.is_rejected()


@pytest.mark.parametrize("callback", [None, 5, "callback"])
def test_as_callback_without_a_function(scheduler, reports, callback):
    """It does nothing: the promise comes back, and its rejection is not handled by that."""
    promise = Promise.reject(Boom())
    assert promise is promise.as_callback(callback)
    assert promise is promise.as_callback()
    scheduler.flush()
    assert 1 == len(reports)


def test_both_kinds_of_users(scheduler):
    """The page's function that makes everyone happy."""

    def get_data_for(name, callback=None):
        return Promise.delay(1, f"data for {name}").as_callback(callback)

    calls = Calls()
    results = []
    get_data_for("me").then(results.append)
    get_data_for("me", calls)
    scheduler.advance(1)
    assert (["data for me"], [(None, "data for me")]) == (results, calls)


@pytest.mark.parametrize("reason", [None, 0, "", False])
@pytest.mark.parametrize("spread", [False, True])
def test_as_callback_of_a_falsy_reason(scheduler, reason, spread):
    """It comes as a true error, with the reason in its `cause`."""
    calls = Calls()
    Promise.reject(reason).as_callback(calls, spread=spread)
    scheduler.flush()
    ((error, *rest),) = calls
    assert (RejectionError, reason) == (type(error), error.cause)
    assert ([] if spread else [None]) == rest


def test_as_callback_of_an_exception_that_is_false(scheduler):
    """An exception comes itself."""

    class Empty(Exception):
        def __bool__(self):
            return False

    calls = Calls()
    error = Empty()
    Promise.reject(error).as_callback(calls)
    scheduler.flush()
    assert [(error, None)] == calls


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2, 3], (None, 1, 2, 3)),
        ((1,), (None, 1)),
        ([], (None,)),
        (123, (None, 123)),
        ("ab", (None, "ab")),
    ],
    ids=str,
)
def test_as_callback_spread(scheduler, value, expected):
    """With `spread`, a list's or tuple's items are arguments of their own."""
    calls = Calls()
    Promise.resolve(value).as_callback(calls, spread=True)
    Promise.resolve(value).as_callback(calls)
    scheduler.flush()
    assert [expected, (None, value)] == calls


def test_as_callback_spread_of_a_rejection(scheduler):
    """The error alone."""
    calls = Calls()
    error = Boom()
    Promise.reject(error).as_callback(calls, spread=True)
    scheduler.flush()
    assert [(error,)] == calls


@pytest.mark.parametrize("rejected", [False, True])
def test_a_callback_that_raises(scheduler, reports, rejected):
    """It is an uncaught error: logged, once, and the promise is what it was."""

    def callback(*arguments):
        raise Boom

    promise = (Promise.reject(KeyError()) if rejected else Promise.resolve(1)).as_callback(callback)
    scheduler.flush()
    assert [Boom] == [event["log_failure"].type for event in reports]
    assert rejected == promise.is_rejected()


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("bound", [False, True])
def test_callbacks_get_what_they_take(scheduler, spread, bound):
    """As in JavaScript: what is too many is left out, and what is missing is None."""
    error = Boom()
    called = []
    reason, value = Promise.reject(error), Promise.resolve([1, 2])
    if bound:
        reason, value = reason.bind("this"), value.bind("this")
        callbacks = [
            lambda this, err: called.append((err,)),
            lambda this, err, value: called.append((err, value)),
            lambda this, err, value=5: called.append((err, value)),
            lambda this, err, a, b: called.append((err, a, b)),
        ]
    else:
        callbacks = [
            lambda err: called.append((err,)),
            lambda err, value: called.append((err, value)),
            lambda err, value=5: called.append((err, value)),
            lambda err, a, b: called.append((err, a, b)),
        ]
    for callback in callbacks:
        reason.as_callback(callback, spread=spread)
        value.as_callback(callback, spread=spread)
    scheduler.flush()
    one = 1 if spread else [1, 2]
    left_out = 5 if spread else None
    assert [
        *[(error,), (None,)],
        *[(error, None), (None, one)],
        *[(error, left_out), (None, one)],
        *[(error, None, None), (None, one, 2 if spread else None)],
    ] == called


@pytest.mark.parametrize("rejected", [False, True])
def test_an_async_callback_is_run(scheduler, reports, rejected):
    """What it raises is logged."""
    called = []

    async def callback(error, value):
        await Promise.delay(1)
        called.append((error, value))
        raise Boom

    reason = KeyError()
    (Promise.reject(reason) if rejected else Promise.resolve(1)).as_callback(callback)
    scheduler.flush()
    scheduler.advance(1)
    assert [(reason, None) if rejected else (None, 1)] == called
    assert [Boom] == [event["log_failure"].type for event in reports]


def made_of(function, way):
    """A promise for what a function gives to its callback."""
    if way == "from_callback":
        return Promise.from_callback(function)
    if way == "promisify_all":
        service = SimpleNamespace(load=function)
        return Promise.promisify_all(service).loadAsync()
    return Promise.promisify(function)()


WAYS = pytest.mark.parametrize("way", ["promisify", "promisify_all", "from_callback"])


@WAYS
def test_an_async_function_with_a_callback_is_run(scheduler, way):
    """The promise has what it gives to the callback, and not what it returns."""

    async def function(callback):
        await Promise.delay(1)
        callback(None, "value")
        return "not this"

    promise = made_of(function, way)
    scheduler.flush()
    assert promise.is_pending()
    scheduler.advance(1)
    assert "value" == promise.value()


@WAYS
@pytest.mark.parametrize("count", range(5))
def test_what_an_async_function_with_a_callback_raises_rejects(scheduler, way, count):
    """As what any does, with as many arguments as one likes."""
    error = Boom()

    async def function(*arguments):
        await Promise.delay(1)
        raise error

    if way == "promisify":
        promise = Promise.promisify(lambda *given: function(*given))(*range(count))
    else:
        promise = made_of(function, way)
    quiet(promise)
    scheduler.flush()
    scheduler.advance(1)
    assert error is promise.reason()


@WAYS
@pytest.mark.parametrize("decided", ["called", "cancelled"])
def test_what_an_async_function_with_a_callback_raises_too_late_is_logged(
    scheduler, reports, way, decided
):
    """The callback has been called before, or its promise has no consumer."""

    async def function(callback):
        if decided == "called":
            callback(None, "value")
        await Promise.delay(1)
        raise Boom

    promise = made_of(function, way)
    if decided == "cancelled":
        promise.cancel()
    scheduler.advance(1)
    assert [Boom] == [event["log_failure"].type for event in reports]
    assert decided == "cancelled" or "value" == promise.value()


def test_as_callback_and_cancellation(scheduler):
    """A cancelled promise makes no call; one that was cancelled before passes an error."""
    calls = Calls()
    promise = Promise.delay(1).as_callback(calls)
    promise.cancel()
    scheduler.flush()
    assert [] == calls
    promise.as_callback(calls)
    scheduler.flush()
    ((error, value),) = calls
    assert ("the promise was cancelled (late cancellation observer)", None) == (str(error), value)


def test_as_callback_binds(scheduler):
    """The callback of a bound promise gets the bound value first."""
    calls = Calls()
    Promise.resolve("value").bind("this").as_callback(calls)
    scheduler.flush()
    assert [("this", None, "value")] == calls


def test_as_callback_keeps_its_context(scheduler):
    """The callback sees the context variables of where it was attached."""
    variable = contextvars.ContextVar("variable", default="nothing")
    seen = []

    def attach():
        variable.set("attached")
        Promise.resolve(1).as_callback(lambda *_: seen.append(variable.get()))

    contextvars.copy_context().run(attach)
    scheduler.flush()
    assert ["attached"] == seen


@pytest.mark.parametrize("rejected", [False, True])
def test_round_trip(scheduler, rejected):
    """`promisify` undoes `as_callback`."""
    error = Boom()
    promise = Promise.reject(error) if rejected else Promise.resolve([1, 2])
    back = quiet(Promise.from_callback(promise.as_callback))
    scheduler.flush()
    if rejected:
        assert error is back.reason()
    else:
        assert [1, 2] == back.value()
