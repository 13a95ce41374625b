"""The lines that a person reads."""

from __future__ import annotations

import os
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from twpromise._demo.report import Report


def written(encoding, write):
    """What a report writes to a stream of that encoding."""
    stream = TextIOWrapper(BytesIO(), encoding=encoding, newline="")
    write(Report(stream))
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "  0 ms"), (0.0214, " 21 ms"), (0.9994, "999 ms"), (0.9996, " 1.0 s"), (83.25, "83.2 s")],
)
def test_durations(seconds, expected):
    """Milliseconds below a second, then seconds with one digit."""
    line = written("utf-8", lambda report: report.done("name", "text", seconds))
    assert f" ✓ name           {'text':<54} {expected}\n" == line


def test_marks():
    """A tick for what was done, a cross for what failed."""
    assert written("utf-8", lambda report: report.done("a", "b", 0)).startswith(" ✓ a ")
    assert written("utf-8", lambda report: report.failed("a", "b", 0)).startswith(" ✗ a ")


def test_characters_that_the_stream_does_not_know():
    """They are replaced: an error message may be in any language."""
    assert written("ascii", lambda report: report.done("a", "Brontë", 0)).startswith(" + a ")
    assert written("ascii", lambda report: report.failed("a", "b", 0)).startswith(" x a ")
    assert "Bront?\n" == written("ascii", lambda report: report.line("Brontë"))


def test_a_stream_without_an_encoding():
    """It is taken for ASCII."""
    stream = StringIO()
    Report(stream).line("Brontë")
    assert "Bront?\n" == stream.getvalue()


def test_a_reader_that_has_gone():
    """Output to a closed pipe is dropped, now and later."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        report = Report(stream)
        report.line("one")
        report.line("two")
