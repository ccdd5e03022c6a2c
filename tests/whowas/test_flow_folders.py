"""Folders of flows: the cluster comes back, and no reader takes its folder's value for anything but text."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whowas.flow_folders import NO_CLUSTER, cluster_key, cluster_of, hour_folder, told_cluster

ODD = (
    "007", "42", "-1", "1e5", "2026-11-20", "2026-11-20 10:00:00", "true", "FALSE", "NaN", "Infinity", "epoch", "null",
    ".", "..", "a/../b", "arn:aws:eks:eu-west-1:111122223333:cluster/prod", "env=prod", "a b", "a%3Ab", "~", "a~3A",
    "a_-3A", "_-", "a_:", "a__-b",
    "k\u00f6ln", "a'b*[c]", NO_CLUSTER, "0x1F", "1_000", "+3", "10:30", "P1D",
)  # fmt: skip


@given(st.text(min_size=1) | st.text("_-3Aa:", min_size=1))
def test_a_cluster_comes_back(cluster: str) -> None:
    key = cluster_key(cluster)
    assert cluster_of(key) == cluster
    assert re.fullmatch(r"([A-Za-z]|_-[0-9A-F]{2})([A-Za-z0-9._-]|_-[0-9A-F]{2})*", key)


@given(st.text("_-3Aa:", min_size=1), st.text("_-3Aa:", min_size=1))
def test_two_clusters_never_share_a_folder(one: str, other: str) -> None:
    assert (cluster_key(one) == cluster_key(other)) == (one == other)


def test_plain_names_are_themselves() -> None:
    for name in ("prod", "gke_project_zone_prod", "prod.example.com", "kind-1", "a"):
        assert cluster_key(name) == name


@pytest.mark.parametrize("cluster", ODD)
def test_readers_take_its_value_for_text(cluster: str, tmp_path: Path) -> None:
    folder = tmp_path / hour_folder((cluster_key(cluster), 7))
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"cluster": [cluster]}), folder / "a.parquet")
    assert cluster_of(folder.parent.parent.name.partition("=")[2]) == cluster
    found = ds.dataset(tmp_path, partitioning="hive").to_table().to_pylist()
    assert found == [{"cluster": cluster, "cluster_key": cluster_key(cluster), "event_day": 19700101, "event_hour": 7}]
    link = duckdb.connect()
    read = f"FROM read_parquet('{tmp_path}/**/*.parquet', hive_partitioning = true)"
    assert link.sql(f"SELECT cluster, cluster_key {read}").fetchall() == [(cluster, cluster_key(cluster))]
    assert link.sql(f"SELECT typeof(event_day), typeof(event_hour) {read}").fetchall() == [("BIGINT", "BIGINT")]


@pytest.mark.parametrize(("folder", "cluster"), [
    ("named/cluster_key=prod/event_day=20261120/event_hour=7", "prod"),
    ("named/cluster_key=_-3007/event_day=20261120/event_hour=7", "007"),
    ("named/cluster=a%3Ab/event_day=20261120/event_hour=07", "a:b"),
    (f"named/cluster_key={NO_CLUSTER}", ""),
    (f"named/cluster={NO_CLUSTER}", ""),
    ("named", None),
    ("cluster/named", None),
])  # fmt: skip
def test_a_path_tells_the_cluster_in_both_versions(folder: str, cluster: str | None) -> None:
    assert told_cluster(folder) == cluster


def test_days_that_no_calendar_has() -> None:
    """Hours of years before the first share a folder, and so do those that 32 bits cannot hold."""
    hours = {-1: "19691231", 0: "19700101", 24 * 3_000_000: "101830921", -(24 * 10**8): "0", 24 * 10**8: "2147483647"}
    assert {one: hour_folder(("a", one)).parts[1] for one in hours} == {
        one: f"event_day={day}" for one, day in hours.items()
    }
