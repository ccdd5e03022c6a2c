"""One conversation that several points of observation saw is counted once, and nothing else is joined."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import (
    ACK,
    FIN,
    PSH,
    START,
    SYN,
    Timed,
    enhanced,
    ethernet,
    interface,
    ipv4,
    option,
    pcap,
    replay,
    section,
    tcp,
    udp,
    vxlan,
)

from ingest.packets import observations
from whowas.errors import ConfigError

CLIENT, SERVER = "10.244.1.5", "10.244.2.7"
IN, OUT = 0, 4


def talk(
    seed: int = 1, at: float = 0.0, ports: tuple[int, int] = (40000, 8080), sizes: Sequence[int] = (300, 300, 300),
    ends: tuple[str, str] = (CLIENT, SERVER), closes: bool = True,
) -> list[Timed]:  # fmt: skip
    """A TCP conversation as IP packets, each (seconds after START, bytes): data one way, answers the other."""
    rolled = random.Random(seed)
    mine, theirs, ident = rolled.randrange(1 << 31), rolled.randrange(1 << 31), rolled.randrange(1 << 14)
    out: list[Timed] = []

    def say(back: bool, flags: int, size: int = 0) -> None:
        nonlocal ident
        ident += 1
        src, dst = ends[::-1] if back else ends
        sport, dport = ports[::-1] if back else ports
        number = theirs if back else mine
        out.append(
            (at + len(out) * 0.01, ipv4(src, dst, 6, tcp(sport, dport, flags, number, bytes(size)), ident=ident))
        )

    say(False, SYN)
    say(True, SYN | ACK)
    mine, theirs = mine + 1, theirs + 1
    for size in sizes:
        say(False, ACK | PSH, size)
        mine += size
        say(True, ACK)
    if closes:
        say(False, FIN | ACK)
        mine += 1
        say(True, FIN | ACK)
        theirs += 1
        say(False, ACK)
    return out


def plain(packets: Sequence[Timed], later: float = 0.0) -> bytes:
    """A capture of a bridge. later: how far its clock is ahead."""
    return pcap([(START + at + later, ethernet(data)) for at, data in packets])


def overlay(packets: Sequence[Timed], vni: int = 4096, later: float = 0.00005) -> bytes:
    """A capture of the network between nodes."""
    return pcap([(START + at + later, vxlan(vni, ethernet(data))) for at, data in packets])


def cooked2(index: int, kind: int, data: bytes) -> bytes:
    return struct.pack(">HHIHBB8s", 0x0800, 0, index, 1, kind, 6, bytes(8)) + data


def goes_out(data: bytes) -> bool:
    return data[12:16] == bytes(int(part) for part in CLIENT.split("."))


def any_capture(packets: Sequence[Timed]) -> bytes:
    """`tcpdump -i any` on the client's node: its veth (7), the VXLAN device (3), the network between the nodes (2)."""
    seen = []
    for at, data in packets:
        first, last = (IN, OUT) if goes_out(data) else (OUT, IN)
        wire = vxlan(4096, ethernet(data))[14:]
        seen += [
            (START + at, cooked2(7, first, data)),
            (START + at + 1e-5, cooked2(3, last, data)),
            (START + at + 2e-5, cooked2(2, last, wire)),
        ]
    return pcap(seen, 276)


def totals(rows: list[dict[str, Any]]) -> tuple[int, int, int, int]:
    sums = [sum(row[name] for row in rows) for name in ("packets_out", "bytes_out", "packets_in", "bytes_in")]
    return sums[0], sums[1], sums[2], sums[3]


def truth(packets: Sequence[Timed]) -> tuple[int, int, int, int]:
    sent = [len(data) for _, data in packets if goes_out(data)]
    answers = [len(data) for _, data in packets if not goes_out(data)]
    return len(sent), sum(sent), len(answers), sum(answers)


def test_every_interface_of_a_node_in_one_capture(tmp_path: Path) -> None:
    packets = talk()
    (row,), report = replay([("any.pcap", any_capture(packets))], tmp_path)
    assert totals([row]) == truth(packets)
    assert report.repeated == 2 * len(packets)
    seen = [(one["observer"], one["direction"], one["tunnels"], one["vni"]) for one in row["observations"]]
    assert seen == [
        ("any.pcap:#7", "in", None, None),
        ("any.pcap:#3", "out", None, None),
        ("any.pcap:#2", "out", "vxlan", 4096),
    ]
    assert {totals([one]) for one in row["observations"]} == {truth(packets)}
    assert (row["observer"], row["initiator_basis"], row["end_reason"]) == ("any.pcap:#7", "syn", "fin")


def test_every_observation_counts_when_it_is_asked_for(tmp_path: Path) -> None:
    packets = talk()
    rows, report = replay([("any.pcap", any_capture(packets))], tmp_path, count="every")
    assert [totals([row]) for row in rows] == [truth(packets)] * 3
    assert [row["observations"] for row in rows] == [None] * 3
    assert sorted(row["observer"] for row in rows) == ["any.pcap:#2", "any.pcap:#3", "any.pcap:#7"]
    assert (report.repeated, len({row["flow_id"] for row in rows})) == (0, 3)
    with pytest.raises(ConfigError, match="cannot count 'twice'"):
        replay([], tmp_path, count="twice")


def test_captures_of_two_nodes(tmp_path: Path) -> None:
    packets = talk() + talk(2, 0.05, (40001, 8080))
    files = [("node1.pcap", plain(packets)), ("node2.pcap", overlay(packets, later=0.01))]
    rows, report = replay(files, tmp_path)
    assert len(rows) == 2
    assert totals(rows) == truth(packets)
    assert {(row["observer"], row["vni"], len(row["observations"])) for row in rows} == {("node1.pcap", None, 2)}
    assert [Path(one.path).name for one in report.files] == ["node1.pcap", "node2.pcap"]
    assert replay(files[::-1], tmp_path)[0] == rows, "the order in which captures are named changes nothing"


def test_an_ordinary_capture_has_no_observations(tmp_path: Path) -> None:
    (row,), report = replay([("one.pcap", plain(talk()))], tmp_path)
    assert (row["observations"], report.repeated) == (None, 0)


def test_segments_that_were_cut_on_the_way(tmp_path: Path) -> None:
    """A veth carries what TCP handed over, the wire what the card made of it: the same bytes."""
    big, small = talk(sizes=(2800, 300)), talk(sizes=(1400, 1400, 300))
    # The numbers of the packets behind the cut ones stay: what has no data is not cut.
    cut = [big[0], big[1], small[2], small[4], big[3], *big[4:]]
    rows, _ = replay([("veth.pcap", plain(big)), ("wire.pcap", overlay(cut))], tmp_path)
    assert len(rows) == 1
    assert totals(rows) == truth(big)
    assert rows[0]["observations"][1]["packets_out"] == rows[0]["packets_out"] + 1


@pytest.mark.parametrize("lossy_first", [True, False])
@pytest.mark.parametrize("lost", [3, 4])
def test_the_most_complete_observation_counts(lossy_first: bool, lost: int, tmp_path: Path) -> None:
    packets = talk(sizes=(300,) * 20)
    less = packets[:lost] + packets[lost + 1 :]
    files = [("a.pcap", plain(less if lossy_first else packets)), ("b.pcap", plain(packets if lossy_first else less))]
    rows, report = replay(files, tmp_path)
    assert totals(rows) == truth(packets)
    assert report.repeated == len(less)


def test_each_misses_something_so_nothing_is_left_out(tmp_path: Path) -> None:
    """Either saw a packet that the other did not: neither row holds the other."""
    packets = talk(sizes=(300,) * 6)
    rows, report = replay([("a.pcap", plain(packets[:-4])), ("b.pcap", plain(packets[4:]))], tmp_path)
    assert (len(rows), report.repeated) == (2, 0)


def test_ports_that_are_used_again(tmp_path: Path) -> None:
    first, second = talk(1), talk(2, 1.0)
    files = [("a.pcap", plain(first + second)), ("b.pcap", overlay(first + second))]
    rows, _ = replay(files, tmp_path)
    assert [totals([row]) for row in rows] == [truth(first), truth(second)]
    # The second observer began too late for the first of both.
    rows, _ = replay([("a.pcap", plain(first + second)), ("b.pcap", overlay(second))], tmp_path)
    assert [len(row["observations"] or ()) for row in rows] == [0, 2]
    assert totals(rows) == truth(first + second)


def test_other_conversations_of_the_same_ends_at_the_same_time(tmp_path: Path) -> None:
    """Two clusters may have the same addresses, and by chance the same ports."""
    one, other = talk(1), talk(2)
    rows, report = replay([("a.pcap", plain(one)), ("b.pcap", plain(other))], tmp_path)
    assert (len(rows), report.repeated) == (2, 0)
    datagrams = [
        [(n * 0.1, ipv4(CLIENT, SERVER, 17, udp(53, 53, bytes([site, n] * 8)), ident=n)) for n in range(3)]
        for site in (1, 2)
    ]
    rows, _ = replay([("a.pcap", plain(datagrams[0])), ("b.pcap", plain(datagrams[1]))], tmp_path)
    assert [row["packets_out"] for row in rows] == [3, 3]


def test_networks_are_never_joined(tmp_path: Path) -> None:
    """The same packets in two VNIs are two tenants'; and what lies in no tunnel could then be of either."""
    packets = talk()
    both = [("a.pcap", overlay(packets, 1)), ("b.pcap", overlay(packets, 2))]
    rows, _ = replay(both, tmp_path)
    assert sorted(row["vni"] for row in rows) == [1, 2]
    rows, report = replay([*both, ("c.pcap", plain(packets))], tmp_path)
    assert ([row["vni"] for row in rows].count(None), len(rows), report.repeated) == (1, 3, 0)


def test_what_was_translated_has_other_ends(tmp_path: Path) -> None:
    rows, report = replay([("a.pcap", plain(talk())), ("b.pcap", plain(talk(ends=("192.168.0.1", SERVER))))], tmp_path)
    assert (len(rows), report.repeated) == (2, 0)


def test_a_rotated_set_is_no_two_points(tmp_path: Path) -> None:
    """The same packet in two files that follow each other was sent twice."""
    again = ipv4(CLIENT, SERVER, 17, udp(5000, 5000, b"alive"), ident=0)
    files = [(f"{n}.pcap", plain([(n + 0.1, again), (n + 0.2, again)])) for n in range(3)]
    rows, report = replay(files, tmp_path)
    assert (totals(rows)[0], report.repeated) == (6, 0)


def test_what_comes_in_here_and_goes_out_there(tmp_path: Path) -> None:
    packets = talk()
    seen = [(START + at, cooked2(2 if goes_out(data) else 5, IN, data)) for at, data in packets]
    (row,), report = replay([("any.pcap", pcap(seen, 276))], tmp_path)
    assert totals([row]) == truth(packets)
    assert (row["initiator_basis"], row["tcp_flags"], report.repeated) == ("syn", SYN | ACK | PSH | FIN, 0)
    assert row["src_ip"] == CLIENT


def test_what_turns_round_in_an_interface(tmp_path: Path) -> None:
    """A router on a stick has each packet twice at one interface; the older cooked format tells the way as well."""
    packets = talk()
    for link, head in (
        (276, cooked2),
        (113, lambda _, kind, data: struct.pack(">HHH8sH", kind, 1, 6, bytes(8), 0x0800) + data),
    ):
        seen = [
            (START + at + late, head(2, kind, data)) for at, data in packets for late, kind in ((0, IN), (1e-5, OUT))
        ]
        (row,), report = replay([("any.pcap", pcap(seen, link))], tmp_path)
        assert (totals([row]), report.repeated) == (truth(packets), len(packets))


def test_interfaces_of_a_pcapng(tmp_path: Path) -> None:
    packets = talk()
    data = section() + b"".join(interface(options=option("<", 2, name)) for name in (b"cni0", b"eth0"))
    for at, one in packets:
        ticks = round((START + at) * 1e6)
        data += enhanced(ethernet(one), ticks) + enhanced(vxlan(7, ethernet(one)), ticks + 30, number=1)
    (row,), _ = replay([("ring.pcapng", data)], tmp_path)
    assert totals([row]) == truth(packets)
    assert [one["observer"] for one in row["observations"]] == ["ring.pcapng:cni0", "ring.pcapng:eth0"]


def test_a_conversation_that_is_cut_at_different_packets(tmp_path: Path) -> None:
    """The active timeout cuts each observer's row by its own clock."""
    packets = talk(sizes=(300,) * 40)
    shaky = [(at + (0.004 if number % 3 else 0.0), data) for number, (at, data) in enumerate(packets)]
    rows, report = replay(
        [("a.pcap", plain(packets)), ("b.pcap", overlay(shaky))], tmp_path, active_timeout_seconds=0.2
    )
    assert len(rows) > 3
    assert (totals(rows), report.repeated) == (truth(packets), len(packets))


def test_many_go_through_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = sorted(one for n in range(50) for one in talk(n, n * 0.02, (40000 + n, 443)))
    files = [("a.pcap", plain(packets)), ("b.pcap", overlay(packets))]
    whole, _ = replay(files, tmp_path)
    monkeypatch.setattr(observations, "HELD_MOST", 8)
    parted, _ = replay(files, tmp_path, batch_rows=5)
    assert len(whole) == 50
    assert sorted(parted, key=lambda row: str(row["flow_id"])) == sorted(whole, key=lambda row: str(row["flow_id"]))
    assert totals(parted) == truth(packets)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_points_miss_no_packet_is_lost(seed: int, tmp_path: Path) -> None:
    """Where one point saw all, every packet is counted once. Else no less than the most complete one saw."""
    rolled = random.Random(seed)
    packets = sorted(
        one
        for n in range(12)
        for one in talk(rolled.randrange(9), rolled.random(), (40000 + n, 443), closes=n % 2 == 0)
    )
    # Conversations rolled from one seed at other ports are other conversations.
    points = [[one for one in packets if rolled.random() > share] for share in (0.0, 0.0, 0.02)]
    some = points[1:] if seed % 2 else points
    if seed % 2:
        some[0] = [one for one in some[0] if rolled.random() > 0.05]
    files = [(f"{n}.pcap", overlay(one, 9) if n == 1 else plain(one)) for n, one in enumerate(some)]
    rows, _ = replay(files, tmp_path)
    if seed % 2 == 0:
        assert totals(rows) == truth(packets)
    for port in range(40000, 40012):
        mine = [row for row in rows if row["src_port"] == port or row["dst_port"] == port]
        seen = [[data for _, data in one if port in struct.unpack(">HH", data[20:24])] for one in some]
        assert sum(row["packets_out"] + row["packets_in"] for row in mine) >= max(map(len, seen))
        octets = max(sum(map(len, one)) for one in seen)
        assert sum(row["bytes_out"] + row["bytes_in"] for row in mine) >= octets


VIP = "10.96.0.10"


def behind_service(packets: Sequence[Timed], index: int = 7) -> list[tuple[float, int, bytes]]:
    """What a veth (7) and the way out (3) see of a conversation with a Service, each (seconds, interface, bytes)."""
    seen = []
    for at, data in packets:
        out = goes_out(data)
        vip, pod = (bytes(int(part) for part in ip.split(".")) for ip in (VIP, SERVER))
        asked = data[:16] + vip + data[20:22] + struct.pack(">H", 80) + data[24:] if out else b""
        asked = asked or data[:12] + vip + data[16:20] + struct.pack(">H", 80) + data[22:]
        assert pod in data[12:20]
        seen += [(at + (0.0 if out else 2e-5), index, asked), (at + (2e-5 if out else 0.0), 3, data)]
    return sorted(seen)


def cooked_pcap(seen: list[tuple[float, int, bytes]]) -> bytes:
    return pcap(
        [(START + at, cooked2(index, IN if goes_out(data) == (index == 7) else OUT, data)) for at, index, data in seen],
        276,
    )


def test_a_service_and_the_pod_that_answered_are_one(tmp_path: Path) -> None:
    packets = talk()
    (row,), report = replay([("any.pcap", cooked_pcap(behind_service(packets)))], tmp_path)
    assert (row["src_ip"], row["dst_ip"], row["dst_port"]) == (CLIENT, SERVER, 8080)
    assert totals([row]) == truth(packets)
    assert [(one["dst_ip"], one["dst_port"]) for one in row["observations"]] == [(None, None), (VIP, 80)]
    assert {totals([one]) for one in row["observations"]} == {truth(packets)}
    assert report.repeated == len(packets)
    # With the pod's node beside it: its clock says nothing of what the client's node saw first.
    files = [("any.pcap", cooked_pcap(behind_service(packets))), ("b.pcap", overlay(packets, later=-0.01))]
    (row,), _ = replay(files, tmp_path)
    assert [one["dst_ip"] for one in row["observations"]].count(VIP) == 1
    assert (row["dst_ip"], totals([row])) == (SERVER, truth(packets))


def test_a_service_is_not_guessed(tmp_path: Path) -> None:
    """Other numbers, a lost packet, or captures whose clocks decide: then both rows stay."""
    packets = talk()
    seen = behind_service(packets)
    asked = [(at, ethernet(data)) for at, index, data in seen if index == 7]
    rows, _ = replay(
        [("a.pcap", pcap([(START + at, data) for at, data in asked])), ("b.pcap", plain(packets))], tmp_path
    )
    assert len(rows) == 2
    rows, _ = replay([("any.pcap", cooked_pcap(seen[:9] + seen[10:]))], tmp_path)
    assert len(rows) == 2
    others = [one for one in behind_service(talk(2)) if one[1] == 7] + [one for one in seen if one[1] == 3]
    rows, _ = replay([("any.pcap", cooked_pcap(sorted(others)))], tmp_path)
    assert len(rows) == 2
