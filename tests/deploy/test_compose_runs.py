"""The commands of docker-compose.yml's containers, run as they stand: names of hosts, ports and folders are replaced.

Not run are what only the images have: Kafka's shell scripts (their options are obeyed here), Prometheus, Grafana.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import NewTopic
from support.needs import need
from support.servers import build_goflow2, build_kafka
from support.servers.broker import Broker
from support.servers.control_plane import ControlPlane
from support.servers.fixtures import control_plane, servers_built
from support.servers.process import Server, free_port
from support.store.written import T0, seen
from support.streaming.flow_records import column, count

from enrich.store.evidence_store import EvidenceStore
from whowas.observation import KubeObject, Meta

pytestmark = pytest.mark.long

__all__ = ["control_plane", "servers_built"]


class Composed(Broker):
    """The broker that the environment of the container `kafka` configures."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._told = environment
        super().__init__()

    def _properties(self) -> dict[str, str]:
        told = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in self._told.items()}
        told["log.dirs"] = str(self.folder / "data")
        ports = {"9092": self._ports["PLAIN"], "9093": self._ports["CONTROLLER"]}
        for name, value in told.items():
            if name in ("listeners", "advertised.listeners", "controller.quorum.voters"):
                told[name] = re.sub(r"(//|@)(kafka)?:(909\d)", lambda m: f"{m[1]}127.0.0.1:{ports[m[3]]}", value)
        return told


class Chain:
    """What stands in the file, started on this machine one after the other."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.services: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
        self.flows, self.page = free_port(), free_port()
        self._sflow, self._goflow2_page = free_port(), free_port()

    def topics(self, broker: Broker) -> None:
        """Obey the options of the container `topics`."""
        words = self.services["topics"]["command"]
        told = dict(one.removeprefix("--").split("=", 1) for one in words if "=" in one)
        assert words[0].endswith("kafka-topics.sh")
        assert "--create" in words
        admin = broker.admin()
        admin.create_topics([NewTopic(told["topic"], int(told["partitions"]))])[told["topic"]].result(20)

    def goflow2(self, broker: Broker) -> Server:
        """The container `goflow2`."""
        ports = {"2055": self.flows, "6343": self._sflow}
        words = [
            re.sub(r":(2055|6343)", lambda m: f"127.0.0.1:{ports[m[1]]}", one).replace("kafka:9092", broker.plain)
            for one in self.services["goflow2"]["command"]
        ]
        command = [str(build_goflow2.program()), *words, f"-addr=127.0.0.1:{self._goflow2_page}"]
        return Server("goflow2", command, self.folder / "goflow2.log", lambda: _answers(self._goflow2_page))

    def stream(self, broker: Broker) -> Server:
        """The container `stream`, whose entry point is whowas."""
        told = (self.root / "deploy/compose/whowas.toml").read_text()
        for here, there in (
            ("kafka:9092", broker.plain),
            ("/history", str(self.folder / "history")),
            ("0.0.0.0:9465", f"127.0.0.1:{self.page}"),
        ):
            assert here in told
            told = told.replace(here, there)
        (self.folder / "whowas.toml").write_text(told)
        words = [
            one.replace("/etc/whowas/whowas.toml", str(self.folder / "whowas.toml"))
            for one in self.services["stream"]["command"]
        ]
        command = [sys.executable, "-m", "whowas", *words]
        return Server("stream", command, self.folder / "stream.log", lambda: _answers(self.page))

    def load(self) -> None:
        """What the container `load` does again and again, once."""
        service = self.services["load"]
        shell, option, script = service["command"]
        found = re.search(r"while true; do (softflowd .*?); sleep", script)
        assert found is not None
        here, there = service["volumes"][0].split(":")[:2]
        line = found[1].replace(there, str(self.root / here)).replace("goflow2:2055", f"127.0.0.1:{self.flows}")
        line = line.replace(">/dev/null 2>&1", f"-p {self.folder / 'softflowd.pid'}")
        subprocess.run([shell, option, line], check=True, timeout=60)

    def history(self) -> None:
        """A store that knows of the sample's pods, and of everything up to an hour from now."""
        path = self.folder / "history/store/cluster.db"
        path.parent.mkdir(parents=True)
        samples = self.root / "samples/overlay/history.jsonl.gz"
        words = ["history", "import", str(path), str(samples)]
        subprocess.run([sys.executable, "-m", "whowas", *words], check=True, timeout=60)
        with EvidenceStore(path, write=True) as store:
            later = time.time() + 3600 - T0 / 1e6
            for kind in ("Pod", "Service", "Node"):
                about = KubeObject(kind, Meta(resourceVersion="999999"))
                store.write([seen("BOOKMARK", about, later, "demo")])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1) as page:
            return bool(page.status == 200)
    except OSError:
        return False


@pytest.fixture
def chain(root: Path, tmp_path: Path) -> Chain:
    lacking = [build_kafka.missing(), build_goflow2.missing()]
    lacking.append("" if shutil.which("softflowd") else "no softflowd: it is not installed")
    for lacks in lacking:
        need(not lacks, lacks)
    return Chain(root, tmp_path)


def test_a_flow_goes_all_the_way(chain: Chain) -> None:
    chain.history()
    named = chain.folder / "history/out/named"
    with Composed(chain.services["kafka"]["environment"]) as broker:
        chain.topics(broker)
        servers = [chain.goflow2(broker), chain.stream(broker)]
        try:
            for one in servers:
                one.start(60)
            chain.load()
            until = time.monotonic() + 60
            while not count(named):
                assert time.monotonic() < until, servers[1].tail()
                time.sleep(0.2)
            assert set(column(named, "src_pod")) - {None}, "somebody is named"
            _dashboard_finds_its_metrics(chain)
        finally:
            codes = [one.stop(15) for one in servers[::-1]]
    assert codes[0] == 0, servers[0].tail()


def _dashboard_finds_its_metrics(chain: Chain) -> None:
    """What Prometheus scrapes has a family for each that Grafana asks for."""
    scraped = yaml.safe_load((chain.root / "deploy/compose/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"] == [{"targets": ["stream:9465"]}]
    with urllib.request.urlopen(f"http://127.0.0.1:{chain.page}/metrics", timeout=5) as page:
        told = page.read().decode()
    families = set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
    board = json.loads((chain.root / "deploy/compose/grafana/stream.json").read_text())
    asked = {name for one in board["panels"] for name in re.findall(r"whowas_\w+", one["targets"][0]["expr"])}
    assert {one.removesuffix("_bucket") for one in asked} <= families


def test_volumes_can_be_written(root: Path) -> None:
    """A volume belongs to whom its folder in the image belongs to; one that the image has not is root's."""
    told = yaml.safe_load((root / "docker-compose.yml").read_text())
    kafka = told["services"]["kafka"]
    assert f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}" in kafka["volumes"], "what Kafka keeps outlives it"
    image = (root / "deploy/Dockerfile").read_text()
    user = told["services"]["stream"]["user"].split(":")[0]
    made = re.search(rf"install -d -o {user} -g {user} ([^\n]+)", image)
    assert made is not None
    mounted = dict(one.split(":")[:2] for one in told["services"]["stream"]["volumes"] if "}" not in one)
    volumes = [there for here, there in mounted.items() if here in told["volumes"]]
    assert volumes
    assert set(volumes) <= set(made[1].split())


def test_what_the_image_runs_by_itself(root: Path, control_plane: ControlPlane, tmp_path: Path) -> None:
    """`whowas watch` with the words of the Dockerfile, on a real cluster."""
    found = re.search(r"^CMD (\[.*\])$", (root / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    port = free_port()
    words = [
        one.replace("/history/", f"{tmp_path}/").replace("0.0.0.0:9464", f"127.0.0.1:{port}")
        for one in json.loads(found[1])
    ]
    kubeconfig = control_plane.kubeconfig()
    command = ["env", f"KUBECONFIG={kubeconfig}", sys.executable, "-m", "whowas", *words]

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    recorder = Server("watch", command, tmp_path / "watch.log", ready)
    recorder.start(60)
    assert recorder.stop(15) == 0, recorder.tail()
    assert (tmp_path / "cluster.db").is_file()
