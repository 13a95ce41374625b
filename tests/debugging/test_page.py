"""`InspectorResource`: who may see what is pending, and how it is shown."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import time
from functools import partial

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from twpromise import Promise
from twpromise.debugging import InspectorResource

HERE = IPv4Address("TCP", "127.0.0.1", 40000)
ELSEWHERE = IPv4Address("TCP", "192.0.2.7", 40000)
TOKEN = "s3cret: öl"


@pytest.fixture
def library():
    """A library copy that has no other promises."""
    return Promise.get_new_library_copy()


def fetch(resource, path=b"/", method=b"GET", peer=HERE, host=b"localhost:8080", **headers):
    """The status, the headers and the body that a real site answers with."""
    site = Site(resource, timeout=None)
    # It would format dates for its log, and start a timer for that.
    site.log = lambda request: None
    channel = site.buildProtocol(peer)
    transport = StringTransport(peerAddress=peer)
    channel.makeConnection(transport)
    lines = [b"%s %s HTTP/1.1" % (method, path)]
    lines += [b"Host: " + each for each in ([host] if isinstance(host, bytes) else host)]
    lines += [
        b"%s: %s" % (name.replace("_", "-").encode(), value) for name, value in headers.items()
    ]
    channel.dataReceived(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
    head, _, body = transport.value().partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in rest), body


def snapshot_of(resource):
    """What the page shows."""
    return json.loads(fetch(resource, b"/snapshot.json")[2])


def basic(password):
    """The header of a browser."""
    return b"Basic " + base64.b64encode(b"me:" + password.encode())


# --- who may see it


@pytest.mark.parametrize(
    "peer",
    [
        HERE,
        IPv4Address("TCP", "127.3.2.1", 1),
        IPv6Address("TCP", "::1", 1),
        IPv6Address("TCP", "::1%lo", 1),
        IPv6Address("TCP", "::ffff:127.0.0.1", 1),
        UNIXAddress("/run/service.sock"),
    ],
    ids=str,
)
def test_peers_of_the_loopback_interface_are_answered(library, peer):
    """However their address is written, and those of a socket in the file system."""
    assert 200 == fetch(InspectorResource(library=library), peer=peer)[0]


@pytest.mark.parametrize(
    "peer",
    [
        ELSEWHERE,
        IPv4Address("TCP", "10.0.0.1", 1),
        IPv6Address("TCP", "2001:db8::1", 1),
        IPv6Address("TCP", "fe80::1%eth0", 1),
        IPv6Address("TCP", "::ffff:192.0.2.7", 1),
        IPv4Address("TCP", "localhost", 1),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [b"/", b"/snapshot.json", b"/dump", b"/inspector.js", b"/none"])
def test_other_peers_are_refused(library, peer, path):
    """Whatever they ask for."""
    status, _, body = fetch(InspectorResource(library=library), path, peer=peer)
    assert (403, b"Only for peers of the loopback interface\n") == (status, body)


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "Via", "X-Forwarded-For", "x_forwarded_proto", "X-Forwarded-Host", "X-Real-IP"],
)
def test_a_proxy_does_not_open_it(library, header):
    """It is on loopback itself; those whom it serves are not."""
    status, _, body = fetch(InspectorResource(library=library), **{header: b"127.0.0.1"})
    name = header.replace("_", "-").lower().encode()
    assert (403, b"Not through a proxy, which has added the header " + name + b"\n") == (
        status,
        body,
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"localhost", 200),
        (b"LocalHost:8080", 200),
        (b"127.0.0.1:8080", 200),
        (b"[::1]:8080", 200),
        (b"[::1]", 200),
        (b"evil.example", 403),
        (b"localhost.evil.example", 403),
        (b"127.0.0.1.evil.example:8080", 403),
        (b"192.0.2.7", 403),
        (b"[2001:db8::1]:8080", 403),
        (b"", 403),
        (b"\xff", 403),
    ],
)
def test_a_name_that_resolves_to_loopback_is_refused(library, host, status):
    """A page of another site may have its own name resolved to 127.0.0.1."""
    assert status == fetch(InspectorResource(library=library), host=host)[0]


def test_without_a_host_it_is_refused(library):
    """The name that was meant is ambiguous."""
    assert 403 == fetch(InspectorResource(library=library), host=[])[0]


@pytest.mark.parametrize("peer", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (basic(TOKEN), 200),
        (b"bearer " + TOKEN.encode(), 200),
        (basic("s3cret"), 401),
        (basic(""), 401),
        (b"Bearer s3cret", 401),
        (b"Bearer", 401),
        (b"Basic !", 401),
        (b"Digest " + TOKEN.encode(), 401),
        (None, 401),
    ],
)
def test_with_a_token_others_are_answered(library, peer, header, status):
    """By way of a proxy, too, and under any name; no request without the token."""
    resource = InspectorResource(allow_remote=True, token=TOKEN, library=library)
    headers = {"X-Forwarded-For": b"192.0.2.9"}
    if header is not None:
        headers["Authorization"] = header
    got, answered, _ = fetch(resource, peer=peer, host=b"service.example", **headers)
    assert status == got
    assert (401 == status) == ("WWW-Authenticate" in answered)


def test_two_tokens_are_none(library):
    """One of them may be of a proxy."""
    resource = InspectorResource(token=TOKEN, library=library)
    header = b"Bearer x\r\nAuthorization: Bearer " + TOKEN.encode()
    assert 401 == fetch(resource, Authorization=header)[0]


def test_a_token_does_not_admit_others(library):
    """That needs `allow_remote`; and peers of the loopback interface need the token, too."""
    resource = InspectorResource(token=TOKEN, library=library)
    assert 403 == fetch(resource, peer=ELSEWHERE, Authorization=basic(TOKEN))[0]
    assert 401 == fetch(resource)[0]
    assert 200 == fetch(resource, Authorization=basic(TOKEN))[0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"allow_remote": True}, ValueError, "token must be given if allow_remote is True"),
        ({"token": ""}, ValueError, "token must not be empty"),
        ({"token": b"x"}, TypeError, "token must be a str or None, not bytes"),
        ({"limit": 0}, ValueError, "limit must be 1 or more, not 0"),
        ({"library": int}, TypeError, "library must be a library copy or None, not <class 'int'>"),
        ({"library": 1}, TypeError, "library must be a library copy or None, not 1"),
        ({"limit": None}, TypeError, "limit must be an int, 1 or more, not None"),
        (
            {"allow_remote": "no", "token": "x"},
            TypeError,
            "allow_remote must be True or False, not 'no'",
        ),
        ({"values": 0}, TypeError, "values must be True or False, not 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    """The error names the argument, and does not show a token."""
    with pytest.raises(error) as caught:
        InspectorResource(**arguments)
    assert message == str(caught.value)


# --- what is sent


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/", "text/html; charset=utf-8"),
        (b"/inspector.js", "text/javascript; charset=utf-8"),
        (b"/inspector.css", "text/css; charset=utf-8"),
        (b"/snapshot.json", "application/json"),
        (b"/dump", "text/plain; charset=utf-8"),
        (b"/none", "text/plain; charset=utf-8"),
    ],
)
def test_browsers_run_nothing_but_its_own_script(library, path, kind):
    """All that is sent says so, and that browsers must not keep, embed or guess it."""
    resource = InspectorResource(library=library)
    status, headers, body = fetch(resource, path)
    assert (404 if path == b"/none" else 200) == status
    assert kind == headers["Content-Type"]
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "no-store" == headers["Cache-Control"]
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "DENY" == headers["X-Frame-Options"]
    if kind.startswith("text/html"):
        assert b"<script src=" in body
        assert b"<script>" not in body
        assert b"style=" not in body


def test_head_is_get_without_a_body(library):
    """And nothing is logged for it."""
    resource = InspectorResource(library=library)
    events = []
    globalLogPublisher.addObserver(events.append)
    try:
        status, headers, body = fetch(resource, b"/inspector.js", b"HEAD")
    finally:
        globalLogPublisher.removeObserver(events.append)
    whole = fetch(resource, b"/inspector.js")
    assert (200, b"", []) == (status, body, events)
    assert headers["Content-Length"] == str(len(whole[2]))


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS"])
def test_other_methods_are_refused(library, method):
    """There is nothing to be changed."""
    status, headers, body = fetch(InspectorResource(library=library), method=method)
    assert (405, "GET, HEAD") == (status, headers["Allow"])
    assert b"Only GET and HEAD\n" == body


def test_below_a_path(library):
    """Its path needs a slash at its end, since the page names its parts relative to itself."""
    root = Resource()
    root.putChild(b"a b:c", InspectorResource(library=library))
    status, headers, _ = fetch(root, b"/a%20b:c?x=1")
    assert (308, "./a%20b:c/") == (status, headers["Location"])
    assert b"<title>" in fetch(root, b"/a%20b:c/")[2]
    assert 200 == fetch(root, b"/a%20b:c/dump")[0]
    assert 404 == fetch(root, b"/a%20b:c/dump/more")[0]


# --- what is shown


def test_what_is_pending_is_shown(library):
    """What it waits for, the cycles and the statistics; in both forms."""
    resource = InspectorResource(library=library)
    waiting = library.defer().promise.then(test_head_is_get_without_a_body)
    now = snapshot_of(resource)
    assert {"then(test_head_is_get_without_a_body)", "promise"} == {
        one["name"] for one in now["promises"]
    }
    assert [(2, 2, False, [], [])] == [
        (now["total"], now["shown"], now["sampled"], now["cycles"], now["failures"])
    ]
    assert json.loads(json.dumps(library.statistics())) == now["statistics"]
    dump = fetch(resource, b"/dump")[2].decode()
    assert "2 promises are pending" in dump
    assert "waits for resolve() or reject()" in dump
    assert "queue_length: 0" in dump
    assert waiting.is_pending()


def test_of_all_library_copies():
    """Unless it is said otherwise."""
    library = Promise.get_new_library_copy()
    kept = library.defer().promise.then(test_of_all_library_copies)
    now = snapshot_of(InspectorResource())
    assert "then(test_of_all_library_copies)" in {one["name"] for one in now["promises"]}
    # Its figures are those of `Promise`.
    assert Promise.statistics()["pending"] == now["statistics"]["pending"] < now["total"]
    assert kept.is_pending()


@pytest.mark.parametrize("path", [b"/snapshot.json", b"/dump"])
def test_promises_are_found_once(library, path, monkeypatch):
    """For each answer: it is what takes time while there are very many."""
    found = []
    find = gc.get_referrers
    monkeypatch.setattr(gc, "get_referrers", lambda *classes: found.append(1) or find(*classes))
    assert 200 == fetch(InspectorResource(library=library), path)[0]
    assert [1] == found


def test_no_more_than_the_limit_are_shown(library):
    """So that the reactor goes on."""
    kept = [library.defer() for _ in range(30)]
    now = snapshot_of(InspectorResource(library=library, limit=8))
    assert (30, True) == (now["total"], now["sampled"])
    assert len(now["promises"]) == now["shown"] <= 8
    assert 30 == len(kept)


def test_no_values_are_shown(scheduler, library, reports):
    """Neither reprs, nor what exceptions say; their types, and where they come from."""
    kept = library.defer()
    resource = InspectorResource(library=library)
    asked = InspectorResource(library=library, values=True)
    fail_in_a_chain(library)
    scheduler.flush()
    for path in (b"/snapshot.json", b"/dump"):
        text = fetch(resource, path)[2]
        assert b"password" not in text
        assert b"Promise pending" not in text
        assert b"ValueError" in text
        assert b"KeyError" in text
        assert b"Traceback" in text
        assert b"in fail" in text
    now = snapshot_of(asked)
    assert ["<Promise pending>"] == [one["repr"] for one in now["promises"]]
    (failed,) = now["failures"]
    assert "ValueError('password')" == failed["reason"]
    assert "password" in failed["trace"]
    assert b"ValueError('password')" in fetch(asked, b"/dump")[2]
    assert kept.promise.is_pending()


def test_what_is_waited_for_shows_no_values(library):
    """Nor do the reprs of futures, which hold what is bound to their callbacks."""
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    future.add_done_callback(partial(print, "password"))
    kept = library.resolve(future)
    now = fetch(InspectorResource(library=library), b"/snapshot.json")[2]
    assert b'"a Future"' in now
    assert b"password" not in now
    assert kept.is_pending()
    loop.close()


def fail_in_a_chain(library, note="password"):
    """An unhandled rejection, because of another error."""

    def fail(_):
        word = "pass" + "word"
        try:
            raise KeyError(word)
        except KeyError:
            error = ValueError(word)
            error.add_note(f"a note: {word}")
            raise error  # noqa: B904

    library.resolve().then(fail)


def test_causes_are_shown(scheduler, library, reports):
    """Those that an exception names; not what it was to hide."""

    def fail(hidden):
        try:
            raise KeyError
        except KeyError as error:
            raise ValueError from (None if hidden else error)

    resource = InspectorResource(library=library)
    library.resolve(False).then(fail)
    library.resolve(True).then(fail)
    library.reject(circular())
    scheduler.flush()
    hidden, shown, circle = [one["trace"] for one in snapshot_of(resource)["failures"]]
    assert shown.endswith("\nKeyError")
    assert hidden.endswith("\nValueError")
    assert 10 == circle.count("Traceback")


def circular():
    """An exception that was raised because of itself, by way of another."""
    one, other = OSError(), OSError()
    one.__cause__, other.__cause__ = other, one
    return one


def test_long_stack_traces_are_shown(scheduler, library, reports):
    """They hold lines of code, and no values."""
    library.config(long_stack_traces=True)
    resource = InspectorResource(library=library)
    fail_in_a_chain(library)
    scheduler.flush()
    (failed,) = snapshot_of(resource)["failures"]
    assert "From previous event:\n" in failed["trace"]
    assert "a note" not in failed["trace"]
    assert "Unhandled rejection in Promise" == failed["what"]


def test_few_failures_are_kept(scheduler, library, reports):
    """The newest, the newest first; as text, which keeps nothing alive."""
    resource = InspectorResource(library=library)
    for _ in range(60):
        library.reject(OSError())
    scheduler.flush()
    numbers = [one["id"] for one in snapshot_of(resource)["failures"]]
    assert list(range(60, 10, -1)) == numbers


def test_other_failures_are_not_kept(library):
    """What other parts of a service log is theirs to show; what is no failure is none."""
    resource = InspectorResource(library=library)
    globalLogPublisher({"log_namespace": "twpromise", "log_format": "all is well"})
    globalLogPublisher({"log_namespace": "other", "log_failure": Failure(OSError())})
    assert [] == snapshot_of(resource)["failures"]


def test_nothing_is_kept_after_its_end(library):
    """A resource that is gone observes no log."""
    before = list(globalLogPublisher._observers)
    resource = InspectorResource(library=library)
    assert len(before) + 1 == len(globalLogPublisher._observers)
    del resource
    assert before == list(globalLogPublisher._observers)


def test_markup_is_escaped(library):
    """In JSON, too, which a browser might take for HTML."""

    def markup(_):
        """Never called."""

    markup.__qualname__ = "<script>&</script>"
    kept = library.defer().promise.then(markup)
    resource = InspectorResource(library=library)
    body = fetch(resource, b"/snapshot.json")[2]
    assert not {b"<", b">", b"&"} & {body[at : at + 1] for at in range(len(body))}
    assert "then(<script>&</script>)" in {one["name"] for one in json.loads(body)["promises"]}
    assert kept.is_pending()


def test_what_cannot_be_encoded_is_shown(library):
    """A name may hold half a character."""

    def half(_):
        """Never called."""

    half.__qualname__ = "\ud800"
    kept = library.defer().promise.then(half)
    resource = InspectorResource(library=library)
    assert b"then(\\ud800)" in fetch(resource, b"/dump")[2]
    assert "then(\\ud800)" in {one["name"] for one in snapshot_of(resource)["promises"]}
    assert kept.is_pending()


@pytest.mark.exhaustive
@pytest.mark.parametrize("path", [b"/snapshot.json", b"/dump"])
def test_the_reactor_goes_on_among_100000_promises(library, path):
    """The best of several requests: the machine may have more to do."""
    kept = [library.defer().promise.then(print) for _ in range(50_000)]
    resource = InspectorResource(library=library)

    def request():
        start = time.perf_counter()
        assert 200 == fetch(resource, path)[0]
        return time.perf_counter() - start

    assert min(request() for _ in range(5)) < 0.05
    assert 50_000 == len(kept)
