"""`make demo`: replay a sample capture and show what whowas is for. Run it from anywhere."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from whowas.kernels import needs_compiling

ROOT = Path(__file__).resolve().parent.parent
WHOWAS = str(Path(sys.executable).with_name("whowas"))
CAPTURES = ["samples/overlay/node1-underlay.pcap.zst", "samples/overlay/node1-bridge.pcap"]
HISTORY = "samples/overlay/history.jsonl.gz"
OUT = "out/demo"
# One question, so that one process answers it: the address with the most holders, and its flows by holder.
HOLDERS = """
    WITH reused AS (
        SELECT src_ip AS ip, count(DISTINCT src_pod) AS pods
        FROM flows WHERE src_confidence = 'exact' AND src_kind = 'pod' AND src_ip NOT LIKE '%:%'
        GROUP BY ALL HAVING pods >= 2 ORDER BY pods DESC, ip LIMIT 1
    )
    SELECT ip, coalesce(src_namespace || '/' || src_pod, 'either holder: it changed hands under them') AS pod,
           src_confidence AS sure, count(*) AS conversations,
           strftime(min(start_time), '%H:%M:%S.%g') AS first_flow, strftime(max(end_time), '%H:%M:%S.%g') AS last_flow,
           max(max(start_time)) OVER () AS moment
    FROM flows JOIN reused ON src_ip = ip GROUP BY ip, pod, sure ORDER BY first_flow
"""


# What the replay compiles takes half a minute on one core: the packets' part and the history's, each in its process.
PACKETS = f"""
from ingest.packets import CaptureSource, PacketOptions
for _ in CaptureSource({CAPTURES}, PacketOptions()).batches(): pass
"""
NAMES = ["annotate", "samples/annotate/eve.json", "--history", HISTORY, "--quiet"]
PARTS = [sys.executable, "-c", PACKETS], [WHOWAS, *NAMES]


def compile_kernels() -> None:
    """Compile what the replay needs on two cores, unless an earlier run did; the replay compiles what is left."""
    if needs_compiling():
        print("compiling kernels, some seconds, only this once", flush=True)
        parts = [subprocess.Popen(part, cwd=ROOT, stdout=subprocess.DEVNULL) for part in PARTS]
        codes = [part.wait() for part in parts]
        if any(codes):
            sys.exit("the kernels cannot be compiled: that is a bug")


def show(*words: str) -> None:
    """Print a command as a user would type it, and run it."""
    print(f"\n$ whowas {shlex.join(words)}", flush=True)
    subprocess.run([WHOWAS, *words], cwd=ROOT, check=True)


def rows(sql: str) -> list[dict[str, Any]]:
    """Ask the demo's flows."""
    done = subprocess.run(
        [WHOWAS, "query", sql, "--flows", OUT, "--json"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def truth(ip: str) -> list[str]:
    """Return the pods that really held the address, as the generator of the samples wrote down."""
    lines = map(json.loads, (ROOT / "samples/overlay/truth.jsonl").read_text().splitlines())
    return list(dict.fromkeys(one["src"] for one in lines if one["row"] == "connection" and one["src_ip"] == ip))


def main() -> None:
    """Replay, show one address with two holders, say what to try next."""
    compile_kernels()
    show("replay", *CAPTURES, "--history", HISTORY, "--networks", "samples/overlay/networks.toml",
         "--out", OUT, "--existing", "replace-all")  # fmt: skip
    named = rows(HOLDERS)
    if not named:
        sys.exit("the samples show no reused address: that is a bug")
    ip = named[0]["ip"]
    print(f"\nOne address, several holders: who was {ip}?")
    show("who", ip, "--history", HISTORY)
    print("\nAnd its flows, each named by who held the address then:")
    for row in named:
        print(
            f"  {row['first_flow']} .. {row['last_flow']}  {row['pod']}  ({row['sure']}, {row['conversations']} conv.)"
        )
    real = truth(ip)
    wrong = [row["pod"] for row in named if row["sure"] in ("exact", "likely") and row["pod"] not in real]
    print(f"  the truth written down when the samples were made: {', '.join(real)}")
    if wrong:
        sys.exit(f"named wrongly: {wrong}")
    print(f"""
Next, try:
  source .venv/bin/activate
  whowas query "FROM flows LIMIT 3" --flows {OUT}
  whowas query "SELECT src_workload, dst_workload, sum(bytes_out) FROM flows GROUP BY ALL" --flows {OUT}
  whowas who {ip} --history {HISTORY} --at {named[0]["moment"]}
  whowas replay YOUR.pcap --history YOUR-watch-dump.json --out named     # docs/how-to/replay.md

Or look in a browser: the map, and under "Who was" the holders of {ip} (docs/how-to/look.md):
  .venv/bin/whowas serve --flows {OUT} --history {HISTORY} --view map""")


if __name__ == "__main__":
    main()
