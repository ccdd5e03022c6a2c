"""Records that a replay refuses: they are on disk before its flows are called written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.flow_logs import goflow2, line

from ingest.packets import PacketOptions
from ingest.records import RecordFiles
from sinks.flows.memory import MemorySink
from whowas.batch.inputs import MixedSource
from whowas.batch.replay import run
from whowas.errors import OutputError


class Unnamed:
    """Gives flows on as they are."""

    def name(self, flows: Any) -> Any:
        return flows


class Steps(MemorySink):
    """Keeps no flow; remembers how it ended, and what stood in the file of refused records then."""

    def __init__(self, letters: Path) -> None:
        super().__init__()
        self.letters = letters
        self.steps: list[str] = []

    def write(self, flows: Any) -> None:
        pass

    def close(self) -> None:
        self.steps.append(self.letters.read_text())

    def abandon(self) -> None:
        self.steps.append("abandoned")


def source_of(folder: Path, letters: str) -> MixedSource:
    log = folder / "log"
    log.write_bytes(line(goflow2()) + b"\n{broken\n")
    return MixedSource([str(log)], PacketOptions(), RecordFiles(dead_letter=letters))


def test_refused_records_are_kept_before_the_sink_is_closed(tmp_path: Path) -> None:
    letters = tmp_path / "refused"
    sink = Steps(letters)
    run(source_of(tmp_path, str(letters)), Unnamed(), sink, lambda _: None)
    (kept,) = map(json.loads, sink.steps)
    assert kept == {"file": str(tmp_path / "log"), "number": 2, "reason": "not_json", "record": "{broken"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full is Linux's")
def test_where_they_cannot_be_kept_no_flow_is_called_written(tmp_path: Path) -> None:
    sink = Steps(tmp_path / "none")
    with pytest.raises(OutputError, match="make room"):
        run(source_of(tmp_path, "/dev/full"), Unnamed(), sink, lambda _: None)
    assert sink.steps == ["abandoned"]
