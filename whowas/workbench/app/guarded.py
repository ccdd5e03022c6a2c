"""What stands around every answer: the guard before it, headers on it, errors as JSON."""

from __future__ import annotations

import logging

import duckdb
import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from whowas.errors import ConfigError, WhowasError
from whowas.workbench.api import Problem
from whowas.workbench.filter_text import FilterError
from whowas.workbench.guard import ALWAYS, Guard, Refusal
from whowas.workbench.problems import BusyError, CancelledError, NotFoundError, NotServedError, OldRevisionError

STATUS = (
    (NotFoundError, 404), (NotServedError, 503), (BusyError, 503), (CancelledError, 504), (ConfigError, 400),
)  # fmt: skip


def problem(status: int, why: str, at: int | None = None) -> Response:
    """An error as JSON."""
    return Response(msgspec.json.encode(Problem(why, at)), status, media_type="application/json")


def refused(error: Exception) -> Response:
    """Put an error into an answer. Words of DuckDB stay here: they hold paths."""
    if isinstance(error, OldRevisionError):
        return Response(msgspec.json.encode(error.newer), 409, media_type="application/json")
    if isinstance(error, WhowasError):
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
        return problem(status, str(error), error.at if isinstance(error, FilterError) else None)
    if isinstance(error, duckdb.OutOfMemoryException):
        return problem(503, "the question needs more memory than it may have; shorten the range, or narrow the filter")
    return problem(500, "the question failed; the log of whowas serve says why")


class Guarded:
    """Refuses what may not pass, and puts the headers of every answer on all of them."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                mine = {name for name, _ in ALWAYS}
                kept = [one for one in message.get("headers", []) if one[0].lower() not in mine]
                message = {**message, "headers": [*kept, *ALWAYS]}
            await send(message)

        refusal = self._guard.refusal(scope["method"], scope["path"], scope["headers"])
        if refusal is not None:
            return await _refuse(refusal, scope, receive, sending)
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            log(error)
            if began:
                raise
            await refused(error)(scope, receive, sending)
        return None


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(refusal.status, refusal.why)
    for name, value in refusal.more:
        answer.headers[name.decode()] = value.decode()
    await answer(scope, receive, send)


def log(error: Exception) -> None:
    """Keep what a client is not told."""
    logging.getLogger("whowas.workbench").error("a question failed", exc_info=error)


class Protocol(H11Protocol):
    """What uvicorn answers by itself to a request that is none carries the headers too."""

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP."""
        body = msgspec.json.encode(Problem(msg))
        lines = [b"HTTP/1.1 400 Bad Request", b"content-type: application/json", b"connection: close"]
        lines += [b"content-length: %d" % len(body), *(name + b": " + value for name, value in ALWAYS)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
