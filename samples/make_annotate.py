"""Write samples/annotate: logs as sensors would have written them of what samples/overlay/truth.jsonl tells.

The connections are real, the sensors are not: fields and their order are as Suricata, Zeek and a firewall write them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUT = HERE / "annotate"
ZEEK = (
    ("ts", "time"), ("uid", "string"), ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"),
    ("id.resp_p", "port"), ("proto", "enum"), ("duration", "interval"), ("orig_bytes", "count"),
    ("resp_bytes", "count"), ("conn_state", "string"),
)  # fmt: skip


def connections() -> list[dict[str, Any]]:
    """The connections of TCP and UDP as the bridge saw them, oldest first."""
    rows = (json.loads(line) for line in (HERE / "overlay" / "truth.jsonl").read_text().splitlines())
    seen = [
        one | {name: view[name] for name in ("src_ip", "src_port", "dst_ip", "dst_port")}
        for one in rows
        if one["row"] == "connection" and one["protocol"] in ("tcp", "udp")
        for view in one["views"]
        if view["capture"] == "node1-bridge"
    ]
    return sorted(seen, key=lambda one: str(one["start"]))


def suricata_time(stamp: str) -> str:
    """A time as Suricata writes it."""
    return stamp.replace("Z", "+0000")


def eve(seen: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A flow record for each connection, an alert for each of HTTP, and the statistics that stand between them."""
    yield {"timestamp": suricata_time(seen[0]["start"]), "event_type": "stats", "stats": {"uptime": 12, "decoder": {}}}
    for number, one in enumerate(seen):
        ends = {
            "flow_id": 1_000_000 + number, "in_iface": "cni0", "src_ip": one["src_ip"], "src_port": one["src_port"],
            "dest_ip": one["dst_ip"], "dest_port": one["dst_port"], "proto": one["protocol"].upper(),
        }  # fmt: skip
        flow = {
            "bytes_toserver": one["payload_out"], "bytes_toclient": one["payload_in"],
            "start": suricata_time(one["start"]),
        }  # fmt: skip
        if one["dst_port"] == 80:
            alert = {
                "action": "allowed",
                "gid": 1,
                "signature_id": 9000001,
                "rev": 1,
                "signature": "HTTP in the cluster",
            }
            head = {"timestamp": suricata_time(one["start"]), "event_type": "alert"}
            yield head | ends | {"alert": alert | {"severity": 3}, "flow": flow}
        # Flows are told when they time out: a minute later the address may be somebody else's.
        late = datetime.fromisoformat(one["end"]).replace(minute=41).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
        flow = flow | {"end": suricata_time(one["end"]), "state": "closed", "reason": "timeout"}
        yield {"timestamp": late, "event_type": "flow"} | ends | {"flow": flow}


def zeek(seen: list[dict[str, Any]]) -> Iterator[str]:
    """conn.log."""
    yield from ("#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn")
    yield "#open\t2026-11-21-08-39-35"
    yield "#fields\t" + "\t".join(name for name, _ in ZEEK)
    yield "#types\t" + "\t".join(kind for _, kind in ZEEK)
    for number, one in enumerate(seen):
        start, end = (datetime.fromisoformat(one[name]).timestamp() for name in ("start", "end"))
        cells = (
            f"{start:.6f}", f"C{number:017d}", one["src_ip"], one["src_port"], one["dst_ip"], one["dst_port"],
            one["protocol"], f"{end - start:.6f}", one["payload_out"], one["payload_in"],
            "SF" if one["result"] == "ok" else "REJ",
        )  # fmt: skip
        yield "\t".join(map(str, cells))
    yield "#close\t2026-11-21-08-41-00"


def firewall(seen: list[dict[str, Any]]) -> Iterator[list[str]]:
    """What a firewall exports."""
    yield ["timestamp", "rule", "action", "src_ip", "dst_ip", "service"]
    for one in seen:
        action = "allow" if one["result"] == "ok" else "deny"
        yield [one["start"], "pods, any", action, one["src_ip"], one["dst_ip"], f"{one['protocol']}/{one['dst_port']}"]


def access(seen: list[dict[str, Any]]) -> Iterator[str]:
    """nginx's access log in front of whatever speaks HTTP, with the address that it sent on to."""
    for one in seen:
        if one["dst_port"] in (80, 8080):
            when = datetime.fromisoformat(one["end"]).strftime("%d/%b/%Y:%H:%M:%S +0000")
            host = f"[{one['dst_ip']}]" if ":" in one["dst_ip"] else one["dst_ip"]
            yield (
                f'{one["src_ip"]} - - [{when}] "GET /cart HTTP/1.1" 200 {one["payload_in"]} "-" "curl/8.5.0" '
                f'"{host}:{one["dst_port"]}"'
            )


def syslog(seen: list[dict[str, Any]]) -> Iterator[str]:
    """What a firewall on worker-1 says to syslog, as RFC 3164 has it: without year and zone."""
    for number, one in enumerate(seen):
        when = datetime.fromisoformat(one["start"]).strftime("%b %d %H:%M:%S")
        what = f"{one['protocol']} {one['src_ip']}({one['src_port']}) -> {one['dst_ip']}({one['dst_port']})"
        yield f"<134>{when} worker-1 fw[{900 + number}]: access-list pods permitted {what}, rules v1.2.3.4"


def main() -> None:
    """Write them all."""
    OUT.mkdir(exist_ok=True)
    seen = connections()
    (OUT / "eve.json").write_text("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in eve(seen)))
    (OUT / "conn.log").write_text("".join(line + "\n" for line in zeek(seen)))
    (OUT / "access.log").write_text("".join(line + "\n" for line in access(seen)))
    (OUT / "syslog.log").write_text("".join(line + "\n" for line in syslog(seen)))
    with open(OUT / "firewall.csv", "w", newline="") as handle:
        csv.writer(handle).writerows(firewall(seen))


if __name__ == "__main__":
    main()
