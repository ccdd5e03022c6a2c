"""Names seen in passing, from packets to columns."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from support.crafted_packets import ACK, START, SYN, conversations, ethernet, ipv4, pcap, replay, tcp, udp, vxlan
from support.hellos import client_hello, dns, dns_record, message, record, server_hello, vector
from support.mutate import mutated

from ingest.packets import CaptureSource, PacketOptions
from whowas.errors import ConfigError

A, B, RESOLVER = "10.0.0.1", "192.0.2.7", "10.96.0.10"
ALL = ("dns", "tls", "http")
Said = tuple[str, bytes]


def spoken(said: list[Said], port: int = 443, sport: int = 4000, opened: bool = True) -> list[tuple[float, bytes]]:
    """Packets of a TCP conversation. said: (who, payload), who is > for the client or < for the server."""
    at = {">": 1001, "<": 7001}
    frames = [(SYN, ">", 1000, b""), (SYN | ACK, "<", 7000, b"")] if opened else []
    for who, payload in said:
        frames.append((ACK, who, at[who], payload))
        at[who] += len(payload)
    packets = [framed(who, flags, sequence, payload, port, sport) for flags, who, sequence, payload in frames]
    return [(number / 100, one) for number, one in enumerate(packets)]


def framed(who: str, flags: int, sequence: int, payload: bytes, port: int, sport: int) -> bytes:
    if who == ">":
        return ethernet(ipv4(A, B, 6, tcp(sport, port, flags, sequence, payload)))
    return ethernet(ipv4(B, A, 6, tcp(port, sport, flags, sequence, payload)))


def row_of(said: list[Said], folder: Path, observe: tuple[str, ...] = ALL, **told: Any) -> dict[str, Any]:
    (row,) = conversations(spoken(said, **told), folder, observe=observe)
    return row


def seen(row: dict[str, Any]) -> tuple[Any, Any]:
    return row["app_protocol"], row["encrypted"]


HELLO = client_hello()
TLS13, TLS12 = record(server_hello(0x0304)) + record(b"x", 20), server_hello(0x0303, b"h2")


def test_a_handshake_tells_names_and_versions(tmp_path: Path) -> None:
    row = row_of([(">", HELLO), ("<", TLS13)], tmp_path)
    assert seen(row) == ("tls", "yes")
    assert (row["tls_sni"], row["tls_alpn"], row["tls_version"]) == ("shop.example.com", "h2,http/1.1", "TLSv13")
    assert (row["tls_version_offered"], row["tls_ech"], row["tls_mutual"]) == ("TLSv13", False, None)
    assert row["tls_ja4"].startswith("t13d")


def test_nothing_is_said_where_nothing_is_observed(tmp_path: Path) -> None:
    row = row_of([(">", HELLO), ("<", TLS13)], tmp_path, ())
    assert [row[name] for name in ("app_protocol", "encrypted", "tls_sni", "tls_ja4")] == [None] * 4


def test_a_hello_in_pieces_in_any_order(tmp_path: Path) -> None:
    """Where the SYN was seen, a piece that comes too early waits."""
    size = -(-len(HELLO) // 4)
    pieces = [HELLO[at : at + size] for at in range(0, len(HELLO), size)]
    packets = spoken([(">", one) for one in pieces])
    for seed in range(5):
        late = packets[2:]
        random.Random(seed).shuffle(late)
        (row,) = conversations([*packets[:2], *late], tmp_path, observe=ALL)
        assert row["tls_sni"] == "shop.example.com"
        assert (row["encrypted"], row["encrypted_reason"]) == ("unknown", "a ClientHello, no answer was seen")


@pytest.mark.parametrize(("asked", "shown", "mutual"), [(False, b"", False), (True, vector(3, b""), False),
                                                         (True, vector(3, vector(3, b"cert")), True)])  # fmt: skip
def test_mutual_tls_of_1_2(asked: bool, shown: bytes, mutual: bool, tmp_path: Path) -> None:
    answer = TLS12 + message(11, vector(3, b"")) + (message(13, b"\1\1\0\0\0\0") if asked else b"") + message(14, b"")
    said = [(">", HELLO), ("<", record(answer))] + ([(">", record(message(11, shown)))] if asked else [])
    row = row_of(said, tmp_path)
    assert (row["tls_version"], row["tls_alpn_chosen"], row["tls_mutual"]) == ("TLSv12", "h2", mutual)


def test_a_resumed_session_tells_nothing_of_certificates(tmp_path: Path) -> None:
    assert row_of([(">", HELLO), ("<", record(TLS12) + record(b"\1", 20))], tmp_path)["tls_mutual"] is None


POSTGRES_SSL = b"\0\0\0\x08\x04\xd2\x16\x2f"
MYSQL = bytes([74, 0, 0, 0, 10]) + b"8.0.36\0".ljust(73, b"\0")
MYSQL_SSL = b"\x20\0\0\1" + (0x0800).to_bytes(4, "little") + bytes(28)
KAFKA = b"\0\0\0\x0f\0\x12\0\3\0\0\0\1\0\5kafka"
MONGO = (20).to_bytes(4, "little") + bytes(8) + (2013).to_bytes(4, "little") + bytes(4)


@pytest.mark.parametrize(("said", "protocol", "encrypted"), [
    ([(">", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ("<", b"HTTP/1.1 200 OK\r\n")], "http", "no"),
    ([("<", b"HTTP/1.1 400 Bad\r\n")], "http", "no"),
    ([(">", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ("<", b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0d")], "http2", "no"),
    ([("<", b"SSH-2.0-OpenSSH_9.6\r\n"), (">", b"SSH-2.0-Go\r\n")], "ssh", "yes"),
    ([(">", b"*2\r\n$4\r\nPING\r\n$1\r\na\r\n")], "redis", "no"),
    ([(">", KAFKA)], "kafka", "no"),
    ([(">", MONGO)], "mongodb", "no"),
    ([(">", b"\0\0\0\x0f\0\3\0\0user\0a\0")], "postgresql", "no"),
    ([(">", POSTGRES_SSL), ("<", b"N"), (">", b"\0\0\0\x0f\0\3\0\0user\0a\0")], "postgresql", "no"),
    ([(">", POSTGRES_SSL), ("<", b"S"), (">", HELLO), ("<", TLS13)], "postgresql,tls", "yes"),
    ([(">", POSTGRES_SSL), ("<", b"S")], "postgresql", "unknown"),
    ([("<", MYSQL), (">", b"\x55\0\0\1" + bytes(85))], "mysql", "no"),
    ([("<", MYSQL), (">", MYSQL_SSL), (">", HELLO), ("<", TLS13)], "mysql,tls", "yes"),
    ([("<", MYSQL)], "mysql", "unknown"),
    ([("<", b"220 mx ESMTP\r\n"), (">", b"EHLO a\r\n"), ("<", b"250 STARTTLS\r\n"), (">", b"STARTTLS\r\n"),
      ("<", b"220 go\r\n"), (">", HELLO), ("<", TLS13)], "smtp,tls", "yes"),
    ([("<", b"* OK IMAP4\r\n"), (">", b"a STARTTLS\r\n"), ("<", b"a OK\r\n"), (">", HELLO), ("<", TLS13)], "imap,tls",
     "yes"),
    ([("<", b"220 mx ESMTP\r\n"), (">", b"EHLO a\r\n")], "smtp", "no"),
    ([(">", HELLO), ("<", b"HTTP/1.1 400 Bad\r\n")], "tls", "unknown"),
    ([(">", HELLO), ("<", b"\x15\3\3\0\2\2\x28")], "tls", "yes"),
    ([(">", b"\x17\3\3\1\0" + bytes(256))], "tls", "yes"),
    ([(">", b"\x16\x09\x09")], None, "unknown"),
    ([(">", b"hello?"), ("<", b"who?")], None, "unknown"),
])  # fmt: skip
def test_greetings(said: list[Said], protocol: str | None, encrypted: str, tmp_path: Path) -> None:
    row = row_of(said, tmp_path)
    assert seen(row) == (protocol, encrypted)
    assert row["encrypted_reason"]
    assert row["tls_sni"] == ("shop.example.com" if HELLO in [one for _, one in said] else None)


@pytest.mark.parametrize("payload", [
    b"\0\0\0\x08\x04\xd2\x16\x2f\0", b"*x\r\n$1", KAFKA[:-1], KAFKA[:5] + b"\x63" + KAFKA[6:],
    MONGO[:8] + b"\1" + MONGO[9:],
    b"SSH", b"GETX / HTTP", b"\x17\3\3\0\0" + bytes(9),
])  # fmt: skip
def test_what_only_resembles_a_greeting(payload: bytes, tmp_path: Path) -> None:
    assert seen(row_of([(">", payload)], tmp_path)) == (None, "unknown")


def test_a_kept_alive_connection_is_known_by_what_comes_later(tmp_path: Path) -> None:
    said = [(">", b"\0"), (">", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    assert row_of(said, tmp_path, opened=False)["http_host"] == "a"


def test_no_payload_is_no_observation(tmp_path: Path) -> None:
    assert seen(row_of([], tmp_path)) == (None, None)


def test_hosts(tmp_path: Path) -> None:
    head = b"POST /x HTTP/1.1\r\nA: b\r\nHost: Shop.example.com\r\n\r\n"
    row = row_of(
        [(">", head[:30]), (">", head[30:]), (">", b"GET / HTTP/1.1\r\nHost: second\r\n\r\n")], tmp_path, port=80
    )
    assert row["http_host"] == "shop.example.com"


def asked(at: float, name: str, address: bytes, ttl: int = 30, client: str = A, question: bool = True) -> list[Any]:
    answer = dns(7, name, [dns_record(b"\xc0\x0c", 1, ttl, address)])
    ways = [(client, RESOLVER, udp(5353, 53, dns(7, name, answer=False)))] * question
    ways.append((RESOLVER, client, udp(53, 5353, answer)))
    return [(at + number / 1000, ethernet(ipv4(src, dst, 17, part))) for number, (src, dst, part) in enumerate(ways)]


def opened(at: float, client: str = A, sport: int = 4000) -> tuple[float, bytes]:
    return at, ethernet(ipv4(client, B, 6, tcp(sport, 443, SYN)))


WITHIN = "the client was told this name for the address, and its TTL was not over"


def named(rows: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(row["dst_dns_name"], row["dst_dns_reason"]) for row in rows if row["dst_port"] == 443]


def test_an_address_gets_the_name_that_this_client_asked_for(tmp_path: Path) -> None:
    packets = [
        *asked(0, "api.example.com", bytes([192, 0, 2, 7])),
        opened(1),
        opened(1.5, "10.0.0.2"),
        opened(40, sport=5),
    ]
    rows = conversations(packets, tmp_path, observe=ALL)
    older = "the client was told this name for the address, but the TTL was over when the flow began"
    assert named(rows) == [("api.example.com", WITHIN), (None, None), ("api.example.com", older)]
    (question,) = [row for row in rows if row["dst_port"] == 53]
    assert (question["dns_name"], *seen(question)) == ("api.example.com", "dns", "no")


def test_a_flow_before_the_answer_has_no_name(tmp_path: Path) -> None:
    rows = conversations([opened(0), *asked(1, "api.example.com", bytes([192, 0, 2, 7]))], tmp_path, observe=ALL)
    assert named(rows) == [(None, None)]


def test_an_answer_that_nobody_asked_for_says_so(tmp_path: Path) -> None:
    packets = [*asked(0, "a.example", bytes([192, 0, 2, 7]), question=False), opened(1)]
    assert named(conversations(packets, tmp_path, observe=("dns",))) == [
        ("a.example", WITHIN + "; the question was not seen")
    ]


def test_networks_are_kept_apart(tmp_path: Path) -> None:
    """The same addresses in another VNI are other clients."""
    packets = asked(0, "a.example", bytes([192, 0, 2, 7]))
    inside = [(at, vxlan(7, frame)) for at, frame in packets]
    assert named(conversations([*inside, opened(1)], tmp_path, observe=ALL)) == [(None, None)]


def test_answers_over_tcp(tmp_path: Path) -> None:
    answer = vector(2, dns(7, "a.example", [dns_record(b"\xc0\x0c", 1, 30, b"\xc0\0\2\7")]))
    said = [(">", vector(2, dns(7, "a.example", answer=False))), ("<", answer[:9]), ("<", answer[9:])]
    rows = conversations([*spoken(said, 53), opened(1, sport=9)], tmp_path, observe=ALL)
    assert named(rows) == [("a.example", WITHIN)]


def test_words_that_are_not_known_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot observe 'smb': not known; say some of dns, tls, http"):
        PacketOptions(observe=("smb",))


def test_what_is_told_hangs_not_on_how_the_table_is_cut(tmp_path: Path) -> None:
    """Small tables and batches write rows out early; names stay with their own conversations."""
    packets = []
    for number in range(60):
        hello = client_hello(f"n{number}.example")
        said = [(">", hello[:200]), (">", hello[200:]), ("<", TLS13)]
        packets += [(number + at, frame) for at, frame in spoken(said, sport=5000 + number)]
    rows = conversations(packets, tmp_path, observe=ALL, max_conversations=5, batch_rows=3)
    assert len(rows) == 60
    assert all(row["tls_sni"] == f"n{row['src_port'] - 5000}.example" for row in rows)
    assert {row["tls_version"] for row in rows} == {"TLSv13"}


def test_many_names_at_once_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.names.listener.TALKS_MOST", 4)
    packets = [(0.1, one[1]) for number in range(30) for one in spoken([(">", HELLO[:50])], sport=5000 + number)]
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap([(START + at, frame) for at, frame in packets]))
    source = CaptureSource([str(path)], PacketOptions(observe=ALL))
    assert sum(batch.num_rows for batch, _ in source.batches()) == 30
    assert source.names is not None
    assert source.names.listener.given_up == 26


def test_whatever_the_payload_holds_the_counts_are_the_same(tmp_path: Path) -> None:
    """Hostile payloads change names at most."""
    chance, seeds = random.Random(11), [HELLO, TLS13, MYSQL, KAFKA, POSTGRES_SSL, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                        dns(7, "a.b", [dns_record(b"\xc0\x0c", 1, 9, b"\1\2\3\4")])]  # fmt: skip
    packets = []
    for number in range(400):
        said = [(chance.choice("<>"), mutated(chance.choice(seeds), seeds, chance)[:1400]) for _ in range(4)]
        port = chance.choice((53, 443, 5432))
        packets += [(number / 10 + at, frame) for at, frame in spoken(said, port, 5000 + number)]
    made = ("made.pcap", pcap([(START + at, frame) for at, frame in packets]))
    plain, told = (replay([made], tmp_path, observe=observe)[0] for observe in ((), ALL))
    counts = ("flow_id", "packets_out", "packets_in", "bytes_out", "bytes_in", "end_reason")
    assert [[row[name] for name in counts] for row in plain] == [[row[name] for name in counts] for row in told]
    assert any(row["tls_sni"] for row in told)
