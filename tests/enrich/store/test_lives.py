"""Restores, relists, slices of Services, imports beside a recorder, and what is pruned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.store.streams import fresh_view, slice_of
from support.store.written import SECOND, T0, seen, thing

from enrich.history.history import derive
from enrich.history.stored import StoredHistory, history_of_name, observations_of
from enrich.naming.who import who_at
from enrich.store.blocks import RULES, check_of
from enrich.store.evidence_store import EvidenceStore
from enrich.store.info import facts
from enrich.store.packing import pack
from enrich.store.prune import compact, forget
from enrich.store.verify import problems
from whowas.errors import StoreError
from whowas.history.import_export import import_files
from whowas.observation import KubeObject, Meta, Observation

HOUR = 3600
EMPTY = check_of(b"")


def relisted(kind: str, seconds: float, *shown: KubeObject) -> list[Observation]:
    about = KubeObject(kind=kind, metadata=Meta(resourceVersion="77"))
    return [*(seen("LISTED", one, seconds) for one in shown), seen("RELISTED", about, seconds)]


def of_slice(uid: str, service: str, pods: str, verb: str, seconds: float) -> Observation:
    return slice_of(uid, service, pods.split(), verb, T0 + int(seconds * SECOND), "c")


def verbs(path: Path, uid: str) -> str:
    return " ".join(one.verb for one in observations_of(str(path), [uid]))


def services(path: Path, uid: str) -> list[tuple[int | None, str]]:
    """Since how many seconds after T0 a pod stands behind which Services."""
    known = StoredHistory(path).history.clusters["c"]
    row = known.entities.uids().index(uid)
    first, last = known.states.own.first[row : row + 2].tolist()
    told = [known.states.versions[place] for place in range(first, last)]
    return [((one.since - T0) // SECOND if one.since > 0 else None, one.services) for one in told]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def write(path: Path, *told: Observation) -> None:
    """Each time another writer."""
    with EvidenceStore(path, write=True) as store:
        assert not store.write(told).refused


@pytest.mark.parametrize("between", ["nothing", "another writer", "a block"])
def test_an_etcd_restored_brings_a_pod_back_under_a_smaller_version(path: Path, between: str) -> None:
    told = [
        seen("ADDED", thing("a", version=50), 1),
        seen("DELETED", thing("a", version=60), 5),
        seen("ADDED", thing("a", version=40), 9),
        seen("MODIFIED", thing("a", version=45, ip="10.0.0.10"), 12),
    ]
    store = EvidenceStore(path, write=True)
    for one in told:
        store.write([one])
        if between == "another writer":
            store.close()
            store = EvidenceStore(path, write=True)
        elif between == "a block":
            pack(store.database, settled_us=0)
    assert store.cursors("c")["Pod"].version == "45"
    store.close()
    assert verbs(path, "a") == "ADDED DELETED ADDED MODIFIED"
    assert facts(str(path)).clusters[0].living == 1
    assert fresh_view(path)["c"][0] == fresh_view_of(told)
    assert list(problems(str(path))) == []


def fresh_view_of(told: list[Observation]) -> Any:
    from support.store.streams import holds_of

    quiet = Observation("START", KubeObject(), None, 0, None, "", (0, 0))
    low, high = told[0].received_us or 0, told[-1].received_us or 0
    span = Observation("WATCHED", KubeObject(kind="Pod"), high, high, "c", "", (low, high))
    return holds_of(derive([quiet, *told, span]).clusters["c"])


def test_what_vanishes_in_a_relist_may_come_back(path: Path) -> None:
    a, b = thing("a"), thing("b", ip="10.0.0.11")
    write(path, *relisted("Pod", 1, a, b))
    write(path, seen("BOOKMARK", KubeObject("Pod", Meta(resourceVersion="5")), 2), *relisted("Pod", 3, b))
    write(path, *relisted("Pod", 5, a, b), *relisted("Pod", 6, b))
    assert verbs(path, "a") == "LISTED VANISHED LISTED VANISHED"
    assert verbs(path, "b") == "LISTED LISTED LISTED LISTED"
    # A list that a START cuts off shows nothing.
    start = Observation("START", KubeObject(), None, 0, None, "")
    with EvidenceStore(path, write=True) as store:
        store.write([seen("LISTED", b, 7)])
        store.write([start, *relisted("Pod", 8)])
    assert verbs(path, "b").endswith("LISTED VANISHED")


def test_a_list_in_several_transactions_is_one_list_even_after_a_failure(path: Path) -> None:
    pods = [thing(f"p{number}") for number in range(6)]
    with EvidenceStore(path, write=True) as store:
        store.write(relisted("Pod", 1, *pods))
        for one in pods[:4]:
            store.write([seen("LISTED", one, 2)])
        store.database.execute(
            "CREATE TEMP TRIGGER breaks BEFORE INSERT ON main.event BEGIN SELECT RAISE(ABORT, ''); END"
        )
        with pytest.raises(StoreError):
            store.write(relisted("Pod", 2, *pods[4:5]))
        store.database.execute("DROP TRIGGER breaks")
        store.write(relisted("Pod", 2, *pods[4:5]))
    assert [verbs(path, f"p{number}") for number in range(6)] == ["LISTED LISTED"] * 5 + ["LISTED VANISHED"]


def test_a_kind_that_is_not_kept_can_be_listed(path: Path) -> None:
    write(path, *relisted("Lease", 1))
    with EvidenceStore(path) as store:
        assert store.cursors("c")["Lease"].version == "77"


@pytest.mark.parametrize("restart", [False, True])
def test_a_pod_in_two_slices_leaves_with_the_last(path: Path, restart: bool) -> None:
    told = [
        seen("ADDED", thing("a"), 0),
        of_slice("s4", "web", "a b", "ADDED", 10),
        of_slice("s6", "web", "a", "ADDED", 20),
        of_slice("s4", "web", "b", "MODIFIED", 30),
        of_slice("s6", "web", "a", "DELETED", 40),
        of_slice("other", "api", "a", "ADDED", 50),
    ]
    if restart:
        for one in told:
            write(path, one)
    else:
        write(path, *told)
    assert services(path, "a") == [(None, ""), (10, "web"), (40, ""), (50, "api")]


def test_a_slice_that_changes_its_service_moves_its_pods(path: Path) -> None:
    write(path, seen("ADDED", thing("a"), 0), of_slice("s", "web", "a", "ADDED", 10))
    write(path, of_slice("s", "api", "a", "MODIFIED", 20))
    write(path, of_slice("s", "api", "", "MODIFIED", 30))
    assert services(path, "a") == [(None, ""), (10, "web"), (20, "api"), (30, "")]


def test_a_slice_not_in_the_list_any_more_lets_its_pods_go(path: Path) -> None:
    write(path, seen("ADDED", thing("a"), 0), of_slice("s", "web", "a", "ADDED", 10))
    write(path, *relisted("EndpointSlice", 20))
    assert services(path, "a") == [(None, ""), (10, "web"), (20, "")]


def test_what_a_slice_points_to_that_is_no_pod_joins_nothing(path: Path) -> None:
    end = of_slice("s", "web", "machine", "ADDED", 10)
    end.object.endpoints[0].targetRef.kind = "VirtualMachine"  # type: ignore[index,union-attr]
    write(path, end)
    assert facts(str(path)).events == 0


def test_a_pod_first_met_in_a_slice_is_found_by_its_name(path: Path) -> None:
    write(path, of_slice("s", "web", "a", "ADDED", 10))
    write(path, seen("ADDED", thing("a", name="web-1"), 11))
    assert history_of_name(str(path), "shop/web-1") is not None


def test_one_uid_in_two_clusters_is_two_objects(path: Path) -> None:
    write(path, seen("ADDED", thing("a"), 1), seen("ADDED", thing("a", ip="10.0.0.12"), 1, "d"))
    assert len(observations_of(str(path), ["a"])) == 2
    assert [one.cluster for one in observations_of(str(path), ["a"], "d")] == ["d"]


def test_numbers_are_not_given_twice(path: Path) -> None:
    with EvidenceStore(path, write=True) as store:
        following = StoredHistory(path)
        store.write([seen("ADDED", thing("a"), 1), seen("DELETED", thing("a"), 2)])
        following.refresh()
        pack(store.database, settled_us=0)
        store.write([seen("ADDED", thing("b", ip="10.0.0.11"), 3)])
        following.refresh()
        assert following.history.clusters["c"].entities.uids() == ["a", "b"]
        # More of what is packed: its numbers must be free still.
        store.write([seen("ADDED", thing("a", version=9), 4)])
        following.refresh()
        assert sorted(following.history.clusters["c"].entities.uids()) == ["a", "b"]
        forget(store, T0 + 3 * HOUR * SECOND)
        following.refresh()
    assert list(problems(str(path))) == []


def line(one: str, seconds: int, verb: str = "ADDED", ip: str = "10.0.0.9") -> str:
    at = f"2026-11-20T10:00:{seconds:02}Z"
    status = f'{{"phase": "Running", "podIP": "{ip}"}}'
    meta = f'{{"name": "{one}", "namespace": "shop", "uid": "{one}", "resourceVersion": "{seconds}"}}'
    thing = f'{{"kind": "Pod", "metadata": {meta}, "status": {status}}}'
    return f'{{"type": "{verb}", "received": "{at}", "cluster": "c", "object": {thing}}}\n'


def test_what_a_file_tells_of_the_time_before_brings_nobody_back(path: Path, tmp_path: Path) -> None:
    write(path, seen("ADDED", thing("a", version=30), 30), seen("DELETED", thing("a", version=40), 40))
    write(path, seen("ADDED", thing("b", version=50, ip="10.0.0.11"), 50))
    (tmp_path / "old").write_text(line("a", 10) + line("b", 5, ip="10.0.0.11") + line("b", 6, "DELETED", "10.0.0.11"))
    import_files(str(path), [str(tmp_path / "old")])
    assert facts(str(path)).clusters[0].living == 1
    write(path, *relisted("Pod", 60, thing("b", version=50, ip="10.0.0.11")))
    assert verbs(path, "a") == "ADDED ADDED DELETED"
    assert verbs(path, "b") == "ADDED DELETED ADDED LISTED"


def test_a_gap_without_a_name_lies_in_the_clusters_of_its_file(path: Path, tmp_path: Path) -> None:
    gap = '{"type": "GAP", "from": "2026-11-20T10:00:20Z", "to": "2026-11-20T10:00:30Z"}\n'
    longer = '{"type": "GAP", "from": "2026-11-20T10:00:20Z", "to": "2026-11-20T10:00:40Z"}\n'
    (tmp_path / "file").write_text(line("a", 10) + gap + longer + line("a", 50, "MODIFIED"))
    import_files(str(path), [str(tmp_path / "file")])
    (told,) = facts(str(path)).clusters
    assert told.name == "c"
    assert [(high - low) // SECOND for _, low, high in told.gaps] == [10, 20]
    assert who_at(StoredHistory(path).history, "10.0.0.99", T0 + 35 * SECOND).confidence == "unknown"


def test_pruning_keeps_what_lives_and_claims_nothing_of_the_time_before(path: Path) -> None:
    with EvidenceStore(path, write=True) as store:
        store.write(
            [
                seen("ADDED", thing("lives", ip="10.0.0.1"), 1),
                seen("ADDED", thing("dies", ip="10.0.0.2"), 1),
                seen("DELETED", thing("dies", ip="10.0.0.2", version=2), 100),
                seen("GAP", KubeObject(kind="Pod"), 20, span=(T0 + 10 * SECOND, T0 + 20 * SECOND)),
                seen("BOOKMARK", KubeObject("Pod", Meta(resourceVersion="3")), 9 * HOUR),
            ]
        )
        following = StoredHistory(path)
        assert who_at(following.history, "10.0.0.2", T0 + 50 * SECOND).holder is not None
        assert forget(store, T0 + 5 * HOUR * SECOND) == 1
        assert following.refresh()
        for hour in (0.01, 1, 4.9):
            when = T0 + int(hour * HOUR * SECOND)
            assert who_at(following.history, "10.0.0.2", when).confidence == "unknown"
            holder = who_at(following.history, "10.0.0.1", when).holder
            assert holder is not None
            assert holder.name == "lives"
        assert who_at(following.history, "10.0.0.2", T0 + 6 * HOUR * SECOND).confidence == "none"
        assert who_at(following.history, "10.0.0.1", T0 + 8 * HOUR * SECOND).confidence == "exact"
        # The recorder goes on as if nothing had been.
        store.write([seen("DELETED", thing("lives", ip="10.0.0.1", version=9), 10 * HOUR)])
    assert facts(str(path)).clusters[0].gaps == []
    assert list(problems(str(path))) == []


def test_pruning_keeps_what_was_seen_after_an_end_without_a_time(path: Path) -> None:
    relisted = Observation("RELISTED", KubeObject("Pod", Meta()), None, 0, "c", "")
    with EvidenceStore(path, write=True) as store:
        store.write([seen("ADDED", thing("sound"), 1, cluster="c")])
        store.write([relisted])
        assert forget(store, T0) == 0
        assert facts(str(path)).events == 2
        assert forget(store, T0 + 2 * 3600 * SECOND) == 1
    assert facts(str(path)).events == 0


def test_an_empty_store_and_one_of_imports_only_can_be_pruned(path: Path, tmp_path: Path) -> None:
    with EvidenceStore(path, write=True) as store:
        assert forget(store, T0) == 0
    (tmp_path / "file").write_text(line("a", 10) + line("a", 20, "DELETED"))
    import_files(str(path), [str(tmp_path / "file")])
    with EvidenceStore(path, write=True) as store:
        assert forget(store, T0 + 2 * HOUR * SECOND) == 1
    assert who_at(StoredHistory(path).history, "10.0.0.9", T0 + 15 * SECOND).confidence == "unknown"


LEAN = """
import sys
from enrich.store.evidence_store import EvidenceStore
from support.store.written import numbered
with EvidenceStore(sys.argv[1], write=True) as store:
    store.write(numbered(30))
    store.write(numbered(30, 30))
    heavy = {"numpy", "numba", "pyarrow", "pandas", "duckdb"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_recorder_imports_nothing_heavy_to_write(root: Path, path: Path) -> None:
    words = [sys.executable, "-c", f"import sys; sys.path[:0] = ['tests']\n{LEAN}", str(path)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_block_that_older_rules_derived_is_derived_anew(path: Path) -> None:
    """When it is read; and once for all when the store is compacted."""
    first, second = ({"containers": [{"image": f"a:{tag}", "ports": [{"containerPort": 80}]}]} for tag in (1, 2))
    told = [seen("ADDED", thing("a", spec=first), 1), seen("MODIFIED", thing("a", version=2, spec=second), 5)]
    write(path, *told, seen("DELETED", thing("a", version=3, spec=second), 9))
    with EvidenceStore(path, write=True) as store:
        assert pack(store.database, settled_us=0) == 1
        right = fresh_view(path)
        ((check,),) = store.database.execute("SELECT checksum FROM block")
        with store.database:
            store.database.execute("UPDATE block SET rules = 1, derived = ?, checksum = ?", (b"", check[:32] + EMPTY))
    assert fresh_view(path) == right
    assert "a:1" in str(right)
    compact(str(path))
    with EvidenceStore(path, write=True) as store:
        assert store.database.execute("SELECT rules FROM block").fetchall() == [(RULES,)]
    assert fresh_view(path) == right
    assert list(problems(str(path))) == []
