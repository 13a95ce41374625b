"""The architecture, read from the sources: who writes a promise, and which folder imports which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import twpromise
from tests.support.processes import run_python

PACKAGE = Path(twpromise.__file__).parent

#: What each folder may import of the package.  No module imports itself by way of others; see
#: `test_modules_form_no_circle`.
MAY_IMPORT = {
    "_util": {"_util", "_core"},
    "_scheduling": {"_util", "_scheduling", "_core", "interfaces"},
    "_core": {"_util", "_scheduling", "_core"},
    "_diagnostics": {"_util", "_core", "_diagnostics", "_coroutines", "_callbacks"}
    | {"_debugging", "_scheduling"},
    "_bridge": {"_util", "_core", "_bridge", "_coroutines", "_callbacks", "_diagnostics"}
    | {"interfaces"},
    "_coroutines": {"_util", "_core", "_coroutines", "_bridge"},
    "_callbacks": {"_util", "_core", "_callbacks", "_methods"},
    "_methods": {"_util", "_core", "_methods", "_callbacks", "_bridge"},
    "_collections": {"_util", "_core", "_collections", "_methods", "_bridge"},
    "_services": {"_util", "_core", "_methods", "_bridge", "_services", "_promise"}
    | {"_coroutines"},
    "_testing": {"_util", "_core", "_bridge", "_diagnostics", "_scheduling", "_testing"}
    | {"_promise", "interfaces", "loops"},
    "_debugging": {"_util", "_core", "_bridge", "_coroutines", "_diagnostics", "_debugging"}
    | {"_promise"},
    "_demo": {"_demo", "__init__"},
}
#: Modules at the top: they put the folders together, or are what users import.
TOP = {"__init__", "__main__", "_promise", "debugging", "interfaces", "loops", "metrics"} | {
    "promisifiers",
    "testing",
    "tracing",
}
#: The core knows neither Twisted nor a loop nor a thread pool.
FOREIGN = {"twisted", "zope", "asyncio", "concurrent", "threading"}

#: The slots that hold an outcome; and who is to be notified of it.
OUTCOME = {"_state", "_value", "_aux"}
SUBSCRIBERS = {"_subscribers"}
#: Functions outside `_core/settling.py` that write an outcome, each with its reason in its
#: docstring: a hop of a chain without the calls.
WRITERS = {"reactions.then", "draining._run_jobs"}
#: Functions outside the core that write `_subscribers`: likewise.
WRITERS_OF_SUBSCRIBERS = {"_coroutines.runner._notify", "_collections.all._iterate"}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}


def folder_of(module):
    """The folder that a module stands in, or the module itself if that is the package."""
    return module.split(".")[0]


def imports_of(module, type_only=False):
    """What a module imports at run time (or for type checkers only): (module, name) pairs.

    Modules of the package are named from its root; what comes from elsewhere starts with `/`.
    """
    *parents, _ = module.split(".")

    def walk(node, checking):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" == ast.unparse(child.test):
                for each in child.body:
                    yield from walk(ast.Module([each], []), True)
                for each in child.orelse:
                    yield from walk(ast.Module([each], []), checking)
            elif isinstance(child, ast.Import) and checking is type_only:
                yield from (("/" + alias.name, "") for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and checking is type_only:
                for alias in child.names:
                    if not child.level:
                        yield "/" + (child.module or ""), alias.name
                        continue
                    base = parents[: len(parents) - child.level + 1]
                    target = ".".join([*base, *filter(None, [child.module])])
                    inner = f"{target}.{alias.name}".lstrip(".")
                    yield (inner, "") if inner in MODULES else (target or "__init__", alias.name)
            else:
                yield from walk(child, checking)

    return list(walk(MODULES[module], False))


def writers(slots):
    """The functions that assign one of the attributes: "module.function" for each."""
    found = set()

    def walk(module, node, function, cls):
        for child in ast.iter_child_nodes(node):
            name, inside = function, cls
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = child.name
            elif isinstance(child, ast.ClassDef):
                inside = child.name
            elif isinstance(child, ast.Attribute) and child.attr in slots:
                # What a class of its own does with its own slots is its own concern, if it is no
                # promise: nodes, jobs and subscribers have a `_state`, too.
                own = isinstance(child.value, ast.Name) and "self" == child.value.id
                core = module.startswith("_core.") and inside not in (None, "CorePromise")
                if isinstance(child.ctx, ast.Store | ast.Del) and not (own and core):
                    found.add(f"{module}.{name}")
            walk(module, child, name, inside)

    for module, tree in MODULES.items():
        walk(module, tree, "", None)
    return found


def test_one_file_writes_the_outcome_of_a_promise():
    """`_state`, `_value` and `_aux` are assigned by `settling`, and where a promise is made."""
    found = {name.removeprefix("_core.") for name in writers(OUTCOME)}
    elsewhere = {
        name for name in found if not name.startswith(("settling.", "states.", "subscribers."))
    }
    assert WRITERS == elsewhere
    assert {name for name in found if name.startswith("states.")} <= {
        f"states.{name}"
        for name in ("make_pending", "new_pending", "new_by_callback", "new_fulfilled")
    } | {"states.new_settled"}


def test_two_functions_outside_the_core_subscribe_by_hand():
    """All others call `subscribe`."""
    found = {name for name in writers(SUBSCRIBERS) if not name.startswith("_core.")}
    assert WRITERS_OF_SUBSCRIBERS == found


@pytest.mark.parametrize("module", [name for name in MODULES if folder_of(name) not in TOP])
def test_folders_import_what_stands_below(module):
    """The core imports no feature, only the demo imports the public names."""
    folders = {folder_of(name) for name, _ in imports_of(module) if not name.startswith("/")}
    assert folders <= MAY_IMPORT[folder_of(module)]


def test_modules_form_no_circle():
    """Imports at run time run one way."""
    done = set()

    def visit(module, path):
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for other, _ in imports_of(module):
                if other in MODULES:
                    visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("_core.")])
def test_the_core_knows_no_twisted_and_no_loop(module):
    """What it cannot do itself it asks of its host."""
    roots = {name[1:].split(".")[0] for name, _ in imports_of(module) if name.startswith("/")}
    assert not roots & FOREIGN


@pytest.mark.parametrize(
    "module", [name for name in MODULES if folder_of(name) in ("_collections", "_methods")]
)
def test_mixins_name_no_other_mixin_to_type_checkers(module):
    """A type-only import names `Promise`."""
    named = {name for name in imports_of(module, type_only=True) if not name[0].startswith("/")}
    assert named <= {("_promise", "Promise"), ("_scheduling.queue", "JobQueue")}


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("_core.")])
def test_features_use_few_names_of_the_core(module):
    """At most 15: what more a feature needs is a method of `Node`."""
    names = [name for name, _ in imports_of(module) if name.startswith("_core")]
    assert len(names) <= 15


@pytest.mark.parametrize("module", MODULES)
def test_only_the_reactor_is_imported_inside_a_function(module):
    """Importing a library must not install a reactor; nothing else is looked up late."""
    late = [
        ast.unparse(child)
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
        if isinstance(child, ast.Import | ast.ImportFrom)
    ]
    assert set(late) <= {"from twisted.internet import reactor"}
    early = {name for name in imports_of(module) if name == ("/twisted.internet", "reactor")}
    assert not early or late


def test_all_public_names_exist():
    """`__all__` is sorted, and everything in it exists."""
    assert sorted(twpromise.__all__) == twpromise.__all__
    assert [] == [name for name in twpromise.__all__ if not hasattr(twpromise, name)]


def test_importing_installs_no_reactor():
    """Nor does making promises; in a process of its own."""
    program = (
        "import sys\n"
        "import twpromise, twpromise.testing, twpromise.interfaces, twpromise.promisifiers\n"
        "import twpromise.debugging, twpromise.loops\n"
        "twpromise.Promise(lambda resolve, reject: resolve(1)).value()\n"
        "assert 'twisted.internet.reactor' not in sys.modules, 'a reactor was installed'\n"
        "print('none')\n"
    )
    done = run_python("-W", "error", "-c", program)
    assert ("none\n", "", 0) == (done.stdout, done.stderr, done.returncode)
