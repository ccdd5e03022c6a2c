"""Rules in a stream: what is found survives any end of the worker, and is what a backtest of the same flows finds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.servers.broker import Broker
from support.streaming.flow_records import count, produce, record
from support.streaming.workers import Start, get, wait_until

from detect.judge.judge import Judge
from detect.judge.state import State
from detect.sigma import load
from detect.views import ocsf

KILLS = int(os.environ.get("WHOWAS_KILLS", "3"))
FLOWS = 1000 * KILLS
Tables = dict[str, dict[str, Any]]

RULES = """\
title: Anybody speaks to web on 443
name: to_web
id: 1f0c7f0e-2d9f-4b6e-8c5a-0a4f6a3b9d01
status: test
level: low
taxonomy: whowas
logsource: {category: network_flow, product: kubernetes}
detection:
  selection: {dst_pod: web, dst_port: 443}
  condition: selection
whowas:
  group_by: [src_ip]
---
title: Many speak to web within a minute
name: many_to_web
id: 1f0c7f0e-2d9f-4b6e-8c5a-0a4f6a3b9d02
status: test
level: high
taxonomy: whowas
correlation:
  type: value_count
  rules: [to_web]
  group-by: [dst_pod]
  timespan: 1m
  condition: {gte: 50, field: src_ip}
  generate: true
"""


@pytest.fixture
def judged(tables: Tables, tmp_path: Path) -> Tables:
    """The stream's configuration with rules of this test's own, and findings in a file."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "web.yml").write_text(RULES)
    # Serial numbers jump by an hour and back: nothing may count as late.
    tables["rules"] = {
        "state": str(tmp_path / "rules.db"), "paths": [str(tmp_path / "rules")], "lateness_seconds": 86_400,
    }  # fmt: skip
    tables["alerts"] = {"file": str(tmp_path / "findings.jsonl")}
    return tables


def newest(lines: list[str]) -> dict[str, Any]:
    """By uid the last that was said."""
    found = [json.loads(one) for one in lines]
    return {one["finding_info"]["uid"]: (one["count"], one["severity_id"]) for one in found}


def live(folder: Path) -> dict[str, Any]:
    """What arrived, and what would be told at the end of the windows."""
    judge = Judge(load([folder / "rules"]).ruleset, State(folder / "rules.db"), 86_400_000_000)
    judge.finish()
    rest = [json.dumps(ocsf.view(one)) for one in judge.pending()]
    judge.close()
    return newest((folder / "findings.jsonl").read_text().splitlines()) | newest(rest)


def later(folder: Path) -> dict[str, Any]:
    """What a backtest of the files finds."""
    words = ["--rules", folder / "rules", "--flows", folder / "named", "--out", folder / "later.jsonl", "--json"]
    command = [sys.executable, "-m", "whowas", "backtest", *map(str, words)]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return newest((folder / "later.jsonl").read_text().splitlines())


@pytest.mark.long
def test_kills_lose_no_finding_and_count_no_flow_twice(
    broker: Broker, topic: str, start: Start, judged: Tables, tmp_path: Path
) -> None:
    rng, named = random.Random(2), tmp_path / "named"
    worker = start()
    for number in range(KILLS):
        before = count(named)
        produce(broker, topic, map(record, range(number * FLOWS // KILLS, (number + 1) * FLOWS // KILLS)))
        wait_until(lambda before=before: count(named) > before, worker)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.5))
        worker.kill()
        worker = start()
    # Not only in files, which the one that was killed may have written: judged and committed too.
    wait_until(lambda: sum(broker.committed(f"group-{topic}", topic, 3)) == FLOWS, worker)
    assert worker.stop() == 0, worker.told()
    assert count(named) == FLOWS
    found = live(tmp_path)
    assert found == later(tmp_path)
    assert {severity for _, severity in found.values()} == {2, 4}  # low and high
    assert sum(times for times, severity in found.values() if severity == 2) == FLOWS


def test_a_rule_that_is_saved_is_taken_over(
    broker: Broker, topic: str, start: Start, judged: Tables, tmp_path: Path
) -> None:
    findings = tmp_path / "findings.jsonl"
    worker = start()
    produce(broker, topic, map(record, range(200)))
    wait_until(lambda: findings.exists() and "Anybody speaks" in findings.read_text(), worker)
    (tmp_path / "rules" / "more.yml").write_text(
        RULES.partition("---")[0].replace("9d01", "9d03").replace("to_web", "other").replace("Anybody", "Nobody")
    )
    wait_until(lambda: any(line["rules"]["rules"] == 3 for line in worker.lines()), worker)
    produce(broker, topic, map(record, range(200, 400)))
    wait_until(lambda: "Nobody speaks" in findings.read_text(), worker)
    assert worker.stop() == 0, worker.told()


def test_a_rule_that_breaks_changes_nothing_and_is_told(
    broker: Broker, topic: str, start: Start, judged: Tables, tmp_path: Path
) -> None:
    worker = start()
    wait_until(lambda: any(line["partitions"] for line in worker.lines()), worker)
    (tmp_path / "rules" / "web.yml").write_text(RULES.replace("dst_pod: web", "dst_pot: web"))
    told = wait_until(lambda: [one for line in worker.lines() for one in line["reasons"] if "dst_pot" in one], worker)
    assert "web.yml:" in told[0]
    produce(broker, topic, map(record, range(200)))
    wait_until(lambda: (tmp_path / "findings.jsonl").stat().st_size > 0, worker)
    assert worker.stop() == 0, worker.told()


def test_a_place_for_alerts_that_is_down_holds_up_no_flow(
    broker: Broker, topic: str, start: Start, judged: Tables, tmp_path: Path
) -> None:
    port = tables_port(judged)
    judged["alerts.webhook"] = {"url": "http://127.0.0.1:9/nobody"}
    worker = start()
    produce(broker, topic, map(record, range(300)))
    wait_until(lambda: count(tmp_path / "named") == 300, worker)
    wait_until(lambda: "alerts: cannot post" in get(f"http://127.0.0.1:{port}/readyz")[1], worker)
    wait_until(lambda: "Anybody speaks" in (tmp_path / "findings.jsonl").read_text(), worker)
    assert "whowas_alerts_undelivered 0.0" not in get(f"http://127.0.0.1:{port}/metrics")[1]
    assert worker.stop() == 0, worker.told()


def tables_port(tables: Tables) -> int:
    """Serve on a port of the test's own."""
    from support.servers.process import free_port

    port = free_port()
    tables["serving"]["listen"] = f"127.0.0.1:{port}"
    return port
