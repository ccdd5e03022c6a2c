"""What tests of the page share: folders of named flows, a bench over them, a server on loopback and one who asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from sinks.flows.parquet import ParquetOptions, ParquetSink
from whowas.addresses import address16
from whowas.schema import CONFIDENCES, is_nested, named_schema

HOUR = 3_600_000_000
DAY = 1_763_683_200_000_000  # 2025-11-21T00:00:00Z
HOSTILE = (
    "<script>window.pwned=1</script>",
    "=cmd|' /C calc'!A0",
    "a\u202egnp.exe",
    "nul\x00 esc\x1b[2J",
    "x" * 10_000,
)
PODS = (
    ("shop", "web", "Deployment", "web-1", "10.1.0.1"), ("shop", "web", "Deployment", "web-2", "10.1.0.2"),
    ("data", "db", "StatefulSet", "db-0", "10.1.0.3"), ("dev", "shell", "Pod", "shell", "10.1.0.4"),
    ("dev", "other", "Deployment", "web", "10.1.0.5"),
)  # fmt: skip
Row = dict[str, Any]


class Rows(list[Row]):
    """Flows; said shortly where a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} flows>"


def rows(count: int, seed: int = 1, hours: int = 3) -> Rows:
    """Flows of a few pods, a service, nodes and the outside, named with every confidence."""
    dice = random.Random(seed)
    return Rows(_row(number, seed, dice, hours) for number in range(count))


def _row(number: int, seed: int, dice: random.Random, hours: int) -> Row:
    row: Row = {
        "flow_id": f"{seed:016x}{number:016x}", "start_time": DAY + dice.randrange(hours * HOUR), "cluster": "demo",
        "protocol": dice.choice(["tcp", "udp"]), "direction": dice.choice(["internal", "outbound"]),
        "bytes_out": dice.choice([None, 10, 1000]), "bytes_in": dice.choice([None, 7]), "packets_out": 3,
        "dst_port": dice.choice([53, 443, 5432]), "src_port": dice.randrange(1024, 60_000),
        "tls_sni": dice.choice([None, "a.example", *HOSTILE]),
    }  # fmt: skip
    row["protocol_number"] = 6 if row["protocol"] == "tcp" else 17
    row["end_time"] = row["start_time"] + 1000
    for side in ("src", "dst"):
        row |= {f"{side}_{name}": value for name, value in _end(dice).items()}
    return row


def _end(dice: random.Random) -> Row:
    what = dice.choice(["pod", "pod", "pod", "ambiguous", "service", "node", "external", "unknown"])
    namespace, workload, kind, pod, ip = dice.choice(PODS)
    end: Row = {"ip": ip, "confidence": dice.choice(["exact", "likely"]), "kind": "pod"}
    if what == "pod":
        labels = [("app", workload), ("hostile", HOSTILE[0])]
        end |= {"namespace": namespace, "workload": workload, "workload_kind": kind, "pod": pod, "labels": labels}
        end |= {"pod_uid": f"uid-{pod}", "node": f"node-{ip[-1]}", "images": ["registry.example/a:1"]}
    elif what == "ambiguous":
        several = [dict(zip(("namespace", "workload", "name"), (*one[:2], one[3]), strict=True)) for one in PODS[:2]]
        end |= {
            "confidence": "ambiguous",
            "candidates": [one | {"kind": "pod", "reason": "possible"} for one in several],
        }
    elif what == "service":
        end |= {"kind": "service", "confidence": "service", "namespace": "shop", "service": "web", "ip": "10.96.0.1"}
    elif what == "node":
        end |= {"kind": "node", "confidence": "snat", "node": "node-1", "ip": "192.168.0.1"}
    else:
        end |= {"kind": "external" if what == "external" else None, "confidence": what, "ip": "203.0.113.9"}
        end["workload"] = "partner" if what == "external" and dice.random() < 0.5 else None
    return end | {"ip16": address16(end["ip"])}


def batch(flows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a batch that a sink takes; what a row lacks is null."""
    arrays = [_array([one.get(field.name) for one in flows], field.type) for field in named_schema()]
    return pa.record_batch(arrays, schema=named_schema())


def _array(values: list[Any], kind: Any) -> Any:
    if not (pa.types.is_dictionary(kind) and is_nested(kind)):
        return pa.array(values, type=kind)
    places = pa.array([None if value is None else row for row, value in enumerate(values)], pa.int32())
    return pa.DictionaryArray.from_arrays(places, pa.array([*values, []], kind.value_type))


def write(folder: Path, flows: Sequence[Mapping[str, Any]], run: str = "a") -> Path:
    """Write flows as a replay does."""
    sink = ParquetSink(folder, run, ParquetOptions(existing="append", row_group_rows=64))
    sink.check()
    sink.write(batch(flows))
    sink.close()
    return folder


def weaker(row: Mapping[str, Any]) -> str:
    """The confidence of the less certain end."""
    return max((row["src_confidence"], row["dst_confidence"]), key=CONFIDENCES.index)


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Served(NamedTuple):
    """A server that runs."""

    port: int
    token: str
    bench: Any

    def ask(self, path: str, asked: Any = None, **headers: str | None) -> Answered:
        """Ask as the page does; headers (with _ for -) replace its own, None leaves one out."""
        told: dict[str, str | None] = {
            "Authorization": f"Bearer {self.token}",
            "Origin": f"http://127.0.0.1:{self.port}",
        }
        told |= {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in told.items() if value is not None}
        body = None if asked is None else asked if isinstance(asked, bytes) else json.dumps(asked).encode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request("GET" if body is None else "POST", path, body, sent)
            answer = link.getresponse()
            return Answered(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            link.close()


@contextlib.contextmanager
def served(
    flows: Path, cache: Path, *, history: Sequence[str] = (), findings: str | None = None, seconds: float = 60.0
) -> Iterator[Served]:
    """Serve a folder, with all roll-ups made."""
    pytest.importorskip("uvicorn")
    from whowas.workbench.app import Server
    from whowas.workbench.guard import new_token
    from whowas.workbench.loopback import listen
    from whowas.workbench.workbench import Workbench

    bench = Workbench(str(flows), cache, history, findings)
    bench.rollups.build_all()
    bench.history.start()
    token = new_token()
    server = Server(bench, listen(0), token, seconds)
    running = threading.Thread(target=server.run)
    running.start()
    try:
        yield Served(server.port, token, bench)
    finally:
        server.stop()
        running.join()
        bench.close()
