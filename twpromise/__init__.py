"""Bluebird's promises, at home on Twisted's reactor."""

from ._diagnostics.background import background
from ._methods.disposer import Disposer
from ._methods.reflection import PromiseInspection
from ._promise import Promise
from ._scheduling.schedulers import ReactorScheduler
from ._util.errors import (
    AggregateError,
    CancellationError,
    OperationalError,
    PromiseError,
    PromiseWarning,
    RejectionError,
    TimeoutError,
)
from .interfaces import IDeferred, IPromise, IScheduler

__all__ = [
    "AggregateError",
    "CancellationError",
    "Disposer",
    "IDeferred",
    "IPromise",
    "IScheduler",
    "OperationalError",
    "Promise",
    "PromiseError",
    "PromiseInspection",
    "PromiseWarning",
    "ReactorScheduler",
    "RejectionError",
    "TimeoutError",
    "background",
    "deferify",
    "deferify_all",
]

deferify = Promise.deferify
deferify_all = Promise.deferify_all
