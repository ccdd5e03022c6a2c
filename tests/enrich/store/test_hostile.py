"""What whoever may create a pod, or write a file, can put into a store: it costs itself, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store.observations import observations
from support.store.written import T0, seen, thing

from enrich.history.history import derive
from enrich.history.stored import StoredHistory, history_of_address, history_of_name, observations_of
from enrich.store.evidence_store import EvidenceStore
from enrich.store.info import facts
from enrich.store.packing import pack
from enrich.store.prune import forget
from enrich.store.verify import problems
from ingest.cluster import EvidenceReport, read_observations
from whowas.history.import_export import export_holds, export_slice, import_files
from whowas.observation import KubeObject, Meta, Observation, Owner

REFUSED = [
    (seen("ADDED", thing("a\ud800"), 1), "text that cannot be stored"),
    (seen("ADDED", thing("a", name="\udfff"), 1), "text that cannot be stored"),
    (seen("ADDED", thing("a"), 1, cluster="\ud800"), "text that cannot be stored"),
    (seen("JOINED", thing("a"), 1, service="\ud800"), "text that cannot be stored"),
    (seen("BOOKMARK", thing("", version="\ud800"), 1), "text that cannot be stored"),
    (seen("ADDED", thing("a", version="\ud800"), 1), "text that cannot be stored"),
    (seen("JOINED", thing("a"), 1), "no service"),
    (seen("ADDED", thing("a"), 1e13), "a time out of range"),
    (seen("ADDED", thing("a"), -1e13), "a time out of range"),
    (seen("ADDED", thing("a"), 1, not_before_us=1 << 70), "a time out of range"),
    (seen("GAP", KubeObject(), 1, span=(5, 1 << 65)), "a time out of range"),
    (seen("GAP", KubeObject(), 1, span=(5, 4)), "a time out of range"),
    (seen("ADDED", thing("a", "Gadget"), 1), "a verb or kind that is not kept"),
    (seen("ADDED", thing("a", ""), 1), "a verb or kind that is not kept"),
    (seen("ERROR", thing("a"), 1), "a verb or kind that is not kept"),
    (seen("ADDED", thing(""), 1), "no uid"),
    (seen("ADDED", KubeObject(kind="Pod"), 1), "no uid"),
    (seen("ADDED", thing("sound", "Service"), 1), "a uid of another kind"),
    (seen("ADDED", thing("a", meta={"labels": {"x": "y" * (17 << 20)}}), 1), "too large"),
]
KEPT = {
    "control characters": thing("a\x00b\x1b[2J\u202e", name="n\x00\n", meta={"labels": {"\x00": "\x07"}}),
    "a megabyte of labels": thing("large", meta={"labels": {"x": "y" * 1_000_000}}),
    "many labels": thing("many", meta={"labels": {f"label-{number}": "" for number in range(100_000)}}),
    "words that part": thing("a b/c\td", name="x/y z", meta={"namespace": "n/s"}),
    "odd addresses": thing("odd", ip="10.0.0.1/24"),
    "no address": thing("none", ip="fe80::1%eth0\x00"),
    "another spelling": thing("six", ip="FD00:0:0::00A"),
    "no number": thing("nan", version="nine"),
    "a huge number": thing("huge", version="9" * 19),
    "a very huge number": thing("vast", version="9" * 400, meta={"deletionGracePeriodSeconds": 1 << 80}),
    "long ago": thing("old", meta={"creationTimestamp": "0001-01-01T00:00:00Z"}),
    "far off": thing("far", meta={"creationTimestamp": "9999-12-31T23:59:59Z", "deletionTimestamp": "no time"}),
    "nothing": KubeObject(kind="Pod", metadata=Meta(uid="bare")),
}


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_cannot_be_stored_is_refused_and_the_rest_is_written(number: int, tmp_path: Path) -> None:
    bad, why = REFUSED[number]
    with EvidenceStore(tmp_path / "store", write=True) as store:
        store.write([seen("ADDED", thing("sound"), 0)])
        told = store.write([bad, seen("MODIFIED", thing("sound", version=2, ip="10.0.0.10"), 2)])
        assert (told.events, dict(told.refused)) == (1, {why: 1})
        assert store.cursors("c")["Pod"].version == "2"


@pytest.mark.parametrize("what", KEPT)
def test_what_is_only_odd_goes_all_the_way_through(what: str, tmp_path: Path) -> None:
    pod, path = KEPT[what], str(tmp_path / "store")
    assert pod.metadata is not None
    told = [seen("ADDED", pod, 1), seen("JOINED", pod, 2, service="a b,c"), seen("DELETED", pod, 3)]
    with EvidenceStore(path, write=True) as store:
        written = store.write(told)
        assert (written.events, dict(written.refused)) == (3, {})
        once = whole(path)
        pack(store.database, settled_us=0)
        assert whole(path) == once
        # More of it takes it out of its block.
        store.write([seen("LEFT", pod, 4, service="a b,c")])
    assert list(problems(path)) == []
    export_slice(path, f"{path}.zst")
    import_files(f"{path}2", [f"{path}.zst"])
    assert whole(f"{path}2") == whole(path)
    assert export_holds(path, f"{path}.parquet") == len(StoredHistory(path).history.clusters["c"].holds)


def whole(path: str) -> list[Any]:
    """Every observation but its number."""
    with_kinds = StoredHistory(path).history.clusters["c"].entities.uids()
    return [(one.verb, one.object, one.received_us, one.service) for one in observations_of(path, with_kinds)]


def test_owners_with_odd_names_are_found(tmp_path: Path) -> None:
    owner = Owner("Deploy/ment", "w/e b", "u/i d", True)
    replicas = thing("r/s", "ReplicaSet", name="web/1")
    pod = thing("pod")
    assert replicas.metadata is not None
    assert pod.metadata is not None
    replicas.metadata.ownerReferences = [owner]
    pod.metadata.ownerReferences = [Owner("ReplicaSet", "web/1", "r/s", True)]
    with EvidenceStore(tmp_path / "store", write=True) as store:
        store.write([seen("ADDED", replicas, 1), seen("ADDED", pod, 2), seen("DELETED", replicas, 3)])
        forget(store, T0 + 7200 * 1_000_000)
    known = StoredHistory(tmp_path / "store").history.clusters["c"].entities[0]
    assert (known.workload_kind, known.workload) == ("Deploy/ment", "w/e b")


@given(st.lists(observations(), max_size=12))
@settings(max_examples=40, deadline=None)
def test_nothing_that_has_the_form_of_an_observation_breaks_a_store(told: list[Observation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "store")
        with EvidenceStore(path, write=True) as store:
            following = StoredHistory(path)
            for one in told:
                store.write([one])
            assert not store.write([seen("ADDED", thing("sound"), 1, cluster="c")]).refused
            pack(store.database, settled_us=0)
            following.refresh()
            store.write(told)
            row = store.imports.begin({"again": "digest"})
            store.write(told, source=row)
            store.imports.end(row or 0)
            following.refresh()
            forget(store, T0)
        assert list(problems(path)) == []
        assert facts(path).events >= 1
        StoredHistory(path).close()
        history_of_address(path, "10.0.0.9")
        history_of_name(path, "shop/\udc80")
        export_slice(path, f"{path}.zst", T0 - 10**9, T0 + 10**9)
        report = EvidenceReport()
        derive(read_observations([f"{path}.zst"], None, report))
        assert report.whole(), report.files
        export_holds(path, f"{path}.parquet")
