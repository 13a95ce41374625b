"""A library copy: its settings, its hooks and its scheduler."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .._util.checks import check_switch, shown, spellings, type_name
from .policies import POLICIES, Policy
from .warning import warn

__all__ = ["SETTINGS", "Library", "check_settings", "from_environment"]

#: The settings of a library copy, each True or False.
SETTINGS = (
    "warnings",
    "w_forgotten_return",
    "long_stack_traces",
    "cancellation",
    "monitoring",
    "async_hooks",
    "tracking",
)

_SPELLINGS = spellings(SETTINGS)


def check_settings(settings: Mapping[str, Any]) -> dict[str, bool]:
    """*settings*, checked, by the names in `SETTINGS`.

    Raises:
        TypeError: There is no such setting, or its value is of the wrong type.
    """
    checked: dict[str, bool] = {}
    for spelling, value in settings.items():
        name = _SPELLINGS.get(spelling)
        if name is None:
            raise TypeError(f"there is no setting {spelling!r}; there are {', '.join(SETTINGS)}")
        if name == "warnings" and isinstance(value, Mapping):
            checked["warnings"] = True
            checked.setdefault("w_forgotten_return", True)
            for key, switch in value.items():
                if _SPELLINGS.get(key) != "w_forgotten_return":
                    raise TypeError(
                        f"there is no warning {shown(key)}; there is w_forgotten_return"
                    )
                checked["w_forgotten_return"] = check_switch(
                    f"the setting warnings[{key!r}]", switch
                )
        elif name == "warnings":
            checked["warnings"] = check_switch("the setting warnings", value)
            checked.setdefault("w_forgotten_return", value)
        else:
            checked[name] = check_switch(f"the setting {name}", value)
    return checked


def from_environment(environ: Mapping[str, str], development: bool) -> dict[str, bool]:
    """The settings in environment variables.

    Args:
        environ: The environment variables.  ``TWPROMISE_DEBUG`` switches warnings and long
            stack traces on, ``TWPROMISE_WARNINGS``, ``TWPROMISE_LONG_STACK_TRACES`` and
            ``TWPROMISE_W_FORGOTTEN_RETURN`` one of them each, ``TWPROMISE_TRACKING`` tracking;
            ``0`` switches off, and takes precedence.  An empty variable counts as not set.
        development: Whether Python's development mode is on, which counts like
            ``TWPROMISE_DEBUG``, unless that is ``0``.
    """

    def switch(name: str, otherwise: bool) -> bool:
        value = environ.get(f"TWPROMISE_{name}", "")
        return value != "0" and (otherwise or bool(value))

    debug = switch("DEBUG", development)
    warnings_ = switch("WARNINGS", debug)
    return {
        "warnings": warnings_,
        "w_forgotten_return": switch("W_FORGOTTEN_RETURN", warnings_),
        "long_stack_traces": switch("LONG_STACK_TRACES", debug),
        "tracking": switch("TRACKING", False),
    }


class Library:
    """The settings, hooks and counts of one library copy.

    Args:
        promise_class: The public class of this copy.

    The defaults of the switches are those of `Promise.config`.
    """

    __slots__ = (
        "__weakref__",
        "async_hooks",
        "cancellation",
        "cancellations",
        "created",
        "long_stack_traces",
        "monitoring",
        "on_fatal",
        "on_unhandled",
        "on_unhandled_handled",
        "policy",
        "promise_class",
        "scheduler",
        "settled",
        "timeouts",
        "tracking",
        "unhandled",
        "unhandled_total",
        "w_forgotten_return",
        "warnings",
        "yield_handlers",
    )

    def __init__(self, promise_class: Any = None) -> None:
        self.promise_class = promise_class
        self.async_hooks = True
        self.cancellation = True
        self.monitoring = False
        environment = from_environment(os.environ, bool(sys.flags.dev_mode))
        self.warnings = environment["warnings"]
        self.w_forgotten_return = environment["w_forgotten_return"]
        self.long_stack_traces = environment["long_stack_traces"]
        self.tracking = environment["tracking"]
        #: How many promises were made, and settled, while `monitoring` was on.
        self.created = self.settled = 0
        #: How many rejections stayed unhandled to the end of a drain, and still are.
        self.unhandled = 0
        #: How many ever did.
        self.unhandled_total = 0
        #: How many `timeout`s were too late.
        self.timeouts = 0
        #: How often a promise was cancelled, without those cancelled along with it.
        self.cancellations = 0
        #: When unhandled rejections are reported.
        self.policy: Policy = POLICIES["report"]()
        #: The last argument of `Promise.set_scheduler`.
        self.scheduler: Any = None
        #: The arguments of `Promise.coroutine.add_yield_handler`.
        self.yield_handlers: list[Callable[[Any], Any]] = []
        #: Called with the reason of a fatal error, instead of logging it.
        self.on_fatal: Callable[[Any], object] | None = None
        #: Called with the reason and the promise instead of the default report; False: there is
        #: no report.
        self.on_unhandled: Callable[[Any, Any], object] | bool | None = None
        self.on_unhandled_handled: Callable[[Any], object] | None = None

    def settings(self) -> dict[str, Any]:
        """The result of `Promise.config`."""
        return {name: getattr(self, name) for name in SETTINGS}

    def change(self, settings: Mapping[str, bool]) -> None:
        """Change settings, which have been checked."""
        if settings.get("monitoring") and not self.monitoring:
            # While it was off nothing was counted.
            self.created = self.settled = 0
        for name, value in settings.items():
            setattr(self, name, value)

    # The core calls these, whether warnings are on or off.

    def ignored_handler(self, handler: object) -> None:
        """Warn about a handler that is not callable, and is ignored."""
        if self.warnings:
            warn(f".then() only accepts functions but was passed: {type_name(handler)}")

    def odd_reason(self, reason: object, promise: Any) -> None:
        """Warn about a promise that was rejected with something other than an exception."""
        if self.warnings:
            warn(
                f"a promise was rejected with a non-error: {type_name(reason)} is not an exception",
                promise,
            )

    def cancel_disabled(self) -> None:
        """Warn about `cancel` while cancellation is switched off."""
        if self.warnings:
            warn("cancellation is disabled: cancel() does nothing")
