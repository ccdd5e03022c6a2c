"""Stores that are damaged in every way: each command says so in one line, and what can be read is saved."""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from support.store.written import SECOND, T0, numbered, seen, thing

from enrich.store.blocks import check_of, to_blob
from enrich.store.evidence_store import EvidenceStore
from enrich.store.verify import problems
from whowas.cli import group
from whowas.errors import WhowasError
from whowas.history.queries import load_history, who

SEEDS = int(os.environ.get("WHOWAS_DAMAGE", "25"))
PAGE = 4096


def watched(first: int, last: int) -> list[Any]:
    looking = [seen("BOOKMARK", thing("", kind, version=900 + last), at) for kind in ("Pod", "Service", "Node")
               for at in (first, last)]  # fmt: skip
    return sorted(looking, key=lambda one: one.received_us or 0)


def later(count: int) -> list[Any]:
    """Pods two hours after the first, made as they come."""
    found = []
    for number in range(count):
        uid, verb = f"later-{number // 3}", ("ADDED", "MODIFIED", "DELETED")[number % 3]
        begun = {"startTime": "2026-11-20T12:00:01Z", "podIP": f"10.0.0.{100 + number // 3}", "phase": "Running"}
        ran = {"restartCount": 0, "state": {"running": {"startedAt": "2026-11-20T12:00:01Z"}}}
        status = begun | {"containerStatuses": [ran]}
        meta = {"creationTimestamp": "2026-11-20T12:00:01Z", "labels": {"step": verb}}
        found.append(seen(verb, thing(uid, version=500 + number, meta=meta, status=status), 7202 + number * 0.01))
    return found


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of a recorder: what is over is packed, the rest stands in rows, a Service and a Node among it."""
    path = tmp_path_factory.mktemp("sound") / "s.db"
    spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}
    with EvidenceStore(path, write=True) as store:
        store.write([seen("ADDED", thing("n1", "Node", spec={"podCIDR": "10.0.0.0/16"}), 0),
                     seen("ADDED", thing("web", "Service", spec=spec), 0)])  # fmt: skip
        store.write([*watched(0, 1), *numbered(300), *watched(6, 7)])
        store.write([*later(240), *watched(7206, 7210)])
        # A Service whose pod joins and leaves, and one pod that a list does not show any more.
        ends = {"kind": "EndpointSlice", "status": None, "meta": {"labels": {"kubernetes.io/service-name": "web"}}}
        for uids in (["later-79"], []):
            targets = [{"targetRef": {"kind": "Pod", "uid": uid}} for uid in uids]
            store.write([seen("MODIFIED", thing("slice", endpoints=targets, **ends), 7207)])
        store.write([seen("ADDED", thing("odd", version=990, ip="10.0.0.250"), 7207)])
        store.write([seen("START", thing(""), 7208), seen("RELISTED", thing("", "Pod", version=999), 7208)])
        assert store.maintain(5.0) > 50
    assert list(problems(str(path))) == []
    return path


def called(*words: str) -> str:
    """Run a command in this process. Returns: what it said wrong; anything but an error of ours escapes."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            group.main(list(words), standalone_mode=False)
        except WhowasError as error:
            return str(error)
        except (SystemExit, click.exceptions.Exit):
            pass
    return ""


def loaded(path: str) -> str:
    """What replay, annotate and stream begin with."""
    try:
        load_history(path)
    except WhowasError as error:
        return str(error)
    return ""


def use_all(path: Path, folder: Path) -> list[str]:
    """Let every command have the store, a copy each for those who write."""
    log, name = folder / "log.jsonl", str(path)
    log.write_text('{"ts": "2026-11-20T10:00:04Z", "ip": "10.0.0.9"}\n')
    shutil.rmtree(folder / "out", ignore_errors=True)
    said = [
        called("history", "verify", name),
        called("history", "info", name),
        called("history", "gaps", name),
        called("history", "export", name, str(folder / "o.zst"), "--existing", "replace"),
        called("history", "export", name, str(folder / "o.parquet"), "--existing", "replace"),
        called("history", "export", name, str(folder / "s.zst"), "--existing", "replace", "--salvage"),
        called("who", "10.0.0.5", "-H", name),
        called("who", "10.0.0.5", "--at", "2026-11-20T10:00:04Z", "-H", name),
        called("who", "shop/pod-3", "-H", name),
        called("who", "deployment/shop/web", "-H", name),
        loaded(name),
    ]
    for words in (("compact",), ("prune", "--keep", "1h"), ("import",)):
        copy = folder / "copy.db"
        shutil.copy(path, copy)
        more = [str(log)] if words == ("import",) else list(words[1:])
        said.append(called("history", words[0], str(copy), *more))
    return said


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 5, 50])):
        data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(200, len(data)) :]


def exchange(data: bytearray, dice: random.Random) -> None:
    pages = len(data) // PAGE
    one, two = (PAGE * dice.randrange(1, pages) for _ in range(2))
    data[one : one + PAGE], data[two : two + PAGE] = data[two : two + PAGE], data[one : one + PAGE]


def blank(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 3])):
        page = PAGE * dice.randrange(1, len(data) // PAGE)
        data[page : page + PAGE] = dice.choice([b"\0", b"\xff"]) * PAGE


PAGES: list[Callable[[bytearray, random.Random], None]] = [flip, cut, exchange, blank]
VALUES: list[Any] = [
    None,
    -1,
    0,
    99,
    1 << 62,
    -(1 << 63),
    1.5,
    "",
    "x",
    "\ud7ff\x1b[31m",
    b"",
    b"\xff\xfe",
    b"{",
    10**11,
]
COLUMNS = {
    "cluster": ("name",), "span": ("cluster", "kind", "gap", "low_us", "high_us", "source"),
    "object": ("cluster", "kind", "uid", "namespace", "name", "owner", "gone_us", "block"),
    "event": ("object", "verb", "received_us", "not_before_us", "version", "source", "body"),
    "block": ("cluster", "objects", "events", "low_us", "high_us", "rules", "checksum", "evidence", "derived"),
    "cursor": ("version", "received_us"), "source": ("name",), "rewritten": ("times",), "identity": ("store",),
}  # fmt: skip


def odd_value(path: Path, dice: random.Random) -> None:
    """Put a value of another kind, or text that is no UTF-8, where the schema would not expect it."""
    table = dice.choice(list(COLUMNS))
    column = dice.choice(COLUMNS[table])
    value, text = dice.choice(VALUES), dice.random() < 0.3
    database = sqlite3.connect(path)
    database.execute("PRAGMA ignore_check_constraints = ON")
    mark = "CAST(x'ff61fe' AS TEXT)" if text else "?"
    with contextlib.suppress(sqlite3.Error):
        database.execute(
            f"UPDATE {table} SET {column} = {mark} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY random() LIMIT 2)"
            if table != "cursor" else f"UPDATE cursor SET {column} = {mark}",
            () if text else (value,),
        )  # fmt: skip
    database.commit()
    database.close()


def odd_block(path: Path, dice: random.Random) -> None:
    """A block whose checksum fits what makes no sense."""
    database = sqlite3.connect(path)
    bad = dice.choice([b"", b"\x28\xb5\x2f\xfd", os.urandom(50), to_blob([]), to_blob([(1, 2)])])  # type: ignore[list-item]
    which = dice.choice(["evidence", "derived", "both"])
    evidence, derived = database.execute("SELECT evidence, derived FROM block").fetchone()
    evidence, derived = (bad if which != "derived" else evidence), (bad if which != "evidence" else derived)
    told = (evidence, derived, check_of(evidence) + check_of(derived))
    database.execute("UPDATE block SET evidence = ?, derived = ?, checksum = ?", told)
    database.commit()
    database.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_command_meets_damage_with_a_traceback(seed: int, sound: Path, tmp_path: Path) -> None:
    dice, path = random.Random(seed), tmp_path / "s.db"
    shutil.copy(sound, path)
    kind = seed % 6
    if kind < 4:
        data = bytearray(path.read_bytes())
        PAGES[kind](data, dice)
        path.write_bytes(data)
    else:
        (odd_value if kind == 4 else odd_block)(path, dice)
    said = use_all(path, tmp_path)
    assert all(one.startswith("cannot ") and "\n" not in one for one in said if one)
    if any("is damaged" in one for one in said[3:11]):
        with contextlib.suppress(WhowasError):
            assert list(problems(str(path))), f"others refuse it, verify finds nothing: {said}"


def test_stores_that_an_attack_left(shared: Path, tmp_path: Path) -> None:
    packed = sorted((shared / "data/attack/08-corrupt-store-tracebacks").glob("*.db.xz"))
    assert packed
    for one in packed:
        path = tmp_path / one.stem
        path.write_bytes(lzma.decompress(one.read_bytes()))
        said = use_all(path, tmp_path)
        assert all(word.startswith("cannot ") for word in said if word), one.name


TIMES = [T0 + int(at * SECOND) for at in (0.5, 2.2, 3.0, 4.1, 5.0, 6.5, 300, 7201, 7203.1, 7204, 7207)]


@pytest.mark.parametrize("seed", range(max(6, SEEDS // 3)))
def test_what_is_salvaged_never_says_more_than_the_whole(seed: int, sound: Path, tmp_path: Path) -> None:
    """Where pages are lost: whoever is named is the one, and nobody is said to have been nobody."""
    dice, path, out = random.Random(seed), tmp_path / "s.db", tmp_path / "saved.zst"
    data = bytearray(sound.read_bytes())
    (blank if seed % 3 else cut)(data, dice)
    path.write_bytes(data)
    if called("history", "export", str(path), str(out), "--salvage"):
        return
    whole, saved = load_history(str(sound)), load_history(str(out))
    for address in [f"10.0.0.{number}" for number in range(0, 180, 3)] + ["10.96.0.1"]:
        for at in TIMES:
            truth, told = who(address, at, history=whole), who(address, at, history=saved)
            if told.confidence in ("exact", "likely", "service", "node"):
                assert told.holder is not None
                assert truth.holder is not None, (address, at, told, truth)
                assert told.holder.uid == truth.holder.uid, (address, at, told, truth)
            assert told.confidence != "none" or truth.confidence in ("none", "unknown"), (address, at, told, truth)


def test_a_sound_store_loses_nothing(sound: Path, tmp_path: Path) -> None:
    for end, more in (("plain", ()), ("saved", ("--salvage",))):
        assert called("history", "export", str(sound), str(tmp_path / end), *more) == ""
    plain, saved = (load_history(str(tmp_path / end)) for end in ("plain", "saved"))
    for address in [f"10.0.0.{number}" for number in range(180)]:
        for at in TIMES:
            one, other = (who(address, at, history=known) for known in (saved, plain))
            assert (one.confidence, one.reason) == (other.confidence, other.reason)
