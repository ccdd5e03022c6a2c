"""Three network namespaces: the hub, where the control plane lives (10.10.0.1), and two nodes (10.10.0.11, .12)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HUB = "whowas-hub"
NODES = ("whowas-n1", "whowas-n2")
_CGROUPS = Path("/sys/fs/cgroup")


@contextmanager
def underlay() -> Iterator[None]:
    """Make them; when the block ends, end every process in them and take them away. Needs root."""
    down()
    up()
    try:
        yield
    finally:
        down()


def up() -> None:
    """Lay a bridge in the hub and a cable from it to each node."""
    for name in (HUB, *NODES):
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", HUB, "link", "add", "br0", "type", "bridge")
    _ip("-n", HUB, "address", "add", "10.10.0.1/24", "dev", "br0")
    _ip("-n", HUB, "link", "set", "br0", "up")
    for number, node in enumerate(NODES, 1):
        _ip("-n", HUB, "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", node)
        _ip("-n", HUB, "link", "set", f"p{number}", "master", "br0", "up")
        _ip("-n", node, "address", "add", f"10.10.0.1{number}/24", "dev", "eth0")
        _ip("-n", node, "link", "set", "eth0", "up")
        _ip("-n", node, "route", "add", "default", "via", "10.10.0.1")


def down() -> None:
    """Take away whatever is there, this run's or an earlier one's."""
    _kill(_in_cgroups())
    there = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    names = [name for name in (*NODES, HUB) if name in there.split()]
    for name in names:
        _kill(int(pid) for pid in _ip("netns", "pids", name).split())
    for name in names:
        _ip("netns", "del", name)
    for folder in sorted(_cgroups(), key=lambda path: -len(path.parts)):
        _remove(folder)


def _cgroups() -> list[Path]:
    roots = [path for pattern in ("whowas-n?", "*/whowas-n?") for path in _CGROUPS.glob(pattern)]
    return [folder for root in roots for folder in (root, *(one for one in root.rglob("*") if one.is_dir()))]


def _in_cgroups() -> Iterator[int]:
    """Pods' processes live in network namespaces without a name; their cgroups know them."""
    for folder in _cgroups():
        try:
            yield from map(int, (folder / "cgroup.procs").read_text().split())
        except OSError:
            continue


def _kill(pids: Iterator[int]) -> None:
    for pid in set(pids) - {os.getpid()}:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _remove(folder: Path, tries: int = 20) -> None:
    for _ in range(tries):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # a killed process leaves its group a moment later
            time.sleep(0.05)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
