"""Compare what whowas makes of captures with what tshark made of them, packet by packet and conversation by
conversation: `python bench/conformance.py [FOLDER]`, by default $WHOWAS_SHARED/data/captures.

A difference is either explained by a rule of docs/conformance.md, which must hold for that very packet, or
it is unexplained, and then the exit code is 1.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.packets import CaptureSource, PacketOptions, decode_packets
from whowas.stages import Unreadable

ROOT = Path(__file__).resolve().parent.parent
CLAIMED = {"vxlan", "geneve"}
# Names of tshark's layers that whowas reads on the way to the first IP header.
LINKS_READ = {"eth", "ethertype", "vlan", "ieee8021ad", "sll", "raw", "null", "llc"}
COUNTS = ("packets", "agreed", "conversations", "conversations_agreed", "conversations_explained")
Row = dict[str, str]
Packet = dict[str, Any]
Ends = tuple[str, str, int, int | None, int | None]
Key = tuple[Any, ...]

csv.field_size_limit(1 << 24)


@dataclass
class Outcome:
    """What a file's comparison came to. `explained` counts packets by rule, `wrong` lists what no rule explains."""

    name: str
    packets: int = 0
    agreed: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    conversations: int = 0
    conversations_agreed: int = 0
    conversations_explained: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def read_tsv(path: Path) -> list[Row]:
    """Rows of a table with a header line; `#` may stand before the header."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    names = [name.lstrip("# ") for name in rows[0]]
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=False)) for row in rows[1:]]


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
        tuple(sorted(ports["vxlan"])), tuple(sorted(ports["geneve"])), nearly_never, 0.0, max_conversations=1 << 18
    )


@dataclass(frozen=True)
class Layer:
    """An IP layer of the oracle's stack."""

    ends: Ends
    length: int | None


def number(text: str) -> int | None:
    return int(text) if text not in ("", "-") else None


def layers_of(stack: str) -> list[Layer | str]:
    """Read a `stack` column, `ip SRC DST PROTO SPORT DPORT LEN | vxlan VNI | ip …`: IP layers and tunnel words."""
    found: list[Layer | str] = []
    for part in stack.split(" | "):
        words = part.split()
        if len(words) == 7 and words[0] in ("ip", "ipv6"):
            ends = (words[1], words[2], int(words[3]), number(words[4]), number(words[5]))
            found.append(Layer(ends, number(words[6])))
        elif words and words[0] not in LINKS_READ:
            found.append(words[0])
    return found


def reachable(stack: str) -> Layer | None:
    """The innermost IP layer that only claimed tunnels lead to; None when the first one is already beyond."""
    deepest: Layer | None = None
    between: list[str] = []
    for one in layers_of(stack):
        if isinstance(one, str):
            between.append(one)
            continue
        if not set(between) <= CLAIMED or bool(between) != (deepest is not None):
            break
        deepest, between = one, []
    return deepest


def differences(ours: Packet, theirs: Row) -> list[str]:
    """Compare an innermost layer that both claim; name the columns that differ."""
    flags = theirs["tcp_flags"]
    pairs = {
        "src": (ours["src_ip"], theirs["src"]),
        "dst": (ours["dst_ip"], theirs["dst"]),
        "proto": (ours["protocol_number"], number(theirs["proto"])),
        "sport": (ours["src_port"], number(theirs["sport"])),
        "dport": (ours["dst_port"], number(theirs["dport"])),
        "vni": (ours["vni"], number(theirs["vni"])),
        "vlan": (ours["vlan"] or [], [int(one) for one in theirs["vlan_ids"].replace("|", ",").split(",") if one]),
        "tunnels": (ours["tunnels"] or "", theirs["tunnels"]),
        "outer_src": (ours["outer_src_ip"] or "", theirs["outer_src"]),
        "outer_dst": (ours["outer_dst_ip"] or "", theirs["outer_dst"]),
        "ip_len": (ours["ip_bytes"], number(theirs["ip_len"])),
        "tcp_flags": (ours["tcp_flags"], int(flags, 16) if flags else None),
        "icmp_type": (ours["icmp_type"], number(theirs["icmp_type"].split("|")[-1])),
    }
    return [f"{name} {mine!r} != {other!r}" for name, (mine, other) in pairs.items() if mine != other]


def at_depth(ours: Packet, layer: Layer | None, rule: str) -> tuple[str, list[str]]:
    """Compare with a layer further out, because `rule` holds; return (rule, differences)."""
    if layer is None:
        return (rule, []) if ours["refused"] else ("", ["folded, though no claimed way leads to its first IP header"])
    if ours["refused"]:
        return "", [f"refused as {ours['refused']}, though its outer header can be read"]
    mine = (ends_of(ours), ours["ip_bytes"])
    return (rule, []) if mine == (layer.ends, layer.length) else ("", [f"{mine} != {layer}"])


def below_ip(row: Row) -> bool:
    """Say whether something that whowas does not read stands between the frame and its first IP header."""
    layers = row["protocols"].split(":")
    first = next((place for place, name in enumerate(layers) if name in ("ip", "ipv6")), len(layers))
    return not set(layers[:first]) <= LINKS_READ


def judge(ours: Packet, theirs: Row) -> tuple[str, list[str]]:
    """Return (rule that explains, "" when they agree in full; differences no rule explains)."""
    kind, tunnels = theirs["kind"], set(theirs["tunnels"].split(">")) - {""}
    if kind == "nonip":
        return ("", []) if ours["refused"] else ("", [f"folded as {ends_of(ours)}, though it is no IP"])
    if kind == "bad":
        return "bad header", []
    if ours["refused"] and below_ip(theirs):
        return "not read below IP", []
    if kind == "tun_nonip":
        return at_depth(ours, reachable(theirs["stack"]), "tunnel without IP")
    if not tunnels <= CLAIMED:
        return at_depth(ours, reachable(theirs["stack"]), "tunnel not claimed")
    if ours["refused"]:
        return "", [f"refused as {ours['refused']}"]
    found = differences(ours, theirs)
    if found and "tunnel_by_srcport" in theirs["flags"]:
        outer = next((one for one in layers_of(theirs["stack"]) if isinstance(one, Layer)), None)
        return at_depth(ours, outer, "tunnel by source port")
    if found and len(theirs["vlan_ids"].split("|")) > 5 and all(one.startswith("vlan ") for one in found):
        return "more than five VLANs", []
    return "", found


def ends_of(row: Packet) -> Ends:
    return row["src_ip"], row["dst_ip"], row["protocol_number"], row["src_port"], row["dst_port"]


def key_of(ends: Ends, vni: int | None) -> Key:
    """A conversation's key whoever sent, and ports left out where there are none."""
    src, dst, protocol, src_port, dst_port = ends
    return (*sorted([(src, src_port or 0), (dst, dst_port or 0)]), protocol, vni)


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
        seen.add(ours[frame], theirs[frame], rule)
        if found:
            outcome.wrong.append(f"frame {frame} ({theirs[frame]['kind']}): {'; '.join(found)}")
        elif rule:
            outcome.explained[rule] += 1
        else:
            outcome.agreed += 1
    return seen


@dataclass
class Total:
    """Packets and bytes by sender, flags, and times of a conversation."""

    sent: Counter[tuple[str, int]] = field(default_factory=Counter)
    octets: Counter[tuple[str, int]] = field(default_factory=Counter)
    flags: int = 0

    def same(self, other: Total) -> bool:
        return +self.sent == +other.sent and +self.octets == +other.octets and self.flags == other.flags


@dataclass
class Seen:
    """Conversations as the sum of packets that were compared one by one."""

    totals: dict[Key, Total] = field(default_factory=lambda: defaultdict(Total))
    # Keys of packets that a rule explained, on either side, and pairs of hosts that sent later fragments.
    ruled: set[Key] = field(default_factory=set)
    fragmented: set[Key] = field(default_factory=set)

    def add(self, ours: Packet, theirs: Row, rule: str) -> None:
        if not ours["refused"]:
            key = key_of(ends_of(ours), ours["vni"])
            total, sender = self.totals[key], (ours["src_ip"], ours["src_port"] or 0)
            total.sent[sender] += 1
            total.octets[sender] += ours["ip_bytes"]
            total.flags |= ours["tcp_flags"] or 0
            if rule:
                self.ruled.add(key)
            if ours["fragment"] == 2:
                self.fragmented.add(without_ports(key))
        if rule and theirs["proto"]:
            ends = (
                theirs["src"],
                theirs["dst"],
                int(theirs["proto"]),
                number(theirs["sport"]),
                number(theirs["dport"]),
            )
            self.ruled.add(key_of(ends, number(theirs["vni"])))


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


def theirs_by_key(flows: list[Row]) -> dict[Key, tuple[Total, Row]]:
    """The oracle's conversations that whowas claims. The same ends appear once more as tun_nonip: left out."""
    found: dict[Key, tuple[Total, Row]] = {}
    for row in flows:
        chains = {word for chain in row["tunnels"].replace("|", ",").split(",") for word in chain.split(">")} - {""}
        if row["kind"] != "ip" or not chains <= CLAIMED:
            continue
        ends = (row["src"], row["dst"], int(row["proto"]), number(row["sport"]), number(row["dport"]))
        total = Total(flags=int(row["tcp_flags"] or "0", 16))
        for way, host, port in (("fwd", "src", "sport"), ("rev", "dst", "dport")):
            sender = (row[host], number(row[port]) or 0)
            total.sent[sender] += int(row[f"pkts_{way}"])
            total.octets[sender] += int(row[f"bytes_{way}"])
        found[key_of(ends, number(row["vni"]))] = (total, row)
    return found


def without_ports(key: Key) -> Key:
    return (key[0][0], key[1][0], key[2], key[3])


def hosts_total(totals: dict[Key, Total], wanted: Key) -> tuple[Counter[str], Counter[str]]:
    """Packets and bytes by sending host of all conversations between two hosts, ports ignored."""
    sent, octets = Counter[str](), Counter[str]()
    for key, total in totals.items():
        if without_ports(key) == wanted:
            for (host, _), count in total.sent.items():
                sent[host] += count
            for (host, _), count in total.octets.items():
                octets[host] += count
    return +sent, +octets


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
    return outcome


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
    total = {name: sum(getattr(one, name) for one in outcomes) for name in COUNTS}
    wrong = sum(len(one.wrong) for one in outcomes)
    explained = sum(sum(one.explained.values()) for one in outcomes)
    print(
        f"{total['packets']} packets compared, {total['agreed']} agreed, {explained} explained; "
        f"{total['conversations']} conversations compared, {total['conversations_agreed']} agreed, "
        f"{total['conversations_explained']} explained; {wrong} unexplained; {len(outcomes)} files"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
