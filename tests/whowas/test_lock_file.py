"""Lock files: never two at once, and nothing that merely stands under a lock's name is written to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sinks.flows.parquet import ParquetSink
from whowas.errors import OutputError, StoreError
from whowas.lock_file import LockTaken, NoLockFile, take_lock
from whowas.sqlite_file import FileKind

# Takes the lock again and again; whoever finds that another is inside says so.
CONTENDER = """
import os, sys
from whowas.lock_file import LockTaken, take_lock
lock, inside = sys.argv[1], sys.argv[1] + ".inside"
held = 0
while held < 150:
    try:
        handle = take_lock(lock)
    except LockTaken:
        continue
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    os.unlink(inside)
    if held % 3 == 0:
        # As earlier versions do as they let go. After it another may be in: a new file of that name is nobody's.
        os.unlink(lock)
    os.close(handle)
    held += 1
"""


def test_never_two_at_once_even_where_the_file_is_removed(tmp_path: Path, root: Path) -> None:
    words = [sys.executable, "-c", CONTENDER, str(tmp_path / "lock")]
    running = [subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for one in running:
        assert one.communicate(timeout=120)[1] == ""
        assert one.returncode == 0


def test_several_share_it_and_none_is_alone_meanwhile(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, second = take_lock(lock, shared=True), take_lock(lock, shared=True)
    with pytest.raises(LockTaken):
        take_lock(lock)
    os.close(first)
    os.close(second)
    alone = take_lock(lock)
    with pytest.raises(LockTaken, match=str(os.getpid())):
        take_lock(lock, shared=True)
    os.close(alone)


@pytest.mark.parametrize("kind", ["link", "dangling link", "words", "pipe", "folder"])
def test_what_is_no_lock_is_refused_and_left(kind: str, tmp_path: Path) -> None:
    precious, lock = tmp_path / "precious", tmp_path / "s.db.lock"
    precious.write_text("what matters")
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "dangling link":
        lock.symlink_to(tmp_path / "none")
    elif kind == "pipe":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    else:
        lock.write_text("12 apples")
    with pytest.raises(OSError) as why:
        take_lock(lock)
    assert isinstance(why.value, NoLockFile) is (kind != "folder")
    assert precious.read_text() == "what matters"
    assert not (tmp_path / "none").exists()
    assert kind != "words" or lock.read_text() == "12 apples"


def test_a_store_and_a_folder_say_whose_lock_is_none(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("what matters")
    (tmp_path / "s.db.lock").symlink_to(precious)
    kind = FileKind("history", 1, {}, "NORMAL", "", "", "")
    with pytest.raises(StoreError, match=r"s\.db\.lock' is a link, and is not written to; move that away"):
        kind.lock(str(tmp_path / "s.db"), "write")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".whowas.lock").symlink_to(precious)
    with pytest.raises(OutputError, match=r"\.whowas\.lock' is a link"):
        ParquetSink(tmp_path / "out", "aa").check()
    assert precious.read_text() == "what matters"
