"""Findings as lines in one file: no line is ever torn, whoever writes, dies, rotates it or fills the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.alerts.jsonl import FindingsJsonl
from sinks.files import append_only
from sinks.files.append_only import AppendedLines
from whowas.errors import OutputError
from whowas.stages import Alert


def alert(number: int, **body: Any) -> Alert:
    return Alert(str(number), "high", None, {"n": number, **body})


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().split("\n") if line]


@pytest.mark.parametrize("torn", [b"", b'{"n": 3', b'{"n": 3}', b"x" * 200_000, b"\xff\x00"])
def test_a_torn_last_line_is_cut_off_at_the_start(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "findings.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n' + torn)
    lines = AppendedLines(path)
    lines.check()
    assert lines.torn == len(torn)
    lines.write([{"n": 4}])
    lines.sync()
    lines.close()
    assert numbers(path) == [1, 2, 4]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 64))
def test_the_end_of_the_last_line_is_found_in_any_blocks(data: bytes, block: int) -> None:
    import tempfile

    with tempfile.TemporaryFile() as handle, pytest.MonkeyPatch.context() as patch:
        patch.setattr(append_only, "BLOCK", block)
        handle.write(data)
        handle.flush()
        assert append_only._end_of_last_line(handle.fileno(), len(data)) == data.rfind(b"\n") + 1


KILLED = textwrap.dedent("""
    import os, sys
    from sinks.alerts.jsonl import FindingsJsonl
    from whowas.stages import Alert
    real, sink, n = os.write, FindingsJsonl(sys.argv[1]), 0
    def write(handle, data):
        if n == 7:
            real(handle, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), 9)
        return real(handle, data)
    os.write = write
    sink.check()
    for n in range(100):
        sink.send([Alert(str(n), "high", None, {"n": n, "pad": "x" * 1000})])
        sink.flush(1)
        print(n, flush=True)
""")


def test_kill_9_in_the_middle_of_a_line_loses_nothing_that_was_flushed(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "findings.jsonl"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    flushed = [int(line) for line in done.stdout.split()]
    assert flushed == list(range(7))
    assert not path.read_bytes().endswith(b"\n"), "it was not killed in the middle of a line"
    sink = FindingsJsonl(path)
    sink.check()
    sink.send([alert(7)])
    assert sink.flush(1)
    sink.close()
    assert numbers(path) == [*flushed, 7]


MANY = textwrap.dedent("""
    import sys
    from sinks.alerts.jsonl import FindingsJsonl
    from whowas.stages import Alert
    sink = FindingsJsonl(sys.argv[1])
    sink.check()
    for n in range(200):
        sink.send([Alert(str(n), "high", None, {"n": n, "who": sys.argv[2], "pad": "x" * 3000})])
    sink.flush(1)
    sink.close()
""")


def test_several_processes_may_write_to_one_file(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "findings.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", MANY, str(path), name], cwd=root) for name in "abc"]
    assert [one.wait() for one in running] == [0, 0, 0]
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((one["who"], one["n"]) for one in told) == [(name, n) for name in "abc" for n in range(200)]


def test_a_rotated_file_is_begun_anew(tmp_path: Path) -> None:
    path, old = tmp_path / "findings.jsonl", tmp_path / "findings.jsonl.1"
    sink = FindingsJsonl(path)
    sink.check()
    sink.send([alert(1)])
    path.rename(old)
    sink.send([alert(2)])
    assert sink.flush(1)
    assert (numbers(old), numbers(path)) == ([1], [2])
    path.write_text("")
    sink.send([alert(3)])
    sink.close()
    assert numbers(path) == [3]


def test_a_full_disk_leaves_whole_lines_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "findings.jsonl"
    sink = FindingsJsonl(path)
    sink.check()
    sink.send([alert(1)])
    room = [5]
    real = os.write

    def write(handle: int, data: Any) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        done = real(handle, bytes(data)[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(append_only.os, "write", write)
    with pytest.raises(OutputError, match="No space left on device; free space"):
        sink.send([alert(2), alert(3)])
    monkeypatch.undo()
    assert numbers(path) == [1]
    sink.send([alert(2), alert(3)])
    assert sink.flush(1)
    assert numbers(path) == [1, 2, 3]


def test_a_disk_that_fails_to_sync_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel may have dropped what it held: nothing counts, all is written again."""
    sink = FindingsJsonl(tmp_path / "findings.jsonl")
    sink.send([alert(1)])

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(append_only.os, "fsync", broken)
    with pytest.raises(OutputError, match="Input/output error"):
        sink.flush(1)


def test_a_folder_or_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        FindingsJsonl(tmp_path).check()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        FindingsJsonl(tmp_path / "file" / "below").check()
