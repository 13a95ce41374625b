"""Bluebird's promises on Twisted's reactor."""

import os

from ._bridge.crash import exit_process
from ._bridge.doors import install
from ._diagnostics.background import background
from ._methods.deadline import Deadline
from ._methods.disposer import Disposer
from ._methods.reflection import PromiseInspection
from ._promise import Promise
from ._scheduling.schedulers import ReactorScheduler
from ._services.batch import Batch, batch
from ._services.group import PromiseGroup
from ._services.limiter import Limiter
from ._services.service import PromiseService
from ._util.errors import (
    AggregateError,
    CancellationError,
    LimitExceeded,
    OperationalError,
    PromiseError,
    PromiseWarning,
    RejectionError,
    TimeoutError,
)
from .interfaces import IDeferred, IPromise, IScheduler

__all__ = [
    "AggregateError",
    "Batch",
    "CancellationError",
    "Deadline",
    "Disposer",
    "IDeferred",
    "IPromise",
    "IScheduler",
    "LimitExceeded",
    "Limiter",
    "OperationalError",
    "Promise",
    "PromiseError",
    "PromiseGroup",
    "PromiseInspection",
    "PromiseService",
    "PromiseWarning",
    "ReactorScheduler",
    "RejectionError",
    "TimeoutError",
    "background",
    "batch",
    "deferify",
    "deferify_all",
    "exit_process",
    "install",
]

deferify = Promise.deferify
deferify_all = Promise.deferify_all

if os.environ.get("TWPROMISE_INSTALL", "") not in {"", "0"}:
    install()
