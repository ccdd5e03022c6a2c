"""`whowas who` as a user runs it, on stories whose truth is known."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.cluster_story import HOUR, Pod, Story, live, node, receipt, service, stamp, thing, us

import whowas
from enrich.naming.who import Answer, HoldView
from enrich.store.evidence_store import EvidenceStore
from ingest.cluster import EvidenceReport, read_observations
from whowas.cli import group
from whowas.errors import WhowasError
from whowas.timestamps import rfc3339, utc

NODE, VIP, WEB, NEXT = "192.168.7.10", "10.96.0.9", "10.244.1.5", "10.244.1.6"
NETWORKS = '[networks]\noffice = "198.51.100.0/24"\n'


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A node with a host-network pod, a Service with a node port, two pods of a Deployment, one after the other."""
    story = Story(until=600)
    story.tell(-50, "ADDED", node("worker-1", NODE))
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    story.tell(-50, "ADDED", service("web", VIP, ports=ports, type="NodePort"))
    story.tell(-50, "ADDED", thing("ReplicaSet", "web-6c9f7d", owner=("Deployment", "web", "uid-d")))
    owner = ("ReplicaSet", "web-6c9f7d", "uid-ReplicaSet-web-6c9f7d")
    agent = Pod("agent", (NODE,), node="worker-1", host=True, namespace="ops", ports=[(9100, "TCP")], sandbox=(True, 0))
    story.tell(0, "ADDED", agent)
    one = live(story, "web-6c9f7d-abcde", WEB, owner=owner)
    one.deleted = (120, 30)
    one.phase, one.finished = "Succeeded", 119
    story.tell(120, "MODIFIED", one)
    live(story, "web-6c9f7d-fghij", NEXT, born=130, owner=owner)
    path = tmp_path_factory.mktemp("who") / "history.jsonl"
    path.write_text("\n".join(story.lines()))
    return str(path)


def run(history: str, *words: str, code: int = 0, **environment: str) -> Result:
    told = ["--history", history] if history else []
    done = CliRunner().invoke(group, ["who", *words, *told], env=environment, catch_exceptions=True)
    if isinstance(done.exception, WhowasError):
        assert code == done.exception.exit_code, done.exception
    else:
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def told(history: str, *words: str) -> Any:
    return json.loads(run(history, *words, "--json").stdout)


def test_several_addresses_in_one_call(history: str) -> None:
    first, second = told(history, WEB, NEXT, "--at", stamp(60))
    assert (first["asked"], first["answer"]["holder"]["name"]) == (WEB, "web-6c9f7d-abcde")
    assert (second["asked"], second["answer"]["confidence"]) == (NEXT, "none")
    shown = run(history, WEB, NEXT, "--at", stamp(60)).stdout
    assert f"{WEB} at " in shown
    assert f"\n\n{NEXT} at " in shown


def test_a_network_at_a_moment_and_over_time(history: str) -> None:
    then = told(history, "10.244.1.0/24", "--at", stamp(200))
    named = {one["address"]: one["confidence"] for one in then["answers"]}
    assert named[NEXT] == "exact"
    assert WEB not in named
    assert then["total"] == len(then["answers"])
    over = told(history, "10.244.1.0/24")
    assert {one["name"] for one in over["holds"]} >= {"web-6c9f7d-abcde", "web-6c9f7d-fghij"}
    cut = told(history, "10.244.1.0/24", "--limit", "1")
    assert (cut["total"], len(cut["holds"])) == (over["total"], 1)
    assert f"{over['total']} rows, the first 1 are shown" in run(history, "10.244.1.0/24", "--limit", "1").stdout
    assert told(history, "10.0.0.0/8", "--at", stamp(60))["total"] > then["total"] - 1
    assert told(history, "::/0")["total"] == 0
    assert "held no" not in run(history, "192.0.2.0/24", "--at", stamp(60)).stdout
    beyond = told(history, "192.0.2.0/24", "--at", stamp(6000))
    assert beyond["unknown"] == "the history ends earlier"


@pytest.mark.parametrize(
    ("asked", "confidence", "name"),
    [
        (f"{NODE}:9100", "likely", "agent"), (f"{NODE}:30080", "service", "web"), (f"{NODE}:22", "node", "worker-1"),
        (NODE, "node", "worker-1"), (f"{WEB}:8080", "exact", "web-6c9f7d-abcde"), (f"{VIP}:80", "service", "web"),
        (f"{NODE}:30080/udp", "node", "worker-1"), (f"[::ffff:{NODE}]:9100", "likely", "agent"),
    ],
)  # fmt: skip
def test_a_port_decides_who_of_a_node(history: str, asked: str, confidence: str, name: str) -> None:
    answer = told(history, asked, "--at", stamp(60))
    assert (answer["confidence"], answer["holder"]["name"]) == (confidence, name)
    assert answer["port"] in ("", "9100/tcp", "30080/tcp", "30080/udp", "22/tcp", "8080/tcp", "80/tcp")
    assert whowas.who(asked, stamp(60), history=history).confidence == confidence


@pytest.mark.parametrize(
    "what", ["shop/web", "deploy/shop/web", "deployment/web", "deployments/web", "rs/web-6c9f7d", "ns/shop"]
)
def test_a_workload_over_time_and_at_a_moment(history: str, what: str) -> None:
    names = {one["name"] for one in told(history, what)}
    assert names >= {"web-6c9f7d-abcde", "web-6c9f7d-fghij"}
    then = told(history, what, "--at", stamp(60))
    pods = [one for one in then["answers"] if one["holder"]["kind"] == "pod"]
    assert [(one["address"], one["confidence"], one["holder"]["name"]) for one in pods] == [
        (WEB, "exact", "web-6c9f7d-abcde")
    ]
    assert f"{WEB}  " in run(history, what, "--at", stamp(60)).stdout


def test_kubectls_short_names_for_the_rest(history: str) -> None:
    assert [one["address"] for one in told(history, "svc/web")] == [VIP]
    assert NODE in [one["address"] for one in told(history, "no/worker-1")]
    assert [one["address"] for one in told(history, "po/shop/web-6c9f7d-abcde")] == [WEB]
    assert "it held no address at" in run(history, "deploy/web", "--at", stamp(-30)).stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("10.244.1.999",), "it is no address"), (("deploy/nothing",), "cannot find 'deploy/nothing'"),
        ((WEB, "--at", "1.5e400"), "no number of a moment"), ((WEB, "--at", "-5"), "before 1970"),
        ((WEB, "--tz", "Nowhere"), "no such zone"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line(history: str, words: tuple[str, ...], text: str) -> None:
    assert text in str(run(history, *words, code=2).exception)


@pytest.mark.parametrize("words", [("--json", "--csv"), ("--csv", "--explain"), ("--wait", "5", "--at", "now"), ()])
def test_options_that_do_not_go_together(history: str, words: tuple[str, ...]) -> None:
    asked = () if not words else (WEB,)
    assert run(history, *asked, *words, code=2).stdout == ""


def test_how_a_number_was_read_is_said_back(history: str) -> None:
    done = run(history, WEB, "--at", str(us(60) // 1000))
    assert done.stderr == f"whowas: --at {us(60) // 1000} read as milliseconds: 2025-11-21 00:01:00.000000 UTC\n"
    assert told(history, WEB, "--at", str(us(60) * 1000))["at"] == rfc3339(us(60))


def test_csv_has_a_row_for_every_holder(history: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run(history, WEB, NEXT, "--at", stamp(60), "--csv").stdout)))
    assert [(one["asked"], one["role"], one["name"], one["confidence"]) for one in rows] == [
        (WEB, "holder", "web-6c9f7d-abcde", "exact"), (NEXT, "", "", "none"),
    ]  # fmt: skip
    assert rows[0]["start_max"] == rfc3339(us(2.5))
    rows = list(csv.DictReader(io.StringIO(run(history, "10.244.1.0/24", "--csv").stdout)))
    assert {one["kind"] for one in rows} == {"pod", "node"}


def test_csv_is_harmless_to_spreadsheets_and_terminals(tmp_path: Path) -> None:
    story = Story()
    live(story, "web\x1b]0;x\x07", WEB, namespace="=cmd()")
    path = tmp_path / "hostile.jsonl"
    path.write_text("\n".join(story.lines()))
    for words in ((WEB, "--csv"), (WEB, "--at", stamp(60), "--csv"), (WEB,), (WEB, "--at", stamp(60)), (f"{WEB}/30",)):
        shown = run(str(path), *words).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
    assert "'=cmd()" in run(str(path), WEB, "--csv").stdout
    near = str(run(str(path), "deploy/web", code=2).exception)
    assert near.isprintable()


def test_a_cluster_called_like_a_line_of_its_own_is_told_in_one(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text(
        "\n".join(line for name in ("a", "b\nwhowas: FAKE\x1b[31m") for line in Story(cluster=name).lines())
    )
    told = str(run(str(path), WEB, "--at", stamp(0), code=2).exception)
    assert "say --cluster NAME" in told
    assert told.isprintable()


def test_a_range_outside_says_its_name_without_a_moment(history: str, tmp_path: Path) -> None:
    networks = tmp_path / "networks.toml"
    networks.write_text(NETWORKS)
    words = ("198.51.100.7", "--networks", str(networks))
    assert "office" in run(history, *words).stdout
    (view,) = told(history, *words)
    assert (view["kind"], view["name"], view["start_min"]) == ("external", "office", None)
    assert told(history, "198.51.100.7") == []
    assert "no object of the history ever held it" in run(history, "198.51.100.7").stdout


def test_the_end_of_what_is_known_is_told(history: str) -> None:
    assert "known" not in run(history, WEB, "--at", stamp(60)).stdout
    shown = run(history, WEB, "--at", stamp(610)).stdout
    assert "the history ends 2025-11-21 00:10:00.000 UTC, 10.0 s before that moment" in shown
    assert told(history, WEB, "--at", stamp(610))["known_until"] == rfc3339(us(600))


def test_the_history_may_come_from_the_environment(history: str, tmp_path: Path) -> None:
    assert "web-6c9f7d-abcde" in run("", WEB, WHOWAS_HISTORY=history).stdout
    other = tmp_path / "none.jsonl"
    assert "no such file" in str(run(str(other), WEB, code=2, WHOWAS_HISTORY=history).exception)
    assert "WHOWAS_HISTORY" in run("", WEB, code=2).stderr
    assert "[env var: WHOWAS_HISTORY]" in CliRunner().invoke(group, ["who", "--help"]).stdout


def test_times_in_python_are_aware_datetimes(history: str) -> None:
    first = whowas.who(WEB, history=history)[0]
    assert (first.start_max, first.end_max.tzinfo) == (utc(us(2.5)), utc(0).tzinfo)
    answer = whowas.who(WEB, at=utc(us(60)), history=history)
    assert answer.at == utc(us(60))
    assert answer.holder.start_min <= answer.at < answer.holder.end_min
    assert whowas.who(WEB, at=us(60) // 1000, history=history) == answer
    assert answer.known_until == utc(us(600))


def written(path: str, story: Story, folder: Path) -> None:
    lines = folder / "lines.jsonl"
    lines.write_text("\n".join(story.lines()))
    with EvidenceStore(path, write=True) as store:
        store.write(list(read_observations([str(lines)], None, EvidenceReport())))


def test_waiting_follows_a_store_until_it_knows(tmp_path: Path) -> None:
    path = str(tmp_path / "cluster.whowas")
    story = Story(until=20)
    live(story, "web-1", WEB)
    written(path, story, tmp_path)
    words = (WEB, "--at", stamp(60), "--wait", "60")
    assert told(path, *words[:3])["confidence"] == "unknown"
    begun = threading.Event()

    def grow() -> None:
        begun.wait()
        time.sleep(0.3)
        written(path, Story(since=20, until=200).tell(80, "ADDED", service("late", VIP)), tmp_path)

    writer = threading.Thread(target=grow)
    writer.start()
    begun.set()
    answer = told(path, *words)
    writer.join()
    assert answer["confidence"] == "exact"
    late = run(path, WEB, "--at", stamp(900), "--wait", "0.1")
    assert "waited 0.1 s" in late.stderr
    assert "ask again then, or --wait" in late.stdout


def test_ctrl_c_ends_the_waiting_with_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "cluster.whowas")
    story = Story(until=20)
    live(story, "web-1", WEB)
    written(path, story, tmp_path)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("whowas.history.queries.time.sleep", interrupt)
    done = run(path, WEB, "--at", stamp(60), "--wait", "60", code=130)
    assert "stopped waiting" in done.stderr
    assert "web-1" in done.stdout


def test_a_store_and_its_evidence_answer_alike(history: str, tmp_path: Path) -> None:
    path = str(tmp_path / "cluster.whowas")
    with EvidenceStore(path, write=True) as store:
        store.write(list(read_observations([history], None, EvidenceReport())))
    for words in ((WEB,), (f"{NODE}:9100", "--at", stamp(60)), ("10.244.1.0/24", "--at", stamp(60)), ("svc/web",),
                  ("shop/web",),
                  ("10.0.0.0/8",), ("deploy/web", "--at", stamp(60)), (WEB, NEXT, "--at", receipt(60))):  # fmt: skip
        assert _names(told(path, *words)) == _names(told(history, *words)), words
    assert HOUR


def _names(value: Any) -> list[tuple[str, str]]:
    """Every (address, name) in an answer, in its order."""
    if isinstance(value, list):
        return [one for each in value for one in _names(each)]
    if not isinstance(value, dict):
        return []
    own = [(value["address"], value["name"])] if "name" in value and "address" in value else []
    return own + [one for each in value.values() for one in _names(each)]


def test_the_page_names_every_key(root: Path) -> None:
    page = (root / "docs/how-to/who.md").read_text()
    for made in (Answer, HoldView):
        for one in fields(made):
            assert f"`{one.name}`" in page, one.name
