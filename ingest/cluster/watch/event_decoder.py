"""Raw bytes of lists and watches to objects: lines in bounded memory, events typed, what is odd read leniently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ingest.cluster.evidence.lines import DECODE, EvidenceReport, Line, lenient
from ingest.cluster.watch.api_errors import Refused, Unreadable
from whowas.observation import KubeObject

VERBS = frozenset(("ADDED", "MODIFIED", "DELETED", "BOOKMARK"))
BROKEN = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class PageMeta(msgspec.Struct):
    """metadata of a list. Source: metav1.ListMeta."""

    resourceVersion: str = ""
    more: str = msgspec.field(name="continue", default="")
    remainingItemCount: int | None = None


class Page(msgspec.Struct):
    """One page of a list."""

    metadata: PageMeta
    items: list[KubeObject] | None = None


DECODE_PAGE = msgspec.json.Decoder(Page)


def lines(chunks: Iterable[bytes], most: int, asked: str) -> Iterator[list[bytes]]:
    """Yield the whole lines of each chunk, without blank ones. A last line without its end is dropped.

    Args: most: bytes of the longest line; a longer one raises Unreadable, so that memory stays bounded.
    """
    left = bytearray()
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            left += chunk
        else:
            whole = bytes(left) + chunk[:end] if left else chunk[:end]
            left = bytearray(chunk[end + 1 :])
            yield [line for line in whole.split(b"\n") if line and not line.isspace()]
        if len(left) > most:
            raise Unreadable(asked, f"a line of more than {most} bytes", too_long=True)


def read_event(raw: bytes, report: EvidenceReport, asked: str) -> Line | None:
    """Decode a watch event; None for one of a type nobody knows, which is counted.

    Raises: Refused for an ERROR event, Unreadable for what is no JSON object.
    """
    try:
        line = DECODE.decode(raw)
        if line.type in VERBS and line.object is not None:
            return line
    except BROKEN:
        pass
    return _odd(raw, report, asked)


def _odd(raw: bytes, report: EvidenceReport, asked: str) -> Line | None:
    loose = _object(raw, asked)
    if loose.get("type") == "ERROR":
        raise _error(loose.get("object"), asked)
    if loose.get("type") not in VERBS or not isinstance(loose.get("object"), dict):
        report.refused["no_evidence"] += 1
        return None
    try:
        return lenient(loose, Line, report)
    except BROKEN as error:
        raise Unreadable(asked, f"an event that cannot be read: {error}") from error


def _error(told: Any, asked: str) -> Refused:
    """An ERROR event carries a Status; without a code it counts as a failure of the server."""
    told = told if isinstance(told, dict) else {}
    code = told.get("code")
    reason = str(told.get("message") or told.get("reason") or "no reason given")
    details = told.get("details")
    pause = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return Refused(
        asked, code if isinstance(code, int) else 500, reason, float(pause) if isinstance(pause, int) else None
    )


def read_page(raw: bytes, report: EvidenceReport, asked: str) -> Page:
    """Decode a page of a list, item by item where one is odd. Raises: Unreadable."""
    try:
        return DECODE_PAGE.decode(raw)
    except BROKEN:
        pass
    loose = _object(raw, asked)
    items = loose.get("items")
    items = items if isinstance(items, list) else []
    things = [one for one in items if isinstance(one, dict)]
    report.refused["odd_item"] += len(items) - len(things)
    try:
        meta = lenient({"metadata": loose.get("metadata") or {}}, Page, report).metadata
        return Page(meta, [lenient(one, KubeObject, report) for one in things])
    except BROKEN as error:
        raise Unreadable(asked, f"a list that cannot be read: {error}") from error


def _object(raw: bytes, asked: str) -> dict[str, Any]:
    try:
        loose = msgspec.json.decode(raw)
    except BROKEN as error:
        raise Unreadable(asked, f"no JSON: {error}") from error
    if not isinstance(loose, dict):
        raise Unreadable(asked, "JSON that is no object")
    return loose
