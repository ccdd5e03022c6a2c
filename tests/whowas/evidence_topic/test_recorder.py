"""`whowas watch --to-kafka` on a real apiserver and a real broker, killed while pods come and go."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.evidence_topic.teller import caught_up, wait_for
from support.evidence_topic.telling import events
from support.recorder.fixtures import cluster, kubeconfig
from support.recorder.running import kill, live_a_while, pods_version, stop
from support.recorder.witness import churn, wait_for_version
from support.servers.control_plane import ControlPlane
from support.store.streams import fresh_view

from enrich.store.info import facts
from whowas.evidence_topic import TopicSettings

__all__ = ["cluster", "kubeconfig"]


def watch(path: Path, kubeconfig: Path, settings: TopicSettings) -> subprocess.Popen[bytes]:
    words = ["watch", "--history", str(path), "--kubeconfig", str(kubeconfig), "--listen", "none"]
    words += ["--to-kafka", settings.topic, "--kafka", f"client={settings.client}"]
    for name, value in settings.options.items():
        words += ["--kafka", f"{name}={value}"]
    return subprocess.Popen([sys.executable, "-m", "whowas", *words], stderr=subprocess.DEVNULL)


@pytest.mark.long
def test_a_replica_of_a_recorder_that_is_killed(
    cluster: ControlPlane, kubeconfig: Path, settings: TopicSettings, tmp_path: Path
) -> None:
    path, api, rng = tmp_path / "h.db", cluster.api(), random.Random(settings.client)
    running = watch(path, kubeconfig, settings)
    try:
        with churn(api, 60, seed=len(settings.client)):
            for _ in range(3):
                live_a_while(path, rng)
                kill(running)
                running = watch(path, kubeconfig, settings)
        wait_for_version(path, int(pods_version(api)))
        # How often a change of any kind comes: the outbox is empty in between.
        wait_for(lambda: sent(path), lambda: facts(str(path)).telling, 60)
        stop(running)
    finally:
        running.kill()
        running.wait()
    copy = tmp_path / "copy"
    caught_up(copy, settings)
    assert events(copy) == events(path)
    assert sum(map(len, events(path).values())) > 50
    known, own = fresh_view(copy), fresh_view(path)
    assert known == own
    for where, key in ((path, "telling"), (copy, "replica")):
        command = [sys.executable, "-m", "whowas", "history", "info", str(where)]
        assert json.loads(subprocess.run([*command, "--json"], capture_output=True, check=True).stdout)[key]
        assert "topic" in subprocess.run(command, capture_output=True, check=True, text=True).stdout


def sent(path: Path) -> bool:
    """Whether the topic has everything."""
    now = facts(str(path)).telling
    return now is not None and now.begun_us is not None and now.snapshot and not now.waiting


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--kafka", "a=b"], "go with --to-kafka TOPIC"),
        (["--resend"], "go with --to-kafka TOPIC"),
        (["--to-kafka", "t"], "'bootstrap.servers' is not said"),
        (["--to-kafka", "t", "--kafka", "x"], "no value; write it like bootstrap.servers=broker:9092"),
        (["--to-kafka", "t", "--kafka", "client=other"], "say one of kafka-python, confluent"),
        (["--to-kafka", "t", "--kafka", "bootstrap.servers=a:1", "--kafka", "bootstrap.server=x"], "did you mean"),
        (["--to-kafka", "t", "--kafka", "bootstrap.servers=a:1", "--kafka", "acks=1"], "leave it out"),
        (["--to-kafka", "t", "--kafka", "bootstrap.servers=a:1", "--outbox-most", "much"], "write it like 500MiB"),
        (["--to-kafka", "t", "--config", "/no/such.toml"], "cannot read configuration '/no/such.toml'"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_the_start(words: list[str], reason: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whowas", "watch", "--history", str(tmp_path / "h.db"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done
    assert reason in done.stderr
    assert not (tmp_path / "h.db").exists()


def test_the_file_of_a_stream_says_how_the_broker_is_reached(
    cluster: ControlPlane, kubeconfig: Path, settings: TopicSettings, tmp_path: Path
) -> None:
    lines = [f'"{name}" = "{value}"' for name, value in settings.options.items()]
    config = tmp_path / "whowas.toml"
    config.write_text(
        f'[kafka]\nclient = "{settings.client}"\n[kafka.options]\n' + "\n".join(lines) + "\n[input]\nx = 1\n"
    )
    words = ["--kubeconfig", str(kubeconfig), "--to-kafka", settings.topic, "--config", str(config), "--listen", "none"]
    command = [sys.executable, "-m", "whowas", "watch", "--history", str(tmp_path / "h.db"), "--json", *words]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log)
    try:
        until = time.monotonic() + 60
        while '"publishing"' not in (tmp_path / "log").read_text():
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        running.terminate()
        assert running.wait(15) == 0
    finally:
        running.kill()
        running.wait()
