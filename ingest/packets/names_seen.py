"""Names seen in passing: between the kernel that picks packets, the listener that reads them, and the columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ingest.names.client_hello import VERSION_WORDS
from ingest.names.dns_answers import DnsAnswers
from ingest.names.greetings import CODES, DNS, after_words, meaning
from ingest.names.listener import Listener, Picked
from ingest.names.talk import Told
from ingest.packets import flow_table as t
from ingest.packets import observing as o
from ingest.packets.capture import Block
from ingest.packets.conversation import PROTOCOL_UDP
from whowas.arrays import Flags, Words
from whowas.schema import WORD

TOLD = (
    "tls_sni", "tls_version", "tls_alpn", "tls_alpn_chosen", "tls_version_offered", "tls_ja4", "http_host", "dns_name",
)  # fmt: skip


class NamesSeen:
    """What conversations of a run told of themselves."""

    def __init__(self) -> None:
        self.listener = Listener()

    def take(self, block: Block, table: t.Table) -> None:
        """Read the packets that a kernel picked from a block, before their rows can be written."""
        number = int(table.numbers[t.PICKED])
        if not number:
            return
        table.numbers[t.PICKED] = 0
        for pick in table.picks[:number].tolist():
            over = self.listener.take(_picked(pick), block.data[pick[o.P_AT] : pick[o.P_END]].tobytes())
            if (over[0] or over[1]) and table.cold[pick[o.P_ROW], t.OBSERVED] == pick[o.P_HANDLE]:
                table.pool[pick[o.P_ROW], t.STATE] |= t.LOOKED_A * (over[0] + 2 * over[1])

    def columns(self, rows: Words, cold: Words, is_b: Flags) -> dict[str, Any]:
        """Columns of finished conversations; what nobody told is left out, for nulls."""
        codes = cold[:, t.GREETINGS]
        if not codes.any() and not len(self.listener.answers):
            return {}
        told = {
            place: one for place in np.flatnonzero(cold[:, t.OBSERVED]).tolist() if (one := self._told(cold, place))
        }
        found = _meanings(codes & 0xFF, (codes >> 8) & 0xFF, [place for place, one in told.items() if one.late_tls])
        if told:
            found |= _told_columns(told, len(rows))
        if len(self.listener.answers):
            found |= _dns_columns(self.listener.answers, rows, is_b)
        return found

    def forget(self, cold: Words) -> None:
        """Forget conversations that another point of observation saw too: they have no row of their own."""
        for handle in np.unique(cold[:, t.OBSERVED]).tolist():
            self.listener.told(handle)

    def _told(self, cold: Words, place: int) -> Told | None:
        return self.listener.told(int(cold[place, t.OBSERVED]))


def _octets(high: int, low: int) -> bytes:
    return (high & (1 << 64) - 1).to_bytes(8, "big") + (low & (1 << 64) - 1).to_bytes(8, "big")


def _picked(pick: list[int]) -> Picked:
    # Only answers of DNS are somebody's.
    dns = pick[o.P_CODE] == DNS
    return Picked(
        handle=pick[o.P_HANDLE],
        sender=pick[o.P_SENDER],
        sequence=pick[o.P_SEQUENCE],
        start=pick[o.P_START],
        time=pick[o.P_TIME],
        code=pick[o.P_CODE],
        udp=pick[o.P_PROTOCOL] == PROTOCOL_UDP,
        dst=_octets(pick[o.P_DST_HI], pick[o.P_DST_LO]) if dns else b"",
        network=pick[o.P_NETWORK],
        from_server=pick[o.P_SRC_PORT] == o.DNS_PORT,
    )


def _meanings(a: Words, b: Words, late: list[int]) -> dict[str, Any]:
    """What both greetings mean, each pair of them looked up once. late: rows in which TLS began after some words."""
    pairs = a * CODES + b
    pairs[late] += CODES * CODES
    known, places = np.unique(pairs, return_inverse=True)
    words = []
    for pair in known.tolist():
        one, other = divmod(pair % (CODES * CODES), CODES)
        words.append((after_words if pair >= CODES * CODES else meaning)(one, other))
    names = ("app_protocol", "encrypted", "encrypted_reason")
    return {name: _coded([one[at] for one in words], places) for at, name in enumerate(names)}


def _coded(words: list[str | None], places: Any) -> Any:
    """Dictionary column of words[place], each word once."""
    distinct = {word: number for number, word in enumerate(dict.fromkeys(one for one in words if one is not None))}
    numbers = np.array([-1 if one is None else distinct[one] for one in words], dtype=np.int32)[places]
    return pa.DictionaryArray.from_arrays(pa.array(numbers, mask=numbers < 0), pa.array(list(distinct), pa.string()))


def _told_columns(told: dict[int, Told], number: int) -> dict[str, Any]:
    """Columns of what few rows have."""
    lists: dict[str, list[Any]] = {name: [None] * number for name in (*TOLD, "tls_ech", "tls_mutual")}
    for place, one in told.items():
        lists["tls_sni"][place] = one.sni
        lists["tls_version"][place] = version_word(one.version)
        lists["tls_alpn"][place] = ",".join(one.alpn) if one.alpn else None
        lists["tls_alpn_chosen"][place] = one.alpn_chosen
        lists["tls_version_offered"][place] = version_word(one.offered)
        lists["tls_ja4"][place] = one.ja4
        lists["http_host"][place] = one.host
        lists["dns_name"][place] = one.question
        lists["tls_ech"][place] = one.ech
        lists["tls_mutual"][place] = one.mutual
    columns = {name: pa.array(lists[name], pa.string()).dictionary_encode().cast(WORD) for name in TOLD}
    return columns | {name: pa.array(lists[name], pa.bool_()) for name in ("tls_ech", "tls_mutual")}


def version_word(number: int | None) -> str | None:
    """Spell a TLS version as Zeek does; one that is not known as its number."""
    return None if number is None else VERSION_WORDS.get(number, f"0x{number:04x}")


def _dns_columns(answers: DnsAnswers, rows: Words, is_b: Flags) -> dict[str, Any]:
    """Names by which one end had asked for the other's address. Asked once a pair of ends that has any answer."""
    a, b = ([_octets(*pair) for pair in rows[:, columns].tolist()] for columns in ((0, 1), (2, 3)))
    lists: dict[str, list[Any]] = {f"{side}_dns_{what}": [None] * len(rows) for side in ("src", "dst") for what in
                                   ("name", "reason")}  # fmt: skip
    networks, starts = (rows[:, t.NETWORK] & t.NETWORK_MASK).tolist(), rows[:, t.FIRST].tolist()
    for place, (one, other, swapped) in enumerate(zip(a, b, is_b.tolist(), strict=True)):
        for side, client, address in (("dst", one, other), ("src", other, one)):
            found = answers.name((networks[place], client, address), starts[place])
            if found:
                end = side if not swapped else {"src": "dst", "dst": "src"}[side]
                lists[f"{end}_dns_name"][place], lists[f"{end}_dns_reason"][place] = found
    return {name: pa.array(some, pa.string()).dictionary_encode().cast(WORD) for name, some in lists.items()}
