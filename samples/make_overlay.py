"""Make samples/overlay: captures of a real kernel overlay, the cluster's history, and the truth.

    sudo python samples/make_overlay.py [OUT] [--vxlan-port 8472]

Needs root, iproute2, nftables and tcpdump; takes some 40 s. What is made differs at each run, as its
times and ephemeral ports are real; samples/golden.py writes the expected results anew.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import zstandard
from lab.cast import Cast
from lab.cluster import Cluster
from lab.network import LabError, Network
from lab.objects import Uids
from lab.record import Recorder
from lab.story import Story
from lab.truth import ANY, BRIDGE, UNDERLAY, holders

HERE = Path(__file__).resolve().parent
PROGRAMS = ("ip", "bridge", "nft", "sysctl", "tcpdump")
DEVICES = {UNDERLAY: "eth0", BRIDGE: "cni0", ANY: "any"}
# The any capture sees a packet up to four times; it shows, too, that snap length does not matter.
SNAP = {ANY: 192}
NETWORKS = """\
# Names for addresses that no object of the cluster holds: whowas replay ... --networks networks.toml
[networks]
payment-provider = ["203.0.113.0/24"]
"""


def lacking() -> str:
    """What the lab needs and does not find; empty when it can run."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def start_capture(namespace: str, device: str, path: Path, snap: int) -> subprocess.Popen[bytes]:
    """Start tcpdump and wait until it listens."""
    words = ("ip", "netns", "exec", namespace, "tcpdump", "-i", device, "-U", "-s", str(snap), "-w", str(path))
    # -Z root: tcpdump's own user may not write into OUT.
    process = subprocess.Popen((*words, "-Z", "root", "-B", "8192"), stderr=subprocess.PIPE)
    assert process.stderr is not None
    heard = b""
    while b"listening on" not in heard:
        line = process.stderr.readline()
        if not line:
            raise LabError(f"cannot capture on '{device}': {heard.decode(errors='replace').strip()}")
        heard += line
    return process


def stop_capture(process: subprocess.Popen[bytes]) -> None:
    """Let tcpdump write what it has; it must not have dropped any."""
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    if b"\n0 packets dropped by kernel" not in b"\n" + told:
        raise LabError(f"cannot trust the capture: {told.decode(errors='replace').strip()}")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """One JSON object a line, gzip when the name says so; the same rows give the same bytes."""
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0) if path.suffix == ".gz" else text)


def record(out: Path, prefix: str, vxlan_port: int, seed: int) -> None:
    """Build the lab, act the story, write all files."""
    network, recorder = Network(prefix, vxlan_port), Recorder("demo", seed)
    cluster = Cluster(network, recorder)
    captures: list[subprocess.Popen[bytes]] = []
    try:
        network.up()
        apart = cluster.talker(network.outside), cluster.talker(network.nodes[0].namespace)
        cast = Cast(network, recorder, cluster, Uids(seed), *apart)
        cast.enter()
        story = Story(cast)
        for name, device in DEVICES.items():
            path = out / f"{name}.pcap"
            captures.append(start_capture(network.nodes[0].namespace, device, path, SNAP.get(name, 262_144)))
        story.act()
        connections = story.results()
        time.sleep(2.5)  # the last FINs; and tcpdump sees a packet up to a second late
        while captures:
            stop_capture(captures.pop())
        _watch_on(recorder)
    finally:
        for process in captures:
            process.kill()
            process.communicate()
        cluster.stop()
        network.down()
    write_lines(out / "truth.jsonl", connections + holders(cluster.pods))
    write_lines(out / "history.jsonl.gz", recorder.lines())


def _watch_on(recorder: Recorder) -> None:
    """Let the record go on for a minute in which nothing happens: what nobody reports by then has not ended."""
    now = time.time()
    for seconds in range(10, 61, 10):
        recorder.bookmarks(now + seconds)


def compress(path: Path) -> None:
    """Replace a capture by its zstd form."""
    packed = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(path.read_bytes())
    path.with_name(path.name + ".zst").write_bytes(packed)
    path.unlink()


def main() -> int:
    """Make all files of the folder named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=HERE / "overlay", help="folder to write to")
    parser.add_argument("--vxlan-port", type=int, default=4789, help="4789 (IANA) or 8472 (Linux, flannel)")
    parser.add_argument("--seed", type=int, default=20, help="of UIDs and publication lags")
    told = parser.parse_args()
    if missing := lacking():
        print(f"cannot make the overlay: {missing}", file=sys.stderr)
        return 2
    told.out.mkdir(parents=True, exist_ok=True)
    record(told.out, f"ww{os.getpid()}", told.vxlan_port, told.seed)
    compress(told.out / f"{UNDERLAY}.pcap")
    (told.out / "networks.toml").write_text(NETWORKS)
    for path in sorted(told.out.iterdir()):
        print(f"{path.stat().st_size:>9,}  {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
