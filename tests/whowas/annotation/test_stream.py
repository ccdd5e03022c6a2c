"""In a pipe a line comes out before the next one goes in; a store that is being written is followed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from support.annotating import AT, WEB
from support.cluster_story import Story, live, stamp, us

from enrich import NamingOptions
from enrich.history.stored import StoredHistory
from enrich.store.evidence_store import EvidenceStore
from ingest.cluster import EvidenceReport, read_observations
from whowas.annotation import namer
from whowas.annotation.annotator import Annotator, Tally
from whowas.annotation.namer import BatchNamer
from whowas.annotation.times import Clock
from whowas.annotation.when import When
from whowas.errors import StoreBusyError

HISTORY = "samples/overlay/history.jsonl.gz"
# Longer than compiling kernels on a slow machine takes.
PATIENCE = 120.0
JSON = b'{"src_ip":"10.244.1.20","dest_ip":"10.96.0.10","timestamp":"%s","n":%%d}\n' % AT.encode()
CSV = b"src_ip,timestamp,n\n", b"10.244.1.20,%s,%%d\n" % AT.encode()
ACCESS = b'10.244.1.20 - - [21/Nov/2026:08:39:36 +0000] "GET /%d HTTP/1.1" 200 1\n'
CEF = b"CEF:0|a|b|1|%d|c|1|rt=1795250376000 src=10.244.1.20\n"
ZEEK = b"#fields\tts\tid.orig_h\tn\n#types\ttime\taddr\tcount\n", b"1795250376.5\t10.244.1.20\t%d\n"


def read_line(stream: IO[bytes]) -> bytes:
    """A line, or a failure: nothing may wait for more input."""
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([stream], [], [], PATIENCE)[0], f"nothing came out after {line!r}"
        line += os.read(stream.fileno(), 1)
    return line


@pytest.fixture
def running(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "whowas", "annotate", "-", "-H", HISTORY, "--quiet"]
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(("head", "line"), [(b"", JSON), CSV, ZEEK, (b"", ACCESS), (b"", CEF)])
def test_a_line_comes_out_before_the_next_goes_in(running: subprocess.Popen[bytes], head: bytes, line: bytes) -> None:
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(head)
    running.stdin.flush()
    for _ in range(head.count(b"\n")):
        assert read_line(running.stdout).endswith((b"_whowas_candidates\n", b"\tstring\n"))
    for number in range(20):
        running.stdin.write(line % number)
        running.stdin.flush()
        told = read_line(running.stdout)
        assert WEB.encode() in told
        assert str(number).encode() in told
    running.stdin.close()
    assert running.wait(PATIENCE) == 0


def test_half_a_line_waits_for_its_other_half(running: subprocess.Popen[bytes]) -> None:
    assert running.stdin is not None
    assert running.stdout is not None
    line = JSON % 1
    for piece in (line, line[:30]):
        running.stdin.write(piece)
        running.stdin.flush()
    read_line(running.stdout)
    running.stdin.write(line[30:])
    running.stdin.flush()
    assert json.loads(read_line(running.stdout))["src_ip_whowas"]["pod"] == WEB


def write(path: Path, story: Story) -> None:
    """Add what a story tells to a store, as a recorder does."""
    evidence = path.with_suffix(".jsonl")
    evidence.write_text("".join(f"{line}\n" for line in story.told))
    with EvidenceStore(path, write=True) as store:
        assert not store.write(list(read_observations([str(evidence)], None, EvidenceReport()))).refused


def began(path: Path) -> None:
    story = Story().bookmark(-60)
    live(story, "first", "10.244.1.9", 0)
    write(path, story.bookmark(10))


def ask(asker: BatchNamer, seconds: float, ip: str = "10.244.1.9") -> str:
    beside = Annotator(asker, Clock(), Tally())
    named = beside.name([[ip]], When.always(1, us(seconds)))
    assert named.answers is not None
    (answer,) = named.answers.words(named.answers.keys)
    return f"{answer['confidence']} {answer['pod'] or ''}".strip()


def test_a_store_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namer, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(namer, "SHARE", 1e9)
    began(tmp_path / "store")
    asker = BatchNamer(StoredHistory(tmp_path / "store"), NamingOptions())
    assert ask(asker, 100) == "unknown"
    assert ask(asker, 100, "10.244.1.10") == "unknown"
    story = live_later("second", "10.244.1.10", 90)
    write(tmp_path / "store", story.bookmark(200))
    assert ask(asker, 100, "10.244.1.10") == "exact second"
    assert ask(asker, 100, "10.244.1.11") == "none"


def live_later(name: str, ip: str, when: float) -> Story:
    story = Story()
    story.version = 2000
    live(story, name, ip, when)
    return story


def test_a_store_that_is_busy_keeps_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namer, "EVERY_SECONDS", 0.0)
    began(tmp_path / "store")
    stored = StoredHistory(tmp_path / "store")

    def busy() -> bool:
        raise StoreBusyError("somebody else writes")

    monkeypatch.setattr(stored, "refresh", busy)
    asker = BatchNamer(stored, NamingOptions())
    assert ask(asker, 100) == "unknown"
    assert ask(asker, 5, "10.244.1.9") in ("likely first", "exact first")


def test_lines_wait_until_their_time_is_known_and_no_longer_than_told(tmp_path: Path) -> None:
    began(tmp_path / "store")
    stored = StoredHistory(tmp_path / "store")
    looked = []

    class Recorder:
        """Writes what comes next, each time somebody looks."""

        @property
        def history(self) -> object:
            return stored.history

        def refresh(self) -> bool:
            looked.append(len(looked))
            if len(looked) == 2:
                write(tmp_path / "store", live_later("second", "10.244.1.10", 90).bookmark(110))
            if len(looked) == 4:
                story = Story()
                story.version = 3000
                write(tmp_path / "store", story.bookmark(140))
            return stored.refresh()

    asker = BatchNamer(Recorder(), NamingOptions(), wait_seconds=PATIENCE)  # type: ignore[arg-type]
    assert ask(asker, 100, "10.244.1.10") == "exact second"
    # At 110 the history had passed the line's time, but what happened then could still be unreported.
    assert len(looked) == 4
    brief = BatchNamer(StoredHistory(tmp_path / "store"), NamingOptions(), wait_seconds=0.5)
    assert ask(brief, 5000, "10.244.1.10") == "unknown"


def test_the_command_follows_a_store(root: Path, tmp_path: Path) -> None:
    began(tmp_path / "store")
    words = [
        sys.executable,
        "-m",
        "whowas",
        "annotate",
        "-",
        "-H",
        str(tmp_path / "store"),
        "--wait",
        str(PATIENCE),
        "-q",
    ]
    env = {**os.environ, "PYTHONPATH": str(root)}
    line = '{"ip":"10.244.1.%d","time":"%s"}\n'
    with subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, name, born in ((10, "second", 90), (11, "third", 290)):
            process.stdin.write((line % (number, stamp(born + 10))).encode())
            process.stdin.flush()
            story = live_later(name, f"10.244.1.{number}", born)
            story.version += born
            write(tmp_path / "store", story.bookmark(born + 100))
            assert json.loads(read_line(process.stdout))["ip_whowas"]["pod"] == name
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
