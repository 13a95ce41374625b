"""`InspectorResource` is a resource of `twisted.web`."""

from __future__ import annotations

from twisted.web.resource import Resource
from twisted.web.server import Site

from twpromise import Promise
from twpromise.debugging import InspectorResource

resource: Resource = InspectorResource()
leaf: Resource = InspectorResource(allow_remote=True, token="secret", values=True, limit=50)
site = Site(InspectorResource(library=Promise.get_new_library_copy()))

InspectorResource(True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
InspectorResource(token=b"secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
InspectorResource(limit=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
