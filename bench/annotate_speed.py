"""Lines a core-second: alerts of some 400 bytes with two addresses each get names, beside two other ways to do it.

    python bench/annotate_speed.py [--log eve|access] [--lines 400000] [--pods 2000] [--holds 20000] [--json]

--log access: lines of an access log of some 250 bytes in place of alerts. There the peer looks for addresses by a
regular expression and puts names behind the line.

Both peers know the present state only, one name an address: what a cluster says at the end of the day. One is twenty
lines of Python (json, a dict), one is jq with that dict. Whole programs, user and system time, one core each, output to
/dev/null; the time that each takes for an empty log (start, loading of the history or the dict) is subtracted and told
apart. Then all answers are compared with who really held the addresses.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from cluster_day import DAY_START_US, DAY_US, DEPLOYMENTS, Day, _micros, address, make_day, write_evidence
from measure import machine, measure

HERE = Path(__file__).resolve().parent
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
NAMED = re.compile(r"([0-9.]+)=(\S+) ([a-z]+)")
JQ = ". + {src_ip_whowas: {pod: $pods[0][.src_ip]}, dest_ip_whowas: {pod: $pods[0][.dest_ip]}}"


def by_python(log: str, names: str) -> None:
    """The peer: what people write."""
    with open(names) as handle:
        pods = json.load(handle)
    with open(log) as lines:
        for line in lines:
            alert = json.loads(line)
            alert["src_ip_whowas"] = {"pod": pods.get(alert["src_ip"])}
            alert["dest_ip_whowas"] = {"pod": pods.get(alert["dest_ip"])}
            sys.stdout.write(json.dumps(alert) + "\n")


def by_python_text(log: str, names: str) -> None:
    """The peer for text: what people write."""
    with open(names) as handle:
        pods = json.load(handle)
    with open(log) as lines:
        for line in lines:
            line = line.rstrip("\n")
            found = "; ".join(f"{one}=ns/{pods.get(one)} named" for one in dict.fromkeys(ADDRESS.findall(line)))
            sys.stdout.write(f'{line} whowas="{found}"\n')


def pod_name(hold: int) -> str:
    """The name of a hold's pod, as cluster_day writes it."""
    return f"app-{hold % DEPLOYMENTS}-7d9f8b6c5-{hold:05x}"


def make_log(path: Path, day: Day, lines: int) -> list[tuple[str, str]]:
    """Write alerts of the day, in order of time. Returns: who really held source and destination."""
    random = np.random.default_rng(5)
    moments = np.sort(random.integers(DAY_START_US + 3_600_000_000, DAY_START_US + DAY_US - 60_000_000, lines))
    slots = random.integers(0, day.slots, (2, lines))
    truth = np.stack([day.holder(one, moments) for one in slots])
    with path.open("w") as out:
        for row, (moment, src, dst) in enumerate(zip(moments.tolist(), *slots.tolist(), strict=True)):
            alert = {
                "timestamp": _micros(moment).replace("Z", "+0000"), "flow_id": 10**15 + row, "in_iface": "eth0",
                "event_type": "alert", "src_ip": address(src), "src_port": 40000, "dest_ip": address(dst),
                "dest_port": 8080, "proto": "TCP", "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
                "alert": {
                    "action": "allowed", "gid": 1, "signature_id": 2013028, "rev": 4, "signature": "ET POLICY client",
                    "category": "Misc activity", "severity": 3,
                },
            }  # fmt: skip
            out.write(json.dumps(alert, separators=(",", ":")) + "\n")
    return [(pod_name(one) if one >= 0 else "", pod_name(two) if two >= 0 else "") for one, two in truth.T.tolist()]


def make_access_log(path: Path, day: Day, lines: int) -> list[tuple[str, str]]:
    """The same as an access log: who asked, and who it was sent on to, in whole seconds."""
    alerts = path.with_name("alerts")
    truth = make_log(alerts, day, lines)
    with alerts.open() as read, path.open("w") as out:
        for row, line in enumerate(read):
            one = json.loads(line)
            when = datetime.fromisoformat(one["timestamp"]).strftime("%d/%b/%Y:%H:%M:%S +0000")
            request = f'"GET /api/items/{row} HTTP/1.1" 200 {row % 5000} "-" "{AGENT}"'
            out.write(f'{one["src_ip"]} - - [{when}] {request} "{one["dest_ip"]}:8080"\n')
    return truth


def present(path: Path, day: Day) -> None:
    """What the cluster says at the end of the day: the last holder of each address."""
    last = {address(slot): pod_name(int(day.first[slot + 1]) - 1) for slot in range(day.slots)}
    path.write_text(json.dumps(last))


def ways(folder: Path, log: Path, text: bool) -> dict[str, str]:
    """A shell line for each way; its output is the annotated log."""
    python, names, history = shlex.quote(sys.executable), folder / "names.json", folder / "history.jsonl"
    whowas = f"{python} -m whowas annotate --quiet --history {history}"
    found = {
        "whowas annotate": f"exec {whowas} {log}",
        "whowas annotate, from a pipe": f"cat {log} | {whowas} -",
        "Python: json and a dict": f"exec {python} {HERE / 'annotate_speed.py'} --peer {log} {names}",
    }
    if text:
        found.popitem()
        peer = f"{python} {HERE / 'annotate_speed.py'} --text-peer {log} {names}"
        return found | {"Python: a pattern and a dict": f"exec {peer}"}
    if shutil.which("jq"):
        found["jq and a dict"] = f"exec jq -c --slurpfile pods {names} {shlex.quote(JQ)} {log}"
    return found


def judged(lines: list[str], truth: list[tuple[str, str]]) -> dict[str, int]:
    """Count ends by how sure the name was (the peers' names are just names) and whether it was right."""
    found: Counter[str] = Counter()
    for line, really in zip(lines, truth, strict=True):
        told = json.loads(line) if line.startswith("{") else _of_text(line)
        for field, pod in zip(("src_ip_whowas", "dest_ip_whowas"), really, strict=True):
            answer = told[field]
            word = answer.get("confidence", "named")
            if word not in ("exact", "likely", "named") or answer["pod"] is None:
                found["not named"] += 1
            else:
                found[f"{word} {'right' if answer['pod'] == pod else 'wrong'}"] += 1
    return dict(found)


def _of_text(line: str) -> dict[str, Any]:
    """What stands behind a line of text, in its order: who asked, who it was sent on to."""
    own, _, names = line.partition(' whowas="')
    told = {address: (name, word) for address, name, word in NAMED.findall(names)}
    found = [
        told.get(one, ("?/?", "unknown"))
        for one in (own.partition(" ")[0], own.rpartition('"')[0].rpartition('"')[2].partition(":")[0])
    ]
    return {
        field: {"confidence": word, "pod": None if name.endswith("/None") else name.partition("/")[2]}
        for field, (name, word) in zip(("src_ip_whowas", "dest_ip_whowas"), found, strict=True)
    }


def measured(name: str, line: str, empty: str, told: argparse.Namespace) -> dict[str, Any]:
    """Run a way on the log and on an empty one."""
    env = {"PYTHONPATH": str(HERE.parent)}
    runs = [measure(["sh", "-c", f"{{ {one} ; }} > /dev/null"], env=env) for one in (empty, line)]
    for one in runs:
        if one.code:
            raise SystemExit(f"{name} ended with {one.code}: {one.said[-500:]}")
    took = runs[1].cpu - runs[0].cpu
    return {"way": name, "lines_a_core_second": told.lines / took, "start": runs[0].cpu, "cpu_seconds": runs[1].cpu}


def main() -> None:
    """Make, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--log", choices=["eve", "access"], default="eve")
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--pods", type=int, default=2_000, help="addresses in use at once")
    parser.add_argument("--holds", type=int, default=20_000, help="pods of the day")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="whowas-annotate-") as name:
        folder = Path(name)
        day = make_day(told.holds, told.pods)
        write_evidence(folder / "history.jsonl", day)
        present(folder / "names.json", day)
        log, few, empty = (folder / one for one in ("eve.json", "few.json", "empty.json"))
        text = told.log == "access"
        truth = (make_access_log if text else make_log)(log, day, told.lines)
        empty.touch()
        few.write_text("".join(log.read_text().splitlines(keepends=True)[:: max(1, told.lines // 20_000)]))
        some = truth[:: max(1, told.lines // 20_000)]
        rows = []
        for way, line in ways(folder, log, text).items():
            row = measured(way, line, ways(folder, empty, text)[way], told)
            said = measure(
                ["sh", "-c", ways(folder, few, text)[way] + " 2>/dev/null"], env={"PYTHONPATH": str(HERE.parent)}
            ).said
            rows.append(row | {"ends": judged(said.splitlines(), some)})
        size = log.stat().st_size / told.lines
    if told.json:
        print(json.dumps({"machine": machine(), "line_bytes": size, "ways": rows}))
        return
    print(f"{told.lines:,} lines of {size:.0f} bytes, {told.holds:,} pods on {told.pods:,} addresses")
    for row in rows:
        ends = row["ends"]
        shares = "  ".join(f"{word} {100 * count / sum(ends.values()):.2f} %" for word, count in sorted(ends.items()))
        speed = f"{row['lines_a_core_second']:>10,.0f} lines a core-second   start {row['start']:.1f} s"
        print(f"{row['way']:<30} {speed}   {shares}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        by_python(*sys.argv[2:])
    elif sys.argv[1:2] == ["--text-peer"]:
        by_python_text(*sys.argv[2:])
    else:
        main()
