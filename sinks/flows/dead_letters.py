"""Keeps records that could not be read, with reason and place."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sinks.files.durable import durable
from whowas.kafka import Partition


class Letter(NamedTuple):
    """A record that gave no flow, as it came."""

    partition: Partition
    offset: int
    reason: str
    value: bytes

    def place(self) -> dict[str, str | int]:
        """Where it was and why it was refused, for JSON."""
        return {
            "topic": self.partition.topic,
            "partition": self.partition.number,
            "offset": self.offset,
            "reason": self.reason,
        }


class DeadLetterFiles:
    """A folder of `topic-partition-first-last.jsonl`. After a crash letters may stand in two files, never in none."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def check(self) -> None:
        """Refuse what could not be written later. Raises: OutputError."""
        probe = self._folder / "probe"
        with durable(probe):
            pass
        probe.unlink()

    def write(self, letters: Sequence[Letter]) -> None:
        """Write letters of one partition as one file; durable on return. Raises: OutputError."""
        (topic, number), first, last = letters[0].partition, letters[0].offset, letters[-1].offset
        with durable(self._folder / f"{topic}-{number}-{first:019d}-{last:019d}.jsonl") as handle:
            for one in letters:
                told = {**one.place(), "value_base64": base64.b64encode(one.value).decode()}
                handle.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
