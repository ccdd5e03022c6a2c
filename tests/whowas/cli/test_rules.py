"""`whowas rules` and `whowas backtest` as a user runs them, on the samples and on mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import whowas
from whowas.batch.flow_files import FlowFiles
from whowas.cli import group

HISTORY = "samples/overlay/history.jsonl.gz"
CAPTURES = ("samples/overlay/node1-underlay.pcap.zst", "samples/overlay/node1-bridge.pcap")
RULE = """
title: Web asks the API
id: 5a0b4f6e-3a55-4d0e-8a07-5f5b9c0d7b11
name: web_asks_api
taxonomy: whowas
logsource: {category: network_flow, product: kubernetes}
level: low
detection:
  selection: {src_workload: web, dst_port: 8080}
  condition: selection
whowas:
  tests:
    match:
      - {src_workload: web, dst_port: 8080}
    ignore:
      - {src_workload: web, dst_port: 443}
"""


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(group, list(words))
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def told(*words: str, code: int = 0) -> Any:
    return json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples' flows, named."""
    out = tmp_path_factory.mktemp("named")
    for number, capture in enumerate(CAPTURES):
        whowas.replay(root / capture, root / HISTORY, out=out / str(number),
                      networks=root / "samples/overlay/networks.toml")  # fmt: skip
    return out


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yml"
    path.write_text(RULE)
    return path


def findings(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# rules


def test_list_names_every_rule_that_makes_findings() -> None:
    rules = told("rules", "list")
    names = [one["name"] for one in rules]
    assert len(names) >= 30
    assert names == sorted(names)
    by_name = {one["name"]: one for one in rules}
    assert by_name["horizontal_scan"]["kind"] == "value_count"
    assert by_name["new_edge"]["kind"] == "first_seen"
    assert by_name["metadata_service"]["attacks"] == ["T1552.005"]
    assert "failed_attempt_to_address" not in by_name
    shown = run("rules", "list").stdout
    assert f"{len(names)} rules" in shown
    assert all(name in shown for name in names)


def test_own_rules_stand_beside_the_pack_or_alone(rule: Path) -> None:
    assert [one["name"] for one in told("rules", "list", "--rules", str(rule))] == ["web_asks_api"]
    both = told("rules", "list", "--rules", "pack", "--rules", str(rule))
    assert len(both) == len(told("rules", "list")) + 1


def test_check_says_sound(rule: Path) -> None:
    assert run("rules", "check", str(rule)).stdout == "1 rule on flows, 0 correlations, 2 test cases: sound\n"
    assert told("rules", "check", str(rule))["refused"] == []


def test_check_names_file_line_and_what_to_do(rule: Path) -> None:
    rule.write_text(RULE.replace("src_workload: web, dst_port: 8080}\n  cond", "src_workloda: web}\n  cond"))
    shown = run("rules", "check", str(rule), code=1).stdout
    assert f"{rule}:9: cannot load rule 'Web asks the API': 'src_workloda' is no field of a flow" in shown
    assert "did you mean src_workload?" in shown
    (refused,) = told("rules", "check", str(rule), code=1)["refused"]
    assert refused["line"] == 9
    assert refused["what_to_do"] == "did you mean src_workload?"


def test_check_of_nothing_is_refused(tmp_path: Path) -> None:
    assert "no such file" in run("rules", "check", str(tmp_path / "none.yml"), code=1).stdout.lower()


def test_test_judges_the_cases_of_a_file(rule: Path) -> None:
    assert run("rules", "test", str(rule)).stdout == "2 cases of 1 rule: all pass\n"


def test_test_says_which_flow_failed_and_why(rule: Path) -> None:
    rule.write_text(RULE.replace("    ignore:\n", "      - {src_workload: cart, dst_port: 8080}\n    ignore:\n"))
    shown = run("rules", "test", str(rule), code=1).stdout
    assert f"{rule}:15: web_asks_api: match 2: should have been found and was not" in shown
    assert "flow 1: src_workload is cart, which is not lower(src_workload) = 'web'" in shown
    assert shown.endswith("3 cases of 1 rule: 1 fail\n")
    (wrong,) = told("rules", "test", str(rule), code=1)["wrong"]
    assert (wrong["rule"], wrong["case"], wrong["wanted"], wrong["line"]) == ("web_asks_api", "match 2", "match", 15)


def test_test_says_what_has_no_cases(rule: Path) -> None:
    rule.write_text(RULE.partition("whowas:\n")[0])
    assert run("rules", "test", str(rule)).stdout == "0 cases of 0 rules: all pass\nwithout cases: web_asks_api\n"


def test_explained_sql_finds_the_flows_that_a_backtest_counts(rule: Path, named: Path) -> None:
    sql = run("rules", "explain", "web_asks_api", "--rules", str(rule)).stdout
    rows = run("query", sql, "--flows", str(named), "--json").stdout.splitlines()
    (count,) = told("backtest", "--rules", str(rule), "--flows", str(named))["rules"]
    assert len(rows) == count["flows"] > 0


def test_every_rule_of_the_pack_explains_itself_in_sql_that_runs(named: Path) -> None:
    from detect.pack import PACK
    from detect.sigma import explain, load
    from detect.site import load_site
    from whowas.query.sql import ask

    ruleset = load([PACK], load_site()).ruleset
    for one in (*ruleset.rules, *ruleset.correlations):
        ask(explain(one, ruleset.rules), named)


def test_explain_names_near_rules() -> None:
    result = run("rules", "explain", "horizontal_scam", code=1)
    assert "did you mean horizontal_scan" in str(result.exception)


# backtest


def test_the_samples_give_what_their_story_tells(named: Path, tmp_path: Path) -> None:
    """A shell in dev reaches the database and the outside; a node opens the database. Nothing else is odd there."""
    out = tmp_path / "findings.jsonl"
    result = told("backtest", "--flows", str(named), "--out", str(out))
    found = {one["name"]: one["flows"] for one in result["rules"] if one["findings"]}
    assert found == {"database_from_untrusted": 2, "bare_pod_to_outside": 1, "host_network_database": 1}
    assert result["findings"] == len(findings(out)) == 3
    assert result["flows"] == sum(pq.read_metadata(path).num_rows for path in named.rglob("*.parquet"))
    assert all(one["cost_ns"] > 0 for one in result["rules"])
    (high,) = [one for one in findings(out) if one["severity"] == "High"]
    assert high["class_uid"] == 2004
    assert '"dev"' in json.dumps(high["enrichments"])


def test_files_of_any_size_in_any_order_give_the_same_findings(named: Path, tmp_path: Path) -> None:
    flows = pa.concat_tables([pq.ParquetFile(path).read() for path in sorted(named.rglob("*.parquet"))])
    first, again = tmp_path / "first.jsonl", tmp_path / "again.jsonl"
    run("backtest", "--flows", str(named), "--out", str(first))
    mixed = tmp_path / "mixed" / "cluster=demo"
    mixed.mkdir(parents=True)
    order = [number for start in range(7) for number in range(start, len(flows), 7)]
    for number, low in enumerate(range(0, len(flows), 50)):
        part = flows.take(order[low : low + 50])
        pq.write_table(part, mixed / f"{9 - number % 10}-{number}.parquet", row_group_size=20)
    run("backtest", "--flows", str(tmp_path / "mixed"), "--out", str(again))
    assert same(first) == same(again)


def same(path: Path) -> list[tuple[str, int, Any]]:
    return sorted((one["finding_info"]["uid"], one["count"], one["start_time"]) for one in findings(path))


def test_a_person_sees_a_table_and_the_worst_finding(named: Path) -> None:
    shown = run("backtest", "--flows", str(named), "--show", "1").stdout
    assert "3 findings of 3 rules" in shown
    assert "high    database_from_untrusted" in shown
    assert "HIGH     A namespace for trying things out reaches a database" in shown
    assert "MEDIUM" not in shown


def test_a_level_leaves_out_what_is_below(named: Path) -> None:
    result = told("backtest", "--flows", str(named), "--level", "high")
    assert (result["findings"], result["below_level"]) == (1, 2)


def test_a_silence_that_is_over_keeps_nothing_back_and_is_told(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "silences.toml"
    path.write_text('[[silence]]\nid = "shell"\nrule = "database_from_untrusted"\nuntil = 2026-01-01T00:00:00Z\n')
    result = told("backtest", "--flows", str(named), "--silences", str(path))
    assert result["silences_over"] == ["shell"]
    assert "silenced" not in result["counts"]
    assert "database_from_untrusted" in {one["name"] for one in result["rules"] if one["findings"]}


def test_a_silence_of_a_rule_that_is_not_there_is_refused(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "silences.toml"
    path.write_text('[[silence]]\nid = "shell"\nrule = "database_from_untrustd"\nuntil = 2100-01-01T00:00:00Z\n')
    result = run("backtest", "--flows", str(named), "--silences", str(path), code=1)
    cause = "no rule is called 'database_from_untrustd'; did you mean 'database_from_untrusted'?"
    assert cause in str(result.exception)


def test_a_silence_keeps_a_finding_back_and_is_counted(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "silences.toml"
    path.write_text('[[silence]]\nid = "shell"\nrule = "database_from_untrusted"\nuntil = 2100-01-01T00:00:00Z\n')
    result = told("backtest", "--flows", str(named), "--silences", str(path))
    assert result["findings"] == 2
    assert result["counts"]["silenced"] == 1


def test_a_site_changes_what_is_found(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[lists]\nuntrusted_namespaces = []\n")
    names = {
        one["name"] for one in told("backtest", "--flows", str(named), "--site", str(path))["rules"] if one["findings"]
    }
    assert names == {"bare_pod_to_outside", "host_network_database"}


def test_a_file_of_findings_is_not_overwritten_unless_asked(named: Path, rule: Path, tmp_path: Path) -> None:
    out = tmp_path / "findings.jsonl"
    words = ("backtest", "--flows", str(named), "--rules", str(rule), "--out", str(out))
    run(*words)
    before = out.read_text()
    assert "it is there already" in str(run(*words, code=1).exception)
    run(*words, "--existing", "replace")
    assert out.read_text() == before
    assert not list(tmp_path.glob(".*"))


def test_a_broken_file_is_named_and_the_others_are_judged(named: Path, rule: Path, tmp_path: Path) -> None:
    shutil.copytree(named, tmp_path / "flows")
    (tmp_path / "flows" / "broken.parquet").write_bytes(b"PAR1 no")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "flows" / "other.parquet")
    result = told("backtest", "--flows", str(tmp_path / "flows"), "--rules", str(rule), code=1)
    assert {Path(one["path"]).name for one in result["unreadable"]} == {"broken.parquet", "other.parquet"}
    assert result["findings"] > 0


@pytest.mark.parametrize(("words", "text"), [
    (("--flows", "/no/such"), "no such folder"),
    (("--flows", "{empty}"), "no Parquet file in it"),
    (("--flows", "{named}", "--rules", "{empty}"), "it has 0 rule files"),
    (("--flows", "{named}", "--site", "/no/site"), "cannot read site"),
    (("--flows", "{named}", "--silences", "/no/silences"), "cannot read silences"),
    (("--flows", "{named}", "--out", "{empty}"), "it is a folder"),
])  # fmt: skip
def test_mistakes_are_explained(words: tuple[str, ...], text: str, named: Path, tmp_path: Path) -> None:
    result = run("backtest", *(word.format(named=named, empty=tmp_path) for word in words), code=1)
    assert text in str(result.exception)


def test_a_file_of_another_make_is_read_as_far_as_it_goes(named: Path, tmp_path: Path) -> None:
    """Plain strings, few columns, no word of Arrow's: what DuckDB or Spark write."""
    flows = pa.concat_tables([pq.ParquetFile(path).read() for path in sorted(named.rglob("*.parquet"))])
    few = flows.select(["flow_id", "start_time", "src_workload", "dst_port"])
    few = few.set_column(2, "src_workload", few["src_workload"].cast(pa.string()))
    (tmp_path / "cluster=a%20b").mkdir()
    pq.write_table(few, tmp_path / "cluster=a%20b" / "x.parquet", store_schema=False)
    files = FlowFiles.find(str(tmp_path))
    ((batch, _),) = files.batches()
    assert batch["cluster"].to_pylist() == ["a b"] * len(few)
    assert batch["src_workload"].to_pylist() == few["src_workload"].to_pylist()
    assert batch["dst_ip"].null_count == len(few)
