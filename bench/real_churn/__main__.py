"""The churn score on a real control plane: `python -m bench.real_churn`, or `make churn-real`.

Each seed is a control plane of its own (etcd, kube-apiserver, the EndpointSlice controller), on which a test kubelet
lets pods come and go in real time and knows who held which address when, to the microsecond. `whowas watch` records;
then it, and restatements of other ways to name, are asked who was at the ends of flows: drawn as traffic would be, and
around every edge of every hold.

The exit code is 1 when anything certain is wrong, or a figure is not reached.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.churn.tables import floor_percent, percent
from bench.real_churn.playing import churn_of, play
from bench.real_churn.scoring import Result, score

HELD_LEAST = 0.96
DRAWN = ("by time", "by hold", "edge", "static")
HEAD = ("", "ends", "wrong", "held", "named %", "certain %", "3 s inside", "certain %", "knowable", "certain %")
WORDS = (("wrong", "wrong"), ("right", "right"), ("not named", "missed"))


def options() -> argparse.Namespace:
    """What can be told."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_churn", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seconds", type=float, default=30, help="of churn, a seed (default 30)")
    parser.add_argument("--rate", type=float, default=40, help="pods a second (default 40)")
    parser.add_argument("--shrink", type=int, default=0, metavar="N",
                        help="show the least evidence of up to N wrong answers a seed (slow)")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder to keep the records in, one for each seed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def row(name: str, result: Result) -> list[str]:
    """One line of the table."""
    counts = result.counts

    def of(word: str) -> int:
        return counts[f"{name}: {word}"]

    return [
        name, f"{of('ends'):,}", str(of("wrong")), f"{of('held'):,}", floor_percent(of("named"), of("held")),
        floor_percent(of("certain"), of("held")), f"{of('inside'):,}", floor_percent(of("inside exact"), of("inside")),
        f"{of('known'):,}", floor_percent(of("known exact"), of("known")),
    ]  # fmt: skip


def text(result: Result) -> str:
    """The tables for a terminal."""
    lines = ["".join(f"{word:>12}" for word in one) for one in (HEAD, *(row(name, result) for name in DRAWN))]
    counts, said = result.counts, result.score.counts
    lines.append(
        f"{counts['seeds']} seeds, {counts['pods']:,} pods, {counts['holds']:,} holds, {counts['ends']:,} ends; "
        f"certain and wrong: {said['wrong']}; of Services and Nodes: {counts['fixed: ends']} asked"
    )
    lines.append(f"of {said['named']:,} right names, right at the moment: "
                 + ", ".join(f"{word} {floor_percent(said[f'{word} right'], said['named'])} %"
                             for word in ("workload", "labels", "services")))  # fmt: skip
    for name, told in result.peers.items():
        shares = (f"{word} {percent(told[key], told.total()):>5} %  " for word, key in WORDS)
        lines.append(f"{name:40} {''.join(shares)}")
    return "\n".join(lines)


def reached(result: Result) -> list[str]:
    """What is not as it should be; empty when all is."""
    counts, said = result.counts, result.score.counts
    found = [f"{said['wrong']} certain and wrong"] if said["wrong"] else []
    for drawn in DRAWN:
        known, exact = counts[f"{drawn}: known"], counts[f"{drawn}: known exact"]
        found += (
            [f"{known - exact} of {known} ends 3 s inside a hold ({drawn}) are not certain"] if exact < known else []
        )
    held, named = counts["by time: held"], counts["by time: named"]
    found += [f"{named} of {held} held ends are named"] if named < HELD_LEAST * held else []
    return found


def main() -> int:
    """Play every seed, print, and say by the exit code how it went."""
    told, total = options(), Result()
    for seed in range(told.first, told.first + told.seeds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made) if told.out is None else told.out / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            recorded = play(folder, churn_of(seed, told.seconds, told.rate))
            one = score(recorded, told.shrink)
        print(f"seed {seed}, {time.monotonic() - began:.0f} s, {recorded.told}\n{text(one)}", file=sys.stderr)
        for line in (*one.explained, *one.missed[:10]):
            print(line, file=sys.stderr)
        sys.stderr.flush()
        total.join(one)
    if told.json:
        print(json.dumps({"counts": total.counts, "said": total.score.counts, "peers": total.peers}))
    else:
        print(text(total))
    for line in reached(total):
        print(f"not reached: {line}", file=sys.stderr)
    return 1 if reached(total) else 0


if __name__ == "__main__":
    sys.exit(main())
