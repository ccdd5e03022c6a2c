"""The score on real nodes: `python -m bench.real_nodes`, or `make churn-node`. Linux, root, `make servers` first.

Each seed is a real control plane with two real nodes (kubelet, containerd, runc, the CNI plugins bridge and host-local
behind a log), whose pods ask every address of both nodes all the time while they come and go on eight addresses a node.
`whowas watch` records; four captures (each node's bridge, the tunnel, every device of a node) are replayed; each end of
each flow on a pod's address is held against the plugin's log.

The exit code is 1 when any name that was given is wrong, or a share is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.servers.build import BuildError
from support.servers.build import build as build_servers

from bench.real_nodes.build import build
from bench.real_nodes.playing import CAPTURED
from bench.real_nodes.scoring import Result, score
from bench.real_nodes.tables import markdown, reached, text, wrong_names
from bench.real_nodes.underlay import HUB, underlay

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("ip", "nsenter", "unshare", "bridge", "sysctl", "runc", "tcpdump")


def options() -> argparse.Namespace:
    """What can be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_nodes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--seconds", type=float, default=150, help="of churn, a seed (default 150)")
    parser.add_argument("--out", type=Path, help="folder to keep what was recorded in, one for each seed")
    parser.add_argument("--again", action="store_true", help="replay and score what --out holds, without playing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markdown", type=Path, help="write the tables as Markdown")
    return parser.parse_args()


def lacking() -> str:
    """Say what stands in the way on this machine; empty: nothing."""
    if os.geteuid() != 0:
        return "network namespaces, mounts and cgroups need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(missing)} (Debian: iproute2 runc tcpdump util-linux procps)" if missing else ""


def seed_of(seed: int, told: argparse.Namespace, folder: Path) -> Result:
    """Play, replay and score one seed."""
    if not told.again:
        folder.mkdir(parents=True)
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        command = ["nsenter", f"--net=/run/netns/{HUB}", sys.executable, "-m", "bench.real_nodes.playing"]
        with underlay():
            subprocess.run([*command, str(seed), str(told.seconds), str(folder)], check=True, env=environment, cwd=ROOT)
    for capture in CAPTURED:
        out = folder / f"named-{capture}"
        shutil.rmtree(out, ignore_errors=True)
        words = ["replay", str(folder / f"{capture}.pcap"), "--history", str(folder / "history.db"), "--out", str(out)]
        subprocess.run([sys.executable, "-m", "whowas", *words, "--format", "jsonl", "-q"], check=True)
    return score(folder)


def main() -> int:
    """Run, print, and say by the exit code whether anything was wrong."""
    told = options()
    if not told.again:
        if why := lacking():
            print(f"cannot make nodes here: {why}", file=sys.stderr)
            return 2
        try:
            build_servers()
            build()
        except BuildError as refused:
            print(refused, file=sys.stderr)
            return 2
    found = Result()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="whowas-nodes-") as temporary:
        for seed in range(told.first, told.first + told.seeds):
            began = time.monotonic()
            result = seed_of(seed, told, (told.out or Path(temporary)) / f"seed-{seed}")
            print(f"seed {seed}: {sum(result.counts.values()):,} ends, wrong: {wrong_names(result)}; "
                  f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
            found.join(result)
    print(json.dumps({"counts": found.counts, "peers": found.peers}) if told.json else text(found))
    if told.markdown:
        told.markdown.write_text(markdown(found))
    return 0 if reached(found) else 1


if __name__ == "__main__":
    sys.exit(main())
