"""How a packet of whowas compares with a packet of tshark, and which rule explains a difference."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLAIMED = {
    "vxlan", "geneve", "vxlan_gpe", "gre", "erspan", "ipip", "6in4", "4in6", "6in6", "ah", "mpls", "nsh", "gtp", "l2tp",
    "teredo", "ieee8021ah", "pppoe", "ppp", "eth", "wlan", "llc", "etherip",
}  # fmt: skip
# Told by whowas alone: what it recognises and does not open.
SEALED = {"esp", "wireguard", "hbone"}
# Names of tshark's layers that whowas reads on the way to the first IP header.
LINKS_READ = {
    "eth", "ethertype", "vlan", "ieee8021ad", "sll", "raw", "null", "llc", "mpls", "pppoes", "ppp", "nsh", "ieee8021ah",
    "nflog", "cmd", "wlan", "wlan_radio", "radiotap",
}  # fmt: skip
Row = dict[str, str]
Packet = dict[str, Any]
Ends = tuple[str, str, int, int | None, int | None]

csv.field_size_limit(1 << 24)


def read_tsv(path: Path) -> list[Row]:
    """Rows of a table with a header line; `#` may stand before the header."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    names = [name.lstrip("# ") for name in rows[0]]
    return [dict(zip(names, row + [""] * (len(names) - len(row)), strict=False)) for row in rows[1:]]


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
        "tunnels": (_as_listed(ours["tunnels"] or ""), theirs["tunnels"]),
        "outer_src": (ours["outer_src_ip"] or "", theirs["outer_src"]),
        "outer_dst": (ours["outer_dst_ip"] or "", theirs["outer_dst"]),
        "ip_len": (ours["ip_bytes"], number(theirs["ip_len"])),
        "tcp_flags": (ours["tcp_flags"], int(flags, 16) if flags else None),
        "icmp_type": (ours["icmp_type"], number(theirs["icmp_type"].split("|")[-1])),
    }
    return [f"{name} {mine!r} != {other!r}" for name, (mine, other) in pairs.items() if mine != other]


def _as_listed(chain: str) -> str:
    """A chain without what the oracle does not list: what nobody opens, and PPPoE, which it has among its layers."""
    return ">".join(word for word in chain.split(">") if word not in SEALED | {"pppoe"})


def other_way(ours: Packet, theirs: Row, found: list[str]) -> tuple[str, list[str]]:
    """Differences in full, and the rule by which whowas read the packet in another way."""
    layers = [one for one in layers_of(theirs["stack"]) if isinstance(one, Layer)]
    noted = (ours["noted"] or "").split(",")
    if "tunnel_by_srcport" in theirs["flags"]:
        mine = next((one for one in layers if one.ends == ends_of(ours)), layers[0])
        return at_depth(ours, mine, "tunnel by source port")
    if "no_tunnel_on_its_port" in noted and len(layers) > 1:
        return at_depth(ours, layers[-2], "tunnel without its flags")
    if "several_packets_in_a_frame" in noted:
        return at_depth(ours, layers[1], "several packets in a frame")
    swapped = (ours["tunnels"] or "").replace("vxlan_gpe", "vxlan") == theirs["tunnels"]
    if swapped and all(one.startswith("tunnels ") for one in found):
        return "kind by source port", []
    if len(theirs["vlan_ids"].split("|")) > 5 and all(one.startswith("vlan ") for one in found):
        return "more than five VLANs", []
    return "", found


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
    return other_way(ours, theirs, found) if found else ("", [])


def ends_of(row: Packet) -> Ends:
    return row["src_ip"], row["dst_ip"], row["protocol_number"], row["src_port"], row["dst_port"]
