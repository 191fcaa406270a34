"""What can go wrong on the wire, done to one connection."""

import socket
import struct

from aiohttp import web

NO_LINGER = struct.pack("ii", 1, 0)


def drop(request: web.Request) -> web.Response:
    """End a connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # it reaches nobody: the connection has ended


def reset(request: web.Request) -> web.Response:
    """Reset a connection, as a host does that knows nothing of it."""
    transport = request.transport
    if transport is not None:
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        transport.abort()
    return web.Response()  # it reaches nobody: the connection has ended


async def cut_short(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Send half of an answer, and end the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status)
    response.content_type = whole.content_type
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
