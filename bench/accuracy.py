"""Measure how often names are right, beside the ways in which others name: `bench/accuracy.py [--clusters N]`.

Simulated clusters (tests/churn) say who really held each address when. The same evidence is given to whowas and to
three strategies in use elsewhere; each is asked who held each address, every quarter of a second while somebody did.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from churn.scoring import Truth  # noqa: E402
from churn.simulated_cluster import SECOND, Cluster  # noqa: E402

import whowas  # noqa: E402
from enrich.answers import AMBIGUOUS, EXACT, LIKELY, judge  # noqa: E402
from enrich.sights import address16  # noqa: E402
from whowas.moments import moment_us  # noqa: E402

Asked = tuple[str, int]
# (uid or None, how sure): sure, likely, several (are named), none (is named).
Said = tuple[str | None, str]
Strategy = Callable[[list[dict[str, Any]], list[Asked]], list[Said]]
WORDS = ("sure, right", "sure, wrong", "likely, right", "likely, wrong", "several", "none")
GRACE = 300 * SECOND


def by_whowas(events: list[dict[str, Any]], asked: list[Asked]) -> list[Said]:
    """Holds with bounds, derived from all evidence."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in events))
        known = whowas.load_history(path).cluster(None)
    addresses = np.frombuffer(b"".join(address16(ip) or b"" for ip, _ in asked), np.uint8).reshape(-1, 16)
    verdicts = judge(known, addresses, np.array([time for _, time in asked]), 0)
    words = {EXACT: "sure", LIKELY: "likely", AMBIGUOUS: "several"}
    found: list[Said] = []
    for code, hold in zip(verdicts.codes.tolist(), verdicts.holds.tolist(), strict=True):
        uid = known.entities[known.entity_of[hold]].uid if code in (EXACT, LIKELY) else None
        found.append((uid, words.get(code, "none")))
    return found


def _at_the_time(asked: list[Asked], events: Iterable[tuple[int, str, str | None]]) -> list[Said]:
    """Replay changes of a map address -> pod, and ask it at each moment."""
    changes = sorted(events, key=lambda one: one[0])
    table: dict[str, str | None] = {}
    answers: dict[int, Said] = {}
    place = 0
    for row in sorted(range(len(asked)), key=lambda one: asked[one][1]):
        ip, time = asked[row]
        while place < len(changes) and changes[place][0] <= time:
            _, changed, uid = changes[place]
            table[changed] = uid
            place += 1
        answers[row] = (table.get(ip), "sure" if table.get(ip) else "none")
    return [answers[row] for row in range(len(asked))]


def _shown(events: list[dict[str, Any]]) -> Iterable[tuple[int, str, str, str]]:
    """(received, verb, address, uid) of every pod event with an address."""
    for one in events:
        thing = one["object"]
        ip = thing.get("status", {}).get("podIP")
        if thing["kind"] == "Pod" and ip:
            yield moment_us(one["received"]), one["type"], ip, thing["metadata"]["uid"]


def by_present_state(events: list[dict[str, Any]], asked: list[Asked]) -> list[Said]:
    """A cache of pods by address, as of now: added when shown, removed when deleted."""
    return _at_the_time(asked, ((at, ip, None if verb == "DELETED" else uid) for at, verb, ip, uid in _shown(events)))


def by_grace(events: list[dict[str, Any]], asked: list[Asked]) -> list[Said]:
    """The same cache; a deleted pod stays for five minutes unless its address is shown again."""
    changes: list[tuple[int, str, str | None]] = []
    for at, verb, ip, uid in _shown(events):
        changes.append((at + GRACE, ip, None) if verb == "DELETED" else (at, ip, uid))
    return _at_the_time(asked, changes)


def by_newest_start(events: list[dict[str, Any]], asked: list[Asked]) -> list[Said]:
    """All that was ever seen, afterwards: the pod with this address that was created last before the moment."""
    born = {(ip, one["object"]["metadata"]["uid"]): moment_us(one["object"]["metadata"]["creationTimestamp"])
            for one in events if (ip := one["object"].get("status", {}).get("podIP"))}  # fmt: skip
    return _at_the_time(asked, ((at, ip, uid) for (ip, uid), at in born.items()))


STRATEGIES: dict[str, Strategy] = {
    "whowas": by_whowas,
    "present-state cache": by_present_state,
    "cache with 5 minutes' grace": by_grace,
    "newest creation before the moment": by_newest_start,
}


def measure(clusters: int, addresses: int, seconds: float) -> dict[str, Counter[str]]:
    """Count, by strategy, the answers of WORDS."""
    found = {name: Counter[str]() for name in STRATEGIES}
    for seed in range(clusters):
        cluster = Cluster(1000 + seed, addresses=addresses)
        cluster.run(seconds)
        truth = Truth(cluster.truth)
        asked = [(one.ip, time) for one in cluster.truth for time in range(one.start, one.end, SECOND // 4)]
        events = [json.loads(line) for line in cluster.lines()]
        for name, strategy in STRATEGIES.items():
            for one, (uid, sure) in zip(asked, strategy(events, asked), strict=True):
                holder = truth.at(*one)
                assert holder is not None
                word = "right" if uid == holder.uid else "wrong"
                found[name][f"{sure}, {word}" if sure in ("sure", "likely") else sure] += 1
    return found


def main() -> int:
    """Print the table; exit 1 when whowas was certain and wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clusters", type=int, default=20, help="simulated clusters (default 20)")
    parser.add_argument("--addresses", type=int, default=12, help="pod addresses of each node (default 12)")
    parser.add_argument("--seconds", type=float, default=300, help="how long each lives (default 300)")
    told = parser.parse_args()
    found = measure(told.clusters, told.addresses, told.seconds)
    total = sum(found["whowas"].values())
    print(f"{total:,} questions about held addresses, {told.clusters} simulated clusters; % of the questions\n")
    print(f"{'':36}" + "".join(f"{word:>15}" for word in WORDS))
    for name, counts in found.items():
        print(f"{name:36}" + "".join(f"{100 * counts[word] / total:14.2f} " for word in WORDS))
    return 1 if found["whowas"]["sure, wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
