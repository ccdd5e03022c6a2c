"""Findings as `whowas backtest --out` and a stream write them: OCSF, one JSON a line, in a file or a folder of them.

Only the place of each line is kept: a finding is read again when it is asked for. Of a finding that was told several
times the newest counts.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from whowas.errors import InputError
from whowas.workbench.api.common import About
from whowas.workbench.api.findings import Finding, FindingAsk, FindingRow, Findings, FindingsAsk, NoteAsk, Noted
from whowas.workbench.edges import Asking, bounds
from whowas.workbench.notes import NAME, Notes, beside
from whowas.workbench.problems import NotFoundError, NotServedError

LEVELS = ("critical", "high", "medium", "low", "informational", "unknown")
MOST_LINE = 4 << 20
HEADINGS = ("Note:", "Look closer:", "Cut off", "Where other policies")
"""Of what a finding advises: they are no part of a command."""
MOST = 200_000


class Place(NamedTuple):
    """Where a finding stands. sequence: which telling of it."""

    path: str
    offset: int
    length: int
    sequence: int
    row: FindingRow
    text: str


class _Metadata(msgspec.Struct):
    correlation_uid: str = ""
    uid: str = ""
    sequence: int = 0
    event_code: str = ""


class _Info(msgspec.Struct):
    uid: str = ""
    title: str = ""


class _Line(msgspec.Struct):
    """What of a line is needed in the list."""

    finding_info: _Info = msgspec.field(default_factory=_Info)
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    severity: str = "Unknown"
    confidence_score: int = 0
    start_time: int = 0
    end_time: int = 0
    count: int = 0
    message: str = ""


_DECODER = msgspec.json.Decoder(_Line, strict=False)


class ServedFindings:
    """Args: path: a file or folder, None: no findings are served. refused: lines that are none. Raises: InputError."""

    def __init__(self, path: str | None) -> None:
        self.path = None if path is None else Path(path)
        self.refused = 0
        self._places: dict[str, Place] = {}
        self._read_to: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        if self.path is not None:
            if not self.path.exists():
                raise InputError(
                    f"cannot read findings '{path}': no such file; make them with 'whowas backtest --out {path}'"
                )
            self.notes = Notes(beside(self.path))

    def __bool__(self) -> bool:
        return self.path is not None

    def writable(self) -> bool:
        """Can notes be written?"""
        return self.path is not None and os.access(self.notes.path.parent, os.W_OK)

    def _look(self) -> None:
        """Read what was appended since the last look."""
        if self.path is None:
            raise NotServedError("no findings are served: start whowas serve with --findings")
        files = sorted(self.path.glob("*.jsonl")) if self.path.is_dir() else [self.path]
        with self._lock:
            for file in files:
                if file.name != NAME and file.is_file():
                    self._follow(str(file))

    def _follow(self, path: str) -> None:
        with open(path, "rb") as handle:
            about = os.fstat(handle.fileno())
            inode, at = self._read_to.get(path, (about.st_ino, 0))
            if inode != about.st_ino or about.st_size < at:
                at = 0
                self._places = {uid: one for uid, one in self._places.items() if one.path != path}
            handle.seek(at)
            while line := handle.readline(MOST_LINE + 1):
                if not line.endswith(b"\n") and len(line) <= MOST_LINE:
                    break  # It is being written.
                if len(self._places) < MOST and len(line) <= MOST_LINE:
                    self._take(path, at, line)
                else:
                    self.refused += 1
                at += len(line)
        self._read_to[path] = (about.st_ino, at)

    def _take(self, path: str, offset: int, line: bytes) -> None:
        try:
            told = _DECODER.decode(line)
        except (msgspec.DecodeError, RecursionError):
            self.refused += bool(line.strip())
            return
        uid = told.finding_info.uid or told.metadata.correlation_uid
        if not uid:
            self.refused += 1
            return
        before = self._places.get(uid)
        if before is None or told.metadata.sequence >= before.sequence:
            row = FindingRow(
                uid, told.finding_info.title, told.metadata.event_code, told.severity.lower(), told.confidence_score,
                told.start_time * 1000, told.end_time * 1000, told.count, told.message, "open", 0,
            )  # fmt: skip
            searched = f"{uid} {row.title} {row.rule} {row.message}".lower()
            self._places[uid] = Place(path, offset, len(line), told.metadata.sequence, row, searched)

    def _row(self, one: Place) -> FindingRow:
        noted = self.notes.of(one.row.uid)
        return msgspec.structs.replace(one.row, state=noted.state, revision=noted.revision)

    def listed(self, asking: Asking, asked: FindingsAsk) -> Findings:
        """Worst first."""
        self._look()
        since, until = bounds(asked.range)
        words = asked.text.lower()
        there = [one for one in list(self._places.values()) if one.row.first < until and one.row.last >= since]
        rows = [self._row(one) for one in there if words in one.text]
        states: Counter[str] = Counter(one.state for one in rows if not asked.levels or one.level in asked.levels)
        rows = [one for one in rows if not asked.states or one.state in asked.states]
        levels = Counter(one.level for one in rows)
        rows = [one for one in rows if not asked.levels or one.level in asked.levels]
        rows.sort(key=lambda one: (_rank(one.level), -one.score, -one.last, one.uid))
        shown = rows[asked.offset : asked.offset + asked.limit]
        return Findings(asking.done(About("findings")), dict(levels), dict(states), shown, len(rows))

    def one(self, asked: FindingAsk) -> Finding:
        """One whole. Raises: NotFoundError."""
        self._look()
        place = self._places.get(asked.uid)
        if place is None:
            raise NotFoundError("there is no such finding")
        with open(place.path, "rb") as handle:
            handle.seek(place.offset)
            told: Any = json.loads(handle.read(place.length))
        rule = _object(_object(told.get("unmapped")).get("rule"))
        attacks = _objects(_object(told.get("finding_info")).get("attacks"))
        return Finding(
            self._row(place), told, [str(one["uid"]) for one in _objects(told.get("evidences")) if one.get("uid")],
            _attack(attacks), list(map(str, _list(rule.get("false_positives")))),
            _commands(str(_object(told.get("remediation")).get("desc") or "")), self.notes.of(asked.uid).notes,
        )  # fmt: skip

    def note(self, asked: NoteAsk) -> Noted:
        """Write a note. Raises: NotFoundError, OldRevisionError, OutputError."""
        self._look()
        if asked.uid not in self._places:
            raise NotFoundError("there is no such finding")
        return self.notes.write(asked)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def _object(value: Any) -> dict[str, Any]:
    """What should be an object: whoever may write the file may write anything there."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _attack(attacks: list[dict[str, Any]]) -> list[str]:
    """Tactics and techniques, as people name them."""
    found = []
    for one in attacks:
        for part in ("tactic", "technique", "sub_technique"):
            told = _object(one.get(part))
            if told.get("uid"):
                found.append(f"{told['uid']} {told.get('name', '')}".strip())
    return list(dict.fromkeys(found))


def _commands(text: str) -> list[str]:
    """The commands in what a finding advises; one may have several lines."""
    found: list[str] = []
    for line in text.split("\n"):
        if line.startswith(("whowas ", "kubectl ", "echo ", "[ ")):
            found.append(line)
        elif found and line and not line.startswith(HEADINGS):
            found[-1] += "\n" + line
    return found
