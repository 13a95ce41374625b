"""A directive for the methods of `Promise`: their signatures as the API page writes them.

The annotations in the package are overloads for type checkers, too many to read.  So the page
writes one readable signature for each way to call a method, and the directive adds the other names
of the method, with targets and index entries of their own, and its docstring::

    .. promise:: promise.map_series(mapper: Callable) -> Promise[list[U]]
                 Promise.map_series(items: Input[T], mapper: Callable) -> Promise[list[U]]

``promise.`` stands for a method of a promise, ``Promise.`` for a function of the class, and
``inspection.`` for a method of a `PromiseInspection`.
`tests/docs/test_api_page.py` compares the signatures with those of the package.
"""

import re
from inspect import getattr_static, getdoc

from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.domains.python import PyMethod
from sphinx.ext.napoleon import GoogleDocstring

from twpromise import Promise, PromiseInspection

#: What a signature begins with: an instance, or the class.
OWNERS = {"promise": Promise, "Promise": Promise, "inspection": PromiseInspection}


def find(owner, name):
    """The object that a name of the page stands for, without binding it."""
    if name.startswith("coroutine."):
        return getattr_static(type(Promise.coroutine), name.partition(".")[2])
    return getattr_static(owner, name)


def other_names(owner, name):
    """The other names of the same object: those in camel case come first."""
    path = name.rpartition(".")[0]
    public = [each for each in dir(Promise.coroutine if path else owner) if each[0] != "_"]
    names = [f"{path}.{each}" if path else each for each in public]
    same = [each for each in names if each != name and find(owner, each) is find(owner, name)]
    camel = re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
    return sorted(same, key=lambda each: (each != camel, each))


def docstring_of(owner, name):
    """The docstring of what a name stands for, or of the method that it overrides."""
    found = type(Promise.coroutine).__call__ if name == "coroutine" else find(owner, name)
    return getdoc(getattr(found, "__func__", found)) or ""


class PromiseMethod(PyMethod):
    """Describes one method of `Promise`, or one function, by all of its names."""

    def get_signatures(self):
        """The signatures that are written, and the same for each other name."""
        written = super().get_signatures()
        self.aliases = other_names(self.owner, self.method)
        return written + [
            sig.replace(f".{self.method}(", f".{alias}(", 1)
            for alias in self.aliases
            for sig in written
        ]

    def handle_signature(self, sig, signode):
        """Shows ``promise.`` in front of a method, and files it under `Promise`."""
        shown, _, rest = sig.partition(".")
        found = super().handle_signature(f"{self.owner.__name__}.{rest}", signode)
        if shown != self.owner.__name__:
            prefix = next(signode.findall(addnodes.desc_addname))
            prefix.replace_self(addnodes.desc_addname(f"{shown}.", f"{shown}."))
        if rest.partition("(")[0] in self.aliases:
            signode["classes"].append("alias")
            signode += addnodes.desc_annotation("alias", f" alias of {self.method}")
        return found

    def get_index_text(self, modname, name_cls):
        """The name first, as readers look for it."""
        owner, _, name = name_cls[0].partition(".")
        return f"{name}() ({owner})"

    def run(self):
        """Puts the docstring before what the page adds."""
        self.name = "py:method"
        owner, _, self.method = self.arguments[0].partition("(")[0].partition(".")
        self.owner = OWNERS[owner]
        docstring = docstring_of(self.owner, self.method)
        lines = GoogleDocstring(docstring, self.config, what="method", name=self.method).lines()
        source = f"docstring of twpromise.{self.owner.__name__}.{self.method}"
        self.content = StringList([*lines, ""], source=source) + self.content
        return super().run()


def setup(app):
    """Make the directive known."""
    app.add_directive("promise", PromiseMethod)
    return {"parallel_read_safe": True}
