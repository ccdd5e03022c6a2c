"""Write samples/golden: what a replay of each sample must say (`make golden`). A test compares.

One file a capture: what was read and refused, and the flows grouped by name, address, port and certainty.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
HISTORIES = {"overlay": "history.jsonl.gz", "crafted": "history.jsonl"}
GROUP = (
    *("src_ip", "src_confidence", "src_kind", "src_namespace", "src_pod", "src_workload"),
    *("dst_ip", "dst_confidence", "dst_kind", "dst_namespace", "dst_pod", "dst_workload", "dst_service"),
    *("protocol", "dst_port", "vni", "direction", "end_reason"),
)
SUMS = ("packets_out", "packets_in", "bytes_out", "bytes_in")


def captures() -> list[Path]:
    """Every sample capture."""
    return sorted(path for folder in HISTORIES for path in (HERE / folder).iterdir() if ".pcap" in path.name)


def replayed(capture: Path) -> dict[str, Any]:
    """Replay one capture; the result in rows that do not change with the order of batches."""
    from whowas.batch.replay import Choices, replay_captures

    history = capture.parent / HISTORIES[capture.parent.name]
    networks = capture.parent / "networks.toml"
    choices = Choices(networks=str(networks) if networks.exists() else None)
    result = replay_captures(str(capture), str(history), choices=choices)
    told = result.to_json()
    read = {name: told[name] for name in ("packets", "conversations", "rows", "refused", "answers")}
    read["unreadable"] = [one["unreadable"] for one in told["files"]]
    return {"capture": capture.name, **read, "flows": grouped(result.table)}


def grouped(table: Any) -> list[dict[str, Any]]:
    """Flows of the same names, addresses and certainty as one row."""
    import pyarrow as pa

    plain = table.select([*GROUP, *SUMS]).cast(
        pa.schema([(name, pa.string() if pa.types.is_dictionary(kind) else kind) for name, kind in _types(table)])
    )
    sums = plain.group_by(list(GROUP)).aggregate([("src_ip", "count"), *((name, "sum") for name in SUMS)])
    names = {"src_ip_count": "conversations"} | {f"{name}_sum": name for name in SUMS}
    rows = [{names.get(key, key): value for key, value in row.items()} for row in sums.to_pylist()]
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _types(table: Any) -> list[tuple[str, Any]]:
    return [(name, table.schema.field(name).type) for name in (*GROUP, *SUMS)]


def text(told: dict[str, Any]) -> str:
    """A row a line, so that a difference reads well."""
    rows = ",\n".join(f"  {json.dumps(row)}" for row in told["flows"])
    head = {key: value for key, value in told.items() if key != "flows"}
    return json.dumps(head, indent=1)[:-2] + ',\n "flows": [\n' + rows + "\n ]\n}\n"


def path_of(capture: Path) -> Path:
    """Where the expectation of a capture lies."""
    return GOLDEN / f"{capture.name.split('.pcap')[0]}.json"


def main() -> int:
    """Write all, and say which changed."""
    GOLDEN.mkdir(exist_ok=True)
    for capture in captures():
        new = text(replayed(capture))
        path = path_of(capture)
        old = path.read_text() if path.exists() else ""
        path.write_text(new)
        print(f"{'same   ' if old == new else 'changed'}  {path.relative_to(HERE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
