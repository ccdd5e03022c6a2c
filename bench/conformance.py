"""Compare what whowas makes of captures with what tshark made of them, packet by packet and conversation by
conversation: `python bench/conformance.py [FOLDER]`, by default $WHOWAS_SHARED/data/captures.

A difference is either explained by a rule of docs/conformance.md, which must hold for that very packet, or
it is unexplained, and then the exit code is 1.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from conformance_conversations import (  # noqa: E402 - beside what stands in the folder above
    Key,
    Seen,
    Total,
    hosts_total,
    key_of,
    theirs_by_key,
    without_ports,
)
from conformance_names import OBSERVED, Names, compare_names  # noqa: E402
from conformance_packets import Row, ends_of, judge, read_tsv  # noqa: E402

from ingest.packets import CaptureSource, PacketOptions, decode_packets  # noqa: E402
from whowas.stages import Unreadable  # noqa: E402

COUNTS = (
    "packets",
    "agreed",
    "with_ip",
    "innermost",
    "conversations",
    "conversations_agreed",
    "conversations_explained",
)


@dataclass
class Outcome:
    """What a file's comparison came to.

    innermost: of with_ip packets so many were decoded as far as they go. explained: packets by rule. wrong: what no
    rule explains.
    """

    name: str
    packets: int = 0
    agreed: int = 0
    with_ip: int = 0
    innermost: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    conversations: int = 0
    conversations_agreed: int = 0
    conversations_explained: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    names: Names = field(default_factory=Names)


def options_of(folder: Path, name: str) -> PacketOptions:
    """What tshark was told about odd ports (decode_as.tsv) is told to whowas as ports of a tunnel."""
    ports: dict[str, set[int]] = {"vxlan": {4789, 8472}, "geneve": {6081}}
    table = folder / "decode_as.tsv"
    if table.exists():
        for row in read_tsv(table):
            rule, _, what = list(row.values())[1].partition(",")
            if row["file"] == name and rule.startswith("udp.port==") and what in ports:
                ports[what].add(int(rule.removeprefix("udp.port==")))
    nearly_never = 10.0**9 - 1
    return PacketOptions(
        tuple(sorted(ports["vxlan"])),
        tuple(sorted(ports["geneve"])),
        nearly_never,
        0.0,
        max_conversations=1 << 18,
        count="every",  # the oracle counts what stands in a file, as often as it stands there
    )


def compare_packets(path: Path, oracle: list[Row], options: PacketOptions, outcome: Outcome) -> Seen:
    """Compare every packet; return what is needed to judge the conversations."""
    ours = {row["frame"]: row for batch in decode_packets(str(path), options) for row in batch.to_pylist()}
    theirs = {int(row["frame"]): row for row in oracle}
    seen = Seen()
    outcome.packets = len(theirs)
    foreign = [one.reason for one in outcome.unreadable if one.offset == 0]
    for frame in sorted(set(ours) | set(theirs)):
        if frame not in ours or frame not in theirs:
            if foreign:
                outcome.explained["file format not read"] += 1
            else:
                outcome.wrong.append(f"frame {frame}: only {'tshark' if frame in theirs else 'whowas'} has it")
            continue
        rule, found = judge(ours[frame], theirs[frame])
        outcome.with_ip += theirs[frame]["kind"] == "ip"
        outcome.innermost += theirs[frame]["kind"] == "ip" and not rule and not found
        seen.add(ours[frame], theirs[frame], rule)
        if found:
            outcome.wrong.append(f"frame {frame} ({theirs[frame]['kind']}): {'; '.join(found)}")
        elif rule:
            outcome.explained[rule] += 1
        else:
            outcome.agreed += 1
    return seen


def ours_by_key(path: Path, options: PacketOptions, outcome: Outcome) -> dict[Key, Total]:
    """Fold the capture; several rows of one key (a port used again, say) count together, as in the oracle."""
    source, totals = CaptureSource([str(path)], options), defaultdict[Key, Total](Total)
    folded = 0
    for batch, _ in source.batches():
        for row in batch.to_pylist():
            total = totals[key_of(ends_of(row), row["vni"])]
            for way, end in (("out", "src"), ("in", "dst")):
                sender = (row[f"{end}_ip"], row[f"{end}_port"] or 0)
                total.sent[sender] += row[f"packets_{way}"]
                total.octets[sender] += row[f"bytes_{way}"]
                folded += row[f"packets_{way}"]
            total.flags |= row["tcp_flags"] or 0
    report = source.report
    outcome.unreadable = report.files[0].unreadable
    if report.packets != folded + sum(report.refused.values()):
        outcome.wrong.append(f"{report.packets} packets read, {folded} folded, {sum(report.refused.values())} refused")
    return totals


def compare_conversations(
    ours: dict[Key, Total], theirs: dict[Key, tuple[Total, Row]], seen: Seen, outcome: Outcome
) -> None:
    """Hold what was folded against the oracle's conversations, and all of it against the packets compared before.

    Later fragments take the ports of the first one where it was seen; the oracle leaves them without. Between
    hosts that sent some, ports are ignored.
    """
    outcome.conversations = len(theirs)
    for key, (total, _) in theirs.items():
        if ours.get(key, Total()).same(total):
            outcome.conversations_agreed += 1
        elif key in seen.ruled or without_ports(key) in seen.fragmented:
            outcome.conversations_explained += 1
        else:
            outcome.wrong.append(f"conversation {key}: {ours.get(key)} != {total}")
    for key in set(ours) | set(seen.totals):
        if ours.get(key, Total()).same(seen.totals.get(key, Total())):
            continue
        hosts = without_ports(key)
        if hosts not in seen.fragmented or hosts_total(ours, hosts) != hosts_total(seen.totals, hosts):
            outcome.wrong.append(f"conversation {key}: folded {ours.get(key)}, its packets {seen.totals.get(key)}")


def compare(folder: Path, path: Path) -> Outcome:
    """Compare one capture."""
    outcome, options = Outcome(path.name), options_of(folder, path.name)
    rows: dict[str, list[Row]] = {}
    for what in ("oracle", "flows"):
        table = folder / what / f"{path.name}.tsv"
        rows[what] = read_tsv(table) if table.exists() else []
    ours = ours_by_key(path, options, outcome)
    seen = compare_packets(path, rows["oracle"], options, outcome)
    if "file format not read" in outcome.explained:
        outcome.conversations = outcome.conversations_explained = len(rows["flows"])
    else:
        compare_conversations(ours, theirs_by_key(rows["flows"]), seen, outcome)
    table = folder / "names" / f"{path.name}.tsv"
    named = read_tsv(table) if table.exists() else []
    outcome.names = compare_names(path, named, replace(options, observe=OBSERVED), seen.ruled)
    outcome.wrong += outcome.names.wrong
    return outcome


def show_names(outcomes: list[Outcome]) -> None:
    """One line of what names came to, by column, and what rules explain."""
    compared, agreed, explained = (
        sum((getattr(one.names, what) for one in outcomes), Counter()) for what in ("compared", "agreed", "explained")
    )
    told = ", ".join(f"{agreed[kind]} of {count} {kind}" for kind, count in sorted(compared.items()))
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(explained.items()))
    print(f"names agreed: {told}; explained: {rules}")


def show(outcome: Outcome) -> None:
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(outcome.explained.items()))
    print(
        f"{outcome.name[:58]:58} {outcome.packets:7} {outcome.agreed:7} {outcome.conversations:7} "
        f"{outcome.conversations_agreed:7}  {rules}"
    )
    for line in outcome.wrong[:20]:
        print(f"    UNEXPLAINED {line}")


def main() -> int:
    """Print a line a file and the totals; 1 when a difference is unexplained."""
    shared = Path(os.environ.get("WHOWAS_SHARED", ROOT.parent / "shared"))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "data" / "captures"
    if not (folder / "files").is_dir():
        print(f"cannot compare captures: no folder '{folder / 'files'}'; name one, or set WHOWAS_SHARED")
        return 2
    print(f"{'capture':58} {'packets':>7} {'agreed':>7} {'convs':>7} {'agreed':>7}  explained (docs/conformance.md)")
    outcomes = []
    for path in sorted(one for one in (folder / "files").iterdir() if one.is_file()):
        outcomes.append(compare(folder, path))
        show(outcomes[-1])
    show_names(outcomes)
    total = {name: sum(getattr(one, name) for one in outcomes) for name in COUNTS}
    wrong = sum(len(one.wrong) for one in outcomes)
    explained = sum(sum(one.explained.values()) for one in outcomes)
    print(
        f"{total['packets']} packets compared, {total['agreed']} agreed, {explained} explained; "
        f"{total['innermost']} of {total['with_ip']} with IP decoded to the innermost header; "
        f"{total['conversations']} conversations compared, {total['conversations_agreed']} agreed, "
        f"{total['conversations_explained']} explained; {wrong} unexplained; {len(outcomes)} files"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
