"""`InspectorResource`: a page for `twisted.web` that shows pending promises."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from twisted.internet.address import UNIXAddress
from twisted.web.resource import Resource

from .._promise import Promise
from .._util.checks import check_count, check_switch, shown
from .arguments import check_library
from .failures import Failed, watch_failures
from .finding import Found, find_pending
from .records import LIMIT, Pending, as_dict, look
from .text import text_of

__all__ = ["InspectorResource"]

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TEXT: Final = "text/plain; charset=utf-8"
_PAGE: Final = files(__name__.rpartition(".")[0]).joinpath("page")
_FILES: Final = {
    "": ("text/html; charset=utf-8", "inspector.html"),
    "inspector.js": ("text/javascript; charset=utf-8", "inspector.js"),
    "inspector.css": ("text/css; charset=utf-8", "inspector.css"),
}

#: What proxies add to requests; those that begin with `x-forwarded` are among them, too.
_PROXIES: Final = {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"} | {
    "cf-connecting-ip",
    "x-cluster-client-ip",
}

#: Within JSON these mean the same, wherever it is pasted.
_ESCAPED: Final = str.maketrans({one: f"\\u{ord(one):04x}" for one in "<>&"})


class _RefusedError(Exception):
    """A request that is refused: the status, and why."""


class InspectorResource(Resource):
    """A page for twisted.web: pending promises, what they wait for, and recent failures.

    It answers ``GET`` and ``HEAD`` only: the page itself; ``snapshot.json``, its data; and
    ``dump``, the same as text.  It shows failures that were logged since the resource was made.

    Args:
        allow_remote: Also answer peers outside of the loopback interface, and requests that come
            through a proxy.  This needs a *token*.
        token: The secret that each request must carry then: as the password of HTTP basic
            authentication (with any user name) or as ``Authorization: Bearer``.
        values: Also show the reprs of promises and the texts of exceptions.
        limit: How many promises are shown at most; see `pending`.
        library: Show one library copy only; by default all.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: *limit* is less than 1; *token* is empty, or missing with *allow_remote*.
    """

    isLeaf = True

    def __init__(
        self,
        *,
        allow_remote: bool = False,
        token: str | None = None,
        values: bool = False,
        limit: int = LIMIT,
        library: type[Promise[Any]] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if token is not None and not isinstance(token, str):
            raise TypeError(f"token must be a str or None, not {type(token).__name__}")
        if token == "":
            raise ValueError("token must not be empty")
        if allow_remote and token is None:
            raise ValueError("token must be given if allow_remote is True")
        check_library(library)
        self._allow_remote = check_switch("allow_remote", allow_remote)
        self._token = token
        self._values = check_switch("values", values)
        self._limit = check_count("limit", limit, 1)
        self._library = library
        self._failures = watch_failures(self, values=values)

    def render(self, request: Any) -> bytes:
        """Answer a request, or refuse it."""
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        kind = _TEXT
        try:
            self._check(request)
            kind, body = self._answer(request)
        except _RefusedError as refused:
            status, why = refused.args
            request.setResponseCode(status)
            body = f"{why}\n".encode()
        request.setHeader("Content-Type", kind)
        request.setHeader("Content-Length", str(len(body)))
        # Twisted logs a body that is returned for HEAD.
        return b"" if request.method == b"HEAD" else body

    # --- who may see it

    def _check(self, request: Any) -> None:
        if not self._allow_remote:
            if not _is_here(request.getClientAddress()):
                raise _RefusedError(403, "Only for peers of the loopback interface")
            added = _of_proxies(request)
            if added:
                raise _RefusedError(
                    403, f"Not through a proxy, which has added the header {added[0]}"
                )
            # A page of another site may have its own name resolved to a loopback address.
            if not _names_loopback(request.requestHeaders.getRawHeaders(b"host", [])):
                raise _RefusedError(403, "The header Host names no loopback address")
        if self._token is not None and not _has_token(
            request.requestHeaders.getRawHeaders(b"authorization", []), self._token
        ):
            request.setHeader("WWW-Authenticate", 'Basic realm="promises", charset="UTF-8"')
            raise _RefusedError(401, "A token is needed: as the password, or as a bearer token")

    def _answer(self, request: Any) -> tuple[str, bytes]:
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("Allow", "GET, HEAD")
            raise _RefusedError(405, "Only GET and HEAD")
        path = list(request.postpath)
        if not path and request.prepath:
            # The page names its parts relative to itself, so its own path must end with a slash.
            own = request.uri.partition(b"?")[0].rpartition(b"/")[2]
            request.setHeader(b"Location", b"./" + own + b"/")
            raise _RefusedError(308, "The address of the page ends in a slash")
        name = b"/".join(path).decode("utf-8", "replace")
        if name in _FILES:
            kind, file = _FILES[name]
            return kind, _PAGE.joinpath(file).read_bytes()
        if name == "snapshot.json":
            return "application/json", self._json()
        if name == "dump":
            return _TEXT, self._dump()
        raise _RefusedError(404, "There is no such page")

    # --- what is shown

    def _json(self) -> bytes:
        found, shown_ = self._look()
        now = as_dict(shown_)
        if not self._values:
            for one in now["promises"]:
                del one["repr"]
        now["statistics"] = self._statistics(found)
        now["failures"] = [failed._asdict() for failed in self._newest()]
        return json.dumps(now).translate(_ESCAPED).encode()

    def _dump(self) -> bytes:
        found, shown_ = self._look()
        text = text_of(shown_)
        for name, figure in self._statistics(found).items():
            text += f"{name}: {shown(figure)}\n"
        for failed in self._newest():
            text += f"\n{failed.what}: {failed.reason}\n{failed.trace}\n"
        return text.encode("utf-8", "backslashreplace")

    def _look(self) -> tuple[Found, Pending]:
        # Finding promises is what takes time: once for each answer.
        found = find_pending(self._library, self._limit)
        return found, look(found.promises, found, self._limit)

    def _newest(self) -> list[Failed]:
        """The failures, the newest first."""
        return list(self._failures)[::-1]

    def _statistics(self, found: Found) -> dict[str, Any]:
        library = Promise if self._library is None else self._library
        return library._figures(lambda: found.of(library))


def _of_proxies(request: Any) -> list[str]:
    """The headers of a request that proxies add."""
    names = [
        name.decode("ascii", "replace").lower()
        for name, _ in request.requestHeaders.getAllRawHeaders()
    ]
    return [name for name in names if name in _PROXIES or name.startswith("x-forwarded")]


def _is_here(address: Any) -> bool:
    """Whether a peer is of the loopback interface, or of a socket in the file system."""
    return isinstance(address, UNIXAddress) or _is_loopback(getattr(address, "host", ""))


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _names_loopback(hosts: list[bytes]) -> bool:
    """Whether there is just one header ``Host``, which names this machine."""
    if len(hosts) != 1:
        return False
    host = hosts[0].decode("ascii", "replace").lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name == "localhost" or _is_loopback(name)


def _has_token(headers: list[bytes], token: str) -> bool:
    if len(headers) != 1:
        return False
    scheme, _, given = headers[0].strip().partition(b" ")
    given = given.strip()
    if scheme.lower() == b"basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != b"bearer":
        return False
    return hmac.compare_digest(given, token.encode())
