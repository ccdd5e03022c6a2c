"""What was derived once and kept answers as the derivation does, to the byte, or is refused and derived again."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.store.pieces import pieces
from support.store.streams import fresh_view, mixed, recording, view

from enrich.history import sealed
from enrich.history.history import ClusterHistory, History
from enrich.history.stored import StoredHistory
from enrich.store import kept_beside
from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from enrich.store.prune import forget
from whowas import kernels
from whowas.addresses import spelled
from whowas.history.queries import load_about, who
from whowas.history.questions import read_question

SEEDS = range(int(os.environ.get("WHOWAS_STORE_EXAMPLES", "3")))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own; compiled kernels stay where they are."""
    kernels.needs_compiling()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Nobody waits for the clock of the file system: what a store's numbers tell must be enough.
    monkeypatch.setattr(sealed, "TICK_NS", 0)
    return tmp_path / "cache" / "whowas" / "histories"


def filled(path: Path, seed: int) -> list[Any]:
    """Make a store of two clusters, some of it packed away. Returns: what was not written yet."""
    dice = random.Random(seed)
    every = list(pieces(mixed(recording(seed, "one"), recording(seed + 1, "two")), dice))
    with EvidenceStore(path, write=True) as store:
        for piece in every[:-3]:
            store.write(piece)
            if dice.random() < 0.1:
                pack(store.database, settled_us=0)
    return every[-3:]


def load(path: Path) -> sealed.Stored:
    return sealed.load(str(path), least=0, quiet_ns=0)


def derived(path: Path) -> History:
    stored = StoredHistory(path)
    stored.close()
    return stored.history


def columns(known: ClusterHistory) -> dict[str, Any]:
    """Every array and every plain value of a cluster, as bytes or as it is."""
    found: dict[str, Any] = {}
    for one in fields(known):
        value = getattr(known, one.name)
        if isinstance(value, np.ndarray):
            found[one.name] = (value.dtype, value.shape, value.tobytes())
        elif one.name not in ("entities", "states", "holds", "index"):
            found[one.name] = value
    for name, value in known.index._asdict().items():
        found[f"index {name}"] = (value.dtype, value.shape, value.tobytes())
    states = known.states
    lines: list[Any] = [*states.own, states.homes, *states.zones.lines]
    for number, value in enumerate(lines):
        found[f"states {number}"] = (value.dtype, value.tobytes())
    found["zones"] = states.zones.words
    found["entities"] = list(known.entities)
    found["holds"] = list(known.holds)
    found["versions"] = [states.versions[row] for row in range(len(states.versions.since))]
    return found


def asked(known: ClusterHistory, seed: int) -> list[bytes]:
    """Answers at and around every edge of every hold, and at random moments of random addresses."""
    if not len(known.holds):
        return []
    dice = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(known.first) - 1), np.diff(known.first))
    edges = np.clip(known.bounds, -(1 << 60), 1 << 60)
    times = np.concatenate([edges.ravel() + step for step in (-1, 0, 1)])
    addresses = np.tile(np.repeat(known.octets()[rows], 4, axis=0), (3, 1))
    strange = dice.integers(0, 256, (100, 16)).astype(np.uint8)
    addresses = np.concatenate([addresses, strange])
    times = np.append(times, dice.integers(0, 1 << 60, 100))
    found = known.lookup(addresses, times)
    states = known.states_of(found.holds, times)
    return [found.holds.tobytes(), found.counts.tobytes(), states.tobytes()]


def test_one_question_is_answered_by_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    assert sealed.kept(str(path)) is None
    known = derived(path).clusters["one"]
    words = dict.fromkeys(spelled(one.ip) for one in known.holds)
    told = [who(word, cluster="one", history=str(path)) for word in words]
    load(path)
    assert [who(word, cluster="one", history=str(path)) for word in words] == told
    assert len(load_about(read_question(next(iter(words))), str(path)).clusters["one"].holds) == len(known.holds)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_kept_is_what_is_derived(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store"
    filled(path, seed)
    first, again = load(path), load(path)
    assert (first.mapped, again.mapped) == (False, True)
    assert again.counts == first.counts
    truth = derived(path)
    assert list(again.history.clusters) == list(truth.clusters) != []
    for name, known in truth.clusters.items():
        kept = again.history.clusters[name]
        assert len(known.holds) > 20
        assert columns(kept) == columns(known)
        assert asked(kept, seed) == asked(known, seed)
        assert kept.untold.spans == known.untold.spans


def test_whatever_is_written_makes_it_stale(tmp_path: Path) -> None:
    path = tmp_path / "store"
    further = filled(path, 5)
    load(path)
    with EvidenceStore(path, write=True) as store:
        for piece in further:
            store.write(piece)
            assert not load(path).mapped
            assert load(path).mapped
        last = further[-1][-1].received_us or 0
        changes: list[Callable[[], int]] = [
            lambda: pack(store.database, settled_us=0),
            lambda: forget(store, last),
        ]
        for change in changes:
            change()
            told = load(path)
            assert not told.mapped
            assert view(told.history) == fresh_view(path)


def test_another_store_in_its_place_is_another(tmp_path: Path) -> None:
    path, other = tmp_path / "store", tmp_path / "other"
    filled(path, 5)
    load(path)
    filled(other, 6)
    os.replace(other, path)
    told = load(path)
    assert not told.mapped
    assert view(told.history) == fresh_view(path)


def test_other_rules_derive_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    load(path)
    monkeypatch.setattr(sealed, "rules", lambda: b"newer")
    assert not load(path).mapped
    assert load(path).mapped


def only(cache: Path) -> Path:
    """The one file that was kept."""
    (found,) = cache.iterdir()
    return found


def test_no_flipped_bit_is_believed(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    load(path)
    truth, whole = {name: columns(one) for name, one in derived(path).clusters.items()}, only(cache).read_bytes()
    dice = random.Random(5)
    refused = 0
    for place in [*range(0, 64, 4), *(dice.randrange(len(whole)) for _ in range(20))]:
        broken = bytearray(whole)
        broken[place] ^= 1 << dice.randrange(8)
        only(cache).write_bytes(broken)
        told = load(path)
        refused += not told.mapped
        # What lies between two arrays is nobody's.
        assert {name: columns(one) for name, one in told.history.clusters.items()} == truth
    assert refused > 20


@pytest.mark.parametrize("left", [0, 1, 15, 60, 4_000, -1, -70, -9_000])
def test_what_is_cut_is_derived_again(left: int, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    load(path)
    place = only(cache)
    whole = place.read_bytes()
    place.write_bytes(whole[:left])
    told = load(path)
    assert view(told.history) == fresh_view(path)
    assert not told.mapped or whole[left:] == bytes(-left)
    assert load(path).mapped


def test_what_somebody_else_could_have_written_is_not_looked_at(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    load(path)
    only(cache).chmod(0o666)
    assert not load(path).mapped
    kept = only(cache)
    away = tmp_path / "away"
    kept.rename(away)
    kept.symlink_to(away)
    assert not load(path).mapped
    assert away.exists()
    cache.chmod(0o777)
    assert not load(path).mapped
    cache.chmod(0o700)
    assert load(path).mapped
    if os.geteuid() == 0:
        os.chown(only(cache), 1234, 1234)
        assert not load(path).mapped


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert view(load(path).history) == fresh_view(path)
    assert not load(path).mapped


def test_of_a_store_that_is_written_to_or_small_nothing_is_kept(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "store"
    filled(path, 5)
    sealed.load(str(path), least=0)
    sealed.load(str(path), least=1_000_000, quiet_ns=0)
    assert list(cache.iterdir()) == []
    assert sealed.seal(str(path), least=0)
    with EvidenceStore(path, write=True) as store:
        forget(store, 0)
    assert list(cache.iterdir()) == []


def test_old_files_make_room(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_beside, "FILES_MOST", 2)
    for number in range(4):
        path = tmp_path / f"store{number}"
        filled(path, number)
        load(path)
        for age, one in enumerate(sorted(cache.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)):
            os.utime(one, ns=(0, one.stat().st_mtime_ns - age * 1_000_000_000))
    assert len(list(cache.iterdir())) == 2
    assert load(tmp_path / "store3").mapped
    assert load(tmp_path / "store2").mapped
    ancient = cache / ".begun-and-never-ended"
    ancient.write_bytes(b"")
    os.utime(ancient, (0, 0))
    filled(tmp_path / "store4", 4)
    load(tmp_path / "store4")
    assert not ancient.exists()


def test_many_that_load_beside_one_that_writes_are_never_wrong(tmp_path: Path) -> None:
    path = tmp_path / "store"
    further = filled(path, 5)
    trouble: list[str] = []
    mapped = 0
    done = threading.Event()

    def reading() -> None:
        nonlocal mapped
        while not done.is_set():
            before = fresh_view(path)
            told = load(path)
            mapped += told.mapped
            after = fresh_view(path)
            if before == after and view(told.history) != after:
                trouble.append("another history")

    threads = [threading.Thread(target=reading) for _ in range(3)]
    for one in threads:
        one.start()
    with EvidenceStore(path, write=True) as store:
        for piece in further:
            for observation in piece:
                store.write([observation])
            pack(store.database, settled_us=0)
            done.wait(0.2)
    while not mapped and not trouble:
        done.wait(0.05)
    done.set()
    for one in threads:
        one.join()
    assert not trouble
    assert mapped
    assert view(load(path).history) == fresh_view(path)
