"""Sphinx configuration: `sphinx-build -nW docs docs/_build`."""

from importlib.metadata import version as _version
from inspect import cleandoc, getattr_static

from twpromise import Promise
from twpromise._util.both import Both

project = "twpromise"
copyright = "2026, twpromise developers"
author = "twpromise developers"
release = _version("twpromise")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.zopeext.autointerface",
]
default_role = "py:obj"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"twpromise {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# What Python's own classes bring along is documented elsewhere.
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,BaseExceptionGroup,OSError,Sequence",
}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

# The build needs no network: only references to public names of our own must lead somewhere.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!twpromise(\.[^_.][^.]*)*$).*"),
    # Type variables.
    ("py:class", r".*\.[A-Z]"),
]


def _names(name):
    """All names of a function of promises: its own and its aliases."""
    found = getattr_static(Promise, name, None)
    return [each for each in dir(Promise) if found and getattr_static(Promise, each) is found]


def _skip(app, what, name, obj, skip, options):
    """An alias stands with what it is an alias of, and the errors are no nested classes."""
    original = getattr(obj, "__name__", name)
    alias = name != original and original in _names(name)
    if alias or (what == "class" and isinstance(obj, type)):
        return True
    return None


def _say_more(app, what, name, obj, options, lines):
    """Add to a docstring how the function is called, and its aliases."""
    owner, _, attribute = name.rpartition(".")
    if name.endswith("Promise.coroutine"):
        lines[:] = cleandoc(type(obj).__call__.__doc__).splitlines()
    elif owner == "twpromise.Promise":
        if isinstance(getattr_static(Promise, attribute), Both):
            lines += ["", f"A static function, too: ``Promise.{attribute}(...)``."]
        aliases = ", ".join(f"``{each}``" for each in _names(attribute) if each != attribute)
        lines += ["", f"Other names: {aliases}."] if aliases else []


def _as_method(owner, name, *default):
    """A static function that is a method, too, is shown as the method."""
    found = getattr_static(owner, name, None)
    return found.method if isinstance(found, Both) else getattr(owner, name, *default)


def setup(app):
    """Make the API page complete."""
    app.add_autodoc_attrgetter(type, _as_method)
    app.connect("autodoc-skip-member", _skip)
    # Before napoleon reads the sections.
    app.connect("autodoc-process-docstring", _say_more, priority=400)
