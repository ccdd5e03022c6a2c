"""Evidence files to observations: whowas's own lines, kubectl watch dumps, kubectl lists; told apart by content."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ingest.cluster.evidence.json_stream import Unwrapped, lines, values
from ingest.cluster.evidence.lines import (
    DECODE,
    VERBS,
    EvidenceReport,
    Line,
    decode_line,
    event_observation,
    is_plain,
    observations_of,
    why_unread,
)
from ingest.cluster.evidence.list_reader import ListReader
from ingest.cluster.evidence.list_value import HEAD, ListValue, begun
from ingest.cluster.evidence.other_sources import Imports
from ingest.cluster.evidence.slice import Seal
from ingest.files import Input, open_input
from ingest.wrappings import DEEPEST, objects, opened
from whowas.errors import BrokenInput
from whowas.kube_annotations import KEPT
from whowas.observation import KubeObject, Observation, time_us
from whowas.stages import FileReport, Unreadable
from whowas.timestamps import AFTER_ALL, rfc3339

# Audit logs of several apiservers, answers of Prometheus to several questions.
PARTS = (b"audit.k8s.io/v1", b'"resultType"')
UNREADABLE_KEPT = 1000
LOOKED_AHEAD = 1 << 20
# In a wrapping the quotes may be escaped.
RECEIVED = re.compile(rb'"received\\?"\s*:\s*\\?"([^"\\]{10,40})\\?"')
FAULTS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
YAML = "it is YAML; make JSON of it: kubectl get … -o json, or yq -o json for a file that was kept"
RAW = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class EvidenceProgress:
    """How far the reading has come, in stored bytes; total 0 = unknown."""

    path: str
    consumed: int
    total: int


def in_order(paths: Sequence[str], taken: Mapping[str, int] | None = None) -> list[str]:
    """Return evidence files in the order of their first times of receipt, those without before all others.

    Args: taken: of lists, when they were taken, in us; it goes before what a file says itself.

    A later state of an object must not be read before an earlier one: the earlier would then count as stale.
    """
    # What can be read once only (standard input, a pipe) is not looked into, and comes last.
    told = taken or {}
    return sorted(
        paths, key=lambda path: told.get(path) or (_first_receipt(path) if os.path.isfile(path) else AFTER_ALL)
    )


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
    taken: Mapping[str, int] | None = None,
) -> Iterator[Observation]:
    """Yield what the files say, file by file, in their order.

    Args: paths: files or `-`. cluster: name for evidence that carries none. report: filled while reading.
        taken: of kubectl lists, which tell no time, when they were taken, us.
    A broken line is noted with its offset and passed over; a file that breaks is read up to there.
    """
    counts = report.observations
    imports = Imports(report.refused, KEPT)
    for path in paths:
        told = FileReport(path, format="evidence")
        report.files.append(told)
        yield Observation("START", KubeObject(), None, 0, None, path)
        with open_input(path) as source:
            file = _File(told, report, imports, cluster, (taken or {}).get(path))
            for value in file.read(source, progress):
                yield from value
            file.check_taken()
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
    report, told = EvidenceReport(), FileReport(path, format="evidence")
    with open_input(path) as source:
        for value in _File(told, report, Imports(report.refused, KEPT), None).read(source, None):
            if any(True for _ in value) or told.records:
                return None
            if len(told.unreadable) == UNREADABLE_KEPT:
                break
    return told if told.unreadable else None


class _File:
    """One file being read."""

    def __init__(
        self,
        told: FileReport,
        report: EvidenceReport,
        imports: Imports,
        cluster: str | None,
        taken: int | None = None,
    ) -> None:
        self.told, self.report, self.imports, self.cluster = told, report, imports, cluster
        self._taken, self._took = taken, False
        self._others = self._values = 0

    def read(
        self, source: Input, progress: Callable[[EvidenceProgress], None] | None
    ) -> Iterator[Iterable[Observation]]:
        """Yield what each value of the file says; a file that breaks is read up to there."""
        path, seal = self.told.path, Seal(self.told.path)

        def tell() -> None:
            if progress is not None:
                progress(EvidenceProgress(path, source.consumed, source.size))

        try:
            begins, offset = source.read(HEAD), 0
            while (found := begun(begins)) is not None:
                value = ListValue(source, begins, offset, found, tell)
                yield ListReader(self, value).observations()
                self._values += 1
                begins, offset = value.topped_up(), value.end
            told = Unwrapped(lines(source, begins, offset))
            if told.is_yaml():
                self.told.unreadable.append(Unreadable(0, YAML, whole=True))
                return
            for count, (offset, raw) in enumerate(values(told, path, source)):
                if count % 4096 == 0:
                    tell()
                if (border := seal.take(raw)) is not None:
                    if border:
                        self.note(offset, border)
                    self.told.records += 1
                    # It tells itself when somebody was looking: what it says of pods is no proof of that.
                    yield [Observation("START", KubeObject(), None, 0, None, path, (0, 0))]
                    continue
                yield self.value(raw, offset, 1 if told.chain else 0)
            if seal.open:
                self.note(source.offset, "the slice was cut off: it has no end")
        except BrokenInput as error:
            self.note(error.offset, error.reason)
        if self._others and not self._values:
            self.note(0, f"no evidence in its {self._others:,} wrapped lines, which are text of something else")

    def check_taken(self) -> None:
        """Note that a time was told for a list where there is none."""
        if self._taken is not None and not self._took:
            self.note(0, "a time was told for it, but there is no list without a time in it")

    def taken(self, line: Line) -> None:
        """Give a list the time that was told for it, where it has none itself."""
        if self._taken is not None and line.items is not None and line.received is None:
            line.received, self._took = rfc3339(self._taken), True

    def note(self, offset: int, reason: str) -> None:
        if len(self.told.unreadable) < UNREADABLE_KEPT:
            self.told.unreadable.append(Unreadable(offset, reason))

    def value(self, raw: bytes, offset: int, depth: int) -> Iterator[Observation]:
        """Yield what a value says. depth: how many wrappings it came out of."""
        event = _event(raw)
        if event is not None:
            self._values += 1
            self.told.records += 1
            one = event_observation(event, f"{self.told.path}@{offset}", self.cluster)
            self.report.observations[one.object.kind] += 1
            yield one
            return
        several = _several(raw)
        if several:
            for part in several:
                yield from self.value(part, offset, depth)
        elif not self.imports.take(raw, offset, self.told):
            yield from self._other(raw, offset, depth)
        else:
            self._values += 1
            self.told.records += 1

    def _other(self, raw: bytes, offset: int, depth: int) -> Iterator[Observation]:
        """Yield what a value says that is no plain event: an object, a list, or something wrapped."""
        found = None if is_plain(raw) or depth >= DEEPEST else opened(raw)
        if found is not None:
            for inner in found:
                parts = ((offset, part) for part in inner.split(b"\n"))
                for _, part in values(parts, self.told.path):
                    yield from self.value(part, offset, depth + 1)
        elif depth and raw[:1] != b"{":
            self.report.refused["other_message"] += 1
            self._others += 1
        else:
            self._values += 1
            yield from self._observed(raw, offset)

    def _observed(self, raw: bytes, offset: int) -> Iterator[Observation]:
        report = self.report
        try:
            line = decode_line(raw, report)
        except FAULTS as error:
            report.refused["broken_json"] += 1
            self.note(offset, f"no JSON value that could be read: {error}"[:300])
            return
        self.taken(line)
        said = False
        for one in observations_of(line, f"{self.told.path}@{offset}", self.cluster):
            said = True
            self.told.records += 1
            report.observations[one.object.kind or one.verb] += 1
            yield one
        if not said and line.items is None:
            report.refused["no_evidence"] += 1
            self.note(offset, why_unread(line))
        elif not said:
            self.told.records += 1


def _event(raw: bytes) -> Line | None:
    """Decode the usual value, an event with a whole object; None for anything else."""
    try:
        line = DECODE.decode(raw)
    except FAULTS:
        return None
    usual = line.object is not None and line.type in VERBS and line.object.kind
    return line if usual else None


def _several(raw: bytes) -> list[bytes]:
    """Objects one behind another in one line, as Firehose writes them; [] where there is one value."""
    if b"}{" not in raw and b"} {" not in raw:
        return []
    try:
        RAW.decode(raw)
    except FAULTS:
        return objects(raw)
    return []
