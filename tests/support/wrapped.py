"""Lines as runtimes, shippers and clouds wrap them: made here, from their documents."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable

STAMP = "2026-11-20T09:05:00.200000000Z"
MS = 1_795_165_560_000


def event(text: str) -> dict[str, object]:
    return {"timestamp": MS, "message": text, "ingestionTime": MS, "eventId": "1"}


def subscription(texts: Iterable[str]) -> dict[str, object]:
    return {
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
        "logEvents": [{"id": "1", "timestamp": MS, "message": one} for one in texts],
    }  # fmt: skip


def table(texts: Iterable[str]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["timestamp", "message"])
    rows.writerows([MS, one] for one in texts)
    return out.getvalue()


def lines(each: Callable[[str], object]) -> Callable[[list[str]], str]:
    """Each line in something, which is a text or becomes JSON."""

    def made(texts: list[str]) -> str:
        return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in map(each, texts))

    return made


def packed(texts: list[str]) -> str:
    data = gzip.compress(json.dumps(subscription(texts)).encode())
    return base64.b64encode(data).decode()


CONTROL = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "message": "CWL CONTROL MESSAGE: Checking"}]}
LOKI = {"job": "x", "namespace": "shop"}
# A stream of lines; each line of it stands on a line.
BY_LINE: dict[str, Callable[[list[str]], str]] = {
    "cri": lines(lambda one: f"{STAMP} stdout F {one}"),
    "kubectl": lines(lambda one: f"[pod/gate-1/main] {one}"),
    "syslog": lines(lambda one: f"<13>Nov 20 10:05:31 sensor-a suricata[7]: {one}"),
    "syslog without priority": lines(lambda one: f"Nov  2 10:05:31 sensor-a suricata: {one}"),
    "syslog 5424": lines(lambda one: f'<165>1 {STAMP} host app 1 ID47 [x@1 a="b\\"]"][y@1] {one}'),
    "rsyslog file": lines(lambda one: f"2026-11-20T10:05:31.5+01:00 sensor-a suricata: {one}"),
    "export to S3": lines(lambda one: f"2026-11-20T09:06:00.000Z {one}"),
    "docker": lines(lambda one: {"log": f"{one}\n", "stream": "stdout", "time": STAMP}),
    "cloudwatch lines": lines(event),
    "firehose": lines(lambda one: {"message": one}),
    "logcli": lines(lambda one: {"labels": LOKI, "line": one, "timestamp": STAMP}),
    "filebeat": lines(lambda one: {"@timestamp": STAMP, "message": one, "agent": {"type": "filebeat"}, "log": {}}),
    "ecs original": lines(lambda one: {"@timestamp": STAMP, "event": {"kind": "event", "original": one}}),
    "export of elastic": lines(lambda one: {"_index": "i", "_source": {"@timestamp": STAMP, "message": one}}),
    "cri in filebeat": lines(lambda one: {"@timestamp": STAMP, "message": f"{STAMP} stdout F {one}"}),
    "docker in syslog": lines(
        lambda one: f"<13>Nov 20 10:05:31 h t: {json.dumps({'log': one, 'stream': 'stderr', 'time': STAMP})}"
    ),
    "azure": lines(lambda one: {"time": STAMP, "category": "x", "properties": {"log": f"{one}\n", "stream": "stdout"}}),
}
# The whole of it is one thing.
WHOLE: dict[str, Callable[[list[str]], str]] = {
    "aws command line": lambda texts: json.dumps({"events": list(map(event, texts)), "searchedLogStreams": [
        {"logStreamName": "s", "searchedCompletely": True}]}, indent=4),
    "console": table,
    "subscription": lambda texts: "".join(json.dumps(one) for one in (CONTROL, subscription(texts))),
    "subscriptions": lambda texts: "".join(json.dumps(subscription([one])) for one in texts),
    "lambda": lambda texts: json.dumps({"awslogs": {"data": packed(texts)}}),
    "kinesis": lambda texts: json.dumps({"Records": [{"kinesis": {"data": packed([one])}} for one in texts]}),
    "firehose endpoint": lambda texts: json.dumps(
        {"requestId": "r", "timestamp": MS, "records": [{"data": packed([one])} for one in texts]}),
    "loki": lambda texts: json.dumps({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": LOKI, "values": [[str(MS), one] for one in texts]}]}}),
    "elastic": lambda texts: json.dumps({"took": 1, "hits": {"total": {}, "hits": [
        {"_id": "1", "_source": {"@timestamp": STAMP, "message": one}} for one in texts]}}),
}  # fmt: skip
FORMS = BY_LINE | WHOLE
# Only before an object.
OBJECTS = FORMS | {"oc adm node-logs": lines(lambda one: f"ip-192-0-2-11.example.internal {one}")}


def cut(text: str, size: int = 40) -> str:
    """A line as containerd keeps one that is too long for it."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    tags = ["P"] * (len(parts) - 1) + ["F"]
    return "".join(f"{STAMP} stdout {tag} {part}\n" for tag, part in zip(tags, parts, strict=True))
