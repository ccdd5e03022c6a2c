"""The hour's comparer finds what it is there to find: a write lost, doubled, made up, altered; and believes gaps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.hour.comparing import Findings, compare
from enrich.store.evidence_store import EvidenceStore
from ingest.cluster import EvidenceReport, read_observations

Meddle = Callable[[sqlite3.Connection], object]
ONE = "id = (SELECT max(id) FROM event WHERE verb = 1)"


def event(verb: str, second: int, uid: str, version: int, **status: Any) -> dict[str, Any]:
    meta = {"uid": uid, "name": uid, "namespace": "s", "resourceVersion": str(version)}
    thing = {"kind": "Pod", "metadata": meta, "status": status}
    return {"type": verb, "received": f"2026-11-20T10:00:{second:02}Z", "object": thing}


def audited(version: int, uid: str) -> dict[str, Any]:
    answer = {"metadata": {"uid": uid, "resourceVersion": str(version)}}
    told = {"stage": "ResponseComplete", "verb": "patch", "objectRef": {"subresource": "status"}}
    return {**told, "responseStatus": {"code": 200}, "responseObject": answer}


EVENTS = [
    event("ADDED", 1, "a", 11, phase="Pending"),
    event("ADDED", 10, "b", 12, phase="Pending"),
    event("MODIFIED", 20, "a", 13, phase="Running", podIP="10.0.0.1"),
    event("MODIFIED", 30, "b", 14, phase="Running", podIP="10.0.0.2"),
    event("DELETED", 40, "a", 15, phase="Running", podIP="10.0.0.1"),
]


def compared(folder: Path, meddle: Meddle, standing: str = "b") -> Findings:
    dumb, store = folder / "dumb.jsonl", folder / "history.db"
    dumb.write_text("".join(json.dumps(one) + "\n" for one in EVENTS))
    (folder / "audit.log").write_text(json.dumps(audited(13, "a")) + "\n" + json.dumps(audited(14, "b")) + '\n{"cut')
    with EvidenceStore(store, write=True) as kept:
        kept.write(list(read_observations([str(dumb)], "test", EvidenceReport())))
        meddle(kept.database)
    return compare(store, dumb, folder, set(standing))


def test_a_store_that_is_right_differs_in_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, lambda database: None)
    assert found.count() == 0
    assert found.figures["writes witnessed"] == found.figures["events stored"] == 5


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        ("lost", f"DELETE FROM event WHERE {ONE}"),
        ("doubled", "INSERT INTO event(object, verb, received_us, version, body) "
                    f"SELECT object, verb, received_us, version, body FROM event WHERE {ONE}"),
        ("made up", f"UPDATE event SET version = 99 WHERE {ONE}"),
        ("made up", f"UPDATE event SET verb = 0 WHERE {ONE}"),
        ("not as it was said", f"UPDATE event SET body = x'7b7d' WHERE {ONE}"),
        ("vanished, but not in a gap", "UPDATE event SET verb = 4 WHERE verb = 2"),
        ("gone, but stand in the store", "UPDATE object SET gone_us = NULL"),
        ("stand, but gone in the store", "UPDATE object SET gone_us = 1"),
    ],
)  # fmt: skip
def test_what_is_not_right_is_found(kind: str, sql: str, tmp_path: Path) -> None:
    found = compared(tmp_path, lambda database: database.execute(sql))
    assert found.differences[kind]


def test_a_write_that_nobody_witnessed_is_found_in_the_audit_log(tmp_path: Path) -> None:
    (tmp_path / "audit-2026.log").write_text(json.dumps(audited(17, "b")) + "\n")
    found = compared(tmp_path, lambda database: None)
    assert found.differences["in the audit log, seen by nobody"] == ["('b', 17)"]


def test_what_lies_in_a_gap_is_not_lost(tmp_path: Path) -> None:
    def forget(database: sqlite3.Connection) -> None:
        at = database.execute(f"SELECT received_us FROM event WHERE {ONE}").fetchone()[0]
        database.execute(f"DELETE FROM event WHERE {ONE}")
        database.execute("INSERT INTO span(cluster, kind, gap, low_us, high_us, source) VALUES(1, 'Pod', 1, ?, ?, 0)",
                         (at - 1000, at + 1000))  # fmt: skip

    found = compared(tmp_path, forget)
    assert found.differences["lost"] == []
    assert found.figures["writes that lie in gaps"] == 1
