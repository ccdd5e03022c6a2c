"""The page "I have a cluster" and the help of `whowas watch` tell commands that work."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from support.recorder.witness import wait_for_version
from support.servers import pods
from support.servers.control_plane import ControlPlane


def test_the_commands_of_the_page_run(root: Path, cluster: ControlPlane, kubeconfig: Path, tmp_path: Path) -> None:
    lines = re.findall(r"^whowas .*$", (root / "docs/how-to/record.md").read_text(), re.M)
    check, record, who, several, *of_a_damaged_store = lines
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(root)}

    def start(line: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", *shlex.split(line)]
        return subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)

    checking = start(check)
    assert "everything the recorder needs is granted" in checking.communicate(timeout=30)[0]
    assert checking.returncode == 0
    address = re.search(r"who (\S+)", who)
    assert address
    recording = start(record)
    try:
        pods.run(cluster.api(), pods.small("web", "worker-1"), address.group(1))
        version = int(cluster.api().get("/api/v1/namespaces/default/pods/web")["metadata"]["resourceVersion"])
        wait_for_version(tmp_path / "cluster.db", version)
        asking = start(who)
        assert "default/web" in asking.communicate(timeout=120)[0]
        assert asking.returncode == 0
        recording.send_signal(signal.SIGINT)
        assert recording.wait(15) == 0
    finally:
        recording.kill()
    assert "--context eu --context us" in several
    # tests/enrich/store runs these, on stores that are damaged.
    assert all(one.startswith("whowas history ") for one in of_a_damaged_store)


def test_help_shows_the_command_of_the_page(root: Path) -> None:
    told = subprocess.run([sys.executable, "-m", "whowas", "watch", "--help"], capture_output=True, text=True).stdout
    example = re.search(r"Example:\n +(.*)\n", told)
    assert example
    assert f"\n{example.group(1)}\n" in (root / "docs/how-to/record.md").read_text()
