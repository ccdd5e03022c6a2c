"""Names that records bring: kept beside ours, never ours, and compared with care."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ingest.records import Ids, reader_for
from whowas.batch.told_names import BOTH, KINDS, OURS, THEIRS, ToldNames, compared

POD = ("exact", "shop", "web-6c9f7d-abcde", "web", "web,web-internal", "worker-1")


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (POD, ("shop", "web-6c9f7d-abcde"), "same_pod"),
        (POD, ("shop", "web"), "same_workload"),
        (POD, ("shop", "web-6c9f7d-other"), "same_workload"),
        (POD, ("shop", "webshop-1"), "differ"),
        (POD, ("shop", "web-internal"), "same_workload"),
        ((*POD[:3], "w", *POD[4:]), ("shop", "web-internal"), "same_service_or_node"),
        (POD, ("other", "web-6c9f7d-abcde"), "differ"),
        (POD, (None, "worker-1"), "same_service_or_node"),
        (POD, (None, "worker-2"), "differ"),
        (POD, (None, "web-6c9f7d-abcde"), "same_pod"),
        (POD, (None, None), "only_ours"),
        (POD, ("shop", None), "only_ours"),
        (("ambiguous", *POD[1:]), ("shop", "db-0"), "only_theirs"),
        (("node", None, None, None, None, "worker-1"), (None, "worker-1"), "only_theirs"),
        (("unknown", None, None, None, None, None), (None, None), None),
    ],
)
def test_what_two_names_of_an_end_are_to_each_other(ours: Any, theirs: Any, kind: str | None) -> None:
    assert compared(ours, theirs) == kind
    assert kind is None or kind in KINDS


def batch(*rows: dict[str, Any]) -> Any:
    """Named flows, as far as the summary of told names reads them."""
    columns = {
        f"{side}_{name}": pa.array([row.get(f"{side}_{name}") for row in rows], pa.string()).dictionary_encode()
        for side in ("src", "dst")
        for name in (*OURS, *THEIRS)
    }
    return pa.RecordBatch.from_pydict(columns)


def end(side: str, ours: Any, theirs: Any) -> dict[str, Any]:
    return {f"{side}_{name}": word for name, word in zip((*OURS, *THEIRS), (*ours, *theirs), strict=True)}


def test_a_summary_counts_ends_and_shows_what_differs_most() -> None:
    told = ToldNames()
    told.add(batch(end("src", POD, (None, None))))
    assert told.to_json() is None
    same, other, third = ("shop", POD[2]), ("data", "db-0"), ("data", "db-1")
    rows = [end("src", POD, theirs) | end("dst", POD, same) for theirs in (same, other, other, third)]
    told.add(batch(*rows))
    told.add(batch(end("src", POD, other) | end("dst", ("none",) + (None,) * 5, other)))
    found = told.to_json()
    assert found == {
        "same_pod": 5, "same_workload": 0, "same_service_or_node": 0, "differ": 4, "only_theirs": 1, "only_ours": 0,
        "differences": [
            {"ours": f"shop/{POD[2]}", "theirs": "data/db-0", "ends": 3},
            {"ours": f"shop/{POD[2]}", "theirs": "data/db-1", "ends": 1},
        ],
    }  # fmt: skip
    assert told.both() == sum(found[kind] for kind in BOTH) == 9


def test_differences_without_end_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whowas.batch.told_names.DIFFERENCES_KEPT", 20)
    told = ToldNames()
    for number in range(10):
        told.add(
            batch(*(end("src", POD, ("x", f"{number}-{place}")) for place in range(10)), end("src", POD, ("x", "y")))
        )
    assert len(told._differ) <= 20
    assert told.differences(1) == [{"ours": f"shop/{POD[2]}", "theirs": "x/y", "ends": 10}]
    assert told.counts["differ"] == 110


NETOBSERV = {
    "SrcAddr": "10.0.0.1", "DstAddr": "10.0.0.2", "SrcPort": 1, "DstPort": 2, "Proto": 6, "Bytes": 1, "Packets": 1,
    "TimeFlowStartMs": 1_700_000_000_000, "TimeFlowEndMs": 1_700_000_000_001, "TimeReceived": 1_700_000_001,
}  # fmt: skip
HUBBLE = {
    "flow": {
        "time": "2025-03-01T00:00:00Z", "verdict": "FORWARDED", "IP": {"source": "10.0.0.1", "destination": "10.0.0.2"},
        "l4": {"TCP": {"source_port": 1, "destination_port": 2}},
    }
}  # fmt: skip
GCP = {
    "logName": "projects/p/logs/compute.googleapis.com%2Fvpc_flows", "receiveTimestamp": "2025-10-09T08:54:00Z",
    "jsonPayload": {
        "connection": {"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "src_port": 1, "dest_port": 2, "protocol": 6},
        "bytes_sent": "1", "packets_sent": "1", "start_time": "2025-10-09T08:53:20Z", "reporter": "SRC",
        "end_time": "2025-10-09T08:53:23Z",
    },
}  # fmt: skip


def hubble(**ends: Any) -> dict[str, Any]:
    return {"flow": HUBBLE["flow"] | ends}


def gcp(**more: Any) -> dict[str, Any]:
    return GCP | {"jsonPayload": GCP["jsonPayload"] | more}  # type: ignore[operator]


RECORDS: list[tuple[str, dict[str, Any], tuple[str | None, ...]]] = [
    ("netobserv", NETOBSERV, (None, None, None, None)),
    (
        "netobserv",
        NETOBSERV
        | {"SrcK8S_Name": "web-1", "SrcK8S_Namespace": "shop", "SrcK8S_OwnerName": "web", "DstK8S_Name": "n1"},
        ("shop", "web-1", None, "n1"),
    ),
    ("netobserv", NETOBSERV | {"SrcK8S_Name": "", "DstK8S_OwnerName": "db"}, (None, None, None, "db")),
    ("hubble", HUBBLE, (None, None, None, None)),
    (
        "hubble",
        hubble(source={"namespace": "shop", "pod_name": "web-1", "workloads": [{"name": "web"}]}, destination={}),
        ("shop", "web-1", None, None),
    ),
    ("hubble", hubble(destination={"namespace": "d", "workloads": [{"name": "db"}]}), (None, None, "d", "db")),
    ("hubble", hubble(source={"workloads": [7]}, destination={"workloads": "x"}), (None, None, None, None)),
    (
        "gcp",
        gcp(
            src_instance={"vm_name": "vm"},
            dest_gke_details={"pod": {"pod_name": "db-0", "pod_namespace": "data"}},
            dest_instance={"vm_name": "node"},
        ),
        (None, "vm", "data", "db-0"),
    ),
]


@pytest.mark.parametrize(("form", "record", "told"), RECORDS)
def test_records_names_are_kept_as_they_are_told(
    form: str, record: dict[str, Any], told: tuple[str | None, ...]
) -> None:
    values = [json.dumps(record).encode()]
    reader = reader_for(None, values)
    assert reader.format == form
    parsed = reader.read(values, Ids("x", np.arange(1)))
    (row,) = parsed.flows.to_pylist()
    assert tuple(row[f"{side}_{name}"] for side in ("src", "dst") for name in THEIRS) == told


@pytest.mark.parametrize("path", ["netobserv/console_mock_flow_records.ndjson", "hubble/aks_export_2025.ndjson"])
def test_other_peoples_records_bring_names(path: str) -> None:
    shared = os.environ.get("WHOWAS_SHARED")
    if not shared or not (file := Path(shared) / "data/flowrecords" / path).exists():
        pytest.skip("WHOWAS_SHARED is not set, or has no flow records")
    values = file.read_bytes().splitlines()
    flows = reader_for(None, values).read(values, Ids("x", np.arange(len(values)))).flows
    whole = flows.to_pylist()
    text = file.read_text()
    for side in ("src", "dst"):
        names = {row[f"{side}_told_name"] for row in whole} - {None}
        assert len(names) > 1
        assert "" not in names
        assert all(f'"{name}"' in text for name in names)
