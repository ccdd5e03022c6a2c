"""The server: Starlette and uvicorn, which only this module knows. It listens on the loopback address.

Every request passes the guard first (whowas.workbench.guard). A question runs in a thread; when its client leaves, or
its time is over, the query is interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import duckdb
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from whowas.errors import WhowasError
from whowas.workbench import exports
from whowas.workbench.api import ENDPOINTS, Asked
from whowas.workbench.api.flows import ExportAsk, ReportAsk
from whowas.workbench.app.guarded import Guarded, Protocol, log, problem, refused
from whowas.workbench.database import Call
from whowas.workbench.guard import MOST_BODY, Guard
from whowas.workbench.loopback import hosts
from whowas.workbench.report import Wish, of_bench
from whowas.workbench.workbench import Workbench

STATIC = Path(__file__).parent.parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json", ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2", ".ico": "image/x-icon",
}  # fmt: skip
SECONDS = 60.0
EXPORT_SECONDS = 600.0
COMPRESSED_FROM = 2048


async def _body(request: Request) -> bytes:
    """The question. Raises: HTTPException where it is too long, whatever its header says."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > MOST_BODY:
            raise HTTPException(413, f"a question has at most {MOST_BODY} bytes")
    return found


async def _while_there(request: Request, call: Call, seconds: float, work: Callable[[], Any]) -> Any:
    """Run something in a thread, and end it when the client leaves or the time is over."""

    async def leave() -> None:
        with anyio.move_on_after(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
        call.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        # Raised in here it would come out as a group.
        found = await anyio.to_thread.run_sync(_tried, work)
        tasks.cancel_scope.cancel()
    if isinstance(found, Exception):
        raise found
    return found


def _tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return error


def _file(request: Request, page: bytes) -> Response:
    """A report, to be saved: shown here it would be another page of this origin."""
    answer = _packed(request, page, "application/octet-stream")
    answer.headers["content-disposition"] = 'attachment; filename="report.html"'
    return answer


def _encoded(request: Request, told: Any) -> Response:
    return _packed(request, msgspec.json.encode(told), "application/json")


def _packed(request: Request, body: bytes, kind: str) -> Response:
    answer = Response(body, media_type=kind)
    if len(body) >= COMPRESSED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        answer = Response(gzip.compress(body, 5, mtime=0), media_type=kind)
        answer.headers["content-encoding"] = "gzip"
    answer.headers["vary"] = "accept-encoding"
    return answer


def endpoint(bench: Workbench, path: str, kind: type[Asked], seconds: float) -> Callable[[Request], Any]:
    """Make the handler of one question."""
    decoder = msgspec.json.Decoder(kind)

    async def answer(request: Request) -> Response:
        try:
            asked = decoder.decode(await _body(request))
        except (msgspec.DecodeError, RecursionError) as error:
            return problem(400, f"cannot read the question: {error}")
        call = Call()
        try:
            if isinstance(asked, ExportAsk):
                return await _export(bench, asked, call)

            def work() -> Response:
                if isinstance(asked, ReportAsk):
                    return _file(
                        request, of_bench(bench, Wish(asked.filter, asked.finding, asked.range), call).encode()
                    )
                return _encoded(request, bench.answer(path, asked, call))

            whole = EXPORT_SECONDS if isinstance(asked, ReportAsk) else seconds
            told = await _while_there(request, call, whole, work)
        except (WhowasError, duckdb.Error) as error:
            if not isinstance(error, WhowasError):
                log(error)
            return refused(error)
        assert isinstance(told, Response)
        return told

    return answer


async def _export(bench: Workbench, asked: ExportAsk, call: Call) -> Response:
    partial = await anyio.to_thread.run_sync(bench.export_partial, asked, Call())
    pieces = bench.export(asked, call)
    first = await anyio.to_thread.run_sync(next, pieces, b"")
    answer = StreamingResponse(_streamed(first, pieces, call), media_type=exports.TYPES[asked.format])
    answer.headers["content-disposition"] = f'attachment; filename="flows.{asked.format}"'
    if partial:
        answer.headers["x-whowas-partial"] = partial
    return answer


async def _streamed(first: bytes, pieces: Iterator[bytes], call: Call) -> AsyncIterator[bytes]:
    """Hand on the pieces; when the client leaves, end the query."""
    try:
        yield first
        with anyio.fail_after(EXPORT_SECONDS):
            while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                yield piece
    finally:
        call.end()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(pieces.close)  # type: ignore[attr-defined]


async def static(request: Request) -> Response:
    """A file of the page, by its exact name among those that are there."""
    name = request.path_params.get("name") or "index.html"
    if f"/{name}" in ENDPOINTS:
        return problem(405, f"{ENDPOINTS['/' + name][0]} it")
    files = {str(one.relative_to(STATIC)): one for one in STATIC.rglob("*") if one.is_file() and one.suffix in TYPES}
    if name not in files:
        return problem(404, "there is nothing here")
    return Response(files[name].read_bytes(), media_type=TYPES[files[name].suffix])


def make_app(bench: Workbench, guard: Guard, seconds: float = SECONDS) -> ASGIApp:
    """The application, guarded."""

    async def status(request: Request) -> Response:
        return _encoded(request, bench.status())

    async def failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    async def broken(_request: Request, error: Exception) -> Response:
        return refused(error)

    routes = [Route("/api/status", status, methods=["GET"])]
    for path, (method, kind, _) in ENDPOINTS.items():
        if kind is not None:
            routes.append(Route(path, endpoint(bench, path, kind, seconds), methods=[method]))
    routes += [Route("/", static, methods=["GET"]), Route("/{name:path}", static, methods=["GET"])]
    app = Starlette(routes=routes, exception_handlers={HTTPException: failed, Exception: broken})
    app.router.redirect_slashes = False
    return Guarded(app, guard)


class Server:
    """A server on a socket. `run` returns after `stop`, or after SIGINT or SIGTERM in the main thread."""

    def __init__(self, bench: Workbench, at: socket.socket, token: str, seconds: float = SECONDS) -> None:
        self.port = int(at.getsockname()[1])
        self._socket = at
        config = uvicorn.Config(
            make_app(bench, Guard(hosts(self.port), token), seconds),
            http=Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=64,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=16 * 1024,
        )
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """End `run` from any thread."""
        self._server.should_exit = True

    def run(self) -> None:
        """Serve until stopped."""
        # What it was stopped by is raised again when all is in order.
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self._server.serve([self._socket]))
