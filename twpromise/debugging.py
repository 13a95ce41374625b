"""What is under way in a process: see the page *Debugging a service*."""

from ._debugging.records import Pending, PendingPromise, WaitsFor, pending, snapshot

__all__ = ["Pending", "PendingPromise", "WaitsFor", "pending", "snapshot"]
