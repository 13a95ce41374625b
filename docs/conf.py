"""Sphinx configuration: `sphinx-build -nW docs docs/_build`.

The build needs no network.  With TWPROMISE_DOCS_INTERSPHINX=1 in the environment, and on Read the
Docs, it links to the documentation of Python, Twisted and zope.interface.
"""

import ast
import os
import re
import sys
from importlib.metadata import version as _version
from pathlib import Path

from sphinx.addnodes import pending_xref
from sphinx.pycode import ModuleAnalyzer
from sphinxcontrib.zopeext import autointerface

from twpromise import interfaces

sys.path.insert(0, str(Path(__file__).parent))

project = "twpromise"
copyright = "2026, twpromise developers"
author = "twpromise developers"
release = _version("twpromise")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.zopeext.autointerface",
    "promise_directive",
]
default_role = "py:obj"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"twpromise {release}"
html_theme_options = {
    "source_repository": "https://github.com/twpromise/twpromise/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_static_path = ["_static"]
html_css_files = ["twpromise.css"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# What Python's own classes bring along is documented elsewhere.
autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,BaseExceptionGroup,OSError,Resource,Sequence,TestCase",
}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Defaults as the source writes them: `library=Promise`.
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Promise": "twpromise.Promise"}
napoleon_numpy_docstring = False
python_display_short_literal_types = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
add_module_names = False

copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "

# References to public names of our own must lead somewhere, all others need the network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!twpromise(\.[^_.][^.]*)*$).*"),
    # Type variables.
    ("py:class", r".*\.[A-Z]"),
]

if os.environ.get("READTHEDOCS") or os.environ.get("TWPROMISE_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "twisted": ("https://docs.twisted.org/en/stable/api", None),
        "zope.interface": ("https://zopeinterface.readthedocs.io/en/latest", None),
    }
    intersphinx_timeout = 30

#: Where the names that signatures and docstrings use are documented.
_FULL_NAMES = {
    "AsyncIterator": "collections.abc.AsyncIterator",
    "Awaitable": "collections.abc.Awaitable",
    "Callable": "collections.abc.Callable",
    "CancelledError": "twisted.internet.defer.CancelledError",
    "Clock": "twisted.internet.task.Clock",
    "Deferred": "twisted.internet.defer.Deferred",
    "DeferredList": "twisted.internet.defer.DeferredList",
    "Executor": "concurrent.futures.Executor",
    "Iterable": "collections.abc.Iterable",
    "Mapping": "collections.abc.Mapping",
    "Service": "twisted.application.service.Service",
    "inlineCallbacks": "twisted.internet.defer.inlineCallbacks",
    "maybeDeferred": "twisted.internet.defer.maybeDeferred",
}


#: Signatures of functions that have overloads in the source, and of what has private types.
_SIGNATURES = {
    "Limiter.run": (
        "(function: Callable[P, U], /, *args: P.args, **kwargs: P.kwargs)",
        "Promise[U]",
    ),
    "Limiter.__call__": ("(function: Callable[P, U], /)", "Callable[P, Promise[U]]"),
    "PromiseGroup.start_soon": (
        "(function: Callable[P, U], /, *args: P.args, **kwargs: P.kwargs)",
        "Promise[U]",
    ),
    "PromiseService.start_soon": (
        "(function: Callable[P, U], /, *args: P.args, **kwargs: P.kwargs)",
        "Promise[U]",
    ),
    "batch": (
        (
            "(run: Callable[[list[T]], Iterable[R]], *, size: int = 32, wait: float = 0.005, "
            "in_flight: int = 1, library: type[Promise] = Promise)"
        ),
        "Batch[T, R]",
    ),
    "loops.reactor_in_loop": ("()", "AbstractAsyncContextManager[Any]"),
    "loops.use_running_loop": (
        "(*promise_classes: type[Promise])",
        "AbstractAsyncContextManager[None]",
    ),
    "background": ("(handler: Callable[P, T])", "Callable[P, T]"),
    "promisifiers.returning": ("(function: Callable[P, U])", "Callable[P, Promise[U]]"),
    "tracing.traced": (
        (
            "(name: str | None = None, what: Callable | Promise[T] = ..., /, *, "
            "tracer: Tracer | None = None, kind: SpanKind = SpanKind.INTERNAL, "
            "attributes: Attributes = None)"
        ),
        "Callable | Promise[T]",
    ),
    "debugging.Pending": (
        (
            "(promises: tuple[PendingPromise, ...], total: int, sampled: bool, "
            "cycles: tuple[tuple[int, ...], ...], time: float)"
        ),
        None,
    ),
}
#: What annotations and defaults write otherwise than the page.
_SHORTER = [
    (r"<InterfaceClass [\w.]+\.(\w+)>", r"\1"),
    (r"~?\b(?:[a-z_]\w*\.)+([A-Z]\w*)", r"\1"),
    (r"\bT_co\b", "T"),
    (r"\bCorePromise\b", "Promise"),
    (r"\bPromise\[Any\]", "Promise"),
    (r"\bWaiting\b", "IDelayedCall"),
    (r"\bDEFAULT_TIME_SLICE\b", "0.01"),
    (r"\bLIMIT\b", "200"),
    (r"\[\[\.\.\.\]", "[..."),
    (r"\[\[P\]", "[P"),
]


def _shorten(app, what, name, obj, options, signature, returns):
    """The signature as a reader wants it: short names, and no private ones."""
    written = _SIGNATURES.get(name.removeprefix("twpromise."))
    if written:
        return written
    for found, instead in _SHORTER:
        signature = signature and re.sub(found, instead, signature)
        returns = returns and re.sub(found, instead, returns)
    return signature, returns


def _annotate_interfaces():
    """Have the methods of interfaces shown with their annotations, which zope does not keep."""
    tree = ast.parse(Path(interfaces.__file__).read_text(encoding="utf-8"))
    signatures = {
        (
            interface.name,
            method.name,
        ): f"({ast.unparse(method.args)}) -> {ast.unparse(method.returns)}"
        for interface in tree.body
        if isinstance(interface, ast.ClassDef)
        for method in interface.body
        if isinstance(method, ast.FunctionDef)
    }
    plain = autointerface.interface_format_args

    def format_args(obj):
        interface = getattr(obj, "interface", None)
        return signatures.get((getattr(interface, "__name__", ""), obj.__name__)) or plain(obj)

    autointerface.interface_format_args = format_args


def _ignore_overloads():
    """Have autodoc show the function itself: the overloads are for type checkers."""
    analyze = ModuleAnalyzer.analyze

    def analyze_without(self):
        analyze(self)
        self.overloads = {}

    ModuleAnalyzer.analyze = analyze_without


def _write_full_names(app, doctree):
    for reference in doctree.findall(pending_xref):
        target = reference.get("reftarget", "")
        reference["reftarget"] = _FULL_NAMES.get(target, target)


def _skip(app, what, name, obj, skip, options):
    """Leave out the errors as nested classes: they stand on their own."""
    return True if what == "class" and isinstance(obj, type) else None


def setup(app):
    """Make references short to write."""
    _annotate_interfaces()
    _ignore_overloads()
    app.connect("autodoc-process-signature", _shorten)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _write_full_names)
