"""docker-compose.yml: valid by the compose specification, and what its containers run is what there is.

No container engine runs here: the images are never started by a test.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.needs import need
from support.servers import build_goflow2
from support.servers.process import free_port

from whowas.config import load
from whowas.metrics import STREAM_METRICS


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    """The file as Docker reads it."""
    told: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
    return told


def test_it_is_valid(root: Path) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    told = subprocess.run([*words, str(root / "docker-compose.yml")], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_stream_has_its_configuration(root: Path, compose: dict[str, Any]) -> None:
    stream = compose["services"]["stream"]
    assert stream["command"] == ["stream", "--config", "/etc/whowas/whowas.toml"]
    mounted = dict(one.rsplit(":", 2)[:2][::-1] for one in stream["volumes"] if one.endswith(":ro"))
    config = load(str(root / mounted["/etc/whowas/whowas.toml"]))
    assert list(config.input.topics) == ["flows"]
    assert f"--topic={config.input.topics[0]}" in compose["services"]["topics"]["command"]
    assert config.kafka.options["bootstrap.servers"] == "kafka:9092"
    where = [one.split(":")[1] for one in stream["volumes"] if "}" not in one]
    assert config.parquet is not None
    assert any(config.parquet.folder.startswith(one) for one in where)


def test_every_file_that_is_mounted_is_there(root: Path, compose: dict[str, Any]) -> None:
    mounted = [one.split(":")[0] for told in compose["services"].values() for one in told.get("volumes", ())]
    files = [one for one in mounted if one.startswith("./")]
    assert len(files) > 4
    assert [one for one in files if not (root / one).is_file()] == []


def test_goflow2_takes_its_options(compose: dict[str, Any]) -> None:
    lacks = build_goflow2.missing()
    need(not lacks, lacks)
    words = [
        re.sub("kafka:9092", "127.0.0.1:1", re.sub(r":(2055|6343)", lambda _: f":{free_port()}", one))
        for one in compose["services"]["goflow2"]["command"]
    ]
    told = subprocess.run([str(build_goflow2.program()), *words], capture_output=True, text=True, timeout=60)
    # No option is unknown: it goes as far as the broker, which is not there.
    assert "flag provided but not defined" not in told.stderr
    assert "127.0.0.1:1" in told.stderr + told.stdout or "brokers" in told.stderr + told.stdout


def test_the_dashboard_shows_metrics_that_there_are(root: Path) -> None:
    told = json.loads((root / "deploy/compose/grafana/stream.json").read_text())
    used = {name for one in told["panels"] for name in re.findall(r"whowas_\w+", one["targets"][0]["expr"])}
    known = {one.name for one in STREAM_METRICS} | {f"{one.name}_bucket" for one in STREAM_METRICS}
    assert len(used) > 6
    assert used <= known
