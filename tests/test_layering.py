"""The house (design/architecture.md): which room may import which, read from the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import twpromise

PACKAGE = Path(twpromise.__file__).parent
DEMO = "_demo"

#: Rooms at the bottom: what they may import of the package.
BOTTOM = {
    "_arity": set(),
    "_errors": set(),
    "_queue": set(),
    "interfaces": set(),
    "_types": {"interfaces"},
    "_chains": set(),
    "_core": {"_chains", "_queue"},
    "_runner": {"_core"},
    "_library": {"_checks", "_errors"},
    "_scheduler": {"_checks", "_queue", "interfaces"},
    "_checks": set(),
    "testing": {"_queue", "interfaces"},
}
#: What features, and the bridge, may import besides what stands in their own row.
GROUND = {
    "_arity",
    "_chains",
    "_checks",
    "_core",
    "_errors",
    "_events",
    "_library",
    "_runner",
    "_types",
    "interfaces",
}
#: The rooms that put everything together, and what stands on them.
TOP = {"_promise", "__init__", "__main__", "promisifiers"}
#: What users import beside the front door.
PUBLIC = {"interfaces", "promisifiers", "testing"}
#: The bridge's own theme, which is a feature like the others.
METHODS = "_bridge.methods"
#: Those that know nothing of Twisted, clocks and interfaces.
PURE = {"_arity", "_core", "_queue", "_runner"}
#: What the bridge alone knows.
FOREIGN = ("twisted.internet.defer", "twisted.python.failure", "asyncio", "concurrent")


class Room:
    """A module of the package, and what it imports."""

    def __init__(self, path):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        self.name = ".".join(parts)
        self.tree = ast.parse(path.read_text("utf-8"), str(path))
        self.parts = parts
        #: (module, name, inside the package?, in a function?) of what is imported at run time.
        self.imports = list(self._imports(self.tree, False))
        self.exported = next(
            (
                ast.literal_eval(node.value)
                for node in self.tree.body
                if isinstance(node, ast.Assign) and "__all__" == ast.unparse(node.targets[0])
            ),
            None,
        )

    def _imports(self, node, in_function):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" == ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, None, False, in_function
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    yield *self._resolved(child, alias.name), in_function
            else:
                is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from self._imports(child, in_function or is_function)

    def _resolved(self, node, name):
        if not node.level:
            assert not (node.module or "").startswith("twpromise"), "import relatively"
            return node.module, name, False
        package = self.parts[: len(self.parts) - node.level]
        module = ".".join((*package, *([node.module] if node.module else [])))
        if (PACKAGE / Path(*module.split("."), f"{name}.py")).exists():
            return f"{module}.{name}".lstrip("."), None, True
        return module or "__init__", name, True

    @property
    def row(self):
        """The subpackage it is in, or itself."""
        return self.parts[0]

    def rooms(self):
        """The rooms of this package that it imports."""
        return {module for module, _, inside, _ in self.imports if inside}

    def outside(self):
        """The modules from outside the package that it imports, names of modules included."""
        for module, name, inside, _ in self.imports:
            if not inside:
                yield module if name is None else f"{module}.{name}"


ROOMS = {room.name: room for room in map(Room, sorted(PACKAGE.rglob("*.py")))}
FEATURES = [
    name
    for name, room in ROOMS.items()
    if name not in BOTTOM and name not in TOP and room.row not in ("_bridge", DEMO)
]
BRIDGE = [name for name, room in ROOMS.items() if room.row == "_bridge" and name != METHODS]


def test_there_are_rooms():
    """The reading of the sources works: the known rooms are there, and import something."""
    assert set(BOTTOM) - {"_types"} <= set(ROOMS)
    assert {"_core"} <= ROOMS["_runner"].rooms()
    assert "twisted.logger.Logger" in list(ROOMS["_bridge.reports"].outside())


@pytest.mark.parametrize("name", [name for name in BOTTOM if name in ROOMS])
def test_the_bottom_rooms_import_what_is_below_them(name):
    """The core knows the queue and chains; the scheduler is met behind an interface."""
    assert ROOMS[name].rooms() <= BOTTOM[name]


@pytest.mark.parametrize("name", [*FEATURES, METHODS])
def test_features_import_the_ground_and_no_insides(name):
    """Features stand around the core, and use of each other only what is exported."""
    for module, imported, inside, _ in ROOMS[name].imports:
        if not inside or module in GROUND or (name == METHODS and module in BRIDGE):
            continue
        assert module in FEATURES
        assert imported in ROOMS[module].exported


@pytest.mark.parametrize("name", BRIDGE)
def test_the_bridge_imports_the_ground(name):
    """Bridge -> core: it knows no feature, and not the promise that is put together."""
    assert ROOMS[name].rooms() <= GROUND | set(BRIDGE)


@pytest.mark.parametrize("name", [name for name in ROOMS if name not in TOP])
def test_nobody_imports_what_stands_above(name):
    """Only the front door imports the promise; the demo is a user like any other."""
    room = ROOMS[name]
    if room.row == DEMO:
        inside = {other for other in room.rooms() if ROOMS[other].row != DEMO}
        assert inside <= {"__init__"}
    else:
        assert set() == room.rooms() & TOP
        assert DEMO not in {ROOMS[other].row for other in room.rooms()}


def test_no_circles():
    """Arrows run one way."""
    done = set()

    def visit(name, path):
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in sorted(ROOMS[name].rooms()):
                visit(other, (*path, name))
            done.add(name)

    for name in ROOMS:
        visit(name, ())
    assert set(ROOMS) == done


@pytest.mark.parametrize("name", ROOMS)
def test_no_import_inside_a_function_but_the_reactors(name):
    """A circle means that a thing stands in the wrong room; the reactor is looked up late."""
    inside = {(module, what) for module, what, _, in_function in ROOMS[name].imports if in_function}
    assert inside <= {("twisted.internet", "reactor")}


@pytest.mark.parametrize("name", ROOMS)
def test_no_reactor_at_module_level(name):
    """Importing a library must not install a reactor."""
    outside = {
        (module, what) for module, what, _, in_function in ROOMS[name].imports if not in_function
    }
    assert not outside & {("twisted.internet", "reactor"), ("twisted.internet.reactor", None)}


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_knows_no_twisted(name):
    """No Twisted, no clock and no collection."""
    roots = {module.split(".")[0] for module in ROOMS[name].outside()}
    assert roots <= set(sys.stdlib_module_names)
    assert not roots & {"asyncio", "concurrent", "threading"}


@pytest.mark.parametrize(
    "name",
    [name for name in ROOMS if ROOMS[name].row not in ("_bridge", DEMO, "_errors", "_types")],
)
def test_the_bridge_alone_knows_deferreds_and_futures(name):
    """Deferred, Failure, coroutines' drivers and futures stay behind the bridge."""
    foreign = [module for module in ROOMS[name].outside() if module.startswith(FOREIGN)]
    assert [] == foreign


@pytest.mark.parametrize("name", sorted({room.row for room in ROOMS.values()}))
def test_what_is_not_public_starts_with_an_underscore(name):
    """The front door, the interfaces and the testing module are what users import."""
    assert name.startswith("_") or name in PUBLIC


@pytest.mark.parametrize("name", [name for name in ROOMS if name not in ("__init__", "__main__")])
def test_no_star_imports(name):
    """Each name tells where it comes from."""
    assert "*" not in {what for _, what, _, _ in ROOMS[name].imports}


def test_the_front_door_exports_what_is_there():
    """`__all__` is sorted, and everything in it exists."""
    assert sorted(twpromise.__all__) == twpromise.__all__
    assert [] == [name for name in twpromise.__all__ if not hasattr(twpromise, name)]
    public = {name for name in vars(twpromise) if not name.startswith("_")}
    assert public <= {*twpromise.__all__, *PUBLIC}


def test_importing_installs_no_reactor():
    """Nor does making promises; in a process of its own."""
    program = (
        "import sys\n"
        "import twpromise, twpromise.testing, twpromise.interfaces, twpromise.promisifiers\n"
        "twpromise.Promise(lambda resolve, reject: resolve(1)).value()\n"
        "assert 'twisted.internet.reactor' not in sys.modules, 'a reactor was installed'\n"
        "print('none')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("none\n", "", 0) == (done.stdout, done.stderr, done.returncode)
