"""Shows what is pending in a process: see the page *Debugging a service*."""

from ._debugging.inspector import InspectorResource
from ._debugging.names import manhole
from ._debugging.records import Pending, PendingPromise, WaitsFor, pending, snapshot
from ._debugging.signals import install_signal
from ._debugging.text import dump, tree

__all__ = [
    "InspectorResource",
    "Pending",
    "PendingPromise",
    "WaitsFor",
    "dump",
    "install_signal",
    "manhole",
    "pending",
    "snapshot",
    "tree",
]
