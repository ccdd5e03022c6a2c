"""The score as tables: for people, for README and docs, for programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.churn.cases import Case
from bench.churn.running import Ran

HEAD = ("case", "questions", "wrong", "exact", "likely", "ambig.", "lost", "none", "unseen", "unknown", "decid.",
        "decided")  # fmt: skip


def percent(part: int, whole: int, digits: int = 1) -> str:
    """A share in words; nothing of nothing is a dash."""
    return f"{100 * part / whole:.{digits}f}" if whole else "-"


def floor_percent(part: int, whole: int) -> str:
    """A share that is never rounded up to 100."""
    return f"{int(10_000 * part / whole) / 100:.2f}" if whole else "-"


def row(name: str, ran: Ran) -> list[str]:
    """One line of the table. Shares are of all questions; `decided` of the decidable ones."""
    if ran.skipped:
        return [name, f"skipped: {ran.skipped}"]
    counts = ran.score.counts
    asked = counts["asked"]

    def share(*words: str) -> str:
        return percent(sum(counts[word] for word in words), asked)

    return [
        name, f"{asked:,}", f"{counts['wrong']:,}", share("exact", "other word"),
        share("likely", "likely free", "likely wrong"), share("ambiguous"), share("without truth"), share("none"),
        share("unseen"), share("unknown"), percent(counts["decidable"] + counts["free decidable"], asked),
        floor_percent(counts["decided"], counts["decidable"]),
    ]  # fmt: skip


def total(results: list[tuple[Case, Ran]]) -> Ran:
    """All cases added up."""
    found = Ran()
    for _, ran in results:
        if not ran.skipped:
            found.join(ran)
    return found


def name_of(case: Case) -> str:
    """`7 reuse in the same second`; ordinary churn has no number."""
    return f"{case.number or '-':>2} {case.name}"


def text(results: list[tuple[Case, Ran]]) -> str:
    """The table for a terminal."""
    rows = [list(HEAD), *(row(name_of(case), ran) for case, ran in results), row("   all", total(results))]
    lines = [f"{one[0]:38}" + "".join(f"{word:>10}" for word in one[1:]) for one in rows]
    return "\n".join([*lines, "", details(total(results)), "", peers_text(total(results))])


def details(ran: Ran) -> str:
    """What stands beside a right name: workload, labels, services; and what likely was worth."""
    counts = ran.score.counts
    likely = counts["likely"] + counts["likely wrong"]
    return (
        f"of {counts['named']:,} right names, workload right "
        f"{floor_percent(counts['workload right'], counts['named'])} %, "
        f"labels {floor_percent(counts['labels right'], counts['named'])} %, "
        f"services {floor_percent(counts['services right'], counts['named'])} % of the moment\n"
        f"likely, somebody held it: {floor_percent(counts['likely'], likely)} % right; "
        f"free and decidable: {floor_percent(counts['free decided'], counts['free decidable'])} % said to be free"
    )


def peers_text(ran: Ran) -> str:
    """The peers beside whowas: of the questions about pods."""
    lines = [f"{'':38}{'sure, right':>14}{'sure, wrong':>14}{'not named':>14}"]
    for name, right, wrong, missed in peer_rows(ran):
        lines.append(f"{name:38}{right:>13} {wrong:>13} {missed:>13} ")
    return "\n".join(lines)


def peer_rows(ran: Ran) -> list[tuple[str, str, str, str]]:
    """(name, sure and right, sure and wrong, not named) in % of all questions about pods."""
    counts: Counter[str] = ran.score.counts
    asked = counts["asked"] - counts["other word"]
    right = counts["exact"] + counts["none"]
    found = [("whowas", percent(right, asked), percent(counts["wrong"], asked, 2),
              percent(asked - right - counts["wrong"], asked))]  # fmt: skip
    for name, said in ran.peers.items():
        every = said["right"] + said["wrong"] + said["missed"]
        shares = (percent(said[word], every) for word in ("right", "wrong", "missed"))
        found.append((name, *shares))  # type: ignore[arg-type]
    return found


def markdown(results: list[tuple[Case, Ran]]) -> str:
    """Two tables for README and docs."""
    ran = total(results)
    lines = [
        "| % of the questions | certain, right | certain, **wrong** | not certain, or not named |",
        "|---|---|---|---|",
    ]
    for name, right, wrong, missed in peer_rows(ran):
        bold = "**" if name == "whowas" else ""
        lines.append(f"| {bold}{name}{bold} | {right} | **{wrong}** | {missed} |")
    lines += ["", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for case, one in [*results]:
        lines.append("| " + " | ".join(word.strip() for word in row(name_of(case), one)) + " |")
    lines.append("| " + " | ".join(["**all**", *row("", ran)[1:]]) + " |")
    return "\n".join(lines) + "\n"


def plain(results: list[tuple[Case, Ran]]) -> dict[str, Any]:
    """Everything, for programs."""
    cases = [{"case": case.number, "name": case.name, "skipped": ran.skipped, "counts": dict(ran.score.counts),
              "wrong_seeds": ran.wrong_seeds, "peers": {name: dict(said) for name, said in ran.peers.items()}}
             for case, ran in results]  # fmt: skip
    ran = total(results)
    return {"cases": cases, "all": {"counts": dict(ran.score.counts),
                                    "peers": {name: dict(said) for name, said in ran.peers.items()}}}  # fmt: skip
