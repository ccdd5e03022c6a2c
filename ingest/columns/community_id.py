"""Community ID v1, seed 0: the key by which Zeek, Suricata and others know the same flow.

Source: github.com/corelight/community-id-spec.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ingest.columns.arrow import strings
from ingest.columns.sha1 import sha1_rows
from whowas.arrays import Flags, Octets, Words

# ICMP types that answer each other; what is not here goes one way.
ICMP_ANSWERS = {0: 8, 8: 0, 9: 10, 10: 9, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
ICMPV6_ANSWERS = {
    128: 129, 129: 128, 130: 131, 131: 130, 133: 134, 134: 133, 135: 136, 136: 135, 139: 140, 140: 139,
    144: 145, 145: 144,
}  # fmt: skip
WITH_PORTS = (1, 6, 17, 58, 132)
BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


def _answers(table: dict[int, int]) -> Words:
    answers = np.full(256, -1, dtype=np.int64)
    answers[list(table)] = list(table.values())
    return answers


ANSWERS = {1: _answers(ICMP_ANSWERS), 58: _answers(ICMPV6_ANSWERS)}


def _icmp_ports(protocol: Words, icmp: Words, src_port: Words, dst_port: Words) -> Flags:
    """Put type and answering type (or code) where ports stand; return who goes one way only."""
    one_way = np.zeros(len(protocol), dtype=np.bool_)
    for number, answers in ANSWERS.items():
        mine = (protocol == number) & (icmp >= 0)
        kind, code = icmp[mine] >> 8, icmp[mine] & 0xFF
        answer = answers[kind]
        src_port[mine] = kind
        dst_port[mine] = np.where(answer < 0, code, answer)
        one_way[mine] = answer < 0
    return one_way


def community_ids(
    src: Octets, dst: Octets, family: Words, protocol: Words, ports: tuple[Words, Words, Flags], icmp: Words
) -> Any:
    """Return the column of ids.

    Args: src, dst: (n, 16) bytes, v4-mapped. family: 4 or 6. ports: of src, of dst, whether there are any.
        icmp: type << 8 | code of the first packet, sent by src; -1 else.
    """
    src_port, dst_port = ports[0].copy(), ports[1].copy()
    one_way = _icmp_ports(protocol, icmp, src_port, dst_port)
    has_ports = (ports[2] | (icmp >= 0)) & np.isin(protocol, WITH_PORTS)
    swap = _after(src, dst, src_port, dst_port, has_ports) & ~one_way
    first, second = np.where(swap[:, None], dst, src), np.where(swap[:, None], src, dst)
    low, high = np.where(swap, dst_port, src_port), np.where(swap, src_port, dst_port)
    tail = np.zeros((len(src), 6), dtype=np.uint8)
    tail[:, 0] = protocol
    tail[:, 2], tail[:, 3], tail[:, 4], tail[:, 5] = low >> 8, low & 0xFF, high >> 8, high & 0xFF
    digests = np.zeros((len(src), 21), dtype=np.uint8)
    for version, skip in ((4, 12), (6, 0)):
        for with_ports, end in ((True, 6), (False, 2)):
            rows = np.flatnonzero((family == version) & (has_ports == with_ports))
            if len(rows):
                seed = np.zeros((len(rows), 2), dtype=np.uint8)
                parts = (seed, first[rows, skip:], second[rows, skip:], tail[rows, :end])
                digests[rows, :20] = sha1_rows(np.concatenate(parts, axis=1))
    return strings(_base64(digests))


def _after(src: Octets, dst: Octets, src_port: Words, dst_port: Words, has_ports: Flags) -> Flags:
    """Say where (src, src_port) sorts behind (dst, dst_port), by bytes."""
    mine, theirs = src.view(">u8").reshape(-1, 2), dst.view(">u8").reshape(-1, 2)
    same_high = mine[:, 0] == theirs[:, 0]
    behind = (mine[:, 0] > theirs[:, 0]) | (same_high & (mine[:, 1] > theirs[:, 1]))
    tie = same_high & (mine[:, 1] == theirs[:, 1]) & has_ports
    after: Flags = behind | (tie & (src_port > dst_port))
    return after


def _base64(digests: Octets) -> Octets:
    """(n, 30) characters `1:` and the base64 of the first 20 of (n, 21) bytes, the last being zero."""
    threes = digests.reshape(-1, 7, 3).astype(np.uint32)
    bits = (threes[:, :, 0] << 16) | (threes[:, :, 1] << 8) | threes[:, :, 2]
    text = np.empty((len(digests), 30), dtype=np.uint8)
    text[:, 0], text[:, 1] = ord("1"), ord(":")
    for place, shift in enumerate((18, 12, 6, 0)):
        text[:, 2 + place :: 4] = BASE64[(bits >> np.uint32(shift)) & 63]
    text[:, 29] = ord("=")
    return text
