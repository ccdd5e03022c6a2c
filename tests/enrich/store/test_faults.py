"""What a disk, a lock, a stranger or a flipped bit does to a store: said in words, nothing lost, and it goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.store.versions import versions
from support.store.written import T0, numbered, seen, thing

from enrich.history.stored import StoredHistory
from enrich.store.database import HISTORY
from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from enrich.store.prune import compact, prune
from enrich.store.verify import problems
from whowas.errors import StoreBusyError, StoreError
from whowas.history.import_export import export_slice


def mounted(folder: Path, *words: str) -> Iterator[Path]:
    """A mount that goes with the test; skips where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no rights to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    yield from mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=1m", "tmpfs")


def fill_up(ballast: Path) -> None:
    """Leave no room for a page."""
    with ballast.open("wb") as handle:
        while True:
            handle.write(b"x" * 4096)
            handle.flush()


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A store with a block, and with rows."""
    path = tmp_path / "store"
    with EvidenceStore(path, write=True) as store:
        store.write(numbered(300))
        pack(store.database, settled_us=0)
        store.write(numbered(20, 300))
    return path


def test_a_full_disk_loses_nothing_and_doubles_nothing(small: Path) -> None:
    path = small / "store"
    with EvidenceStore(path, write=True) as store:
        store.write(numbered(9))
        ballast = small / "ballast"
        with pytest.raises(OSError, match="No space"):
            fill_up(ballast)
        full, number = None, 9
        while full is None and number < 10_000:
            try:
                number += 50 if store.write(numbered(50, number)) else 0
            except StoreBusyError as error:
                full = error
        assert full is not None
        assert full.passing
        assert str(full) == f"cannot write history '{path}': the disk is full; make room, nothing is lost meanwhile"
        assert versions(path) == list(range(1, number + 1))
        with pytest.raises(StoreBusyError, match="the disk is full"):
            store.write(numbered(50, number))
        ballast.unlink()
        store.write(numbered(50, number))
        assert versions(path) == list(range(1, number + 51))
    assert list(problems(str(path))) == []


def test_a_disk_full_from_the_start_is_no_damage(small: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        fill_up(small / "ballast")
    with pytest.raises(StoreBusyError, match="the disk is full"):
        EvidenceStore(small / "store", write=True)
    (small / "ballast").unlink()
    with EvidenceStore(small / "store", write=True) as store:
        assert store.write(numbered(3)).events == 3


def test_an_export_to_a_full_disk_leaves_nothing(small: Path, packed: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        fill_up(small / "ballast")
    with pytest.raises(StoreError.__mro__[1], match="No space left"):
        export_slice(str(packed), str(small / "slice.zst"))
    assert os.listdir(small) == ["ballast"]


def test_locked_for_a_while_it_is_tried_again(packed: Path) -> None:
    with EvidenceStore(packed, write=True) as store:
        store.database.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(packed, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError) as told:
            store.write(numbered(30, 320))
        words = "another program holds it locked; it is tried again"
        assert str(told.value) == f"cannot write history '{packed}': {words}"
        with pytest.raises(StoreBusyError):
            pack(store.database, settled_us=0) if store.maintain() else store.write(numbered(1, 320))
        with pytest.raises(StoreBusyError):
            store.imports.begin({"a": "b"})
        other.execute("COMMIT")
        other.close()
        store.write(numbered(30, 320))
    assert versions(packed) == list(range(1, 351))


def test_after_a_failed_write_the_writer_knows_what_the_file_knows(packed: Path) -> None:
    members = {"kind": "EndpointSlice", "status": None}
    ends = {"endpoints": [{"targetRef": {"kind": "Pod", "uid": "pod-106"}}]}
    label = {"meta": {"labels": {"kubernetes.io/service-name": "web"}}}
    piece = [*numbered(30, 320), seen("ADDED", thing("slice", **members, **ends, **label), 9)]
    clock = seen("CLOCK", thing("lease", "Lease", name="n1", spec={"renewTime": "2026-11-20T10:09:00Z"}), 2, "other")
    with EvidenceStore(packed, write=True) as store:
        store.database.execute("PRAGMA busy_timeout = 1")
        store.database.execute(
            "CREATE TEMP TRIGGER breaks BEFORE INSERT ON main.event BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(StoreError):
            store.write([clock, *piece])
        store.database.execute("DROP TRIGGER breaks")
        before = store.database.execute("SELECT count(*) FROM event").fetchone()[0]
        first = store.write(piece)
        # The other cluster of the piece that failed is not spoken of again.
        assert first.events == 31
        assert store.database.execute("SELECT count(*) FROM event").fetchone()[0] == before + 31
        assert store.write([seen("ADDED", thing("slice", **members, **ends, **label), 9)]).events == 0
    assert list(problems(str(packed))) == []


def test_one_writes_and_the_other_is_told_who(packed: Path) -> None:
    alias = packed.with_name("alias")
    alias.symlink_to(packed)
    with EvidenceStore(packed, write=True):
        for path in (packed, alias):
            with pytest.raises(StoreError) as told:
                EvidenceStore(path, write=True)
            assert str(told.value) == (
                f"cannot write history '{path}': process {os.getpid()} is writing to it; stop that one, "
                "or give this one a file of its own"
            )
            assert not told.value.passing  # type: ignore[attr-defined]
        StoredHistory(packed).close()
    EvidenceStore(packed, write=True).close()


def read_only(tmp_path: Path, what: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    for place in mounted(folder, "--bind", str(what)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield place


def test_where_nothing_can_be_written_it_is_read_and_not_written(tmp_path: Path, packed: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    shutil.copy(packed, inside / "store")
    for place in read_only(tmp_path, inside):
        following = StoredHistory(place / "store")
        assert not following.refresh()
        assert len(following.history.clusters["c"].entities) == 107
        assert list(problems(str(place / "store"))) == []
        with pytest.raises(StoreError, match="Read-only file system; give a file in a folder you can write to"):
            EvidenceStore(place / "store", write=True)
        with pytest.raises(StoreError, match="Read-only file system"):
            EvidenceStore(place / "new", write=True)
    assert os.listdir(inside) == ["store"]


def test_a_log_that_cannot_be_read_there_is_not_passed_over(tmp_path: Path, packed: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with EvidenceStore(packed, write=True) as store:
        store.write(numbered(10, 320))
        for tail in ("", "-wal"):
            shutil.copy(f"{packed}{tail}", inside / f"store{tail}")
    for place in read_only(tmp_path, inside):
        with pytest.raises(StoreError, match="check the rights on the file and its folder"):
            StoredHistory(place / "store")


@pytest.mark.parametrize("write", [False, True])
def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path, write: bool) -> None:
    text, foreign, newer = tmp_path / "text", tmp_path / "foreign", tmp_path / "newer"
    text.write_text("no database\n" * 100)
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE mine(a)")
    with sqlite3.connect(newer) as database:
        database.executescript(
            f"CREATE TABLE t(a); PRAGMA application_id = {HISTORY.application}; PRAGMA user_version = 9"
        )
    before = [path.read_bytes() for path in (text, foreign, newer)]
    said = {
        text: "it is no store; import it with 'whowas history import STORE {}'",
        foreign: "it is a database, but no history of whowas; give another file",
        newer: f"it has version 9, this whowas knows up to {HISTORY.newest}; update whowas",
        tmp_path: "it is a folder; give the file in it",
    }
    for path, words in said.items():
        with pytest.raises(StoreError) as told:
            EvidenceStore(path, write=write)
        assert str(told.value) == f"cannot open history '{path}': {words.format(path)}"
    assert [path.read_bytes() for path in (text, foreign, newer)] == before


def test_what_is_not_there_is_not_made_by_looking_after_it(tmp_path: Path) -> None:
    for work in (compact, lambda path: prune(path, T0), StoredHistory):
        with pytest.raises(StoreError, match="no such file; record one with 'whowas watch --history"):
            work(str(tmp_path / "none"))
    assert os.listdir(tmp_path) == []
    (tmp_path / "empty").touch()
    with pytest.raises(StoreError, match="nothing was written to it yet"):
        StoredHistory(tmp_path / "empty")


def test_a_flipped_bit_in_a_block_is_named_and_never_read_as_true(packed: Path) -> None:
    database = sqlite3.connect(packed)
    for column, use in (("derived", StoredHistory), ("evidence", lambda path: export_slice(str(path), f"{path}.zst"))):
        blob = bytearray(database.execute(f"SELECT {column} FROM block").fetchone()[0])
        whole = bytes(blob)
        blob[len(blob) // 2] ^= 4
        database.execute(f"UPDATE block SET {column} = ?", (bytes(blob),))
        database.commit()
        assert list(problems(str(packed))) == ["block 1: its checksum does not fit"]
        with pytest.raises(
            StoreError,
            match=r"block 1 of the history: it is damaged \(its checksum does not fit\); 'whowas",
        ):
            use(packed)
        database.execute(f"UPDATE block SET {column} = ?", (whole,))
        database.commit()
    database.close()
    assert list(problems(str(packed))) == []


@pytest.mark.parametrize("damage", ["cut", "page", "head"])
def test_a_damaged_file_is_said_to_be_damaged(packed: Path, damage: str) -> None:
    with EvidenceStore(packed, write=True) as store:
        store.write([seen("ADDED", thing(f"filler-{number}"), 10) for number in range(400)])
    data = bytearray(packed.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "page":
        for page in range(3, len(data) // 4096):
            data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    else:
        data[100:4096] = b"\xff" * 3996
    packed.write_bytes(data)
    for use in (lambda: StoredHistory(packed), lambda: EvidenceStore(packed, write=True).write(numbered(30))):
        with pytest.raises(StoreError) as told:
            use()
        assert "the file is damaged (" in str(told.value)
        assert f"; 'whowas history export {packed} OUT --salvage' saves what can be read" in str(told.value)
    if damage != "head":
        assert next(problems(str(packed))).startswith("the database: ")
