"""Files of version 1 of the columns give every reader the answers that files of this version give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.old_flows import UNSIGNED, as_version_1
from support.workbench import Served, rows, served, write

import whowas
from sinks.flows.compaction import Compaction, CompactionOptions
from whowas.batch.flow_files import FlowFiles
from whowas.batch.replay import open_flows
from whowas.cli import group
from whowas.query.sql import ask
from whowas.schema import table_schema

CLUSTERS = ("prod", "007", "arn:aws:eks:eu-west-1:1:cluster/a")
KINDS = ("new", "old", "mixed")
RULE = """
title: Ports beyond what 16 signed bits hold
id: 5a0b4f6e-3a55-4d0e-8a07-5f5b9c0d7b12
name: high_ports
taxonomy: whowas
logsource: {category: network_flow, product: kubernetes}
level: low
detection:
  selection: {src_port|gte: 40000, protocol_number: 6}
  condition: selection
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same flows three times; of `mixed` the first cluster is of this version."""
    top = tmp_path_factory.mktemp("versions")
    parts = [[one | {"cluster": name} for one in rows(150, seed)] for seed, name in enumerate(CLUSTERS)]
    for number, part in enumerate(parts):
        part[0] |= {
            "src_port": 65_535,
            "src_nat_port": 50_000,
            "dst_nat_port": 1,
            "vlan": [4_094, 7],
            "tcp_flags": 0xFFF,
        }
        write(top / "new", part, f"r{number}")
        write(top / ("mixed" if number == 0 else "later"), part, f"r{number}")
    as_version_1(top / "new", top / "old")
    as_version_1(top / "later", top / "mixed")
    return {kind: top / kind for kind in KINDS}


def run(*words: str) -> str:
    result = CliRunner().invoke(group, list(words))
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_sql(folders: dict[str, Path], kind: str) -> None:
    names = [one.name for one in table_schema()]
    asked = f"SELECT {', '.join(names)}, event_day, event_hour FROM flows ORDER BY flow_id"
    found, wanted = ask(asked, folders[kind]), ask(asked, folders["new"])
    assert found.schema.equals(wanted.schema)
    assert found.equals(wanted)
    for name in UNSIGNED:
        (one,) = ask(f"SELECT typeof({name}) AS t FROM flows LIMIT 1", folders[kind]).to_pylist()
        assert one["t"] == ("INTEGER[]" if name == "vlan" else "INTEGER")
    assert set(ask("FROM flows", folders[kind]).column_names) == {*names, "event_day", "event_hour"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_one_cluster(folders: dict[str, Path], kind: str, cluster: str) -> None:
    sql = f"SELECT count(*) AS n, max(src_port) AS p FROM flows WHERE cluster = '{cluster}' AND event_hour IN (0, 1, 2)"
    assert ask(sql, folders[kind]).to_pylist() == [{"n": 150, "p": 65_535}]


@pytest.mark.parametrize("kind", KINDS)
def test_flows(folders: dict[str, Path], kind: str) -> None:
    words = ("--port", "65535", "--json", "--flows")
    assert run("flows", *words, str(folders[kind])) == run("flows", *words, str(folders["new"]))
    words = ("--top", "cluster,src_port", "--json", "--flows")
    assert run("flows", *words, str(folders[kind])) == run("flows", *words, str(folders["new"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_of_arrow(folders: dict[str, Path], kind: str) -> None:
    names = [*table_schema().names, "event_day", "event_hour"]
    found, wanted = (open_flows(folders[one]).to_table(names).sort_by("flow_id") for one in (kind, "new"))
    assert found.to_pylist() == wanted.to_pylist()
    for name in UNSIGNED:
        assert found.schema.field(name).type == table_schema().field(name).type


@pytest.mark.parametrize("kind", KINDS)
def test_batches_for_rules(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    found = [row for batch, _ in FlowFiles.find(str(folders[kind])).batches() for row in batch.to_pylist()]
    wanted = [row for batch, _ in FlowFiles.find(str(folders["new"])).batches() for row in batch.to_pylist()]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert {row["cluster"] for row in found} == set(CLUSTERS)
    (tmp_path / "rule.yml").write_text(RULE)
    results = []
    for number, one in enumerate((kind, "new")):
        out = tmp_path / f"{number}.jsonl"
        run("backtest", "--rules", str(tmp_path / "rule.yml"), "--flows", str(folders[one]), "--out", str(out))
        told = [json.loads(line)["finding_info"] for line in out.read_text().splitlines()]
        results.append(sorted(told, key=lambda finding: str(finding["uid"])))
    assert results[0]
    assert results[0] == results[1]


def asked(page: Served, path: str, **told: Any) -> Any:
    answer = page.ask(path, told)
    assert answer.status == 200, answer.body
    found = answer.json
    return {name: value for name, value in found.items() if name not in ("about", "hours", "hour", "next")}


@pytest.mark.parametrize("kind", ["old", "mixed"])
def test_the_page(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    columns = ["flow_id", "cluster", "src_port", "vlan", "src_nat_port", "tcp_flags", "protocol_number", "event_hour"]
    with served(folders[kind], tmp_path / "a") as page, served(folders["new"], tmp_path / "b") as new:
        for one in ({"columns": columns, "limit": 500}, {"filter": "cluster=007 where=src_port=65535"}):
            got, wanted = (asked(which, "/api/flows", **one) for which in (page, new))
            assert got["values"] == wanted["values"]
            assert got["values"][0]
        for path, words in (("/api/facets", {"columns": ["cluster", "dst_port", "src_port"]}), ("/api/map", {})):
            assert asked(page, path, **words) == asked(new, path, **words)
        assert page.ask("/api/status").json["clusters"] == new.ask("/api/status").json["clusters"]


@pytest.mark.parametrize("kind", ["old", "mixed"])
def test_a_report(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    told = []
    for one in (kind, "new"):
        out = tmp_path / f"{one}.html"
        run("report", "--flows", str(folders[one]), "--out", str(out), "--cache", str(tmp_path / f"cache-{one}"))
        told.append(out.read_text())
    assert len(told[0]) > 1000
    assert told[0].count("65535") == told[1].count("65535")


def test_merging_keeps_the_folder_and_takes_the_new_types(folders: dict[str, Path], tmp_path: Path) -> None:
    as_version_1(folders["new"], tmp_path / "flows")
    for path in [*(tmp_path / "flows").rglob("*.parquet")]:
        path.with_name("second.parquet").write_bytes(path.read_bytes())
    with Compaction(tmp_path / "flows", CompactionOptions(settled_seconds=0)) as compaction:
        assert compaction.run().files_after > 0
    every = "SELECT * FROM flows ORDER BY flow_id"
    found = ask(every.replace("*", "DISTINCT *"), tmp_path / "flows")
    assert found.equals(ask(every, folders["new"]))


def test_a_folder_around_ours_may_be_called_as_ours_once_were(root: Path, tmp_path: Path) -> None:
    samples = root / "samples" / "overlay"
    flows = whowas.replay(
        samples / "node1-bridge.pcap", samples / "history.jsonl.gz", tmp_path / "cluster=other" / "out"
    )
    assert set(flows.to_table(["cluster"])["cluster"].to_pylist()) == {"demo"}
    assert flows.schema.field("cluster").type == table_schema().field("cluster").type
