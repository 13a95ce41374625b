"""Bluebird's list of names: each is here, in both spellings."""

from __future__ import annotations

import inspect
import re

import pytest

from twpromise import Promise, PromiseInspection
from twpromise._methods.timers import Timers

#: Has no meaning here: there are no browser globals.
LEFT_OUT = {"Promise.noConflict"}

#: The pages of the reference, one a name; methods begin with a dot.
PAGES = [
    ".all",
    ".any",
    ".asCallback",
    ".bind",
    ".call",
    ".cancel",
    ".catch",
    ".catchReturn",
    ".catchThrow",
    ".delay",
    ".disposer",
    ".done",
    ".each",
    ".error",
    ".filter",
    ".finally",
    ".get",
    ".isCancelled",
    ".isFulfilled",
    ".isPending",
    ".isRejected",
    ".map",
    ".mapSeries",
    ".props",
    ".reason",
    ".reduce",
    ".reflect",
    ".return",
    ".some",
    ".spread",
    ".suppressUnhandledRejections",
    ".tap",
    ".tapCatch",
    ".then",
    ".throw",
    ".timeout",
    ".value",
    "Promise.all",
    "Promise.any",
    "Promise.bind",
    "Promise.config",
    "Promise.coroutine",
    "Promise.coroutine.addYieldHandler",
    "Promise.delay",
    "Promise.each",
    "Promise.filter",
    "Promise.fromCallback",
    "Promise.getNewLibraryCopy",
    "Promise.join",
    "Promise.longStackTraces",
    "Promise.map",
    "Promise.mapSeries",
    "Promise.method",
    "Promise.noConflict",
    "Promise.onPossiblyUnhandledRejection",
    "Promise.onUnhandledRejectionHandled",
    "Promise.promisify",
    "Promise.promisifyAll",
    "Promise.props",
    "Promise.race",
    "Promise.reduce",
    "Promise.reject",
    "Promise.resolve",
    "Promise.setScheduler",
    "Promise.some",
    "Promise.try",
    "Promise.using",
]

#: Other names that the pages mention.
MENTIONED = [
    ".allSettled",
    ".caught",
    ".lastly",
    ".nodeify",
    ".thenReturn",
    ".thenThrow",
    ".race",
    "Promise.allSettled",
    "Promise.attempt",
    "Promise.defer",
    "Promise.fromNode",
    "Promise.is",
    "Promise.AggregateError",
    "Promise.CancellationError",
    "Promise.OperationalError",
    "Promise.PromiseInspection",
    "Promise.TimeoutError",
]

#: The interface of inspections.
INSPECTION = ["isPending", "isFulfilled", "isRejected", "isCancelled", "value", "reason"]

#: Bluebird's options of more than one word, and calls that take them.
OPTIONS = {
    "multiArgs": (
        lambda **options: Promise.promisify(lambda callback: callback(None, 1, 2), **options)(),
        lambda **options: Promise.promisify_all(Sdk(), **options).getAsync(),
        lambda **options: Promise.from_callback(lambda done: done(None, 1, 2), **options),
    ),
    "yieldHandler": (lambda **options: Promise.coroutine(yields, **options)(),),
}


class Sdk:
    def get(self, callback):
        callback(None, 1, 2)


def yields():
    return (yield 1)


#: Python's keywords, with an underscore; and the aliases that bluebird has for them.
KEYWORDS = {
    "finally": ("finally_", "lastly"),
    "return": ("return_", "thenReturn"),
    "try": ("try_", "attempt"),
    "is": ("is_",),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options_in_both_spellings(scheduler, option):
    """Each is taken in both, by every function that has it; so are all of `config`."""
    value = {"multiArgs": True, "yieldHandler": lambda value: Promise.resolve([value, 2])}[option]
    for call in OPTIONS[option]:
        promises = [call(**{option: value}), call(**{snake(option): value})]
        scheduler.flush()
        assert [[1, 2], [1, 2]] == [promise.value() for promise in promises]


@pytest.mark.parametrize("spelling", ["yieldHandler", "yield_handler"])
def test_a_yield_handler_that_is_not_callable(spelling):
    """It is refused in either spelling."""
    with pytest.raises(TypeError, match="yield_handler must be callable"):
        Promise.coroutine(yields, **{spelling: 5})


def snake(name):
    """A name in Python's spelling."""
    if name[0].isupper():
        return name
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


def camel(name):
    """A name in bluebird's spelling."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def spellings(name):
    """All the names that a bluebird name must answer to."""
    return KEYWORDS.get(name, (name, snake(name)))


def find(name):
    """Where a page's name belongs, and the last part of it."""
    *path, last = name.lstrip(".").split(".")
    owner = Promise.coroutine if "coroutine" in path else Promise
    return (owner if path else Promise.resolve()), last


def missing(name):
    """The spellings of a page's name that are not found."""
    owner, last = find(name)
    return [each for each in spellings(last) if not hasattr(owner, each)]


def test_the_list_is_the_references():
    """Every name is a page or mentioned on one; none is listed twice."""
    names = PAGES + MENTIONED
    assert len(names) == len(set(names))
    assert 67 == len(PAGES)
    assert set(PAGES) >= LEFT_OUT


@pytest.mark.parametrize("name", [name for name in PAGES + MENTIONED if name not in LEFT_OUT])
def test_every_name_is_here_in_both_spellings(name):
    """Bluebird's, and Python's; keywords have an underscore and their aliases."""
    assert [] == missing(name)
    owner, last = find(name)
    for spelling in spellings(last):
        assert callable(getattr(owner, spelling))


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out(name):
    """Is not there by accident."""
    assert missing(name)


@pytest.mark.parametrize("name", INSPECTION)
def test_inspections_answer_to_both_spellings(name):
    """As promises do."""
    inspection = Promise.resolve(1).reflect().value()
    for owner in (inspection, Promise.resolve(1)):
        assert callable(getattr(owner, name))
        assert callable(getattr(owner, snake(name)))


def public(owner):
    """The public names of a class, of more than one word, in Python's spelling."""
    return [
        name
        for name in dir(owner)
        if "_" in name.strip("_") and not name.startswith("_") and name == name.lower()
    ]


@pytest.mark.parametrize("name", public(Promise))
def test_an_alias_is_the_thing_itself(name):
    """One definition, two names; also in library copies, and of inspections."""
    for owner in (Promise, Promise.get_new_library_copy(), PromiseInspection):
        if owner is not PromiseInspection or hasattr(owner, name):
            found = inspect.getattr_static(owner, camel(name))
            assert inspect.getattr_static(owner, name) is found


@pytest.mark.parametrize("owner", [Promise, PromiseInspection], ids=lambda owner: owner.__name__)
def test_every_name_of_ours_has_bluebirds_spelling_too(owner):
    """Methods without a counterpart in bluebird follow the same rule."""
    names = public(owner)
    assert "is_pending" in names
    assert [] == [name for name in names if not hasattr(owner, camel(name))]


def test_what_is_static_too_is_one_definition():
    """Looked up on a mixin, it is the definition itself, to be given another name."""
    assert inspect.getattr_static(Timers, "delay") is Timers.delay


@pytest.mark.usefixtures("scheduler")
def test_bluebirds_spelling_works(scheduler):
    """A chain in camel case from end to end."""
    seen = []
    (
        Promise.mapSeries([1, 2], lambda item: item + 1)
        .tapCatch(seen.append)
        .thenReturn("value")
        .thenThrow(ValueError("x"))
        .catchReturn(ValueError, "caught")
        .tap(seen.append)
    )
    scheduler.flush()
    assert ["caught"] == seen
