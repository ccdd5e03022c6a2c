"""What a replay found, in numbers: counts of answers and the top conversations by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whowas.schema import CONFIDENCES
from whowas.stages import Report

# Names that meet are few, but external ends of hostile traffic are not: keep the table of pairs bounded.
PAIRS_KEPT = 50_000
PAIR = ("src", "dst", "protocol", "dst_port")


@dataclass
class Summary:
    """Grows batch by batch. Bytes and packets are of both directions, IP layer."""

    rows: int = 0
    packets: int = 0
    bytes: int = 0
    answers: dict[str, Counter[str]] = field(default_factory=lambda: {"src": Counter(), "dst": Counter()})
    trimmed: bool = False
    _pairs: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)

    def add(self, named: Any) -> None:
        """Count a batch of named flows."""
        self.rows += named.num_rows
        for side, counts in self.answers.items():
            for one in pc.value_counts(named[f"{side}_confidence"]).to_pylist():
                counts[one["values"]] += one["counts"]
        sizes = pc.add(named["bytes_out"], named["bytes_in"])
        counts_of = pc.add(named["packets_out"], named["packets_in"])
        self.bytes += pc.sum(sizes).as_py() or 0
        self.packets += pc.sum(counts_of).as_py() or 0
        self._add_pairs(named, sizes)

    def _add_pairs(self, named: Any, sizes: Any) -> None:
        table = pa.table(
            {
                "src": _display(named, "src"),
                "dst": _display(named, "dst"),
                "protocol": pc.cast(named["protocol"], pa.string()),
                "dst_port": named["dst_port"],
                "bytes": sizes,
            }
        )
        grouped = table.group_by(list(PAIR)).aggregate([("bytes", "sum"), ("bytes", "count")])
        for row in grouped.to_pylist():
            total = self._pairs.setdefault(tuple(row[name] for name in PAIR), [0, 0])
            total[0] += row["bytes_count"]
            total[1] += row["bytes_sum"]
        if len(self._pairs) > PAIRS_KEPT:
            kept = sorted(self._pairs.items(), key=lambda item: -item[1][1])[: PAIRS_KEPT // 2]
            self._pairs = dict(kept)
            self.trimmed = True

    def top(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the conversations by name with the most bytes; ties by name."""
        order = sorted(self._pairs.items(), key=lambda item: (-item[1][1], str(item[0])))
        return [
            dict(zip(PAIR, key, strict=True)) | {"conversations": total[0], "bytes": total[1]}
            for key, total in order[:count]
        ]


def _display(named: Any, side: str) -> Any:
    """Text for one end: namespace/workload, else the service, node, range, or how sure we are that we are not."""
    text = {
        name: pc.cast(named[f"{side}_{name}"], pa.string())
        for name in ("confidence", "namespace", "workload", "service", "node", "kind")
    }
    sure = pc.is_in(text["confidence"], pa.array(["exact", "likely", "service"]))
    owner = pc.coalesce(text["workload"], text["service"])
    full = pc.coalesce(pc.binary_join_element_wise(text["namespace"], owner, "/"), owner)
    node = pc.binary_join_element_wise(pa.scalar("node"), text["node"], "/")
    is_node = pc.is_in(text["confidence"], pa.array(["node", "snat"]))
    outside = pc.if_else(
        pc.equal(text["confidence"], "external"), pc.coalesce(text["workload"], text["confidence"]), text["confidence"]
    )
    return pc.if_else(
        sure, pc.coalesce(full, text["confidence"]), pc.if_else(is_node, pc.coalesce(node, outside), outside)
    )


def as_json(summary: Summary, report: Report, seconds: dict[str, float], written: dict[str, Any]) -> dict[str, Any]:
    """One object of stable keys: what `whowas replay --json` prints (docs/reference/replay-json.md)."""
    return {
        "packets": report.packets,
        "bytes": report.bytes,
        "conversations": report.conversations,
        "rows": summary.rows,
        "answers": {
            f"{side}_confidence": {word: counts.get(word, 0) for word in CONFIDENCES}
            for side, counts in summary.answers.items()
        },
        "refused": dict(sorted(report.refused.items())),
        "files": [
            {
                "path": one.path,
                "format": one.format,
                "packets": one.packets,
                "unreadable": [{"offset": bad.offset, "reason": bad.reason} for bad in one.unreadable],
            }
            for one in report.files
        ],
        "traffic": {"packets": summary.packets, "bytes": summary.bytes},
        "top": summary.top(10),
        "seconds": round(sum(seconds.values()), 3),
        "seconds_by_step": {name: round(value, 3) for name, value in seconds.items()},
        **written,
    }
