"""Check the built API page: `python docs/check_html.py FOLDER`, after `sphinx-build`.

Every public name is there, with a signature and a return type, and in the index; no signature shows
an object of the package that users cannot name.
"""

import html
import re
import sys
from importlib import import_module
from inspect import isroutine
from pathlib import Path

from twpromise import Promise, PromiseInspection, interfaces

MODULES = (
    "",
    ".debugging",
    ".interfaces",
    ".loops",
    ".metrics",
    ".promisifiers",
    ".testing",
    ".tracing",
)
#: What an object shows where a value has no readable `repr`, and names that are private.
_UNREADABLE = re.compile(r"<object object|<factory>|<class |<nothing>|\bobject at 0x|\b_[A-Z]\w*|~")


def signatures(page):
    """The signatures of a page, by the identifiers that one can link to."""
    found = {}
    for attributes, shown in re.findall(r"<dt class=\"sig([^>]*)>(.*?)</dt>", page, re.DOTALL):
        name = re.search(r'id="([^"]*)"', attributes)
        text = html.unescape(re.sub(r"<[^>]*>", "", shown)).rstrip("\n¶")
        found[name[1] if name else f"(another of {text})"] = " ".join(text.split())
    return found


def faults(folder):
    """What is missing, or not as a reader needs it."""
    shown = signatures((folder / "api.html").read_text(encoding="utf-8"))
    index = html.unescape((folder / "genindex.html").read_text(encoding="utf-8"))
    for name in dir(Promise):
        if name.startswith("_"):
            continue
        signature = shown.get(f"twpromise.Promise.{name}", "")
        if not signature:
            yield f"Promise.{name} is not on the API page"
        elif not isinstance(getattr(Promise, name), type) and " → " not in signature:
            yield f"Promise.{name} has no return type: {signature}"
        if f'"api.html#twpromise.Promise.{name}"' not in index:
            yield f"Promise.{name} is not in the index"
    for name in dir(PromiseInspection):
        if name[0] != "_" and f"twpromise.PromiseInspection.{name}" not in shown:
            yield f"PromiseInspection.{name} is not on the API page"
    for ending in MODULES:
        module = import_module(f"twpromise{ending}")
        for name in module.__all__:
            place = ".interfaces" if name in interfaces.__all__ else ending
            full = f"twpromise{place}.{name}"
            if full not in shown:
                yield f"{full} is not on the API page"
            elif isroutine(getattr(module, name)) and " → " not in shown[full]:
                yield f"{full} has no return type: {shown[full]}"
    for name, signature in shown.items():
        if _UNREADABLE.search(signature):
            yield f"{name} has an unreadable signature: {signature}"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1])))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
