"""Requests one resource of an apiserver: pages of a list, lines of a watch."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from ingest.cluster.evidence.lines import EvidenceReport
from ingest.cluster.watch.api_client import Client, Connection
from ingest.cluster.watch.api_errors import Refused, Unreachable, Unreadable
from ingest.cluster.watch.event_decoder import Page, lines, read_page
from ingest.cluster.watch.resources import Resource
from ingest.cluster.watch.watch_state import WatchOptions

PART = 1 << 18


class Stopped(Exception):
    """Somebody asked the stream to end."""


class Expired(Exception):
    """What happened since our version can no longer be had: list anew."""


class ListWatch:
    """Asks for one resource, by a client of its own.

    Args: report: counts what was odd. Every method that asks raises Refused, Unreachable, Unreadable, Stopped, and
    ConfigError when the credentials cannot be read any more.
    """

    def __init__(
        self, resource: Resource, connection: Connection, options: WatchOptions, report: EvidenceReport
    ) -> None:
        self.resource, self._connection, self._options, self._report = resource, connection, options, report
        self.listing = f"list {resource.name} of '{connection.server}'"
        self.watching = f"watch {resource.name} of '{connection.server}'"
        self.stop = threading.Event()
        self._client: Client | None = None
        self._response: Any = None

    def page(self, size: int, more: str, came: Callable[[], object]) -> Page:
        """Return a page of a consistent list. Raises: Expired when `more`, the token of the next one, is too old.

        Args: came: called when the last byte is there.
        """
        query = {"limit": str(size), "continue": more} if more else {"limit": str(size)}
        parts, length = [], 0
        try:
            with self._opened(query, self.listing, watch=False) as response:
                while part := response.read1(PART, _packed(response)):
                    parts.append(part)
                    length += len(part)
                    if length > self._options.page_most:
                        raise Unreadable(self.listing, f"a page of more than {self._options.page_most} bytes")
        except Refused as error:
            if error.status == 410:
                raise Expired(str(error)) from error
            raise
        came()
        return read_page(b"".join(parts), self._report, self.listing)

    @contextmanager
    def watch(self, version: str) -> Iterator[Iterator[list[bytes]]]:
        """Open a watch; its lines come in batches as they arrive, until the server ends it."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*self._options.watch_seconds)),
            "resourceVersion": version,
        }
        with self._opened(query, self.watching, watch=True) as response:
            packed = _packed(response)
            chunks = iter(lambda: response.read1(PART, packed), b"")
            yield lines(chunks, self._options.line_most, self.watching)

    def interrupt(self) -> None:
        """End it from another thread; a read that waits for the server is broken off."""
        self.stop.set()
        response = self._response
        if response is not None:
            try:
                response.shutdown()
            except (ValueError, RuntimeError, OSError):
                return  # it ended by itself meanwhile

    def forget(self) -> None:
        """Close the connections; the next request reads the credentials anew."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextmanager
    def _opened(self, query: dict[str, str], asked: str, *, watch: bool) -> Iterator[Any]:
        """Open a response that interrupt() can break off; what breaks in it is Unreachable."""
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        if self._client is None:
            self._client = self._connection.client()
        seconds = (self._options.connect_seconds, self._options.silence_seconds)
        accept = self.resource.accept(watch=watch)
        response = self._client.get(self.resource.path, query, accept=accept, seconds=seconds, asked=asked)
        self._response = response
        try:
            if self.stop.is_set():
                raise Stopped
            yield response
        except (HTTPError, HTTPException, OSError) as error:
            raise Unreachable(asked, error, silent=isinstance(error, ReadTimeoutError)) from error
        finally:
            self._response = None
            response.close()


def _packed(response: Any) -> bool:
    """Say whether somebody on the way compressed what we did not ask to be; to look costs time in each part."""
    return "Content-Encoding" in response.headers
