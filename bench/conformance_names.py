"""Names that conversations tell, ours against the oracle's: of TLS and HTTP, questions and answers of DNS.

A difference is explained by a rule of docs/conformance.md, or unexplained.
"""

from __future__ import annotations

import re
import socket
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from conformance_conversations import Key, key_of, without_ports
from conformance_packets import Row, ends_of, number

from ingest.files import open_input
from ingest.names.dns_answers import Answer
from ingest.names.dns_answers import Key as Pair
from ingest.packets import CaptureSource, PacketOptions, layout
from ingest.packets.capture import Capture
from ingest.packets.decode import layer_tables
from ingest.packets.packet_rows import COLUMNS as COLUMNS_DECODED
from ingest.packets.packet_rows import decode_rows
from ingest.packets.window import Window

COLUMNS = {
    "sni": "tls_sni",
    "quic_sni": "tls_sni",
    "http_host": "http_host",
    "dns_query": "dns_name",
    "dns_response": "dns_name",
}
STRANGE = re.compile(r"(?:\\\\?(?:x[0-9a-f]{2}|\d{3})|[^\x21-\x7e]|[\\?])+")
ROOT = "<root>"
QUIC_VERSIONS = (b"\0\0\0\1", bytes.fromhex("6b3343cf"), bytes.fromhex("ff00001d"))
OBSERVED = ("dns", "tls", "http")


@dataclass
class Names:
    """What a file's names came to. agreed, explained: by kind and by rule. wrong: what no rule explains."""

    compared: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Ours:
    """Names by conversation and column, and DNS answers as (client, address, name)."""

    keys: set[Key]
    names: dict[tuple[Key, str], set[str]]
    answers: set[tuple[str, str, str]]


def ours_of(path: Path, options: PacketOptions) -> Ours:
    """Replay a capture with names observed."""
    source, told = CaptureSource([str(path)], options), Ours(set(), defaultdict(set), set())
    assert source.names is not None
    answers = source.names.listener.answers
    add = answers.add

    def also_kept(key: Pair, answer: Answer) -> None:
        told.answers.add((_text(key[1]), _text(key[2]), _small(answer.name)))
        add(key, answer)

    answers.add = also_kept  # type: ignore[method-assign]
    for batch, _ in source.batches():
        for row in batch.to_pylist():
            key = key_of(ends_of(row), row["vni"])
            told.keys.add(key)
            for column in set(COLUMNS.values()):
                if row[column]:
                    told.names[key, column].add(row[column])
    return told


def _text(address: bytes) -> str:
    if address[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


def _key(row: Row) -> Key:
    ends = row["src"], row["dst"], int(row["proto"]), number(row["sport"]), number(row["dport"])
    return key_of(ends, number(row["vni"]))


def compare_names(path: Path, rows: list[Row], options: PacketOptions, ruled: set[Key]) -> Names:
    """Compare the names of one capture, in both ways. ruled: conversations with packets under a rule of their own."""
    ours, told = ours_of(path, options), Names()
    theirs: dict[tuple[Key, str], list[Row]] = defaultdict(list)
    for row in rows:
        rule = _unread(row)
        if rule:
            told.explained[rule] += 1
        else:
            theirs[_key(row), COLUMNS[row["what"]]].append(row)
    for (key, column), some in theirs.items():
        if key in ruled or key not in ours.keys:
            told.explained["not decoded so"] += 1
        else:
            _compare(path, options, ours, column, key, some, told)
    listed = {(_small(row["name"]), without_ports(_key(row))) for row in rows if row["proto"]}
    copied = {(_small(row["name"]), _ports(_key(row))) for row in rows if row["proto"] and row["sport"]}
    for (key, column), names in ours.names.items():
        if (key, column) in theirs:
            continue
        if all((_small(name), _ports(key)) in copied for name in names):
            told.explained["copy"] += 1
        else:
            _only_ours(path, key, column, names, listed, told)
    _compare_answers(ours, [row for row in rows if row["proto"] and _key(row) not in ruled], told)
    return told


def _unread(row: Row) -> str:
    """Say which rule takes a name of the oracle's out of the comparison; "" where none does."""
    if row["what"] not in COLUMNS or not row["proto"]:
        return "not listened to"
    if (row["what"] == "http_host" and row["proto"] != "6") or row["proto"] not in ("6", "17"):
        return "not listened to"
    if not row["sport"]:
        return "fragments"
    if column_of(row) == "dns_name" and "53" not in (row["sport"], row["dport"]):
        return "not listened to"
    return "no name" if row["name"].startswith("<") and row["name"].lower() != ROOT else ""


def column_of(row: Row) -> str:
    return COLUMNS[row["what"]]


def _ports(key: Key) -> tuple[int, ...]:
    return tuple(sorted((key[0][1], key[1][1])))


def _small(name: str) -> str:
    """A name in small letters, what is no plain character as a question mark: tools spell those differently."""
    return STRANGE.sub("?", "" if name.lower() == ROOT else name.lower().rstrip("."))


def _compare(
    path: Path, options: PacketOptions, ours: Ours, column: str, key: Key, rows: list[Row], told: Names
) -> None:
    """A conversation's name is the first that it tells; the oracle has every packet's."""
    names = {_small(name) for name in ours.names.get((key, column), ())}
    told.compared[column] += 1
    asked = {_small(row["name"]) for row in rows}
    if names and names <= asked:
        told.agreed[column] += 1
    elif rule := _why_not(path, options, column, key, {int(row["frame"]) for row in rows}):
        told.explained[rule] += 1
    else:
        told.wrong.append(f"{column} {key}: {sorted(names)} != {sorted(asked)[:4]} (frame {rows[0]['frame']})")


def _why_not(path: Path, options: PacketOptions, column: str, key: Key, frames: set[int]) -> str:
    """Say by which rule a name of the oracle's is not read, by the packets themselves; "" by none."""
    tables = layer_tables(options.vxlan_ports, options.geneve_ports, options.tunnels)
    payloads, cut, number = list[bytes](), False, 0
    with open_input(str(path)) as source:
        for block in Capture(source, Window(), [], path.name).blocks():
            facts = np.zeros((len(block.packets), COLUMNS_DECODED), dtype=np.int64)
            decode_rows(block.data, block.packets, block.interfaces, tables, facts)
            for one in facts.tolist():
                number += 1
                if number in frames:
                    payloads.append(block.data[one[layout.PAYLOAD] : one[layout.END]].tobytes())
                ports = sorted((one[layout.SRC_PORT], one[layout.DST_PORT]))
                cut |= (
                    ports == sorted((key[0][1], key[1][1]))
                    and one[layout.IP_AT] + one[layout.IP_BYTES] > one[layout.END]
                )
    if column == "dns_name" and not any(plain_message(one) for one in payloads):
        return "not a plain message"
    if column == "tls_sni" and not any(one[1:5] in QUIC_VERSIONS for one in payloads):
        return "other QUIC"
    return "cut off" if cut else ""


def plain_message(message: bytes) -> bool:
    """Say whether a DNS message has one question, is a plain query or its answer, and has room for its records."""
    if len(message) <= 12 or message[2] & 0x78 or message[3] & 0x40 or message[4:6] != b"\0\1":
        return False
    return bool(message[2] & 0x80) or 17 + 11 * int.from_bytes(message[6:8], "big") <= len(message)


def _only_ours(path: Path, key: Key, column: str, names: set[str], listed: set[tuple[str, Key]], told: Names) -> None:
    """A name that the oracle has not: of fragments, or in a stream that it did not put together."""
    told.compared[column] += 1
    if all((_small(name), without_ports(key)) in listed for name in names):
        told.explained["fragments"] += 1
        return
    data = open_whole(path).lower()
    if column == "http_host" and all(f"host: {name}".encode() in data for name in names):
        told.explained["request not whole"] += 1
    else:
        told.wrong.append(f"{column} {key}: only whowas has {sorted(names)}")


def open_whole(path: Path) -> bytes:
    with open_input(str(path)) as source:
        return b"".join(iter(lambda: bytes(source.read(1 << 20)), b""))


def _compare_answers(ours: Ours, rows: list[Row], told: Names) -> None:
    """Every address that the oracle's answers lead to must be known for that client under the question's name."""
    for row in rows:
        if row["what"] != "dns_response" or not row["answers"] or _unread(row) or _key(row) not in ours.keys:
            continue
        for one in row["answers"].split(","):
            address = one.rpartition("=")[2]
            if _is_address(address):
                told.compared["dns_answer"] += 1
                known = (row["dst"], address, _small(row["name"])) in ours.answers
                told.agreed["dns_answer"] += known
                if not known:
                    told.wrong.append(f"dns_answer frame {row['frame']}: {row['dst']} {address} {row['name']}")


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
