"""Bluebird's promises, at home on Twisted's reactor."""

from ._diagnostics import background
from ._errors import (
    AggregateError,
    CancellationError,
    OperationalError,
    PromiseError,
    PromiseWarning,
    RejectionError,
    TimeoutError,
)
from ._promise import Promise
from ._reflection import PromiseInspection
from ._resources import Disposer
from ._scheduler import ReactorScheduler
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
