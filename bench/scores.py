"""The three scores in one table: simulated clusters, a real control plane, real nodes.

python -m bench.scores SIMULATED CONTROL NODES [--write-docs]: files that `--json` of bench.churn, bench.real_churn and
bench.real_nodes wrote. --write-docs puts the table into README.md and docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from bench.churn.tables import floor_percent

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
BEGIN, END = "<!-- scores: written by bench/scores.py -->", "<!-- end of scores -->"
HEAD = ("", "ends asked", "certain, **wrong**", "likely, wrong", "named rightly", "`exact`, 3 s inside a hold")
PLACES = ("deep", "near start", "near end", "just free", "free")
HELD = PLACES[:3]


def simulated(told: dict[str, Any]) -> list[str]:
    """The row of bench.churn."""
    counts = told["all"]["counts"]
    likely = counts.get("likely wrong", 0) + counts.get("likely free", 0)
    decided = floor_percent(counts["decided"], counts["decidable"])
    return ["simulated, 34 cases", f"{counts['asked']:,}", str(counts.get("wrong", 0)), f"{likely:,}",
            f"{decided} % of what the evidence decides", "-"]  # fmt: skip


def control_plane(told: dict[str, Any]) -> list[str]:
    """The row of bench.real_churn."""
    counts, score = told["counts"], told["said"]
    likely = score.get("likely wrong", 0) + score.get("likely free", 0)
    named = floor_percent(counts["by time: named"], counts["by time: held"])
    inside = floor_percent(counts["by time: inside exact"], counts["by time: inside"])
    return ["real control plane, test kubelet", f"{counts['ends']:,}", str(score.get("wrong", 0)), f"{likely:,}",
            f"{named} % of held", f"{inside} %"]  # fmt: skip


def nodes(told: dict[str, Any]) -> list[str]:
    """The row of bench.real_nodes."""
    counts = told["counts"]

    def of(outcome: str, *places: str) -> int:
        return sum(counts.get(f"{place}: {outcome}", 0) for place in places)

    def ends(*places: str) -> int:
        return sum(number for key, number in counts.items() if key.split(": ")[0] in places)

    named = floor_percent(of("exact", *HELD) + of("likely", *HELD), ends(*HELD))
    inside = floor_percent(of("exact", "deep"), ends("deep"))
    return ["real kubelets, containerd, CNI", f"{ends(*PLACES):,}", str(of("wrong exact", *PLACES)),
            f"{of('wrong likely', *PLACES):,}", f"{named} % of held", f"{inside} %"]  # fmt: skip


def main() -> None:
    """Print the table, and write it where it stands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("simulated", "control", "nodes"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--write-docs", action="store_true")
    chosen = parser.parse_args()
    makers = ((simulated, chosen.simulated), (control_plane, chosen.control), (nodes, chosen.nodes))
    rows = [list(HEAD), ["---"] * len(HEAD), *(make(json.loads(path.read_text())) for make, path in makers)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("|  |", "| |")
    print(table)
    for page in PAGES if chosen.write_docs else ():
        text = page.read_text()
        marked = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n\n{table}\n\n{END}", text, flags=re.DOTALL)
        if marked == text and table not in text:
            raise SystemExit(f"cannot write into {page}: it has no place for the scores")
        page.write_text(marked)


if __name__ == "__main__":
    main()
