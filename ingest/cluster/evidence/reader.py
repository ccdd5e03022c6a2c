"""Evidence files to observations: whowas's own lines, kubectl watch dumps, kubectl lists; told apart by content."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ingest.cluster.evidence.json_stream import values
from ingest.cluster.evidence.lines import (
    DECODE,
    VERBS,
    EvidenceReport,
    Line,
    decode_line,
    event_observation,
    observations_of,
    why_unread,
)
from ingest.cluster.evidence.other_sources import Imports
from ingest.cluster.evidence.slice import Seal
from ingest.files import open_input
from whowas.errors import BrokenInput
from whowas.kube_annotations import KEPT
from whowas.observation import KubeObject, Observation, time_us
from whowas.stages import FileReport, Unreadable

# Audit logs of several apiservers, answers of Prometheus to several questions.
PARTS = (b"audit.k8s.io/v1", b'"resultType"')
UNREADABLE_KEPT = 1000
LOOKED_AHEAD = 1 << 20
RECEIVED = re.compile(rb'"received"\s*:\s*"([^"]{10,40})"')


@dataclass(frozen=True)
class EvidenceProgress:
    """How far the reading has come, in stored bytes; total 0 = unknown."""

    path: str
    consumed: int
    total: int


def in_order(paths: Sequence[str]) -> list[str]:
    """Return evidence files in the order of their first times of receipt, those without before all others.

    A later state of an object must not be read before an earlier one: the earlier would then count as stale.
    """
    # What can be read once only (standard input, a pipe) is not looked into, and comes last.
    return sorted(paths, key=lambda path: _first_receipt(path) if os.path.isfile(path) else 1 << 62)


def together(paths: Sequence[str]) -> list[list[str]]:
    """Return evidence files in the groups in which they must be read: logs and answers that tell one story."""
    groups: list[list[str]] = []
    parts: dict[bytes, list[str]] = {}
    for path in paths:
        mark = _mark(path)
        if not mark:
            groups.append([path])
        elif mark in parts:
            parts[mark].append(path)
        else:
            parts[mark] = [path]
            groups.append(parts[mark])
    return groups


def _mark(path: str) -> bytes:
    """What tells a part of a story; b"" for what stands alone."""
    with open_input(path) as source:
        try:
            begins = source.read(LOOKED_AHEAD)
        except BrokenInput:
            return b""
    return next((mark for mark in PARTS if mark in begins), b"")


def _first_receipt(path: str) -> int:
    with open_input(path) as source:
        try:
            found = RECEIVED.search(source.read(LOOKED_AHEAD))
        except BrokenInput:
            return 0
    return (time_us(found.group(1).decode("ascii", "replace")) or 0) if found else 0


def read_observations(
    paths: Sequence[str],
    cluster: str | None,
    report: EvidenceReport,
    progress: Callable[[EvidenceProgress], None] | None = None,
) -> Iterator[Observation]:
    """Yield what the files say, file by file, in their order.

    Args: paths: files or `-`. cluster: name for evidence that carries none. report: filled while reading.
    A broken line is noted with its offset and passed over; a file that breaks is read up to there.
    """
    counts = report.observations
    imports = Imports(report.refused, KEPT)
    for path in paths:
        told = FileReport(path, format="evidence")
        report.files.append(told)
        yield Observation("START", KubeObject(), None, 0, None, path)
        seal = Seal(path)
        with open_input(path) as source:
            try:
                for count, (offset, raw) in enumerate(values(source)):
                    if progress is not None and count % 4096 == 0:
                        progress(EvidenceProgress(path, source.consumed, source.size))
                    if (border := seal.take(raw)) is not None:
                        if border:
                            _note(told, offset, border)
                        told.records += 1
                        # It tells itself when somebody was looking: what it says of pods is no proof of that.
                        yield Observation("START", KubeObject(), None, 0, None, path, (0, 0))
                        continue
                    event = _event(raw)
                    if event is None and imports.take(raw, offset, told):
                        told.records += 1
                        continue
                    if event is None:
                        yield from _observed(raw, offset, cluster, told, report)
                        continue
                    one = event_observation(event, f"{path}@{offset}", cluster)
                    counts[one.object.kind] += 1
                    told.records += 1
                    yield one
                if seal.open:
                    _note(told, source.offset, "the slice was cut off: it has no end")
            except BrokenInput as error:
                _note(told, error.offset, error.reason)
            if progress is not None:
                progress(EvidenceProgress(path, source.consumed, source.size))
    for one in imports.observations(cluster):
        if one.verb != "START":
            counts[one.object.kind or one.verb] += 1
        yield one


def wrong(path: str) -> FileReport | None:
    """Return what is wrong with a file if nothing near its beginning is evidence; None for evidence, and for nothing.

    It stops at the first value that can be used. Raises: InputError.
    """
    report, told, seal = EvidenceReport(), FileReport(path, format="evidence"), Seal(path)
    imports = Imports(report.refused, KEPT)
    with open_input(path) as source:
        try:
            for offset, raw in values(source):
                known = seal.take(raw) is not None or _event(raw) is not None or imports.take(raw, offset, told)
                if known or any(True for _ in _observed(raw, offset, None, told, report)) or told.records:
                    return None
                if len(told.unreadable) == UNREADABLE_KEPT:
                    break
        except BrokenInput as error:
            _note(told, error.offset, error.reason)
    return told if told.unreadable else None


def _note(told: FileReport, offset: int, reason: str) -> None:
    if len(told.unreadable) < UNREADABLE_KEPT:
        told.unreadable.append(Unreadable(offset, reason))


def _event(raw: bytes) -> Line | None:
    """Decode the usual value, an event with a whole object; None for anything else."""
    try:
        line = DECODE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    usual = line.object is not None and line.type in VERBS and line.object.kind
    return line if usual else None


def _observed(
    raw: bytes, offset: int, cluster: str | None, told: FileReport, report: EvidenceReport
) -> Iterator[Observation]:
    try:
        line = decode_line(raw, report)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        report.refused["broken_json"] += 1
        _note(told, offset, f"no JSON value that could be read: {error}"[:300])
        return
    said = False
    for one in observations_of(line, f"{told.path}@{offset}", cluster):
        said = True
        told.records += 1
        report.observations[one.object.kind or one.verb] += 1
        yield one
    if not said and line.items is None:
        report.refused["no_evidence"] += 1
        _note(told, offset, why_unread(line))
    elif not said:
        told.records += 1
