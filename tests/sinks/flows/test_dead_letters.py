"""Refused records of files, kept aside: a line of each, what is no text, what is too long, what cannot be written."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from sinks.flows.dead_letters import MOST, DeadLetterFile
from whowas.errors import OutputError


def test_each_record_is_a_line_with_its_place_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    letters = DeadLetterFile(str(path))
    for number, record in enumerate((b'{"a": "\xc3\xa9', b"\xff\n", b"x" * (MOST + 1)), 1):
        letters.write("a.log", number, "not_json", record)
    letters.close()
    text, octets, cut = map(json.loads, path.read_text().splitlines())
    assert text == {"file": "a.log", "number": 1, "reason": "not_json", "record": '{"a": "é'}
    assert base64.b64decode(octets.pop("record_base64")) == b"\xff\n"
    assert octets == {"file": "a.log", "number": 2, "reason": "not_json"}
    assert (cut["cut_from_bytes"], len(cut["record"])) == (MOST + 1, MOST)


def test_the_file_is_made_with_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    letters = DeadLetterFile(str(path))
    assert not path.exists()
    letters.close()
    assert not path.exists()
    path.write_text("of before\n")
    DeadLetterFile(str(path)).close()
    assert path.read_text() == "of before\n"


def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no/refused': No such file.*check the path"):
        DeadLetterFile(str(tmp_path / "no" / "refused"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full is Linux's")
def test_a_full_disk_is_said_on_closing() -> None:
    letters = DeadLetterFile("/dev/full")
    letters.write("a.log", 1, "empty", b"")
    with pytest.raises(OutputError, match="No space left on device; make room"):
        letters.close()
