"""`grpc.aio`: its calls are followed, and its servers await promises."""

from __future__ import annotations


def test_calls_are_followed(run_python):
    """A handler returns a call; a deadline cancels it, and the work on the server."""
    output = run_python("-m", "tests.integrations.programs.rpc")
    assert "done" == output.splitlines()[-1], output
