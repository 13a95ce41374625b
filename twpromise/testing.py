"""Tools for tests of code that uses promises: see the page *Testing*."""

from ._testing.checks import PromiseChecks
from ._testing.manual import ManualScheduler
from ._testing.mixin import PromiseTestMixin

__all__ = ["ManualScheduler", "PromiseChecks", "PromiseTestMixin"]
