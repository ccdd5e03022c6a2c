"""The protocols between the rooms: what a source, an enricher and a sink promise each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

# Words of `Report.refused` and `Report.noted` that cost no answer: nothing was there that could have been read.
COSTLESS = frozenset(
    (
        "non_ip",
        "tunnel_payload_non_ip",
        "no_tunnel_on_its_port",
        "more_than_5_vlans",
        "fragment_without_ports",
        "icmp_error_without_conversation",
    )
)


class Position(NamedTuple):
    """How far a source has been read: after everything before this is durable, it need not be read again."""

    origin: str
    offset: int


@dataclass(frozen=True)
class Unreadable:
    """A place where an input could not be read on. `offset` is in bytes of the uncompressed input (UTF-8).

    whole: it is of a form of which nothing is read.
    """

    offset: int
    reason: str
    whole: bool = False

    def of(self, path: str) -> str:
        """Return it as one line. path: as a person is shown it."""
        return (
            f"cannot read '{path}': {self.reason}" if self.whole else f"{path} at byte {self.offset:,}: {self.reason}"
        )


@dataclass(frozen=True)
class Refused:
    """A record that gave no flow. `number` counts the file's records (of a log, its lines) from 1."""

    number: int
    reason: str


@dataclass
class FileReport:
    """What became of one input. `refused` are the first records that were refused; Report has all, counted."""

    path: str
    format: str = ""
    packets: int = 0
    records: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass
class Report:
    """What a source has read so far. read = folded into flows + refused + repeated; a test holds it.

    `bytes` are file bytes as stored (compressed where compressed), `packets` all packet records read,
    `refused` counts, by reason, packets that carry no IP conversation or cannot be decoded; `noted` counts
    remarks on packets that were folded nevertheless (a tunnel's payload that is not IP, say).

    `repeated` packets had been seen at another point of observation, where they are counted.

    Of flow logs: `records` were read (lines of a log, messages), `record_flows` came of them, `refused_records` counts
    by reason what could not be read, `skipped` what is well-formed and carries no flow (headers, other events),
    `noted_records` flows whose times are missing or exchanged. A record that holds many flows can be refused in part.
    """

    packets: int = 0
    bytes: int = 0
    conversations: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    records: int = 0
    record_flows: int = 0
    refused_records: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    noted_records: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    files: list[FileReport] = field(default_factory=list)

    def whole(self) -> bool:
        """Say whether all was read: every input to its end, every record, every packet to its innermost addresses."""
        return not (any(one.unreadable for one in self.files) or self.refused_records or self.unread())

    def unread(self) -> Counter[str]:
        """Packets that hold more than could be read of them, counted by reason."""
        return Counter({why: count for why, count in (self.refused + self.noted).items() if why not in COSTLESS})


class Source(Protocol):
    """Where flows come from."""

    report: Report

    def batches(self) -> Iterator[tuple[Any, Position]]:
        """Yield (record batch of whowas.schema.flow_schema, position behind it)."""

    def commit(self, position: Position) -> None:
        """Remember that everything before `position` is durable."""


class Enricher(Protocol):
    """Adds the columns of step `enrich`."""

    def name(self, flows: Any) -> Any:
        """Return the batch with all columns of whowas.schema.named_schema, rows in the same order."""


class Sink(Protocol):
    """Where named flows go. The pipeline calls check first, and close or abandon last."""

    files: list[str]
    bytes_written: int

    def check(self) -> None:
        """Refuse before the first read what could not be written at the end. Raises: OutputError."""

    def write(self, flows: Any) -> None:
        """Take a batch of whowas.schema.named_schema; may buffer, within a bound."""

    def flush(self) -> None:
        """Return only when everything written so far is durable."""

    def close(self) -> None:
        """Flush, let readers see all of it, and give back what is held."""

    def abandon(self) -> None:
        """Give up: leave nothing of what was written since `check`."""


@dataclass(frozen=True)
class Alert:
    """A finding on its way out, in one of its views. key: the finding's uid, by which repeats are known.

    level: Sigma's word. topic: where a rule wants it, None for the usual place. body: what is written as JSON.
    """

    key: str
    level: str
    topic: str | None
    body: Mapping[str, Any]

    def data(self) -> bytes:
        """The body as JSON in UTF-8; what is no character of Unicode is escaped."""
        told = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return told.encode("utf-8", "backslashreplace")


class AlertSink(Protocol):
    """Where alerts go, at least once each. After an error everything since the last good flush may be sent again.

    trouble: why what was sent does not get on, "" while it does. refused: alerts that the other side will never take,
    kept in dead letters with the reason; they count as arrived.
    """

    trouble: str

    @property
    def refused(self) -> int:
        """How many were given up and kept."""

    def check(self) -> None:
        """Refuse before the first flow what could not be delivered at the end. Raises: OutputError, BrokerError."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Take alerts; may wait to be sent. Raises: OutputError, BrokerError."""

    def flush(self, seconds: float) -> bool:
        """Return whether everything sent has arrived, waiting so long at most. Raises: OutputError, BrokerError."""

    def close(self) -> None:
        """Give back what is held."""
