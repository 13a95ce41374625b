"""`tree`, `dump` and `manhole`."""

from __future__ import annotations

import io
import os
import re

import pytest
from twisted.conch.manhole import ManholeInterpreter
from twisted.internet.defer import Deferred, DeferredLock

from twpromise._debugging import text as module
from twpromise._debugging.records import number_of
from twpromise.debugging import dump, manhole, tree

NEVER = "waits for resolve() or reject(), which have not been called"


def numbered(text, *promises):
    """A text, with the numbers of promises as #0, #1 and so on."""
    numbers = {number_of(promise): index for index, promise in enumerate(promises)}
    return re.sub(r"#(\d+)", lambda found: f"#{numbers[int(found[1])]}", text)


def test_a_tree(copy, scheduler):
    """What a promise waits for, below it; what was shown is not shown again."""
    first = copy.defer().promise
    second = first.then(print)
    whole = copy.all([second, first, Deferred()])
    assert numbered(tree(whole), first, second, whole).splitlines() == [
        "#2 all",
        "  waits for 3 of 3 items",
        "  waits for #1: item 0: then(print)",
        "    waits for #0: promise",
        f"      {NEVER}",
        "  waits for #0: item 1: promise (see #0 above)",
        "  waits for item 2: a Deferred without a canceller, which has not fired",
    ]


def test_a_deadlock(copy, scheduler):
    """It is named first, with who holds what."""

    async def locking(one, other):
        async with one:
            await copy.delay(1)
            async with other:
                pass

    locks = DeferredLock(), DeferredLock()
    first = copy.resolve(locking(*locks))
    second = copy.resolve(locking(*reversed(locks)))
    scheduler.advance(1)
    lines = numbered(tree(first), first, second).splitlines()
    name = f"coroutine {locking.__qualname__}"
    assert f"They wait for each other: #0 {name} -> #1 {name} -> #0" == lines[0]
    assert f"#0 {name}" == lines[1]
    assert re.fullmatch(r'  is at File ".*test_text.py", line \d+, in locking', lines[2])
    lock = "a DeferredLock, with 1 waiting"
    assert f"  waits for #1: {lock}; {name} #1 holds it" == lines[3]
    assert f"    waits for #0: {lock}; {name} #0 holds it (see #0 above)" == lines[5]


def test_a_tree_of_what_has_settled(copy):
    """There is nothing to wait for."""
    assert "<Promise fulfilled: 1>\n" == tree(copy.resolve(1))


def test_a_tree_of_no_promise():
    """It is refused."""
    with pytest.raises(TypeError, match="promise must be a promise, not 5"):
        tree(5)


def test_a_dump(copy, scheduler):
    """First those that nothing waits for; what is known of each."""
    copy.config(tracking=True)
    first = copy.defer().promise
    second = first.then(print)

    async def cleaning():
        try:
            await copy.defer().promise
        finally:
            await first

    third = copy.resolve(cleaning())
    third.cancel()
    scheduler.flush()
    file = io.StringIO()
    dump(file, library=copy)
    lines = numbered(file.getvalue(), first, second, third).splitlines()
    made = r'; made here: File ".*test_text.py", line \d+, in test_a_dump'
    assert "3 promises are pending." == lines[0]
    assert re.fullmatch(rf"#1 then\(print\), [-e\d.]+ s old{made}", lines[1]), lines[1]
    assert re.fullmatch(rf"  waits for #0: promise, [-e\d.]+ s old{made}", lines[2]), lines[2]
    cancelling = rf"#2 coroutine .*cleaning, is being cancelled, [-e\d.]+ s old{made}"
    assert re.fullmatch(cancelling, lines[4]), lines[4]
    assert "  waits for #0: promise (see #0 above)" == lines[6]
    del second


@pytest.mark.parametrize(
    ("number", "limit", "line"),
    [
        (0, 9, "0 promises are pending."),
        (1, 9, "1 promise is pending."),
        (3, 2, "3 promises are pending, of which 2 are shown."),
    ],
)
def test_how_many(copy, scheduler, number, limit, line):
    """The first line says how many there are, and how many are shown."""
    kept = [copy.defer() for _ in range(number)]
    file = io.StringIO()
    dump(file, limit=limit, library=copy)
    assert line == file.getvalue().splitlines()[0]
    del kept


def test_about(copy, scheduler, monkeypatch):
    """Of very many not each was looked at."""
    monkeypatch.setattr(module, "ENOUGH", 2)
    kept = [copy.defer() for _ in range(3)]
    file = io.StringIO()
    dump(file, limit=1, library=copy)
    assert "about 3 promises are pending, of which 1 are shown." == file.getvalue().splitlines()[0]
    del kept


def test_a_chain_without_end(copy, scheduler):
    """Nothing recurses, and lines do not grow without end."""
    promise = copy.defer().promise
    for _ in range(2000):
        promise = promise.then()
    text = tree(promise, limit=None)
    assert 2002 == len(text.splitlines())
    assert 150 > max(map(len, text.splitlines()))


def test_standard_error(copy, capfd):
    """That is where it goes by default."""
    kept = copy.defer()
    dump(library=copy)
    assert "1 promise is pending." == capfd.readouterr().err.splitlines()[0]
    del kept


def test_a_file_with_a_descriptor(copy, tmp_path):
    """It is written at once, in the encoding of the file."""
    kept = copy.defer().promise.then(häufig)
    with open(tmp_path / "dump", "w", encoding="ascii") as file:
        dump(file, library=copy)
        written = (tmp_path / "dump").read_text("ascii")
    assert r"then(h\xe4ufig)" in written
    del kept


def häufig():
    """A name that is not ASCII."""


def test_a_pipe_that_is_full(copy):
    """The rest is written when the pipe has space again."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 200_000
    read = []

    def select(*arguments):
        read.append(os.read(reading, 100_000))

    module.select, real = type("select", (), {"select": staticmethod(select)}), module.select
    try:
        with os.fdopen(writing, "w") as file:
            module.write_whole(file, text)
    finally:
        module.select = real
    with os.fdopen(reading, "rb") as rest:
        assert text.encode() == b"".join(read) + rest.read()


def test_manhole(copy, scheduler):
    """What is typed there is answered there."""
    kept = copy.defer().promise
    written = []

    class Handler:
        def addOutput(self, data, is_async=False):
            written.append(data)

    interpreter = ManholeInterpreter(Handler(), manhole(copy=copy))
    number = number_of(kept)
    for line in (
        "dump(library=copy)",
        f"print(promise({number}))",
        "print(pending(library=copy).total, tree, snapshot(library=copy)['total'])",
    ):
        interpreter.push(line.encode())
    text = "".join(written)
    assert text.startswith(f"1 promise is pending.\n#{number} promise\n  {NEVER}\n")
    assert "<Promise pending>\n1 <function tree" in text


def test_a_number_that_is_unknown():
    """It may have settled since, and be gone."""
    with pytest.raises(LookupError, match="no promise was shown with the number -1"):
        manhole()["promise"](-1)


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), ("5", TypeError)], ids=["too few", "no int"]
)
def test_a_tree_with_a_wrong_limit(copy, limit, error):
    """The error names it."""
    with pytest.raises(error, match="limit must be "):
        tree(copy.defer().promise, limit=limit)


@pytest.mark.parametrize("file", [5, "promises.txt", io.BytesIO()])
def test_a_dump_to_no_text_file(file):
    """The error names it."""
    with pytest.raises(TypeError, match="file must be a text file that is open, or None, not "):
        dump(file)
