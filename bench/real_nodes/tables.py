"""The score as tables: for people and for docs."""

from __future__ import annotations

from bench.churn.tables import floor_percent, percent
from bench.real_nodes.scoring import Result

# How a moment is called in the table, and whether a pod held the address.
PLACES = {
    "deep": ("3 s and more inside a hold", True), "near start": ("near its start", True),
    "near end": ("near its end", True), "just free": ("free for less than 3 s", False),
    "free": ("free longer, or never held", False),
}  # fmt: skip
OUTCOMES = ("exact", "likely", "ambiguous", "none", "unknown", "unseen", "lost", "wrong exact", "wrong likely")
HEAD = ("at the end's first packet", "ends", *OUTCOMES)
NAMED_LEAST, DEEP_LEAST = 0.99, 0.95


def count(result: Result, outcome: str, *places: str) -> int:
    """Add up an outcome over places."""
    return sum(result.counts[f"{place}: {outcome}"] for place in places or PLACES)


def ends(result: Result, *places: str) -> int:
    """Count the ends at these places."""
    return sum(number for key, number in result.counts.items() if key.split(": ")[0] in (places or PLACES))


def wrong_names(result: Result) -> int:
    """Count the names that were given, certain or likely, and are not so."""
    return count(result, "wrong exact") + count(result, "wrong likely")


def reached(result: Result) -> bool:
    """Say whether the goals are met: nothing wrong, 99 % of held ends named, 95 % exact 3 s inside."""
    held = [place for place, (_, is_held) in PLACES.items() if is_held]
    named = count(result, "exact", *held) + count(result, "likely", *held)
    return (
        wrong_names(result) == 0 and named >= NAMED_LEAST * ends(result, *held)
        and count(result, "exact", "deep") >= DEEP_LEAST * ends(result, "deep")
    )  # fmt: skip


def rows(result: Result) -> list[list[str]]:
    """One line for each place."""
    table = []
    for place, (words, _) in PLACES.items():
        counts = (count(result, outcome, place) for outcome in OUTCOMES)
        table.append([words, f"{ends(result, place):,}", *(f"{number:,}" if number else "" for number in counts)])
    return table


def summary(result: Result) -> str:
    """The shares in a line."""
    held = [place for place, (_, is_held) in PLACES.items() if is_held]
    exact, likely, every = count(result, "exact", *held), count(result, "likely", *held), ends(result, *held)
    deep = floor_percent(count(result, "exact", "deep"), ends(result, "deep"))
    return (
        f"of {every:,} held ends {floor_percent(exact + likely, every)} % named rightly, "
        f"{floor_percent(exact, every)} % exact; 3 s inside {deep} % exact; wrong names: {wrong_names(result)}; "
        f"bridges named as their nodes: {result.counts['nodes: right']:,}, not: {result.counts['nodes: wrong']:,}"
    )


def peer_rows(result: Result) -> list[list[str]]:
    """Name, right, wrong, not named, in %."""
    every = ends(result)
    right = sum(count(result, word) for word in ("exact", "none"))
    certain_wrong = wrong_names(result) - count(result, "wrong likely")
    table = [
        [
            "whowas",
            percent(right, every),
            percent(certain_wrong, every, 2),
            percent(every - right - certain_wrong, every),
        ]
    ]
    for name, said in result.peers.items():
        table.append([name, *(percent(said[word], said.total()) for word in ("right", "wrong", "missed"))])
    return table


def text(result: Result) -> str:
    """The tables for a terminal."""
    lines = [f"{row[0]:28}" + "".join(f"{word:>13}" for word in row[1:]) for row in (list(HEAD), *rows(result))]
    lines += ["", summary(result), ""]
    lines += [f"{row[0]:40}" + "".join(f"{word:>14}" for word in row[1:])
              for row in (["", "sure, right %", "sure, wrong %", "not named %"], *peer_rows(result))]  # fmt: skip
    for outcome, examples in result.examples.items():
        lines += ["", f"{outcome}:", *(f"  {example}" for example in examples)]
    return "\n".join(lines)


def markdown(result: Result) -> str:
    """The tables for docs."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(result)]
    head = "| % of the ends | certain, right | certain, **wrong** | not certain, or not named |"
    lines += ["", summary(result), "", head, "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in peer_rows(result)]
    return "\n".join(lines) + "\n"
