"""However evidence comes into a store and out of it, the history is the one that all of it means."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store.pieces import pieces
from support.store.streams import entities_of, fresh_view, holds_of, merged, mixed, read, recording, view

from bench.churn.times import SECOND, START
from enrich.history.history import derive
from enrich.history.stored import StoredHistory, history_of_address, history_of_name
from enrich.naming.networks import plain
from enrich.naming.who import who_at
from enrich.store.evidence_store import EvidenceStore
from enrich.store.packing import pack
from enrich.store.prune import forget
from enrich.store.verify import problems
from whowas.addresses import address16
from whowas.history.import_export import MARGIN, export_slice, import_files
from whowas.observation import Observation

SEEDS = st.integers(0, 1 << 20)
# `make soak` asks for many more.
FEW = settings(max_examples=int(os.environ.get("WHOWAS_STORE_EXAMPLES", "4")), deadline=None)


def fill(path: Path, told: list[Observation], seed: int) -> None:
    """Write in random transactions, by several writers one after the other, and pack in between."""
    dice = random.Random(seed)
    listing: set[Any] = set()
    store = EvidenceStore(path, write=True)
    for piece in pieces(told, dice):
        assert not store.write(piece).refused
        for one in piece:
            key = (one.cluster, one.object.kind)
            listing = listing | {key} if one.verb == "LISTED" else listing - {key}
        if dice.random() < 0.1:
            pack(store.database, settled_us=dice.choice([0, 10 * SECOND]))
        # Who comes back in the middle of a list lists again.
        if not listing and dice.random() < 0.2:
            store.close()
            store = EvidenceStore(path, write=True)
    store.close()


@given(SEEDS)
@FEW
def test_a_store_says_what_its_evidence_means(seed: int) -> None:
    one, two = recording(seed, "one"), recording(seed + 1, "two")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        fill(path, mixed(one, two), seed)
        assert fresh_view(path) == merged(one.history(), two.history())
        assert list(problems(str(path))) == []


@given(SEEDS)
@FEW
def test_a_reader_that_follows_knows_what_a_new_one_knows(seed: int) -> None:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        with EvidenceStore(path, write=True) as store:
            following = StoredHistory(path)
            for piece in pieces(mixed(recording(seed, "one"), recording(seed + 1, "two")), dice):
                store.write(piece)
                step = dice.random()
                if step < 0.1:
                    pack(store.database, settled_us=dice.choice([0, 10 * SECOND]))
                elif step < 0.13:
                    forget(store, (piece[-1].received_us or START) - dice.choice([0, 5, 3600]) * SECOND)
                if dice.random() < 0.15:
                    following.refresh()
                if dice.random() < 0.1:
                    following.refresh()
                    assert view(following.history) == fresh_view(path)
            following.refresh()
            assert view(following.history) == fresh_view(path)
            assert not following.refresh()
            following.close()


@given(SEEDS)
@FEW
def test_one_address_or_one_name_is_answered_as_by_the_whole(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        fill(path, mixed(recording(seed, "one"), recording(seed + 1, "two")), seed)
        stored = StoredHistory(path)
        stored.close()
        some = next(iter(stored.history.clusters.values()))
        for row in (0, len(some.holds) // 3, len(some.holds) // 2):
            ip = str(plain(some.holds[row].ip))
            part = history_of_address(str(path), ip)
            for name, known in stored.history.clusters.items():
                assert holds_of(part.clusters[name], address16(ip)) == holds_of(known, address16(ip))
                told = entities_of(known)
                assert all(told[uid] == one for uid, one in entities_of(part.clusters[name]).items())
        begins = next(one.full_name() for one in some.entities if one.workload_kind == "Deployment")[:-5]
        part = history_of_name(str(path), begins)
        assert part is not None
        for name, known in stored.history.clusters.items():
            wanted = {one.uid for one in known.entities if one.full_name().startswith(begins)}
            both = [[one for one in holds_of(of) if one[2] in wanted] for of in (part.clusters[name], known)]
            assert both[0] == both[1]
        assert history_of_name(str(path), "sim/no-such") is None


@given(SEEDS)
@FEW
def test_an_export_says_what_the_store_says_and_an_import_of_it_too(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, out, copy = Path(folder) / "store", Path(folder) / "slice.zst", Path(folder) / "copy"
        fill(path, mixed(recording(seed, "one"), recording(seed + 1, "two")), seed)
        export_slice(str(path), str(out))
        assert view(derive(read(out))) == fresh_view(path)
        import_files(str(copy), [str(out)])
        assert fresh_view(copy) == fresh_view(path)


@given(SEEDS)
@FEW
def test_a_slice_of_a_time_answers_as_the_whole_within_it_and_claims_nothing_outside(seed: int) -> None:
    made = recording(seed)
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "store", Path(folder) / "slice.zst"
        fill(path, made.told, seed)
        first = min(one.received_us or START for one in made.told)
        last = max(one.received_us or START for one in made.told)
        low = dice.randrange(first, last)
        high = dice.randrange(low, last)
        export_slice(str(path), str(out), low, high)
        part, whole = derive(read(out)), StoredHistory(path).history
        for _ in range(150):
            ip, when = f"10.9.{dice.randrange(2)}.{dice.randrange(2, 11)}", dice.randrange(low, high + 1)
            assert said(part, ip, when) == said(whole, ip, when) or only_less_sure(part, whole, ip, when)
            for outside in (low - MARGIN - 1 - dice.randrange(10**9), high + MARGIN + 1 + dice.randrange(10**9)):
                assert said(part, ip, outside)[0] != "none"


def said(history: Any, ip: str, when: int) -> Any:
    answer = who_at(history, ip, when)
    return answer.confidence, answer.holder and answer.holder.uid, sorted(one.uid for one in answer.candidates)


def only_less_sure(part: Any, whole: Any, ip: str, when: int) -> bool:
    """The slice does not say anything certain that the whole does not, and has whom the whole has."""
    (confidence, holder, others), known = said(part, ip, when), said(whole, ip, when)
    return confidence in ("ambiguous", "likely") and {known[1], *known[2]} <= {None, holder, *others}


def tables(path: Path) -> dict[str, list[Any]]:
    """All that stands in a store but the time at which a file was imported."""
    database = sqlite3.connect(path)
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    found["source"] = [row[:3] for row in found["source"]]
    database.close()
    return found


def test_importing_the_same_file_twice_changes_nothing(root: Path, tmp_path: Path) -> None:
    path, evidence = tmp_path / "store", str(root / "samples/overlay/history.jsonl.gz")
    assert import_files(str(path), [evidence])[0].events
    before = tables(path)
    assert import_files(str(path), [evidence])[0].events is None
    assert tables(path) == before
    assert fresh_view(path) == view(derive(read(Path(evidence))))


@pytest.mark.parametrize("seed", range(3))
def test_an_import_cut_off_leaves_nothing_and_can_be_done_again(seed: int, tmp_path: Path) -> None:
    one = tmp_path / "one"
    fill(one, recording(seed, "one").told, seed)
    export_slice(str(one), str(tmp_path / "slice.zst"))
    # The store already has a recorder's evidence of another cluster, and of another time of the same.
    made = recording(seed + 9, "two").told
    for name in ("broken", "whole"):
        fill(tmp_path / name, made, seed)
    half = read(tmp_path / "slice.zst")
    with EvidenceStore(tmp_path / "broken", write=True) as store:
        row = store.imports.begin({"slice.zst": "digest"})
        assert row is not None
        store.write(half[: len(half) // 2], source=row)
    before = fresh_view(tmp_path / "whole")
    EvidenceStore(tmp_path / "broken", write=True).close()
    assert fresh_view(tmp_path / "broken") == before
    assert list(problems(str(tmp_path / "broken"))) == []
    for name in ("broken", "whole"):
        import_files(str(tmp_path / name), [str(tmp_path / "slice.zst")])
    assert fresh_view(tmp_path / "broken") == fresh_view(tmp_path / "whole")
