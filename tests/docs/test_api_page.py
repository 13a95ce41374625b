"""The signatures that docs/api.md writes for the methods of `Promise` are those of the package."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from twpromise import Promise, PromiseInspection
from twpromise._util.both import Both

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
#: Options that bluebird spells otherwise: a sentence says so, instead of each signature.
_OTHER_SPELLINGS = {"multiArgs", "yieldHandler"}


def entries(directive: str) -> list[list[str]]:
    """The signatures of each directive of a kind."""
    found = re.findall(rf"^\.\. {directive}:: (.*\n(?: {{10,}}\S.*\n)*)", PAGE, re.MULTILINE)
    return [[line.strip() for line in each.splitlines()] for each in found]


def name_of(signature: str) -> str:
    return signature.partition("(")[0].partition(".")[2]


DESCRIBED = entries("promise")
METHODS = {
    name_of(signatures[0]): signatures
    for signatures in DESCRIBED
    if signatures[0].lower().startswith("promise.")
}
WRITTEN = [
    pytest.param(signature, id=signature.partition(")")[0][:60])
    for signatures in DESCRIBED
    for signature in signatures
]


def function_of(signature: str) -> Any:
    """The function that a signature belongs to."""
    owner, name = signature.partition(".")[0], name_of(signature)
    if name.startswith("coroutine"):
        factory = type(Promise.coroutine)
        return vars(factory)[name.partition(".")[2] or "__call__"]
    found = inspect.getattr_static(PromiseInspection if owner == "inspection" else Promise, name)
    if isinstance(found, Both):
        return found.static if owner == "Promise" else found.method
    assert (owner != "Promise") is inspect.isfunction(found)
    return getattr(found, "__func__", found)


def parsed(signature: str) -> ast.FunctionDef:
    definition = re.sub(r"^[\w.]+\(", "def f(", signature) + ": ..."
    found = ast.parse(definition).body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def defaults(function: ast.FunctionDef) -> dict[str, str]:
    """The parameters that have a default, with it."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    found = zip(reversed(positional), reversed(arguments.defaults), strict=False)
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {
        argument.arg: ast.unparse(default) for argument, default in [*found, *keywords] if default
    }


def names(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    stars = [arguments.vararg] if arguments.vararg else []
    last = [arguments.kwarg] if arguments.kwarg else []
    every = [*arguments.posonlyargs, *arguments.args, *stars, *arguments.kwonlyargs, *last]
    return [argument.arg for argument in every]


@pytest.mark.parametrize("name", [name for name in dir(Promise) if name[0] != "_"])
def test_every_public_name_is_there(name: str) -> None:
    """By one of its names: the page lists the others beside it."""
    same = inspect.getattr_static(Promise, name)
    described = METHODS | {
        name_of(line + "("): line
        for directive in ("py:method", "py:attribute")
        for lines in entries(directive)
        for line in lines
    }
    assert any(
        inspect.getattr_static(Promise, each) is same for each in described if each in dir(Promise)
    )


@pytest.mark.parametrize("name", ["coroutine", "coroutine.add_yield_handler"])
def test_coroutines_are_there(name: str) -> None:
    """With what belongs to them."""
    assert name in METHODS


@pytest.mark.parametrize("signature", WRITTEN)
def test_a_signature_has_types(signature: str) -> None:
    """Each has a return type, and types of all its parameters."""
    function = parsed(signature)
    assert function.returns
    annotated = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    assert [] == [argument.arg for argument in annotated if not argument.annotation]


@pytest.mark.parametrize("signature", WRITTEN)
def test_a_signature_is_that_of_the_function(signature: str) -> None:
    """The same parameters, in the same order, with the same defaults."""
    if "_and_" in str(function := inspect.signature(function_of(signature))):
        # One that takes any arguments: the page names the last of them.
        assert len(names(parsed(signature))) in (1, 2)
        return
    parameters = [
        parameter
        for parameter in function.parameters.values()
        if parameter.name not in _OTHER_SPELLINGS | {"cls", "owner"}
    ]
    written = names(parsed(signature))
    if parameters and parameters[0].name in ("self", "promise"):
        del parameters[0]
        if signature.startswith("Promise.") and "coroutine" not in signature:
            assert "items" == written.pop(0)
    optional = {
        parameter.name: repr(parameter.default)
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }
    if "join" in signature:
        # As above: it may be the last of the values.
        written = [name for name in written if name != "handler"]
    elif "deferify(*" in signature:
        # The function may be left out, for a decorator.
        del parameters[0]
    assert [parameter.name for parameter in parameters] == written
    for name, default in defaults(parsed(signature)).items():
        # A default that means "left out" has no name for users.
        assert ("..." if "<" in optional[name] else optional[name]) == default
