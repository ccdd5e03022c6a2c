"""What several formats of flow records read alike: ICMP types, observers, TCP flags."""

from __future__ import annotations

import json

import numpy as np

from ingest.records.fields import Numbers, Texts
from ingest.records.flow_columns import NONE, joined
from ingest.records.reader import RecordOptions
from whowas.arrays import Flags, Words


def icmp_words(kind: Numbers, code: Numbers) -> Words:
    """type << 8 | code; without a code it is 0, as exporters leave zeros out."""
    known = kind.good & (kind.values >= 0) & (kind.values <= 255)
    return np.where(known, (kind.values << 8) | (np.where(code.good, code.values, 0) & 0xFF), NONE)


def icmp_of_ports(src: Numbers, dst: Numbers) -> Words:
    """type << 8 | code, as NetFlow writes it into the destination's port. NONE where the ports are something else.

    Below 256 it would be an echo reply with a code, which there is not: some exporters write a type alone.
    """
    fits = dst.good & (dst.values >= 0) & (dst.values <= 0xFFFF) & (src.values == 0)
    return np.where(fits & ((dst.values == 0) | (dst.values >= 256)), dst.values, NONE)


def icmp_of_either(told: Words, src: Numbers, dst: Numbers, port_is_all: Flags) -> Words:
    """The type and code of fields of their own, else of the port: an exporter leaves zeros where it has none.

    Args: told: of the fields, NONE where they are missing. port_is_all: rows whose exporter has the port alone.
    """
    port = icmp_of_ports(src, dst)
    # Both zero: an echo reply, as nothing contradicts it. Zero beside ports of another sort tells nothing.
    zero = np.where(port_is_all | (dst.good & (port != 0)), port, told)
    return np.where(told > 0, told, zero)


# sFlow's interface of what the device itself sends; what is above is no interface either (several, discarded).
NO_INTERFACE = 0x3FFFFFFF


def _interface(word: str) -> str | None:
    """An interface's number or name; zero is none."""
    number = word.isascii() and word.isdecimal()
    return None if not word or (number and not 0 < int(word[:12]) < NO_INTERFACE) else word


def counted_at(inward: Texts, outward: Texts, egress: Flags) -> Texts:
    """The interface at which packets were counted: where they came in, else where they went out.

    A router counts each packet where it comes in, whatever way it goes on; only where a record says so (egress), or
    knows no other interface, was it counted where it goes out.
    """
    first, second = inward.spelt(_interface), outward.spelt(_interface)
    return chosen_words(egress & (second.indices >= 0), second, first_told(first, second))


def chosen_words(rows: Flags, first: Texts, second: Texts) -> Texts:
    """Words of the first where chosen, else of the second."""
    others = np.where(second.indices >= 0, second.indices + len(first.words), NONE)
    return Texts(np.where(rows, first.indices, others), [*first.words, *second.words])


def first_told(first: Texts, second: Texts) -> Texts:
    """Words of the first, of the second where the first says nothing."""
    return chosen_words(first.indices >= 0, first, second)


def filled(word: str) -> str | None:
    """A word, or none where it is empty."""
    return word or None


def observers(exporter: Texts, interface: Texts, options: RecordOptions) -> Texts:
    """exporter/interface."""
    return named_by(joined(exporter, interface), options)


def at_point(exporter: Texts, domain: Words, point: Words) -> Texts:
    """exporter/domain:point where IPFIX tells an observation point: its numbers are those of a domain.

    A domain alone tells no place: a router has one for each card, or each processor.
    """
    told = point > 0
    if not told.any():
        return exporter
    pairs, indices = np.unique(np.stack([domain, point], axis=1), axis=0, return_inverse=True)
    words = [f"{domain}:{point}" for domain, point in pairs.tolist()]
    return joined(exporter, Texts(np.where(told, indices.reshape(-1), NONE).astype(np.int64), words))


def named_by(found: Texts, options: RecordOptions) -> Texts:
    """The observer that the options name, where records tell none."""
    if not options.observer:
        return found
    blank = found.indices < 0
    return Texts(np.where(blank, len(found.words), found.indices), [*found.words, options.observer])


FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}


def flag_bits(text: str) -> int:
    """Bits of a JSON list of names, or of one name; NONE where unreadable."""
    try:
        names = json.loads(text) if text.startswith("[") else [text]
    except (ValueError, RecursionError):
        return NONE
    known = {name for name in names if isinstance(name, str)}
    return sum({FLAGS[part] for name in known for part in name.split("_") if part in FLAGS})


def either(choice: Flags, first: Numbers, second: Numbers) -> Numbers:
    """Numbers of the first where chosen, else of the second."""
    return Numbers(np.where(choice, first.values, second.values), np.where(choice, first.state, second.state))
