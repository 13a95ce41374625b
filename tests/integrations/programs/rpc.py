"""gRPC's asyncio server and client, with promises on both sides: see `test_grpc`."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
from twisted.internet import asyncioreactor

from twpromise import Promise, TimeoutError

loop = asyncio.new_event_loop()
asyncioreactor.install(loop)

given_up = Promise.defer()


async def shout(request, context):
    """Answers with a promise's value."""
    return await Promise.delay(0.001, request.upper())


async def fail(request, context):
    """Fails with a promise's reason."""
    await Promise.delay(0.001).then(lambda _: 1 / 0)


async def hang(request, context):
    """Never answers; knows when its work is cancelled."""
    await Promise(lambda resolve, reject, on_cancel: on_cancel(given_up.resolve))


async def main():
    """Calls the server, in ways in which a handler returns a call."""
    server = grpc.aio.server()
    methods = {
        function.__name__: grpc.unary_unary_rpc_method_handler(function)
        for function in (shout, fail, hang)
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = {name: channel.unary_unary(f"/Test/{name}") for name in methods}
        await check(call)
    await server.stop(None)


async def check(call):
    """Answers, errors, a deadline and a cancellation."""
    assert b"A" == await Promise.resolve(b"a").then(call["shout"])
    assert b"A" == await Promise.resolve(call["shout"](b"a"))
    assert [b"A", b"B"] == await Promise.map([b"a", b"b"], call["shout"])
    failed = Promise.resolve(b"").then(call["fail"])
    code = await failed.catch(grpc.aio.AioRpcError, lambda error: error.code())
    assert grpc.StatusCode.UNKNOWN == code

    calls = [call["hang"](b"")]
    late = Promise.resolve().then(lambda _: calls[0]).timeout(0.2)
    assert "late" == await late.catch(TimeoutError, lambda _: "late")
    assert calls[0].cancelled()
    await given_up.promise


def finish(inspection):
    from twisted.internet import reactor

    reactor.stop()
    print("done" if inspection.is_fulfilled() else inspection.reason())


def start():
    Promise.resolve(main()).reflect().then(finish)


def run():
    from twisted.internet import reactor

    reactor.callLater(0, start)
    reactor.run()


run()
