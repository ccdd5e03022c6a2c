"""Prints what a replay read, named and wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whowas.cli.terminal import COLOURS, between, clean, console, plural, rate, size
from whowas.schema import CONFIDENCES

if TYPE_CHECKING:
    from whowas.batch.replay import Result


# What the decoder remarks on packets that are in a conversation nevertheless, in the words of a reader.
REMARKS = {
    "tunnel_payload_cut_short": "tunnel ends; the inside was cut off when it was captured",
    "tunnel_payload_bad_ip_header": "tunnel ends; the inside is no valid IP header",
    "tunnel_payload_unsupported_mpls": "tunnel ends; the inside is MPLS around something that is not known",
    "tunnel_payload_unsupported_pppoe": "tunnel ends; the inside is PPPoE, which was not to be opened",
    "tunnel_payload_non_ip": "tunnel ends; the inside is no IP (ARP, say)",
    "tunnel_not_opened": "tunnel ends; of a kind that is not opened (ESP or WireGuard, say)",
    "several_packets_in_a_frame": "share their frame with others, which are left out",
    "too_deep": "have more layers than are opened",
    "no_tunnel_on_its_port": "went to a tunnel's port and are no tunnel",
    "ports_cut_short": "have ports or flags that were cut off",
    "more_than_5_vlans": "have VLAN ids beyond the fifth, which are left out",
    "fragment_without_ports": "are later fragments without the first: their ports are not known",
    "icmp_error_without_conversation": "are ICMP errors about what is not in the capture, or was over",
    "no_time": "have no time of their own: that of the packet before is taken",
}


def print_summary(result: Result, out: str) -> None:
    told, screen = result.to_json(), console()
    _print_read(result, screen)
    if result.summary.rows:
        _print_answers(told["answers"], screen)
        _print_told_names(result, screen)
        _print_times(result, told["answers"], screen)
    for one in result.hints():
        screen.print(f"{'hint':<12} {one.text}")
    _print_top(told["top"], screen)
    _print_end(result, out, screen)


def _print_read(result: Result, screen: Any) -> None:
    """What went in: packets, records, or both; and what was refused, by reason."""
    report, seconds = result.report, result.seconds
    took = max(seconds["flows"], 1e-3)
    refused = report.refused + report.refused_records
    parts, speeds = [], []
    if report.packets or not report.records:
        parts += [plural(report.packets, "packet"), plural(report.conversations, "conversation")]
        speeds.append(f"{rate(report.packets / took)} packets/s")
    if report.records:
        parts += [plural(report.records, "record"), plural(report.record_flows, "flow")]
        speeds.append(f"{rate(report.records / took)} records/s")
    screen.print(
        f"{'   '.join(parts)}   {size(result.summary.bytes)} of traffic   {sum(refused.values()):,} refused   "
        f"{seconds['flows']:.1f} s + {seconds['history']:.1f} s history   {', '.join(speeds)}"
    )
    if report.repeated:
        screen.print(
            f"{'counted once':<12} {plural(report.repeated, 'packet')} more came by at other points (--count every)"
        )
    for title, counts in (("refused", refused), ("without flow", report.skipped), ("times", report.noted_records)):
        if counts:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
            screen.print(f"{title:<12} {reasons}")
    for number, (reason, count) in enumerate(report.noted.most_common()):
        screen.print(f"{'' if number else 'noted':<12} {plural(count, 'packet')}: {REMARKS[reason]}")
    for one in report.files:
        for bad in one.refused[:3]:
            screen.print(f"             {clean(one.path)} record {bad.number:,}: {bad.reason}")


def _print_answers(answers: dict[str, dict[str, int]], screen: Any) -> None:
    from rich.text import Text

    counts = {word: sum(side[word] for side in answers.values()) for word in CONFIDENCES}
    total = sum(counts.values())
    line = Text("ends named   ")
    for word, count in counts.items():
        if count:
            line.append(word, style=COLOURS[word]).append(f" {count:,} ({100 * count / total:.1f} %)  ")
    screen.print(line)


def _print_told_names(result: Result, screen: Any) -> None:
    """How often names that the records bring are ours, counted of ends that both name."""
    told = result.summary.told_names
    if not told.told:
        return
    counts = told.counts
    if not told.both():
        screen.print("their names  no end that the record names is one that we name exactly or likely")
        return
    screen.print(
        f"their names  of {plural(told.both(), 'end')} that the record names and we name exactly or likely: "
        f"{counts['same_pod']:,} the same pod, {counts['same_workload']:,} the same workload, "
        f"{counts['same_service_or_node']:,} its Service or node, {counts['differ']:,} differ"
    )
    screen.print(
        f"             named by the record alone {counts['only_theirs']:,}, by us alone {counts['only_ours']:,}"
    )
    for one in told.differences(3):
        ours, theirs = clean(one["ours"]), clean(one["theirs"])
        screen.print(f"             {one['ends']:,} times ours is {ours}, the record's {theirs}")


def _print_times(result: Result, answers: dict[str, dict[str, int]], screen: Any) -> None:
    """Where most is unknown, the capture and the history are likely of different times: say both."""
    if sum(side["unknown"] for side in answers.values()) < result.summary.rows:
        return
    screen.print(f"times        flows {between(result.summary.first_us, result.summary.last_us)}")
    spans = [between(*one) for one in result.watched]
    more = f" and {len(spans) - 3} more" if len(spans) > 3 else ""
    screen.print(
        f"             history watched {', '.join(spans[:3]) or 'never: its events have no times of receipt'}{more}"
    )


def _print_top(top: list[dict[str, Any]], screen: Any) -> None:
    if not top:
        return
    rows = []
    for one in top[:5]:
        port = f":{one['dst_port']}" if one["dst_port"] is not None else ""
        pair = f"{clean(one['src'])} -> {clean(one['dst'])} {one['protocol']}{port}"
        rows.append((pair, f"{one['conversations']:,}", size(one["bytes"])))
    wide = max(len(pair) for pair, _, _ in rows)
    for number, (pair, count, amount) in enumerate(rows):
        title = "top talkers" if number == 0 else ""
        screen.print(f"{title:<12} {pair:<{wide}}  {count:>8} conv.  {amount:>9}")


def _print_end(result: Result, out: str, screen: Any) -> None:
    if not result.files:
        screen.print("wrote nothing: no packet belongs to an IP conversation, and no record holds a flow")
        return
    shown = clean(out)
    screen.print(f"wrote {shown}  ({plural(len(result.files), 'file')}, {size(result.bytes_written)})")
    if result.files[0].endswith(".parquet"):
        screen.print(f'try: whowas query "FROM flows LIMIT 5" --flows {shown}')
