"""`whowas flows` as a user runs it, on the samples."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support import rows as made_up
from support.flow_logs import netobserv

import whowas
from sinks.flows.parquet import ParquetSink
from whowas.cli import flow_table, group
from whowas.cli import flows as command
from whowas.cli.flow_table import name_of

HISTORY = "samples/overlay/history.jsonl.gz"


@pytest.fixture(scope="module")
def named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples' flows, named."""
    out = tmp_path_factory.mktemp("named")
    whowas.replay(root / "samples/overlay/node1-bridge.pcap", root / HISTORY, out=out,
                  networks=root / "samples/overlay/networks.toml")  # fmt: skip
    return out


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(group, ["flows", *words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def told(named: Path, *words: str) -> Any:
    return json.loads(run("-f", str(named), *words, "--json").output)


def sql(named: Path, text: str) -> list[Any]:
    result = CliRunner().invoke(group, ["query", text, "-f", str(named), "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_the_example_of_its_help_works(named: Path) -> None:
    out = run("-f", str(named), "--src", "shop/web", "--dst", "data/db:5432", "--since", "2h").output
    assert "(2h before the last flow)" in out
    assert "shop/web 10.244.1.20" in out
    assert "data/db:5432 10.244.2.21" in out
    assert "ends: exact" in out
    assert "whowas flows --flows named --src shop/web --dst data/db:5432 --since 2h" in run("--help").output


def test_the_newest_come_first_and_the_rest_is_counted(named: Path) -> None:
    answer = told(named, "--limit", "7", "--noise")
    times = [row["start_time"] for row in answer["flows"]]
    assert times == sorted(times, reverse=True)
    assert answer["matched"] == sql(named, "SELECT count(*) AS n FROM flows")[0]["n"] > 7 == len(times)
    assert sum(answer["ends_by_confidence"].values()) == 2 * answer["matched"]
    assert f"{answer['matched'] - 7:,} flows more, older" in run("-f", str(named), "--limit", "7", "--noise").output


def test_noise_is_folded_into_one_line(named: Path) -> None:
    quiet, whole = told(named), told(named, "--noise")
    assert whole["noise_left_out"] == 0 < quiet["noise_left_out"]
    assert quiet["matched"] + quiet["noise_left_out"] == whole["matched"]
    assert all(not row["dst_ip"].startswith(("ff", "224.")) for row in told(named, "--limit", "1000")["flows"])
    line = f"… {quiet['noise_left_out']} flows to multicast and broadcast (--noise shows them)"
    assert line in run("-f", str(named)).output


def test_what_is_not_certain_is_marked(named: Path) -> None:
    out = run("-f", str(named), "--confidence", "ambiguous", "--confidence", "likely", "--limit", "500").output
    assert "? ambiguous: it may have been any of the names; none is certain" in out
    assert "~ likely" in out
    rows = [line for line in out.splitlines() if line.startswith("2026-")]
    assert all(("ambiguous" in line) == ("  ?" in line) and ("likely" in line) == ("  ~" in line) for line in rows)
    sure = ("--where", "src_confidence=exact", "--where", "dst_confidence=exact")
    assert not {"~", "?"} & set(run("-f", str(named), *sure).output)


def test_uncertain_ends_are_never_added_to_a_certain_name(named: Path) -> None:
    answer = told(named, "--top", "src_workload", "--by", "flows", "--limit", "1000", "--noise")
    assert sum(row["flows"] for row in answer["top"]) == answer["matched"]
    web = [row for row in answer["top"] if (row["src_namespace"], row["src_workload"]) == ("shop", "web")]
    assert {row["src_confidence"] for row in web} == {"exact", "likely"}
    for row in web:
        text = f"src_workload = 'web' AND src_namespace = 'shop' AND src_confidence = '{row['src_confidence']}'"
        assert sql(named, f"SELECT count(*) AS n FROM flows WHERE {text}") == [{"n": row["flows"]}]
    doubted = [row for row in answer["top"] if row["src_confidence"] == "ambiguous"]
    assert doubted
    assert all(row["src_workload"] is None and row["src_ip"] for row in doubted)


def test_the_top_is_by_what_was_asked(named: Path) -> None:
    for by in ("bytes", "flows", "packets"):
        answer = told(named, "--top", "src_workload,dst_ip,dst_port", "--by", by, "--limit", "5")
        counts = [row[by] for row in answer["top"]]
        assert counts == sorted(counts, reverse=True)
        assert answer["groups"] > len(counts) == 5
    out = run("-f", str(named), "--top", "src_workload,dst_workload,dst_port", "--limit", "3").output
    assert out.split()[:3] == ["src_workload", "dst_workload", "dst_port"]
    assert "groups more with less" in out


def test_its_sql_gives_the_same_flows(named: Path) -> None:
    for words in (
        ("--src", "deploy/shop/w*", "--not", "dst=*/db", "--label", "app=web", "--since", "20s"),
        ("--ip", "10.244.0.0/16", "--port", "1-9000", "--noise"), ("--external", "--limit", "500"),
        ("--end", "it's%/_*\\", "--not", "where=tls_sni='; DROP"), ("--at", "2026-11-21T08:39:41Z"),
    ):  # fmt: skip
        text = run("-f", str(named), *words, "--sql").output
        rows = sql(named, text)
        assert [row["flow_id"] for row in rows] == [row["flow_id"] for row in told(named, *words)["flows"]]
    assert rows


def test_since_counts_from_now_where_flows_are_new(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from whowas.query import flow_list
    from whowas.timestamps import moment_us

    last = moment_us(sql(named, "SELECT max(start_time) AS t FROM flows")[0]["t"])
    old = told(named, "--since", "10s")
    assert moment_us(old["since"]) == last - 10_000_000
    assert moment_us(old["counted_back_from_last_flow"]) == last
    monkeypatch.setattr(flow_list, "now_us", lambda: last + 4_000_000)
    new = told(named, "--since", "10s")
    assert (moment_us(new["since"]), new["counted_back_from_last_flow"]) == (last - 6_000_000, None)
    assert new["matched"] < old["matched"] + 1
    assert told(named, "--since", "2026-11-21T08:39:45Z", "--until", "2026-11-21T08:39:45.5Z")["since"] is not None


def test_csv_has_a_row_a_flow(named: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("-f", str(named), "--csv", "--limit", "9").output)))
    assert len(rows) == 9
    assert all(row["src_ip"] and row["start_time"].endswith("Z") for row in rows)
    groups = list(csv.DictReader(io.StringIO(run("-f", str(named), "--csv", "--top", "dst_port").output)))
    assert set(groups[0]) == {"dst_port", "bytes", "packets", "flows", "first_time", "last_time"}


def test_names_that_the_record_tells_are_shown_as_told_where_ours_are_unknown(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "netobserv.json"
    log.write_text(json.dumps(netobserv(SrcK8S_Name="web-1", SrcK8S_Namespace="mall", SrcK8S_Type="Pod")))
    whowas.replay(log, root / HISTORY, out=tmp_path / "named")
    rows = told(tmp_path / "named")["flows"]
    theirs = [row for row in rows if row["src_told_name"] and row["src_workload"] is None]
    assert theirs
    out = run("-f", str(tmp_path / "named")).output
    for row in theirs:
        assert f"told:{row['src_told_namespace']}/{row['src_told_name']} {row['src_ip']}" in out
    assert "told: the record says so, the history does not; nobody checked it" in out


def test_our_name_stands_alone_where_there_is_one() -> None:
    row = {"src_ip": "10.0.0.1", "src_port": 1, "src_told_name": "a\tb", "src_told_namespace": None}
    assert flow_table._end(row, "src") == "told:a\tb 10.0.0.1"
    assert flow_table._end(row | {"src_workload": "web", "src_confidence": "likely"}, "src") == "~web 10.0.0.1"
    assert flow_table._end(row | {"src_confidence": "ambiguous"}, "src") == "? 10.0.0.1"


@pytest.mark.parametrize(("words", "text"), [
    (("--json", "--csv"), "do not go together"), (("--sql", "--csv"), "do not go together"),
    (("--top", "src_workloa"), "did you mean src_workload"), (("--top", "src_port,src_port"), "twice"),
    (("--top", "src_images"), "no single value"), (("--since", "yesterday"), "cannot read the time"),
    (("--since", "1h", "--until", "2h"), "exchange them"),
    (("--at", "2026-11-21T08:39:41Z", "--since", "1h"), "a moment"),
    (("--not", "dst"), "WORD=VALUE"), (("--not", "dest=x"), "did you mean dst"), (("--tz", "Mars"), "no such zone"),
    (("--src", "10.244.1.999"), "neither an address"), (("--since", "2026-11-21T08:00:00"), "no zone"),
])  # fmt: skip
def test_mistakes_are_explained(named: Path, words: tuple[str, ...], text: str) -> None:
    result = CliRunner().invoke(group, ["flows", "-f", str(named), *words])
    assert result.exit_code
    assert text in f"{result.output} {result.exception}"


def test_names_that_attackers_choose_reach_no_terminal(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path, "aa")
    sink.check()
    sink.write(made_up.batch(200, 3))
    sink.close()
    for words in ((), ("--top", "src_workload,dst_pod,src_labels.app"), ("--sql", "--src", "a\x1b[31m\u202e/b")):
        out = run("-f", str(tmp_path), "--noise", "--limit", "200", *words).output
        assert not {"\x1b", "\x00", "\u202e"} & set(out)


@pytest.mark.parametrize(("row", "name"), [
    ({"kind": "pod", "confidence": "exact", "namespace": "shop", "workload": "web"}, "shop/web"),
    ({"kind": "pod", "confidence": "likely", "namespace": "shop", "workload": "web"}, "~shop/web"),
    ({"kind": "service", "confidence": "service", "namespace": "shop", "service": "api"}, "service/shop/api"),
    ({"kind": "node", "confidence": "snat", "node": "worker-1"}, "behind node/worker-1"),
    ({"kind": "external", "confidence": "external", "workload": "bank"}, "bank"),
    ({"confidence": "unknown"}, ""), ({"confidence": "none"}, ""), ({"confidence": None}, ""),
    ({"confidence": "ambiguous", "candidates": [
        {"namespace": "shop", "workload": name, "name": name} for name in ("a", "a", "b", "c", "d")]},
     "?shop/a or shop/b +2"),
])  # fmt: skip
def test_the_name_of_an_end(row: dict[str, Any], name: str) -> None:
    assert name_of({f"src_{key}": value for key, value in row.items()}, "src") == name


def test_every_word_of_the_command_line_is_one_of_filters() -> None:
    from whowas.query.filter_words import WORDS

    assert {*command.WORDS, "external", "direction"} == set(WORDS)
