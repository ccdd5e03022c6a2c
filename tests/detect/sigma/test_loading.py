"""What rule files become."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from support.sigma.rule_texts import correlation, filed, flat, rule

from detect.conditions.tree import Atom
from detect.matching.matcher import Matcher
from detect.model import ABOUT, FirstSeen, Site
from detect.sigma import load
from detect.sigma.refusals import Refused
from detect.sigma.sql_check import Runner
from whowas.errors import ConfigError

SSH = "  ssh: {dst_port: 22}\n  condition: ssh"


def test_a_rule_says_what_is_known_of_it(tmp_path: Path) -> None:
    more = (
        "status: test\nauthor: me\ndescription: why\ntags: [attack.t1021.004, attack.lateral-movement]\n"
        "falsepositives: [admins]\nreferences: https://example.org/\n"
        "whowas: {group_by: [src_pod, src_labels.app], window: 5m, topic: ssh.alerts}\n"
    )
    (only,) = load(filed(tmp_path, "\n\n" + rule(SSH, more=more))).ruleset.rules
    info = only.info
    assert (info.id, info.name, info.title, info.level) == (str(uuid.UUID(int=1)), "rule-1", "Rule 1", "low")
    assert (info.status, info.author, info.description) == ("test", "me", "why")
    assert (info.tags, info.attacks) == (("attack.t1021.004", "attack.lateral-movement"), ("T1021.004",))
    assert (info.false_positives, info.references) == (("admins",), ("https://example.org/",))
    assert (info.group_by, info.window_us, info.topic) == (("src_pod", "src_labels.app"), 300_000_000, "ssh.alerts")
    assert (info.path, info.line) == (str(tmp_path / "rules.yml"), 3)
    assert only.columns == {"dst_port"}
    assert not only.silent


def test_what_a_rule_does_not_say_has_a_meaning(tmp_path: Path) -> None:
    text = rule(SSH).replace("name: rule-1\n", "")
    (only,) = load(filed(tmp_path, text, name="ssh_into_pods.yml")).ruleset.rules
    assert only.info.name == "ssh_into_pods"
    assert only.info.group_by == ("src_namespace", "src_workload", "dst_namespace", "dst_workload")
    assert (only.info.window_us, only.info.topic, only.first_seen) == (3_600_000_000, None, None)


def test_first_seen_is_read(tmp_path: Path) -> None:
    more = "whowas:\n  first_seen: {by: [src_workload, dst_workload], within: 30d, learn: 12.5s}\n"
    (only,) = load(filed(tmp_path, rule(SSH, more=more))).ruleset.rules
    assert only.first_seen == FirstSeen(("src_workload", "dst_workload"), 30 * 86_400_000_000, 12_500_000)


def test_a_folder_is_loaded_in_order_and_goes_on_past_what_is_refused(tmp_path: Path) -> None:
    filed(tmp_path, rule(SSH, 2), name="b.yaml")
    filed(tmp_path, rule(SSH, 1), name="a.yml")
    (tmp_path / "deeper").mkdir()
    filed(tmp_path / "deeper", rule("  s: {dst_prt: 1}\n  condition: s", 3), rule(SSH, 4))
    filed(tmp_path, "no rule", name="notes.txt")
    found = load([tmp_path], strict=False)
    assert [one.info.name for one in found.ruleset.rules] == ["rule-1", "rule-2", "rule-4"]
    (refusal,) = found.refusals
    assert str(refusal) == (
        f"{tmp_path}/deeper/rules.yml:8: cannot load rule 'Rule 3': 'dst_prt' is no field of a flow; "
        "did you mean dst_port?"
    )
    with pytest.raises(ConfigError, match=r"rules\.yml:8: cannot load rule 'Rule 3'"):
        load([tmp_path])


def test_placeholders_are_the_sites_lists(tmp_path: Path) -> None:
    detection = "  s: {'src_namespace|expand': '%sensitive%', 'src_ip|cidr|expand': '%inside%'}\n  condition: s"
    site = Site({"sensitive": ("data", "pay*"), "inside": ("10.0.0.0/8", "fd00::/8")})
    rows = flat(
        [
            {"src_namespace": "Payments", "src_ip": "10.1.1.1"},
            {"src_namespace": "data", "src_ip": "fd00::5"},
            {"src_namespace": "data", "src_ip": "11.0.0.1"},
            {"src_namespace": "shop", "src_ip": "10.1.1.1"},
        ]
    )
    ruleset = load(filed(tmp_path, rule(detection)), site).ruleset
    assert Matcher(ruleset).match(rows)["rule-1"].tolist() == [0, 1]


def test_an_empty_list_holds_nothing(tmp_path: Path) -> None:
    path = filed(
        tmp_path,
        rule("  s: {dst_port: 22}\n  f: {'src_namespace|expand': '%allowed%'}\n  condition: s and not f", 1),
        rule("  s: {'src_namespace|expand': '%allowed%'}\n  condition: s", 2),
        rule("  s: {'src_namespace|expand|neq': '%allowed%'}\n  condition: s", 3),
        rule("  s: {'src_namespace|contains|expand': 'a%allowed%b'}\n  condition: s", 4),
    )
    ruleset = load(path, Site({"allowed": ()})).ruleset
    found = Matcher(ruleset).match(flat([{"dst_port": 22, "src_namespace": ""}, {"dst_port": 23}]))
    assert {name: rows.tolist() for name, rows in found.items()} == {"rule-1": [0], "rule-3": [0, 1]}


def filter_of(rules: str, body: str = "  mine: {src_namespace: test}\n  condition: not mine") -> str:
    return (
        "title: Filter\ntaxonomy: whowas\nlogsource: {category: network_flow, product: kubernetes}\n"
        f"filter:\n  rules: {rules}\n{body}\n"
    )


@pytest.mark.parametrize(
    ("rules", "filtered"),
    [("any", {1, 2}), ("[rule-1]", {1}), (f"[{uuid.UUID(int=2)}]", {2}), ("rule-2", {2}), ("[]", {1, 2})],
)
def test_filters_narrow_the_rules_they_name(tmp_path: Path, rules: str, filtered: set[int]) -> None:
    path = filed(tmp_path, rule(SSH, 1), filter_of(rules), rule(SSH, 2))
    found = Matcher(load(path).ruleset).match(flat([{"dst_port": 22}, {"dst_port": 22, "src_namespace": "test"}]))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        f"rule-{number}": [0] if number in filtered else [0, 1] for number in (1, 2)
    }


def test_a_filter_for_an_unknown_rule_is_refused_and_works_for_the_others(tmp_path: Path) -> None:
    found = load(filed(tmp_path, rule(SSH, 1), filter_of("[rule-1, rule-9]")), strict=False)
    assert [(one.line, one.cause) for one in found.refusals] == [(15, "the filter's rule 'rule-9' was not loaded")]
    assert "src_namespace" in found.ruleset.rules[0].sql


CORRELATION = "  type: {}\n  rules: [rule-1, rule-2]\n  group-by: [src_pod, who]\n  timespan: 90s\n"
ALIASES = "  aliases: {who: {rule-1: dst_pod, rule-2: src_labels.app}}\n"


def test_a_correlation_is_read_and_its_rules_fall_silent(tmp_path: Path) -> None:
    body = CORRELATION.format("event_count") + ALIASES + "  condition: {gt: 3}"
    found = load(filed(tmp_path, rule(SSH, 1), rule(SSH, 2), correlation(body), rule(SSH, 3))).ruleset
    (only,) = found.correlations
    assert (only.type, only.rules, only.timespan_us) == ("event_count", ("rule-1", "rule-2"), 90_000_000)
    assert only.group_by == only.info.group_by == ("src_pod", "who")
    assert only.aliases == {"who": {"rule-1": "dst_pod", "rule-2": "src_labels.app"}}
    assert (only.operator, only.count, only.fields) == ("gt", 3, ())
    assert [one.silent for one in found.rules] == [True, True, False]


def test_the_end_that_advice_is_about_is_read(tmp_path: Path) -> None:
    told = [rule(SSH, number, f"whowas: {{about: {word}}}\n") for number, word in enumerate(ABOUT, 1)]
    found = load(filed(tmp_path, *told, rule(SSH, 9))).ruleset
    assert [one.info.about for one in found.rules] == [*ABOUT, "src"]


@pytest.mark.parametrize(("columns", "group", "cause"), [
    (("src_pod", "dst_pod"), "[Who]", None), (("src_pod", "dst_pod"), "[src_node]", "does not tell an end"),
    (("src_pod", "cluster"), "[Who]", "does not tell an end"),
    (("src_pod", "src_labels.app"), "[Who]", "does not tell an end"),
])  # fmt: skip
def test_advice_may_be_about_an_alias_that_tells_an_end(
    tmp_path: Path, columns: tuple[str, str], group: str, cause: str | None
) -> None:
    body = (
        "  type: temporal\n  rules: [rule-1, rule-2]\n  timespan: 90s\n"
        f"  aliases: {{Who: {{rule-1: {columns[0]}, rule-2: {columns[1]}}}}}\n  group-by: {group}"
    )
    text = correlation(body, more="whowas: {about: Who}\n")
    found = load(filed(tmp_path, rule(SSH, 1), rule(SSH, 2), text), strict=False)
    if cause is None:
        (one,) = found.ruleset.correlations
        assert (one.info.about, one.info.about_columns) == ("Who", columns)
    else:
        assert cause in str(found.refusals[0])


def test_generate_keeps_rules_audible(tmp_path: Path) -> None:
    quiet = correlation("  type: event_count\n  rules: [rule-1, rule-2]\n  timespan: 1m\n  condition: {gte: 2}", 50)
    loud = correlation(
        "  type: event_count\n  rules: rule-2\n  timespan: 1m\n  generate: true\n  condition: {gte: 2}", 51
    )
    found = load(filed(tmp_path, rule(SSH, 1), rule(SSH, 2), quiet, loud)).ruleset
    assert [one.silent for one in found.rules] == [True, False]


def test_value_counts_and_orders_are_read(tmp_path: Path) -> None:
    counted = correlation(
        f"  type: value_count\n  rules: {uuid.UUID(int=1)}\n  timespan: 5m\n"
        "  condition: {gte: 20, field: [dst_ip, dst_port]}",
        50,
    )
    ordered = correlation("  type: temporal_ordered\n  rules: [rule-2, rule-1]\n  timespan: 1h", 51)
    first, second = load(filed(tmp_path, rule(SSH, 1), rule(SSH, 2), counted, ordered)).ruleset.correlations
    assert (first.rules, first.operator, first.count, first.fields) == (("rule-1",), "gte", 20, ("dst_ip", "dst_port"))
    assert (second.type, second.rules, second.count) == ("temporal_ordered", ("rule-2", "rule-1"), 2)


def test_cases_come_as_rows(tmp_path: Path) -> None:
    more = (
        "whowas:\n  tests:\n    match:\n      - {dst_port: 22, src_ip: 10.0.0.1, src_labels: {app: web}}\n"
        "    ignore:\n      - title: two\n        flows: [{dst_port: 23, vlan: [1]}, {at: 1.5s, dst_port: 24}]\n"
    )
    first, second = load(filed(tmp_path, rule(SSH, more=more))).cases
    assert (first.rule, first.title, first.matches, first.line) == ("rule-1", "match 1", True, 10)
    (flow,) = first.flows
    assert flow.columns == {
        "dst_port": 22,
        "src_ip": "10.0.0.1",
        "src_ip16": bytes(10) + b"\xff\xff\x0a\0\0\x01",
        "src_labels": [("app", "web")],
    }
    assert (second.title, second.matches) == ("two", False)
    assert [(one.at_us, one.columns) for one in second.flows] == [
        (0, {"dst_port": 23, "vlan": [1]}),
        (1_500_000, {"dst_port": 24}),
    ]


def test_yaml_words_are_what_they_look_like(tmp_path: Path) -> None:
    """`on`, `no` and 12:30 are text, as in YAML 1.2; a MAC address is no number to the base of sixty."""
    detection = (
        "  s: {src_labels.a: on, src_labels.b: no, src_labels.c: 12:30, src_mac: 12:34:56:12:34:56}\n  condition: s"
    )
    row = {"src_labels": {"a": "on", "b": "no", "c": "12:30"}, "src_mac": "12:34:56:12:34:56"}
    assert list(Matcher(load(filed(tmp_path, rule(detection))).ruleset).match(flat([row]))) == ["rule-1"]


def test_rules_of_other_logs_are_taken_where_they_mean_the_same(tmp_path: Path) -> None:
    def other(number: int, logsource: str, selection: str) -> str:
        return (
            f"title: Other {number}\nid: {uuid.UUID(int=number)}\nname: rule-{number}\nlevel: high\nstrange: key\n"
            f"logsource: {logsource}\ndetection:\n  s: {selection}\n  condition: s\n"
        )

    path = filed(
        tmp_path,
        other(1, "{category: network_connection, product: windows}", "{Initiated: 'true', DestinationPort: 4444}"),
        other(2, "{category: network_connection, product: linux}", "{DestinationIsIpv6: 'true'}"),
        other(3, "{category: dns}", "{query|endswith: .onion}"),
        other(4, "{product: zeek, service: conn}", "{id.resp_h|cidr: 10.0.0.0/8, proto: TCP}"),
        other(5, "{category: network_connection, product: windows}", "{Image|endswith: a.exe}"),
        other(6, "{category: network_connection, product: windows}", "{Initiated: 'false'}"),
        other(7, "{category: process_creation, product: windows}", "{DestinationPort: 1}"),
        other(8, "{category: dns}", "[some words]"),
    )
    found = load(path, strict=False, foreign=True)
    rows = flat(
        [
            {"dst_port": 4444, "initiator_basis": "syn", "dst_ip": "fd00::1", "dns_name": "x.onion"},
            {"dst_port": 4444, "initiator_basis": "sender", "dst_ip": "10.0.0.1", "protocol": "tcp"},
        ]
    )
    matched = {name: one.tolist() for name, one in Matcher(found.ruleset).match(rows).items()}
    assert matched == {"rule-1": [0], "rule-2": [0], "rule-3": [0], "rule-4": [1]}
    assert [(one.rule, one.cause) for one in found.refusals] == [
        ("Other 5", "the field 'Image' says nothing that a flow knows"),
        ("Other 6", "the field 'Initiated' says less of a flow"),
        ("Other 7", "its logsource, process_creation windows, does not tell of flows"),
        ("Other 8", "a word without a field is asked for"),
    ]
    assert len(load(path, strict=False).refusals) == 8


def test_words_that_are_looked_for_in_other_spellings(tmp_path: Path) -> None:
    path = filed(
        tmp_path,
        rule("  s: {dns_name|base64offset|contains: evil data}\n  condition: s", 1),
        rule("  s: {dns_name|base64: evil data}\n  condition: s", 2),
        rule("  s: {dns_name|windash|contains|all: [' -x', ' -y']}\n  condition: s", 3),
    )
    rows = flat(
        [{"dns_name": one} for one in ("xZXZpbCBkYXRh.example", "ZXZpbCBkYXRh", "eGV2aWwgZGF0YQ", "a –x /y", "a -x")]
    )
    found = Matcher(load(path).ruleset).match(rows)
    assert {name: one.tolist() for name, one in found.items()} == {"rule-1": [0, 1, 2], "rule-2": [1], "rule-3": [3]}


def test_without_pysigma_the_pip_line_is_told() -> None:
    program = "import sys; sys.modules['sigma'] = None\nimport detect.sigma"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.returncode == 1
    assert "cannot import 'sigma': it is not installed; run " in told.stderr
    assert "[rules]'" in told.stderr


def test_the_engine_has_the_last_word() -> None:
    with pytest.raises(Refused, match="DuckDB does not take it: Binder Error"):
        Runner().check(Atom("no_such_column", ()), 3)
    with pytest.raises(Refused, match=r"the expression .* is none of RE2: .* RE2 has no look-around"):
        Runner().expression("'(?<=a)b'")
