"""The text of one screen, and the commands in it, whatever the names are."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import click
import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.findings import RULE, T0, WORDS, finding, findings, flow

from detect.model import Finding
from detect.views import remediation
from detect.views import text as telling
from detect.views.text_wrap import columns, cut, fold
from whowas.schema import CONFIDENCES

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
HOSTILE = ["'; rm -rf / #", "$(id)", "`id`", "x\ny", "\x1b[2J", "-rf", "a b", "\u202egnp.exe", "é", "", "a" * 300]


def words(command: str) -> list[str]:
    """What a shell makes of a simple command."""
    return shlex.split(command)


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(findings())
def test_any_finding_is_one_harmless_screen(one: Finding) -> None:
    told = telling.text(one)
    lines = told.split("\n")
    assert len(lines) <= telling.HEIGHT
    assert max(map(columns, lines)) <= 100
    assert told.replace("\n", "").isprintable()
    assert one.uid in told
    assert "\n" not in telling.headline(one)
    assert telling.headline(one).isprintable()


def test_an_analyst_sees_who_when_why_and_what_next() -> None:
    told = telling.text(finding(count=12))
    for wanted in (
        "HIGH     A pod asks the cloud's metadata service", "T1552.005 Cloud Instance Metadata API",
        "Credential Access",
        "10.244.1.12:41000  shop/web-6c9f7d-abcde  Deployment web  on worker-1 (zone b)", "exact: one holder",
        "169.254.169.254:80", "12 flows", "out 600 B in 1.9 kB", "whowas who 10.244.1.12 --at 2026-11-20T10:15:00",
        "whowas query ", "kubectl -n shop", "revision 1",
    ):  # fmt: skip
        assert wanted in told, wanted


def test_the_commands_are_those_of_whowas() -> None:
    """The timeline is asked of the command line itself; the query runs on a table of these columns."""
    from whowas.cli import group as cli

    told = remediation.advise(finding(), remediation.DataLocations("my history.db", "named flows/"))
    who, query, quarantine = (words(command) for command in told.look)
    assert who == ["whowas", "who", "10.244.1.12", "--at", "2026-11-20T10:15:00.000000Z", "--history", "my history.db"]
    at = ["--at", "2026-11-20T10:15:02.000000Z", "--flows", "named flows/", "--history", "my history.db"]
    assert quarantine == ["whowas", "policy", "quarantine", "shop/web-6c9f7d-abcde", *at]
    policy = cli.get_command(None, "policy")  # type: ignore[arg-type]
    assert isinstance(policy, click.Group)
    assert policy.commands["quarantine"].make_context("quarantine", quarantine[3:], resilient_parsing=False)
    for command in (who, query):
        found = cli.get_command(None, command[1])  # type: ignore[arg-type]
        assert found is not None
        assert found.make_context(command[1], command[2:], resilient_parsing=False)
    with duckdb.connect() as database:
        columns_of = (
            "start_time TIMESTAMPTZ, src_workload TEXT, dst_ip TEXT, dst_workload TEXT, dst_port INT, bytes_out INT"
        )
        database.execute(f"CREATE TABLE flows ({columns_of}, src_pod_uid TEXT, dst_pod_uid TEXT)")
        row = (T0, "web", "169.254.169.254", None, 80, 600, finding().flows[0]["src_pod_uid"], None)
        database.execute("INSERT INTO flows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert len(database.execute(query[2].replace("start_time, ", "", 1)).fetchall()) == 1


def test_a_pod_is_cut_off_only_while_it_is_that_very_pod(tmp_path: object) -> None:
    """The commands, run against a kubectl that says what it was told to do."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    kubectl = folder / "kubectl"
    kubectl.write_text(
        '#!/bin/sh\nif [ "$3" = get ]; then cat uid; exit; fi\n'
        'printf "%s\\n" "$*" >> calls; [ "$3" = apply ] && cat > policy.json\nexit 0\n'
    )
    kubectl.chmod(0o755)
    uid = finding().flows[0]["src_pod_uid"]
    for alive, labelled in ((uid, True), ("another", False), ("", False)):
        (folder / "uid").write_text(alive)
        (folder / "calls").write_text("")
        told = remediation.advise(finding())
        for command in (*told.isolate, *told.unlabel):
            subprocess.run(
                ["bash", "-c", "\n".join(fold(command))], cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"}
            )
        policy = json.loads((folder / "policy.json").read_text())
        assert policy["spec"]["podSelector"]["matchLabels"] == {"whowas-quarantine": "true"}
        calls = (folder / "calls").read_text().splitlines()
        assert calls[0] == "-n shop apply -f -"
        label = "-n shop label --overwrite pod web-6c9f7d-abcde"
        labels = [f"{label} whowas-quarantine=true", f"{label} app- tier-"]
        assert calls[1:] == (labels if labelled else [])


def test_labels_go_by_a_command_of_their_own_and_it_is_said_what_that_does() -> None:
    told = remediation.advise(finding())
    assert not [one for one in told.isolate if "app-" in one]
    said = " ".join(told.notes)
    for wanted in ("stays behind its Services", "open connections", "token stay", "owner, which starts another pod"):
        assert wanted in said, wanted
    bare = remediation.advise(finding(flows=(flow(src_labels={}),)))
    assert bare.isolate
    assert bare.unlabel == ()
    assert "starts another pod" not in " ".join(bare.notes)
    assert "Its labels and Services stay" in telling.text(finding())


def test_the_policy_is_one_that_an_apiserver_takes() -> None:
    """Its fields are those of networking.k8s.io/v1, by the official client's model."""
    from kubernetes.client import V1NetworkPolicy, V1NetworkPolicySpec

    policy = json.loads(remediation.POLICY)
    assert set(policy) <= set(V1NetworkPolicy.attribute_map.values())
    assert set(policy["spec"]) <= set(V1NetworkPolicySpec.attribute_map.values())
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("column", ["src_pod", "src_namespace", "src_pod_uid"])
def test_no_command_is_written_with_a_name_that_is_none(column: str, name: str) -> None:
    told = remediation.advise(finding(flows=(flow(**{column: name}),)))
    assert told.isolate == ()
    assert told.notes
    assert all(name not in command for command in told.look if name)


@pytest.mark.parametrize("name", HOSTILE)
def test_labels_that_are_none_reach_no_command(name: str) -> None:
    told = remediation.advise(finding(flows=(flow(src_labels={name: "x", "app": name}),)))
    assert words(told.isolate[1])[-1] == "whowas-quarantine=true"
    assert words(told.unlabel[0])[-2:] == ["web-6c9f7d-abcde", "app-"]


@pytest.mark.parametrize("ip", ["fe80::1%$(id)", "1.2.3.4; id", "$(id)", "", None])
def test_what_is_no_address_reaches_no_command(ip: str | None) -> None:
    told = remediation.advise(finding(flows=(flow(src_ip=ip, src_pod_uid="' OR 1=1"),)))
    assert told.look == ()


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(findings())
def test_every_command_is_made_of_known_words_alone(one: Finding) -> None:
    """Attackers' bytes never get there: no word of a command but known ones, names, addresses, UIDs and times."""
    known = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./:_=,()<>'\"{}[]|&$ \n")
    told = remediation.advise(one)
    for command in (*told.look, *told.isolate, *told.unlabel):
        assert set(command) <= known, command
        assert command.count("$") == command.count('"$(kubectl -n ')
        assert words(command)[0] in ("whowas", "echo", "[")


@pytest.mark.parametrize("confidence", ["ambiguous", "snat", "node", "none", "unknown", "external"])
def test_who_is_not_known_for_sure_is_not_cut_off(confidence: str) -> None:
    one = flow(src_confidence=confidence, src_candidates=[{"namespace": "shop", "name": "old"}, {"name": "new"}])
    told = remediation.advise(finding(flows=(one,)))
    assert told.isolate == ()
    assert "settle who it was" in told.notes[0]
    shown = telling.text(finding(flows=(one,)))
    assert "maybe shop/old, /new" in shown
    assert "cut off" not in shown


def test_a_pod_on_the_hosts_network_is_not_cut_off() -> None:
    """The reason is worded by enrich: a change there must be seen here."""
    from enrich.naming.reasons import _pod_reason
    from enrich.naming.verdicts import BY_PORT, LIKELY

    assert BY_PORT
    assert LIKELY
    source = "a node's address, and the only host-network pod that declares this port"
    assert source in _pod_reason.__code__.co_consts
    told = remediation.advise(finding(flows=(flow(src_confidence="exact", src_reason=source),)))
    assert told.isolate == ()
    assert "host's network" in told.notes[0]


DB = {
    "dst_kind": "pod", "dst_pod": "db-0", "dst_namespace": "data", "dst_confidence": "exact",
    "dst_pod_uid": "11111111-2222-3333-4444-555555555555",
}  # fmt: skip
NOBODY = {"src_pod": None, "src_pod_uid": None, "src_namespace": None, "src_workload": None, "src_kind": None}


def of(about: str, **said: Any) -> Finding:
    """A finding of a rule that is about an end."""
    return finding(rule=replace(RULE, about=about), flows=(flow(**DB | said),))


@pytest.mark.parametrize("kind", ["pod", "external", "node", "service", None])
@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_who_asks_a_database_is_the_suspect_and_never_the_database(kind: str | None, confidence: str) -> None:
    told = remediation.advise(of("src", **NOBODY | {"src_kind": kind, "src_confidence": confidence}))
    assert told.pods == ()
    assert told.isolate == told.unlabel == ()
    assert told.notes
    assert not any("db-0" in one for one in (*told.look, *told.notes))


@pytest.mark.parametrize(
    ("about", "pods"),
    [("src", ("shop/web-6c9f7d-abcde",)), ("dst", ("data/db-0",)), ("both", ("shop/web-6c9f7d-abcde", "data/db-0"))],
)
def test_advice_is_about_the_end_that_the_rule_says(about: str, pods: tuple[str, ...]) -> None:
    assert remediation.advise(of(about)).pods == pods


def test_a_rule_about_neither_end_shows_both_and_cuts_off_nobody() -> None:
    told = remediation.advise(of("neither"))
    assert told.pods == told.isolate == ()
    assert len([one for one in told.look if one.startswith("whowas who")]) == 2
    assert "neither end" in told.notes[0]


def test_of_a_correlation_the_end_is_meant_that_the_group_names() -> None:
    uid = str(DB["dst_pod_uid"])
    entered, onward = flow(**DB), flow(**NOBODY | {f"src{name[3:]}": value for name, value in DB.items()})
    rule = replace(RULE, about="pod_uid", about_columns=("dst_pod_uid", "src_pod_uid"))
    told = remediation.advise(finding(rule=rule, group=(("pod_uid", uid),), flows=(entered, onward)))
    assert told.pods == ("data/db-0",)
    assert remediation.advise(finding(rule=rule, group=(("pod_uid", None),), flows=(flow(),))).pods == ()


@pytest.mark.parametrize(
    ("side", "kind", "confidence", "words"),
    [
        ("src", "external", "external", "where it comes in"),
        ("dst", "external", "external", "at the egress"),
        ("src", "node", "node", "kubectl cordon"),
        ("src", "node", "snat", "a node"),
        ("dst", "service", "service", "several pods may stand"),
        ("src", None, "none", "nobody in the cluster held it"),
        ("src", "pod", "likely", "likely, not certain"),
    ],
)
def test_where_no_label_helps_it_is_said_what_does(side: str, kind: str, confidence: str, words: str) -> None:
    told = remediation.advise(of(side, **{f"{side}_kind": kind, f"{side}_confidence": confidence}))
    assert words in told.notes[0]
    assert told.isolate == ()


def test_who_only_sent_may_have_answered() -> None:
    assert "not who opened" in " ".join(remediation.advise(of("src", initiator_basis="sender")).notes)
    assert "not who opened" not in " ".join(remediation.advise(of("src", initiator_basis="syn")).notes)


def test_many_pods_are_told_by_number() -> None:
    many = tuple(flow(src_pod=f"web-{n}", src_pod_uid=f"{n}" * 8, src_ip=f"10.0.0.{n}") for n in range(8))
    told = remediation.advise(finding(flows=many, count=8))
    assert len(told.pods) == (len(told.look) - 1) / 2 == remediation.MOST
    assert "more than 3 pods" in " ".join(told.notes)
    shown = telling.text(finding(flows=many, count=8))
    assert "and 7 more" in shown
    assert "more commands: in the finding's JSON" in shown


@settings(max_examples=80, deadline=None)
@given(st.lists(WORDS | st.text(alphabet="ab c'\"\\$é漢", max_size=150), min_size=1, max_size=6))
@example(["a" * 400, "b c" * 60, "漢" * 130])
def test_a_folded_command_is_the_same_to_a_shell(given: list[str]) -> None:
    given = [word.replace("\x00", "").encode(errors="ignore").decode() for word in given]
    command = "printf '%s\\0' " + " ".join(map(shlex.quote, given))
    folded = "\n".join(fold(command))
    told = [subprocess.run(["sh", "-c", one], capture_output=True, check=True).stdout for one in (command, folded)]
    assert told[0] == told[1]
    assert told[0].decode().split("\0")[:-1] == given


@given(st.text(max_size=300), st.integers(2, 80))
def test_a_cut_line_fits(text: str, width: int) -> None:
    assert columns(cut(text, width)) <= width
    assert cut(text, width) == text.rstrip() or cut(text, width).endswith("…")


def test_a_finding_without_flows_is_told_too() -> None:
    assert "nothing" not in telling.text(finding(flows=(), rule=replace(RULE, description="")))
