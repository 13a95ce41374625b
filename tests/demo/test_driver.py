"""Which database: arguments, and modules that will not do."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from twpromise._demo.driver import BadDriver, Driver, load_driver, one_line, parse_arguments


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        ([""], {}),
        (["host=localhost port=5432"], {"host": "localhost", "port": 5432}),
        (["host=localhost", "port=0"], {"host": "localhost", "port": 0}),
        (["password='two words' user="], {"password": "two words", "user": ""}),
        (["password=0123 options=-ca=b"], {"password": "0123", "options": "-ca=b"}),
        (["a=-1 b=1.5 c=٣"], {"a": "-1", "b": "1.5", "c": "٣"}),
    ],
)
def test_arguments(texts, expected):
    """Any number of name=value in each text, quoted as in a shell; whole numbers are numbers."""
    assert expected == parse_arguments(texts)


@pytest.mark.parametrize("text", ["word", "=1", "two words=1", "1=2", "a.b=1", "a='"])
def test_bad_arguments(text):
    """An argument that is not of the form name=value is an error."""
    with pytest.raises(ValueError, match=r"expected name=value|No closing quotation"):
        parse_arguments([text])


def test_sqlite_is_found():
    """The default needs no arguments, and a place for its data."""
    driver = load_driver("sqlite3", {})
    assert ("?", True) == (driver.mark, driver.wants_file)
    assert not load_driver("sqlite3", {"database": ":memory:"}).wants_file


def test_parameters_are_marked_as_the_module_wants_them():
    """SQL is written with question marks, and translated."""
    assert "VALUES (?, ?)" == Driver("any", "?").sql("VALUES (?, ?)")
    assert "VALUES (%s, %s)" == Driver("any", "%s").sql("VALUES (?, ?)")


@pytest.mark.parametrize("paramstyle", ["format", "pyformat"])
def test_other_modules(monkeypatch, paramstyle):
    """Any DB-API module will do; it is connected to once, to see whether that works."""
    asked = []

    def connect(**arguments):
        asked.append(arguments)
        return SimpleNamespace(close=lambda: asked.append("closed"))

    monkeypatch.setitem(
        sys.modules, "other", SimpleNamespace(paramstyle=paramstyle, connect=connect)
    )
    driver = load_driver("other", {"host": "here"})
    assert Driver("other", "%s", {"host": "here"}) == driver
    assert not driver.wants_file
    assert [{"host": "here"}, "closed"] == asked


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (SimpleNamespace(paramstyle="qmark"), "no DB-API module"),
        (SimpleNamespace(connect=print), "no DB-API module"),
        (SimpleNamespace(connect=print, paramstyle="named"), "has paramstyle 'named'"),
        (SimpleNamespace(connect=lambda: 1 / 0, paramstyle="qmark"), "division by zero"),
    ],
)
def test_modules_that_will_not_do(monkeypatch, module, reason):
    """No DB-API module, parameters that we cannot mark, or no connection."""
    monkeypatch.setitem(sys.modules, "other", module)
    with pytest.raises(BadDriver, match=reason):
        load_driver("other", {})


def test_errors_in_one_line():
    """Line breaks go, what is long is cut, and an error that says nothing is named."""
    assert "one two" == one_line(ValueError(" one\n\ttwo\n"))
    assert "one ..." == one_line("one two three four", 10)
    assert "ValueError()" == one_line(ValueError())
