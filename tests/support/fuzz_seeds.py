"""What damaged inputs are made of: a few good ones for each reader."""

from __future__ import annotations

import gzip
import lzma
import tempfile
from functools import cache
from pathlib import Path

import lz4.frame
import zstandard
from support.crafted_packets import START, enhanced, ethernet, interface, ipv4, option, pcap, section, segment
from support.crafted_tunnels import EXAMPLES, SEALED
from support.flow_logs import EXAMPLES as LOGS
from support.wrapped import OBJECTS

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
HEAD = 1 << 12


@cache
def seeds_of(reader: str) -> list[bytes]:
    """Return good inputs of a reader."""
    return MADE[reader]()


def _compressed(data: bytes) -> list[bytes]:
    return [
        gzip.compress(data, 1),
        zstandard.ZstdCompressor(1, write_checksum=True).compress(data),
        lz4.frame.compress(data),
        lzma.compress(data, preset=0),
        "\ufeff".encode("utf-16-le") + data.decode("latin-1").encode("utf-16-le"),
    ]


def _captures() -> list[bytes]:
    frame = segment("10.0.0.1", "10.0.0.2", 1, 2, 0x10)
    nano = option("<", 2, b"eth7") + option("<", 9, b"\x09") + option("<", 14, bytes(8))
    both = section() + interface() + interface("<", 1, nano) + enhanced(frame, 10**15) + enhanced(frame, 10**18, "<", 1)
    made = [pcap([(START, frame), (START + 1, frame)]), pcap([(START, frame)], 276, ">", True), both]
    files = [path.read_bytes() for path in sorted((SAMPLES / "crafted").glob("*.pcap*"))]
    made += _encapsulated()
    return [*made, *_compressed(made[0]), *(one for one in files if len(one) < 1 << 14)]


def _encapsulated() -> list[bytes]:
    """A packet of each encapsulation, some to a capture; fragments in the wrong order."""
    frames = [one.frame for one in EXAMPLES.values()] + [frame for frame, _ in SEALED.values()]
    pieces = [ethernet(ipv4("10.0.0.1", "10.0.0.2", 17, bytes(8), place, 7)) for place in (2, 0x2001, 0x2000)]
    timed = [(START + place, frame) for place, frame in enumerate([*frames, *pieces])]
    return [pcap(timed[start : start + 4]) for start in range(0, len(timed), 4)]


def _logs() -> list[bytes]:
    plain = [b"\n".join(one.values) + b"\n" for one in LOGS.values()]
    first = LOGS["zeek-json"].values[-1].decode()
    wrapped = [make([first, first]).encode() for make in OBJECTS.values()]
    return [*plain, *wrapped, *_compressed(plain[5]), b"[" + LOGS["netobserv"].values[0] + b"]"]


POD = (
    b'{"type":"ADDED","received":"2026-01-01T00:00:01Z","cluster":"c","object":{"kind":"Pod","metadata":{"name":"web-0",'
    b'"namespace":"shop","uid":"u1","resourceVersion":"5","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app":"web"},'
    b'"ownerReferences":[{"kind":"ReplicaSet","name":"web","uid":"r1","controller":true}]},"spec":{"nodeName":"n1"},'
    b'"status":{"phase":"Running","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}],"startTime":"2026-01-01T00:00:00Z",'
    b'"containerStatuses":[{"name":"a","image":"i","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}}'
)
AUDIT = (
    b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a","stage":"ResponseComplete",'
    b'"requestURI":"/api/v1/namespaces/shop/pods/web-0/status","verb":"patch","user":{"username":"x"},"objectRef":{'
    b'"resource":"pods","namespace":"shop","name":"web-0","apiVersion":"v1","subresource":"status"},"responseStatus":{'
    b'"code":200},"requestObject":{"status":{"podIP":"10.0.0.1"}},"responseObject":{"kind":"Pod","apiVersion":"v1",'
    b'"metadata":{"name":"web-0","namespace":"shop","uid":"u1","resourceVersion":"6"},"status":{"podIP":"10.0.0.1",'
    b'"phase":"Running"}},"requestReceivedTimestamp":"2026-01-01T00:00:02.000000Z",'
    b'"stageTimestamp":"2026-01-01T00:00:02.100000Z"}'
)
PROMETHEUS = (
    b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"kube_pod_info","namespace":"shop",'
    b'"pod":"web-0","uid":"u1","pod_ip":"10.0.0.1","node":"n1","created_by_kind":"ReplicaSet","created_by_name":"web"},'
    b'"values":[[1767225600,"1"],[1767225660,"1"]]}]}}'
)


def _evidence() -> list[bytes]:
    spans = b'{"type":"GAP","from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:01:00Z","kind":"Pod","cluster":"c"}'
    service = b'{"kind":"Service","metadata":{"name":"s","uid":"s1"},"spec":{"clusterIP":"10.9.0.1"}}'
    watch = b'{"type":"MODIFIED","object":' + service + b"}"
    listed = b'{\n    "apiVersion": "v1",\n    "kind": "List",\n    "items": [\n' + POD[70:] + b"\n    ]\n}\n"
    plain = [POD + b"\n" + POD.replace(b"ADDED", b"DELETED") + b"\n" + spans + b"\n", watch, listed, AUDIT, PROMETHEUS]
    plain.append((SAMPLES / "crafted/history.jsonl").read_bytes()[:HEAD])
    wrapped = [make([POD.decode(), AUDIT.decode()]).encode() for make in OBJECTS.values()]
    return [*plain, *wrapped, *_compressed(plain[0])]


def _annotate() -> list[bytes]:
    csv = b'time,src_ip,dst_ip,x\n2026-11-21T08:39:36Z,10.244.1.20,1.2.3.4,"a,b"\n1795250376,10.0.0.1,::1,\n'
    return [*_logs(), csv, csv.replace(b",", b"\t"), csv.replace(b",", b";")]


def _toml() -> list[bytes]:
    docs = [
        b'[networks]\noffice = "192.0.2.0/24"\nvpn = ["198.51.100.0/24", "2001:db8::/32"]\n',
        b'[input]\ntopics = ["flows"]\ngroup = "g"\n[kafka]\nbrokers = "b:9092"\n[history]\npath = "h.db"\n'
        b'[naming]\nwait = "never"\n[parquet]\nfolder = "out"\nflush_seconds = 0.2\n[serving]\nlisten = "none"\n',
        b'[[silence]]\nid = "a"\nrule = "x"\nuntil = 2026-01-01T00:00:00Z\nreason = "r"\n',
        b'[[silence]]\nid = "b"\nrule = "x"\nuntil = 2026-01-01\n[silence.match]\nsrc_namespace = ["dev", "a*"]\n',
        b'silence = [{id = "c", rule = "x", until = 2026-01-01T00:00:00+01:00, match = {dst_port = 80}}]\n',
    ]
    return [*docs, (ROOT / "detect/site.toml").read_bytes()[:HEAD]]


def _sigma() -> list[bytes]:
    return [one.read_bytes() for one in sorted((ROOT / "detect/rules").rglob("*.yml"))]


def _parquet() -> list[bytes]:
    from whowas.batch.replay import replay

    with tempfile.TemporaryDirectory() as folder:
        replay(str(SAMPLES / "crafted/ipv6-extensions.pcap"), str(SAMPLES / "crafted/history.jsonl"), f"{folder}/out")
        return [one.read_bytes() for one in Path(folder).rglob("*.parquet")]


MADE = {
    "captures": _captures,
    "records": _logs,
    "messages": _logs,
    "evidence": _evidence,
    "annotate": _annotate,
    "toml": _toml,
    "sigma": _sigma,
    "parquet": _parquet,
}
