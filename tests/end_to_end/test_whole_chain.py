"""Everything at once on real servers: pods churn on a control plane, `whowas watch` records them, flow records go
through Kafka, `whowas stream` names and judges them, alerts arrive on a topic; then the same flows are a backtest.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.recorder.manifests import ACCOUNT, NAMESPACE, grant
from support.servers.broker import Broker
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.kubelet import Churn, kubelet
from support.servers.pods import namespace
from support.servers.process import free_port
from support.streaming.flow_records import consume, count
from support.streaming.workers import SESSION, Process, get, write_config
from support.streaming.workers import wait_until as wait_for

from bench.real_churn.playing import complete, recording
from detect.judge.judge import Judge
from detect.judge.state import State
from detect.pack import rule_paths
from detect.sigma import load
from detect.site import load_site
from detect.views import ocsf
from whowas.streaming.rules import LOOK_SECONDS

pytestmark = pytest.mark.long

CHURN = Churn(seed=3, seconds=25, rate=8, nodes=4, addresses=16, workloads=4, mean_seconds=6, settle_seconds=8)
SCANNER = "10.244.0.3"  # a low address: there is nearly always a pod that has it
EVERY_SECONDS = 0.05
FLOWS_A_TURN = 20
OUTSIDE = "198.51.100.7"


def flow(src: str, dst: str, port: int, serial: int, protocol: str = "TCP") -> bytes:
    """A goflow2 record of a flow that ended just now; `bytes` is its serial number."""
    now = time.time_ns()
    told = {
        "type": "IPFIX", "time_received_ns": now, "sequence_num": serial, "sampling_rate": 0,
        "sampler_address": "192.0.2.1", "time_flow_start_ns": now - 40_000_000, "time_flow_end_ns": now - 20_000_000,
        "bytes": 1000 + serial, "packets": 3, "src_addr": src, "dst_addr": dst, "etype": "IPv4", "proto": protocol,
        "src_port": 20_000 + serial % 40_000, "dst_port": port,
    }  # fmt: skip
    return json.dumps(told).encode()


def traffic() -> Iterator[tuple[str, str, int]]:
    """What pods say to each other, and now and then what they should not. Same every time."""
    dice = random.Random(5)
    pods = [f"10.244.{node}.{last}" for node in range(CHURN.nodes) for last in range(2, 2 + CHURN.addresses)]
    while True:
        src, dst = dice.sample(pods, 2)
        odd = dice.random()
        if odd < 0.02:
            yield src, "169.254.169.254", 80
        elif odd < 0.04:
            yield src, OUTSIDE, 3333
        elif odd < 0.3:
            yield SCANNER, dst, 8000 + dice.randrange(200)
        else:
            yield src, dst, dice.choice((80, 443, 8080, 5432, 22))


@dataclass(frozen=True)
class Chain:
    """What came out at every end. came: uids on the topic. alerts: by uid the last word. sent: records that went in."""

    named: Path
    came: set[str]
    alerts: dict[str, Any]
    backtest: dict[str, Any]
    sent: int


def talk(broker: Broker, topic: str, seconds: float) -> int:
    """Produce records as time goes by. Returns: how many."""
    producer = Producer({**broker.options(), "linger.ms": 10, "log_level": 0})
    story, serial, until = traffic(), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(FLOWS_A_TURN):
            src, dst, port = next(story)
            producer.produce(topic, flow(src, dst, port, serial), str(serial).encode())
            serial += 1
        producer.poll(0)
        time.sleep(EVERY_SECONDS)
    assert producer.flush(30) == 0
    return serial


def newest(findings: list[dict[str, Any]]) -> dict[str, Any]:
    """By uid the last that was said: delivery is at least once, and a finding grows."""
    return {one["finding_info"]["uid"]: one for one in findings}


def is_delivered(port: int, topic: str, sent: int) -> bool:
    """Whether the stream is done with all records, and has looked since whether there are alerts to send."""

    def quiet() -> bool:
        page = get(f"http://127.0.0.1:{port}/metrics")[1]
        done = f'whowas_stream_delivered_total{{topic="{topic}"}} {float(sent)}' in page
        return done and "whowas_alerts_undelivered 0.0" in page

    if not quiet():
        return False
    time.sleep(3 * LOOK_SECONDS)
    return quiet()


def rest(state: Path) -> list[dict[str, Any]]:
    """What would still be told when the windows of findings are over: they last longer than this test."""
    judge = Judge(load(rule_paths(), load_site()).ruleset, State(state))
    judge.finish()
    found = [ocsf.view(one) for one in judge.pending()]
    judge.close()
    return found


def backtest(named: Path, out: Path) -> dict[str, Any]:
    """Judge the Parquet files that the stream has written."""
    words = ["backtest", "--flows", str(named), "--out", str(out), "--json"]
    subprocess.run([sys.executable, "-m", "whowas", *words], check=True, timeout=120, stdout=subprocess.DEVNULL)
    return newest([json.loads(line) for line in out.read_text().splitlines()])


# One client by default, since it takes minutes: tests/whowas/streaming has both. A soak plays it with each.
@pytest.fixture(scope="module", params=["kafka-python", "confluent"] if "WHOWAS_KILLS" in os.environ else ["confluent"])
def chain(
    request: pytest.FixtureRequest, servers_built: None, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Chain:
    folder: Path = tmp_path_factory.mktemp("chain")
    topic, alerts = (broker.create(f"{name}-{uuid.uuid4().hex[:8]}", 2) for name in ("flows", "alerts"))
    store, named, port = folder / "history.db", folder / "named", free_port()
    tables = {
        "input": {"topics": [topic], "group": f"group-{topic}"},
        "kafka": {"client": request.param},
        "kafka.options": {**broker.options(), **SESSION},
        "history": {"path": str(store), "refresh_seconds": 0.5},
        "naming": {"wait": "final", "publication_seconds": 3.0, "max_wait_seconds": 60.0},
        "parquet": {"folder": str(named), "flush_seconds": 1.0},
        "rules": {"state": str(folder / "rules.db")},
        "alerts": {"topic": alerts},
        "serving": {"listen": f"127.0.0.1:{port}"},
    }
    with ControlPlane() as cluster:
        api = cluster.api()
        grant(api)
        namespace(api, CHURN.namespace)
        watched = cluster.kubeconfig("recorder", token=cluster.service_account_token(NAMESPACE, ACCOUNT))
        with recording(store, watched):
            wait_until(lambda: complete(store), 60)
            worker = Process(write_config(folder / "whowas.toml", tables))
            try:
                with kubelet(cluster.kubeconfig(), folder / "truth.jsonl", CHURN):
                    sent = talk(broker, topic, CHURN.seconds)
                    wait_for(lambda: is_delivered(port, topic, sent), worker, 180)
                assert worker.stop() == 0, worker.told()
            finally:
                worker.end()
    came = [json.loads(one.value()) for one in consume(broker, alerts, 1_000_000, 5)]
    alerts_came = newest(came) | newest(rest(folder / "rules.db"))
    return Chain(named, set(newest(came)), alerts_came, backtest(named, folder / "findings.jsonl"), sent)


def test_the_story_is_found(chain: Chain) -> None:
    """What pods should not have done is told, with who did it."""
    titles = {one["finding_info"]["title"] for one in chain.alerts.values()}
    assert len(titles) >= 4, titles
    text = json.dumps(list(chain.alerts.values()))
    assert "169.254.169.254" in text
    assert OUTSIDE in text
    assert CHURN.namespace in text


def test_live_and_backtest_find_the_same(chain: Chain) -> None:
    assert chain.came == chain.alerts.keys() == chain.backtest.keys()
    assert len(chain.alerts) > 20


def test_the_last_word_is_exact(chain: Chain) -> None:
    """Counts and evidence agree too, not only that something was found."""

    def told(one: dict[str, Any]) -> tuple[Any, ...]:
        info = one["finding_info"]
        return one["count"], info["first_seen_time"], info["last_seen_time"], len(one["evidences"])

    live, later = ({uid: told(one) for uid, one in found.items()} for found in (chain.alerts, chain.backtest))
    assert live == later


def test_every_record_became_one_row(chain: Chain) -> None:
    assert count(chain.named) == chain.sent > 5000
