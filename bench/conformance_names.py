"""Names that conversations tell, ours against the oracle's: server names of TLS, hosts of HTTP, questions and answers of DNS.

A difference is explained by a rule of docs/conformance.md, or unexplained.
"""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance_conversations import Key, key_of
from conformance_packets import Row, ends_of, number

from ingest.names.dns_answers import Answer
from ingest.names.dns_answers import Key as Pair
from ingest.packets import CaptureSource, PacketOptions

COLUMNS = {"sni": "tls_sni", "quic_sni": "tls_sni", "http_host": "http_host", "dns_query": "dns_name", "dns_response": "dns_name"}  # fmt: skip
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

    names: dict[tuple[Key, str], set[str]]
    answers: set[tuple[str, str, str]]


def ours_of(path: Path, options: PacketOptions) -> Ours:
    """Replay a capture with names observed."""
    source, told = CaptureSource([str(path)], options), Ours(defaultdict(set), set())
    assert source.names is not None
    answers = source.names.listener.answers
    add = answers.add

    def also_kept(key: Pair, answer: Answer) -> None:
        told.answers.add((_text(key[1]), _text(key[2]), answer.name))
        add(key, answer)

    answers.add = also_kept  # type: ignore[method-assign]
    for batch, _ in source.batches():
        for row in batch.to_pylist():
            for column in set(COLUMNS.values()):
                if row[column]:
                    told.names[key_of(ends_of(row), row["vni"]), column].add(row[column])
    return told


def _text(address: bytes) -> str:
    if address[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


def _key(row: Row) -> Key:
    ends = row["src"], row["dst"], int(row["proto"]), number(row["sport"]), number(row["dport"])
    return key_of(ends, number(row["vni"]))


def compare_names(path: Path, rows: list[Row], options: PacketOptions) -> Names:
    """Compare the names of one capture, in both ways."""
    ours, told = ours_of(path, options), Names()
    theirs: dict[tuple[Key, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["what"] in COLUMNS and row["proto"]:
            theirs[_key(row), COLUMNS[row["what"]]].append(row)
        else:
            told.explained["not listened to"] += 1
    for (key, column), some in theirs.items():
        _compare(ours.names.get((key, column), set()), column, key, some, told)
    for (key, column), names in ours.names.items():
        if (key, column) not in theirs:
            _only_ours(key, column, names, told)
    _compare_answers(ours, rows, told)
    return told


def _small(name: str) -> str:
    return name.lower().rstrip(".")


def _compare(names: set[str], column: str, key: Key, rows: list[Row], told: Names) -> None:
    """A conversation's name is the first that it tells; the oracle has every packet's."""
    told.compared[column] += 1
    asked = [_small(row["name"]) for row in rows]
    if names and names <= set(asked):
        told.agreed[column] += 1
        return
    told.wrong.append(f"{column} {key}: {sorted(names)} != {sorted(set(asked))[:4]} (frame {rows[0]['frame']})")


def _only_ours(key: Key, column: str, names: set[str], told: Names) -> None:
    told.compared[column] += 1
    told.wrong.append(f"{column} {key}: only whowas has {sorted(names)}")


def _compare_answers(ours: Ours, rows: list[Row], told: Names) -> None:
    """Every address that the oracle's answers lead to must be known for that client under the question's name."""
    for row in rows:
        if row["what"] != "dns_response" or not row["answers"]:
            continue
        for one in row["answers"].split(","):
            address = one.rpartition("=")[2]
            if not _is_address(address):
                continue
            told.compared["dns_answer"] += 1
            if (row["dst"], address, _small(row["name"])) in ours.answers:
                told.agreed["dns_answer"] += 1
            else:
                told.wrong.append(
                    f"dns_answer frame {row['frame']}: {row['dst']} {address} {row['name']} {row['answers'][:80]}"
                )


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


def shown(total: Names) -> dict[str, Any]:
    return {kind: f"{total.agreed[kind]} of {count}" for kind, count in sorted(total.compared.items())}
