"""Child processes: `getProcessOutput` and its relatives."""

from __future__ import annotations

import os
import sys

from twisted.internet.error import ProcessDone
from twisted.internet.utils import getProcessOutput, getProcessOutputAndValue, getProcessValue
from twisted.trial.unittest import TestCase

from twpromise import Promise
from twpromise.promisifiers import returning

output, value, output_and_value = map(
    returning, (getProcessOutput, getProcessValue, getProcessOutputAndValue)
)


def python(function, program):
    """Run a program."""
    return function(sys.executable, ["-c", program], env=dict(os.environ))


class TestProcesses(TestCase):
    """Functions of Twisted, promisified."""

    async def test_output(self):
        """A promise for what the process writes."""
        assert b"3" == await python(output, "print(1 + 2, end='')")

    async def test_errors(self):
        """What Twisted reports as a failure rejects."""
        error = await python(output, "import sys; sys.stderr.write('oops')").catch(
            OSError, lambda error: error
        )
        assert isinstance(error, OSError)
        await Promise.from_deferred(error.processEnded).catch(ProcessDone, lambda _: None)

    async def test_value(self):
        """The exit status, alone and beside the output."""
        assert 3 == await python(value, "raise SystemExit(3)")
        out, err, code = await python(output_and_value, "print('x', end=''); raise SystemExit(4)")
        assert (b"x", b"", 4) == (out, err, code)

    async def test_several(self):
        """A few at a time, results in order."""
        results = await Promise.map(
            range(4), lambda n: python(output, f"print({n}, end='')"), concurrency=2
        )
        assert [b"0", b"1", b"2", b"3"] == results
