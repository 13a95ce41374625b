"""Path operations that return promises, and end with their clients."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from inspect import Signature, signature
from typing import Any, get_args, get_origin

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from twpromise import Promise, PromiseGroup


class PromiseRoute(APIRoute):
    """A route whose function may be annotated as `-> Promise[...]`.

    When the client disconnects before there is a response, what the request waits for is
    cancelled.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, awaited(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_while_connected(request: Request) -> Response:
            response = None
            with suppress(ClientDisconnect):
                # After the body nothing is received but the end of the connection.
                await request.body()
                async with PromiseGroup() as group:
                    group.start_soon(cancel_when_disconnected, request, group)
                    response = await handle(request)
                    group.cancel()
            if response is None:
                # Dependencies see this error, too: one that commits if there is none does not.
                raise HTTPException(499, "the client has disconnected")
            return response

        return handle_while_connected


async def cancel_when_disconnected(request: Request, group: PromiseGroup) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    group.cancel()


def awaited(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine function in the place of one that returns a promise; others stay as they are."""
    declared = signature(endpoint, eval_str=True)
    if Promise not in (declared.return_annotation, get_origin(declared.return_annotation)):
        return endpoint

    @wraps(endpoint)
    async def await_it(*args: Any, **kwargs: Any) -> Any:
        return await Promise.resolve(endpoint(*args, **kwargs))

    # FastAPI makes the response's model of the annotation: of `int`, not of `Promise[int]`.
    (model,) = get_args(declared.return_annotation) or [Signature.empty]
    await_it.__signature__ = declared.replace(return_annotation=model)  # type: ignore[attr-defined]
    return await_it
